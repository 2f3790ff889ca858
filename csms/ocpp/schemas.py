"""The official JSON schemas of each version, compiled when first needed; a failed keyword becomes the OCPP error code that names it.

    required, minItems, maxItems                                -> OccurrenceConstraintViolation
    type                                                        -> TypeConstraintViolation
    enum, format, maxLength, minimum, maximum, multipleOf ...   -> PropertyConstraintViolation
    additionalProperties                                        -> FormatViolation

The schemas come from the installed ``ocpp`` package. ``multipleOf`` is taken out and checked in decimal: in binary floats 8.1 is no multiple of 0.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import jsonschema_rs
import orjson

from csms.ocpp.errors import V16, V21, V201, ErrorCode, OcppError

FOLDERS: Mapping[str, str] = {V16: "v16", V201: "v201", V21: "v21"}
Steps = tuple[tuple[tuple[str, ...], Decimal], ...]
"""Where a schema says multipleOf: the path of property names ("*" for list items) and the step."""

CODES: Mapping[str, ErrorCode] = {
    "required": ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    "minItems": ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    "maxItems": ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    "type": ErrorCode.TYPE_CONSTRAINT_VIOLATION,
    "additionalProperties": ErrorCode.FORMAT_VIOLATION,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a payload: JSON pointer, what is wrong, the schema keyword."""

    pointer: str
    message: str
    keyword: str

    @property
    def code(self) -> ErrorCode:
        """The OCPP error code of this kind of mistake."""
        return CODES.get(self.keyword, ErrorCode.PROPERTY_CONSTRAINT_VIOLATION)


@dataclass(frozen=True, slots=True)
class Schema:
    """One compiled schema."""

    validator: Any
    steps: Steps

    def problems(self, payload: Any) -> Iterator[Problem]:
        """Every mistake in the payload."""
        for error in self.validator.iter_errors(payload):
            path = error.schema_path
            yield Problem(_pointer(error.instance_path), error.message, str(path[-1]) if path else "")
        for path, step in self.steps:
            for pointer, value in _values(payload, path, ""):
                if Decimal(repr(value)) % step:
                    yield Problem(pointer, f"{value} is not a multiple of {step}", "multipleOf")


def check(protocol: str, action: str, payload: Any, *, answer: bool = False) -> None:
    """Nothing, if the payload fits; else OcppError with code, pointer and reason. Unknown action: NotImplemented."""
    schema = _schema(protocol, action, answer=answer)
    if schema.validator.is_valid(payload) and not schema.steps:
        return
    first = next(schema.problems(payload), None)
    if first is not None:
        raise OcppError(first.code, f"{first.pointer or '/'}: {first.message}")


def problems(protocol: str, action: str, payload: Any, *, answer: bool = False) -> list[Problem]:
    """Every mistake at once, for people; unknown action: OcppError NotImplemented."""
    return list(_schema(protocol, action, answer=answer).problems(payload))


@cache
def actions(protocol: str) -> frozenset[str]:
    """Every action of a version, in either direction."""
    stems = {entry.name.removesuffix(".json") for entry in _folder(protocol).iterdir() if entry.name.endswith(".json")}
    answers = {stem for stem in stems if stem.endswith("Response")}
    return frozenset(stem.removesuffix("Request") for stem in stems - answers)


def _folder(protocol: str) -> Traversable:
    return files("ocpp") / FOLDERS[protocol] / "schemas"


@cache
def _known(protocol: str, action: str, *, answer: bool) -> Schema:
    # 1.6 has no suffix on requests, nor has the one unanswered message of 2.1.
    names = [f"{action}Response.json"] if answer else [f"{action}Request.json", f"{action}.json"]
    found = next((path for name in names if (path := _folder(protocol) / name).is_file()), None)
    if found is None:
        raise OcppError(ErrorCode.NOT_IMPLEMENTED, f"{action} has no answer in {protocol}")
    text = found.read_bytes().removeprefix(b"\xef\xbb\xbf")
    document = orjson.loads(text)
    steps = tuple(_take_steps(document, (), 0))
    # The schemas are draft 4 and 6; both check alike what OCPP uses, and some name their draft in ways no library knows.
    document.pop("$schema", None)
    document.pop("$id", None)
    document.pop("id", None)
    return Schema(
        jsonschema_rs.Draft6Validator(document, validate_formats=True, formats={"date-time": _is_time}), steps
    )


def _schema(protocol: str, action: str, *, answer: bool) -> Schema:
    if action not in actions(protocol):
        raise OcppError(ErrorCode.NOT_IMPLEMENTED, f"{protocol} has no action {action[:50]}")
    return _known(protocol, action, answer=answer)


def _is_time(text: str) -> bool:
    """RFC 3339 as stations in the field write it: the zone may be missing, which is read as UTC."""
    from csms.ocpp.times import parse_time

    try:
        parse_time(text)
    except OcppError:
        return False
    return True


def _take_steps(schema: Any, path: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], Decimal]]:
    """Remove every multipleOf below a schema and yield where it stood; 2.x schemas have definitions but no multipleOf in them."""
    if not isinstance(schema, dict) or depth > 20:
        return
    step = schema.pop("multipleOf", None)
    if step is not None:
        yield path, Decimal(repr(step))
    for name, inner in schema.get("properties", {}).items():
        yield from _take_steps(inner, (*path, name), depth + 1)
    if isinstance(schema.get("items"), dict):
        yield from _take_steps(schema["items"], (*path, "*"), depth + 1)


def _values(payload: Any, path: tuple[str, ...], pointer: str) -> Iterator[tuple[str, float]]:
    if not path:
        if isinstance(payload, int | float) and not isinstance(payload, bool):
            yield pointer, payload
        return
    if path[0] == "*" and isinstance(payload, list):
        for index, inner in enumerate(payload):
            yield from _values(inner, path[1:], f"{pointer}/{index}")
    elif isinstance(payload, dict) and path[0] in payload:
        yield from _values(payload[path[0]], path[1:], f"{pointer}/{path[0]}")


def _pointer(path: list[str | int]) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
