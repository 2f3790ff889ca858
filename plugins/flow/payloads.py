"""Checks what a rule would send, before it ever runs: the fixed parts of ``with`` against the JSON Schema of each version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from csms_plugins.flow.files import Where, suggestion
from csms_plugins.flow.reader import Reader
from csms_plugins.flow.shapes import resolved

Finding = tuple[Where, str, str]
TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def check_call(reader: Reader, action: str, payload: object, where: Where) -> None:
    """A call fits some version that this site speaks; if none, what is said is the nearest one's."""
    words = reader.words
    if not words.protocols:
        return
    speaking = [one for one in words.protocols if action in words.calls(one)]
    if not speaking:
        known = sorted({action for one in words.protocols for action in words.calls(one)})
        reader.wrong((*where, "send"), f"no version has a call {action} to a station", suggestion(action, known))
        return
    if not isinstance(payload, dict):
        return
    tried = []
    for protocol in speaking:
        schema = words.schema(protocol, action)
        assert schema is not None
        tried.append((protocol, list(_findings(payload, schema, schema, (*where, "with")))))
    protocol, findings = min(tried, key=lambda one: len(one[1]))
    for place, what, cure in findings:
        reader.wrong(place, f"{action} of {protocol}: {what}", cure)


def check_arguments(reader: Reader, schema: Mapping[str, Any], given: Mapping[str, Any], where: Where) -> None:
    """The arguments of a plugin's action fit its schema."""
    for place, what, cure in _findings(given, schema, schema, where):
        reader.wrong(place, what, cure)


def missing_in(reader_words: Any, action: str) -> list[str]:
    """The versions of this site in which a station takes no such call."""
    return [one for one in reader_words.protocols if action not in reader_words.calls(one)]


def _findings(value: object, node: Mapping[str, Any], document: Mapping[str, Any], where: Where) -> Iterator[Finding]:
    if isinstance(value, str) and "{" in value:
        return
    node = resolved(node, document)
    kind = node.get("type")
    types = TYPES.get(kind, ()) if isinstance(kind, str) else ()
    if types and (not isinstance(value, types) or (isinstance(value, bool) and kind != "boolean")):
        yield where, f"{where[-1]} is of type {kind}, not {value!r}", ""
    elif isinstance(value, dict):
        yield from _object(value, node, document, where)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _findings(one, node.get("items", {}), document, (*where, index))
        if len(value) < node.get("minItems", 0):
            yield where, f"{where[-1]} has at least {node['minItems']} parts", ""
    elif "enum" in node and value not in node["enum"]:
        yield where, f"{where[-1]} is never {value}", suggestion(value, tuple(map(str, node["enum"])))
    elif isinstance(value, str) and len(value) > node.get("maxLength", len(value)):
        yield where, f"{where[-1]} has at most {node['maxLength']} characters", ""


def _object(
    value: Mapping[str, Any], node: Mapping[str, Any], document: Mapping[str, Any], where: Where
) -> Iterator[Finding]:
    properties = node.get("properties")
    if properties is None:
        return
    for key, one in value.items():
        if key in properties:
            yield from _findings(one, properties[key], document, (*where, key))
        elif node.get("additionalProperties") is False:
            yield (*where, key), f"there is no field {key}", suggestion(key, tuple(properties))
    for key in node.get("required", ()):
        if key not in value:
            yield where, f"the field {key} is missing", ""
