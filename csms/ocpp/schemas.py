"""The official JSON schemas of each version, compiled when first needed; a failed keyword becomes the OCPP error code that names it.

    required, minItems, maxItems                                    OccurrenceConstraintViolation
    type                                                            TypeConstraintViolation
    enum, format, minLength, maxLength, minimum, maximum, multipleOf    PropertyConstraintViolation
    additionalProperties                                            FormatViolation
    an action that the version does not have                        NotImplemented

The schemas come from the installed ``ocpp`` package and are changed in three ways. ``multipleOf`` is decided in decimal: in binary floats 8.1
is no multiple of 0.1. Integers are held to 64 bits, which is what a database can keep. Times may be whatever ``csms.ocpp.times`` can read: stations
in the field leave the zone out, or write it without a colon.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Final

import jsonschema_rs
import orjson

from csms.ocpp.errors import V16, V21, V201, ErrorCode, OcppError
from csms.ocpp.strict_json import LARGEST, SMALLEST
from csms.ocpp.times import parse_time

FOLDERS: Final[Mapping[str, str]] = {V16: "v16", V201: "v201", V21: "v21"}
NOTHING_SAID: Final = {"$schema", "$id", "id", "comment"}
LONGEST_MESSAGE: Final = 180
FREE_TEXT: Final = (
    " is longer than ",
    " is shorter than ",
    " has more than ",
    " has less than ",
    " does not match ",
    " is not of type ",
)
"""What follows a value in the validator's messages where the value may be any text, or a whole structure."""
PLAIN: Final = frozenset({"null", "true", "false"})
NUMBERS: Final = frozenset({'"number"', '"integer"'})
USUAL_TIME: Final = (
    r"^(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
)
"""Together with the validator's own idea of date-time: nothing that ``parse_time`` would refuse."""

CODES: Final[Mapping[str, ErrorCode]] = {
    "required": ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    "minItems": ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    "maxItems": ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    "type": ErrorCode.TYPE_CONSTRAINT_VIOLATION,
    "additionalProperties": ErrorCode.FORMAT_VIOLATION,
}
"""Every keyword that is not named here is a PropertyConstraintViolation."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a payload: an RFC 6901 JSON pointer ("" is the payload itself), what is wrong, the schema keyword."""

    pointer: str
    message: str
    keyword: str

    @property
    def code(self) -> ErrorCode:
        """The OCPP error code of this kind of mistake."""
        return CODES.get(self.keyword, ErrorCode.PROPERTY_CONSTRAINT_VIOLATION)

    @property
    def error(self) -> OcppError:
        """The refusal that tells a station of this mistake."""
        return OcppError(self.code, f"{_shortened(self.pointer, 70) or '/'}: {self.message}")


@dataclass(frozen=True, slots=True)
class Validator:
    """One compiled schema, twice: ``quick`` never calls into Python, and where it says no, ``exact`` has the last word."""

    quick: Any
    exact: Any


class Schemas:
    """The schemas of one version; ``actions`` is every action of it, whoever sends it."""

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self._folder = files("ocpp") / FOLDERS[protocol] / "schemas"
        stems = {entry.name.removesuffix(".json") for entry in self._folder.iterdir() if entry.name.endswith(".json")}
        answers = {stem for stem in stems if stem.endswith("Response")}
        # 1.6 has no suffix on requests, nor have the unconfirmed messages of 2.1.
        self._request_files = {stem.removesuffix("Request"): stem for stem in stems - answers}
        self._answer_files = {stem.removesuffix("Response"): stem for stem in answers}
        self.actions = frozenset(self._request_files)
        self.unconfirmed = self.actions - frozenset(self._answer_files)
        self._requests: dict[str, Validator] = {}
        self._answers: dict[str, Validator] = {}

    def document(self, action: str) -> dict[str, Any] | None:
        """The schema of a request as it was published; None for an action that is none."""
        stem = self._request_files.get(action)
        return None if stem is None else self._read(stem)

    def answer_document(self, action: str) -> dict[str, Any]:
        """The schema of an answer as it was published; KeyError for an action that has none."""
        return self._read(self._answer_files[action])

    def _read(self, stem: str) -> dict[str, Any]:
        document: dict[str, Any] = orjson.loads(
            (self._folder / f"{stem}.json").read_bytes().removeprefix(b"\xef\xbb\xbf")
        )
        return document

    def check(self, action: str, payload: Any, *, answer: bool = False) -> None:
        """Nothing, if the payload fits; else OcppError for the first mistake."""
        validator = (self._answers if answer else self._requests).get(action) or self._compiled(action, answer=answer)
        try:
            if validator.quick.is_valid(payload) or validator.exact.is_valid(payload):
                return
            # Not iter_errors: it gathers every mistake, and a hostile frame may hold a hundred thousand.
            validator.exact.validate(payload)
        except jsonschema_rs.ValidationError as mistake:
            raise _problem(mistake).error from None
        except ValueError as wrong:
            raise OcppError(ErrorCode.FORMAT_VIOLATION, f"the payload is not JSON: {wrong}") from None

    def problems(self, action: str, payload: Any, *, answer: bool = False) -> list[Problem]:
        """Every mistake at once; unknown action: OcppError NotImplemented."""
        validator = self._compiled(action, answer=answer)
        try:
            return [_problem(mistake) for mistake in validator.exact.iter_errors(payload)]
        except ValueError as wrong:
            return [Problem("", f"the payload is not JSON: {wrong}", "type")]

    def _compiled(self, action: str, *, answer: bool) -> Validator:
        compiled, stems = (self._answers, self._answer_files) if answer else (self._requests, self._request_files)
        validator = compiled.get(action)
        if validator is None:
            if action not in stems:
                what = "has no answer" if action in self.actions else "is not an action"
                raise OcppError(ErrorCode.NOT_IMPLEMENTED, f"{action[:50]} {what} of {self.protocol}")
            validator = compiled[action] = _validator(self._read(stems[action]))
        return validator


@cache
def schemas_of(protocol: str) -> Schemas:
    """The schemas of a version, one set for the whole process; KeyError for a protocol that is none of ours."""
    return Schemas(protocol)


def check(protocol: str, action: str, payload: Any, *, answer: bool = False) -> None:
    """Nothing, if the payload fits; else OcppError with code, pointer and reason. Unknown action: NotImplemented."""
    schemas_of(protocol).check(action, payload, answer=answer)


def problems(protocol: str, action: str, payload: Any, *, answer: bool = False) -> list[Problem]:
    """Every mistake at once, for people; unknown action: OcppError NotImplemented."""
    return schemas_of(protocol).problems(action, payload, answer=answer)


@cache
def document(protocol: str, action: str) -> dict[str, Any] | None:
    """The schema of a request as it was published, to be read only; None for an action that the version does not have."""
    return schemas_of(protocol).document(action)


def actions(protocol: str) -> frozenset[str]:
    """Every action of a version, in either direction."""
    return schemas_of(protocol).actions


class MultipleOf:
    """The keyword ``multipleOf`` in decimal: numbers are taken as they were written."""

    def __init__(self, parent_schema: Mapping[str, Any], step: float, schema_path: list[str | int]) -> None:
        self._step = step
        self._over, self._under = Decimal(repr(step)).as_integer_ratio()

    def validate(self, instance: object) -> None:
        """ValueError for a number that is no whole number of steps; other types are not its business."""
        if isinstance(instance, bool) or not isinstance(instance, int | float | Decimal):
            return
        over, under = Decimal(str(instance)).as_integer_ratio()
        if over * self._under % (under * self._over):
            raise ValueError(f"{instance} is not a multiple of {self._step}")


def _validator(document: dict[str, Any]) -> Validator:
    # Draft 4 and 6 check alike what these schemas use, and what some of them say of themselves no library knows.
    for name in NOTHING_SAID & document.keys():
        del document[name]
    keywords: dict[str, Any] = {"multipleOf": MultipleOf}
    for one in _subschemas(document):
        if one.get("type") == "integer":
            one.setdefault("minimum", SMALLEST)
            one.setdefault("maximum", LARGEST)
    exact = jsonschema_rs.Draft6Validator(
        document, validate_formats=True, formats={"date-time": _is_time}, keywords=keywords
    )
    for one in _subschemas(document):
        if one.get("format") == "date-time":
            one["pattern"] = USUAL_TIME
    return Validator(jsonschema_rs.Draft6Validator(document, validate_formats=True, keywords=keywords), exact)


def _subschemas(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Every object in a schema; what is no schema among them does no harm."""
    found: list[dict[str, Any]] = []
    waiting: list[Any] = [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            found.append(one)
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found


def _is_time(text: str) -> bool:
    try:
        parse_time(text)
    except OcppError:
        return False
    return True


def _problem(mistake: Any) -> Problem:
    path = mistake.schema_path
    return Problem(
        _pointer(mistake.instance_path),
        _shortened(_discreet(mistake.message), LONGEST_MESSAGE),
        str(path[-1]) if path else "",
    )


def _discreet(message: str) -> str:
    """The message without a value that may be a password or a token, for it goes to logs and answers."""
    at, reason = max((message.rfind(reason), reason) for reason in FREE_TEXT)
    if at < 0 or message[:at] in PLAIN or message[at + len(reason) :] in NUMBERS:
        return message
    return f"the value{message[at:]}"


def _shortened(text: str, longest: int) -> str:
    """The middle left out: the station's value stands at the beginning, the reason at the end."""
    half = (longest - 3) // 2
    return text if len(text) <= longest else f"{text[:half]}...{text[-half:]}"


def _pointer(path: Iterable[str | int]) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def shortest_answer(protocol: str, action: str) -> dict[str, Any]:
    """The shortest answer of a station to an action that its schema allows, accepting where there is a choice."""
    schemas = schemas_of(protocol)
    document = schemas.answer_document(action)
    made = _shortest(document, document)
    assert isinstance(made, dict)
    return made


def _shortest(node: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    while "$ref" in node:
        node = document["definitions"][node["$ref"].rpartition("/")[2]]
    if "enum" in node:
        return "Accepted" if "Accepted" in node["enum"] else node["enum"][0]
    match node.get("type"):
        case "object":
            properties = node.get("properties", {})
            return {name: _shortest(properties[name], document) for name in node.get("required", ())}
        case "array":
            return [_shortest(node["items"], document) for _ in range(node.get("minItems", 0))]
        case "integer" | "number":
            return node.get("minimum", 0)
        case "boolean":
            return False
    return "2026-01-01T00:00:00Z" if node.get("format") == "date-time" else ""
