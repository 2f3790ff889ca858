"""The short way in for calls that come all the time: bytes straight into typed objects, whose limits are made from the published schema.

What is read this way would have passed ``strict_json`` and the schema, and means the same; whatever is seldom, unusual or wrong is left to them,
and so every refusal is theirs (``tests/ocpp/test_quick.py`` holds the two ways together). It takes half of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

import msgspec

from csms.ocpp.errors import OcppError
from csms.ocpp.schemas import schemas_of
from csms.ocpp.strict_json import LARGEST, SMALLEST
from csms.ocpp.times import parse_time

MAX_ID: Final = 36
"""Characters of a message id (part 4, 4.1)."""
TIMES_REMEMBERED: Final = 256
SELDOM: Final = frozenset({"customData", "signedMeterValue", "iso15118CertificateHashData"})
"""A payload that has one of these goes the long way."""
NARROWER: Final[Mapping[str, int]] = {"multiplier": 30}
"""Integers of which the long way knows what to do beyond so much either way."""
WHOLE: Final = Annotated[int, msgspec.Meta(ge=SMALLEST, le=LARGEST)]
SAYS_NOTHING: Final = frozenset(
    {"$schema", "$id", "id", "title", "comment", "description", "javaType", "default", "definitions", "additionalItems"}
)
HEAD: Final = msgspec.json.Decoder(tuple[Literal[2], str, str, msgspec.Raw]).decode

Decode = Callable[[msgspec.Raw], Any]
Quick = tuple[str, str, bytes, Any]
"""A call that was read: its id and action, the payload's JSON as it came, and the request that it is."""


class QuickReader:
    """Reads the calls of one version; ``reads`` makes the request of each action that is read this way out of its typed payload and its JSON."""

    def __init__(self, protocol: str, reads: Mapping[str, Callable[[Any, bytes], Any]]) -> None:
        self._protocol = protocol
        self._reads = reads
        self._decoders: dict[str, Decode] = {}

    def read(self, frame: bytes) -> Quick | None:
        """The call in a frame of UTF-8; None for whatever is not plainly a right call of one of these actions."""
        if b"\\" in frame:
            return None
        try:
            _, id, action, body = HEAD(frame)
            read = self._reads.get(action)
            if read is None or not 0 < len(id) <= MAX_ID:
                return None
            decode = self._decoders.get(action) or self._decoder(action)
            wire = bytes(body)
            return id, action, wire, read(decode(body), wire)
        except (msgspec.MsgspecError, OcppError, UnicodeDecodeError, RecursionError):
            return None

    def _decoder(self, action: str) -> Decode:
        document = schemas_of(self._protocol).document(action)
        assert document is not None, action
        made = msgspec.json.Decoder(_Types(document).of(document, action), dec_hook=_special)
        self._decoders[action] = made.decode
        return made.decode


class _AnyTime(type):
    def __instancecheck__(cls, one: object) -> bool:
        return isinstance(one, datetime)


class Moment(metaclass=_AnyTime):
    """The type of a time on the wire; what is made of one is a datetime in UTC."""


class Rare:
    """The type of a field that is left to the long way."""


class Said:
    """A payload that came the long way, its fields by name as those of a typed one: None where one is not said."""

    __slots__ = ("payload",)

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self.payload = payload

    def __getattr__(self, field: str) -> Any:
        value = self.payload.get(field)
        if type(value) is list:
            return [Said(one) if type(one) is dict else one for one in value]
        return Said(value) if type(value) is dict else value


def time_of(said: str | datetime) -> datetime:
    """The moment that a field names, whichever way it came in."""
    return parse_time(said) if isinstance(said, str) else said


@lru_cache(TIMES_REMEMBERED)
def _special(kind: type, text: object) -> datetime:
    """What stands for a ``Moment``; the times in one message are mostly the same."""
    if kind is Moment and isinstance(text, str):
        return parse_time(text)
    raise ValueError


class _Types:
    """Makes types of the parts of one schema; ValueError for what they could not hold to."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._definitions = document.get("definitions", {})
        self._made: dict[str, Any] = {}

    def of(self, node: Mapping[str, Any], name: str) -> Any:
        """The type of what stands at a node; ``name`` is the field's."""
        if "$ref" in node:
            return self._defined(node["$ref"].rpartition("/")[2], name)
        said = node.keys() - SAYS_NOTHING
        match node.get("type"):
            case "object" if said <= {"type", "properties", "required", "additionalProperties"}:
                return self._struct(node, name)
            case "array" if said <= {"type", "items", "minItems", "maxItems"}:
                limits = msgspec.Meta(min_length=node.get("minItems"), max_length=node.get("maxItems"))
                return Annotated[list[self.of(node["items"], name)], limits]  # type: ignore[misc]
            case "string" if said - {"additionalProperties"} <= {"type", "enum"} and "enum" in node:
                return Literal[tuple(node["enum"])]
            case "string" if said == {"type", "format"} and node["format"] == "date-time":
                return Moment
            case "string" if said <= {"type", "maxLength"}:
                return Annotated[str, msgspec.Meta(max_length=node.get("maxLength"))]
            case "integer" if said == {"type"}:
                most = NARROWER.get(name)
                return WHOLE if most is None else Annotated[int, msgspec.Meta(ge=-most, le=most)]
            case "number" if said == {"type"}:
                return WHOLE | float
            case "boolean" if said == {"type"}:
                return bool
        raise ValueError(f"{name}: no type holds to {sorted(said)}")

    def _defined(self, reference: str, name: str) -> Any:
        if reference not in self._made:
            self._made[reference] = self.of(self._definitions[reference], name)
        return self._made[reference]

    def _struct(self, node: Mapping[str, Any], name: str) -> Any:
        """A class with the fields of an object, None where one is not said, though a station may not write null."""
        if node.get("additionalProperties") is not False:
            raise ValueError(f"{name}: it may have any field")
        required = node.get("required", ())
        fields: list[Any] = []
        for field, inner in node.get("properties", {}).items():
            kind = Rare if field in SELDOM else self.of(inner, field)
            fields.append((field, kind) if field in required else (field, kind, None))
        return msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True, frozen=True, gc=False)
