"""What can be read of an event, known before it happens: shapes made of dataclasses and of OCPP's JSON Schemas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

Fields = Mapping[str, "Shape"]
PLAIN: Mapping[type, str] = {
    str: "text",
    bool: "boolean",
    int: "number",
    float: "number",
    Decimal: "number",
    datetime: "time",
    date: "time",
}
SCHEMA_TYPES = {"string": "text", "boolean": "boolean", "integer": "number", "number": "number"}


@dataclass(frozen=True)
class Shape:
    """``kind`` is object, any, text, number, boolean or time; ``words`` are all that a text can be; ``many`` a list of such."""

    kind: str
    inner: Callable[[], Fields] | None = None
    words: tuple[str, ...] = ()
    many: bool = False

    @property
    def fields(self) -> Fields | None:
        """The fields of an object; None where anything may be."""
        return self.inner() if self.inner else None

    @property
    def leaf(self) -> bool:
        """Whether this is a plain value, in which there are no fields."""
        return self.kind not in ("object", "any")

    def at(self, path: Sequence[str]) -> Shape | None:
        """The shape at a path; None where there is none."""
        shape: Shape = self
        for step in path:
            known = shape.fields
            if known is None:
                return ANY if shape.kind == "any" else None
            if step not in known:
                return None
            shape = known[step]
        return shape


ANY = Shape("any")
TEXT = Shape("text")
NUMBER = Shape("number")
BOOLEAN = Shape("boolean")
TIME = Shape("time")


def record(known: Fields) -> Shape:
    """An object with these fields."""
    return Shape("object", lambda: known)


def texts(*names: str) -> Shape:
    """An object whose fields are all texts."""
    return record(dict.fromkeys(names, TEXT))


def of_class(kind: Any) -> Shape:
    """The shape of a type annotation: a dataclass or named tuple, an enumeration, a plain type, a tuple of such; else anything."""
    if get_origin(kind) in (Union, UnionType):
        inner = [one for one in get_args(kind) if one is not type(None)]
        alone: Any = inner[0]
        return of_class(alone) if len(inner) == 1 else ANY
    if get_origin(kind) in (tuple, list) and get_args(kind):
        inside: Any = get_args(kind)[0]
        one = of_class(inside)
        return Shape(one.kind, one.inner, one.words, many=True)
    if not isinstance(kind, type):
        return ANY
    if issubclass(kind, Enum):
        return Shape("text", words=tuple(str(one.value) for one in kind))
    if kind in PLAIN:
        return Shape(PLAIN[kind])
    if is_dataclass(kind) or hasattr(kind, "_fields"):
        hinted: Any = kind
        return Shape("object", lambda: _hints(hinted))
    return ANY


@cache
def _hints(kind: Any) -> Fields:
    hints = get_type_hints(kind)
    names = [one.name for one in fields(kind)] if is_dataclass(kind) else list(kind._fields)
    return {name: of_class(hints[name]) for name in names}


def of_schema(schema: Mapping[str, Any]) -> Shape:
    """The shape of an OCPP request."""
    return _of_node(schema, schema)


def _of_node(node: Mapping[str, Any], document: Mapping[str, Any]) -> Shape:
    node = resolved(node, document)
    kind = node.get("type")
    if kind == "array":
        one = _of_node(node.get("items", {}), document)
        return Shape(one.kind, one.inner, one.words, many=True)
    if kind == "object" and "properties" in node:
        properties = node["properties"]
        return Shape("object", cache(lambda: {name: _of_node(one, document) for name, one in properties.items()}))
    if "enum" in node:
        return Shape("text", words=tuple(map(str, node["enum"])))
    if node.get("format") == "date-time":
        return TIME
    return Shape(SCHEMA_TYPES[kind]) if kind in SCHEMA_TYPES else ANY


def resolved(node: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A node of a schema, where ``$ref`` leads."""
    while "$ref" in node:
        node = document["definitions"][node["$ref"].rpartition("/")[2]]
    return node


def union(shapes: Iterable[Shape]) -> Shape:
    """What fits any of them: all their fields, all their words."""
    several = list(shapes)
    if not several:
        return ANY
    if len(several) == 1:
        return several[0]
    if any(one.kind == "any" for one in several) or len({one.kind for one in several}) > 1:
        return ANY
    many = any(one.many for one in several)
    if several[0].kind == "object":
        return Shape("object", cache(lambda: _united(several)), many=many)
    words: tuple[str, ...] = ()
    if all(one.words for one in several):
        words = tuple(dict.fromkeys(word for one in several for word in one.words))
    return Shape(several[0].kind, words=words, many=many)


def _united(several: Sequence[Shape]) -> Fields:
    names = dict.fromkeys(name for one in several for name in one.fields or {})
    return {name: union(one.fields[name] for one in several if one.fields and name in one.fields) for name in names}


def unknown(roots: Fields, path: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
    """The first name of a path that does not exist, and those that do in its place; None when all is well."""
    shape = record(roots)
    for step in path:
        known = shape.fields
        if known is None:
            return None if shape.kind == "any" else (step, ())
        if step not in known:
            return step, tuple(known)
        shape = known[step]
    return None
