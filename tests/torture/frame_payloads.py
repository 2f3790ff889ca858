"""Payloads from the published schemas: valid ones, and valid ones with mistakes in them of which the right error code is known."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from csms.ocpp.schemas import schemas_of

V16, V201 = "ocpp1.6", "ocpp2.0.1"
OCCURRENCE, TYPE, PROPERTY, FORMAT = "occurrence", "type", "property", "format"
"""Kinds of mistakes, as the answer has to tell them apart."""

MOST_ITEMS, DEEPEST = 3, 12
LARGEST = 2**63 - 1
TEXTS = (
    "", "a", "T1", "T2", "A1", "B2", "0", "-1", "1e400", "NaN", "true", "0.1", "12345.678", "café", "\u202egnp.exe", "😀" * 3, "\u0000"[:0],
    "'; DROP TABLE station;--", "<script>alert(1)</script>", "%s{0}{station}${x}", "\\\"\\u0000"[:3], "\x7f\x1b[31m", "\r\nX: y", "null",
    "OCMF|{}|{}", "OCMF|{\"FV\":\"1.0\"}|", "-----BEGIN CERTIFICATE-----\n", "https://[::1", "http://169.254.169.254/", "\ufeffx", "\u2028",
)  # fmt: skip
TIMES = (
    "2026-03-01T12:00:00Z", "2026-03-01T12:00:00.123456789Z", "2026-03-29T02:30:00+01:00", "2026-10-25T02:30:00", "1970-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2100-02-28T23:59:59-14:00", "2026-03-01t12:00:00z",
)  # fmt: skip
NO_TIMES = ("", "yesterday", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1")
WHOLE = (0, 1, 2, 3, -1, 7, 255, 2**31 - 1, 2**31, -(2**31), 2**53 + 1, LARGEST, -LARGEST - 1)
NUMBERS = (0, 1, 0.1, -0.0, 22.5, 1e-9, 1e15, -3.7, 1.7976931348623157e308, 5e-324, LARGEST)
"""Numbers of a schema without bounds."""
NAMED: dict[str, tuple[Any, ...]] = {
    "transactionId": ("T1", "T2", "T3", "T4"),
    "idTag": ("A1", "B2", "C3"),
    "evseId": (0, 1, 2),
    "connectorId": (0, 1, 2),
    "seqNo": tuple(range(8)),
    "multiplier": (0, 3, -3),
    "value": ("0", "10.5", "2500", "-1", "x", "1e5", ""),
}
"""What is well worth meeting again, so that messages refer to one another."""


@dataclass(slots=True)
class Spot:
    """A value inside a payload: where it stands, and its schema; ``needed`` says that it may not be left out."""

    inside: Any
    key: Any
    schema: dict[str, Any]
    needed: bool

    @property
    def value(self) -> Any:
        """The value."""
        return self.inside[self.key]

    @value.setter
    def value(self, value: Any) -> None:
        self.inside[self.key] = value


class Payloads:
    """Makes payloads of one version."""

    def __init__(self, protocol: str, dice: random.Random) -> None:
        self.protocol = protocol
        self._dice = dice
        self.actions = sorted(schemas_of(protocol).actions)

    def good(self, action: str, *, answer: bool = False) -> dict[str, Any]:
        """A payload that fits."""
        document = _document(self.protocol, action, answer)
        made = self._made(document, document, "", 0)
        assert isinstance(made, dict)
        return made

    def wrong(self, action: str, *, answer: bool = False) -> tuple[dict[str, Any], frozenset[str]]:
        """A payload with one mistake or more, and the kinds of these; of none if nothing can be wrong."""
        payload = self.good(action, answer=answer)
        document = _document(self.protocol, action, answer)
        kinds: frozenset[str] = frozenset()
        for _ in range(1 if self._dice.random() < 0.8 else self._dice.randint(2, 5)):
            kinds |= self._spoilt_somewhere(list(_spots(payload, document, document)))
        if not kinds or self._dice.random() < 0.05:
            payload["noSuchField"] = self._odd(document)
            kinds |= {FORMAT}
        return payload, kinds

    # Valid

    def _made(self, node: dict[str, Any], document: dict[str, Any], name: str, depth: int) -> Any:
        node = _resolved(node, document)
        dice = self._dice
        if "enum" in node:
            return dice.choice(node["enum"])
        kind = node.get("type")
        if name in NAMED and dice.random() < 0.8 and _fits(found := dice.choice(NAMED[name]), kind):
            return found
        match kind:
            case "object":
                return self._object(node, document, depth)
            case "array":
                least = node.get("minItems", 0)
                count = dice.randint(least, max(least, min(node.get("maxItems", MOST_ITEMS), MOST_ITEMS)))
                return [self._made(node["items"], document, name, depth + 1) for _ in range(count)]
            case "integer" | "number":
                return self._number(node)
            case "boolean":
                return dice.random() < 0.5
            case "string":
                return self._text(node)
        return {}

    def _object(self, node: dict[str, Any], document: dict[str, Any], depth: int) -> dict[str, Any]:
        needed = node.get("required", ())
        often = 0.35 if depth < DEEPEST else 0.0
        return {
            name: self._made(inner, document, name, depth + 1)
            for name, inner in node.get("properties", {}).items()
            if name in needed or self._dice.random() < often
        }

    def _number(self, node: dict[str, Any]) -> Any:
        low, high = node.get("minimum"), node.get("maximum")
        if node.get("multipleOf"):
            return self._dice.randint(0, 4000) / 10
        if low is not None or high is not None:
            low = -1000 if low is None else low
            return self._dice.randint(int(low), int(low + 1000 if high is None else high))
        return self._dice.choice(WHOLE if node["type"] == "integer" else NUMBERS)

    def _text(self, node: dict[str, Any]) -> str:
        if node.get("format") == "date-time":
            if self._dice.random() < 0.3:
                return self._dice.choice(TIMES)
            return f"2026-03-01T12:{self._dice.randrange(60):02}:{self._dice.randrange(60):02}Z"
        if node.get("format") == "uri":
            return "https://example.org/"
        longest = node.get("maxLength", 500)
        if self._dice.random() < 0.1:
            return (self._dice.choice("aé😀") * longest)[:longest]
        return self._dice.choice(TEXTS)[:longest]

    # Wrong

    def _spoilt_somewhere(self, spots: list[Spot]) -> frozenset[str]:
        """Make one mistake at one of these, if it can be made."""
        while spots:
            at = self._dice.randrange(len(spots))
            spots[at], spots[-1] = spots[-1], spots[at]
            if kinds := self._spoilt(spots.pop()):
                return kinds
        return frozenset()

    def _spoilt(self, spot: Spot) -> frozenset[str]:
        """Make one mistake here; the kinds that may be told of it, none where nothing was done."""
        node, dice = spot.schema, self._dice
        ways = [self._wrong_type]
        ways += [_left_out] if spot.needed else []
        ways += (
            [self._unknown_field] if node.get("additionalProperties") is False and node.get("type") == "object" else []
        )
        ways += [_too_long] if "maxLength" in node and type(spot.value) is str else []
        ways += [_other_word] if "enum" in node else []
        ways += [self._no_time] if node.get("format") == "date-time" else []
        ways += [_too_many] if "maxItems" in node and spot.value else []
        ways += [_too_few] if node.get("minItems") else []
        ways += [_too_low] if "minimum" in node else []
        ways += [_too_high] if "maximum" in node else []
        ways += [_between_steps] if node.get("multipleOf") else []
        return dice.choice(ways)(spot)

    def _odd(self, node: dict[str, Any]) -> Any:
        return self._dice.choice(
            (None, 1, "x", [], {}, [[[[]]]], {"a": {"b": {}}}, True, 1.5, "y" * 3000, list(range(300)))
        )

    def _wrong_type(self, spot: Spot) -> frozenset[str]:
        right = spot.schema.get("type")
        other = self._odd(spot.schema)
        if right is None or _fits(other, right):
            return frozenset()
        spot.value = other
        return frozenset((TYPE, PROPERTY) if "enum" in spot.schema else (TYPE,))

    def _unknown_field(self, spot: Spot) -> frozenset[str]:
        if not isinstance(spot.value, dict):
            return frozenset()
        spot.value[self._dice.choice(("noSuchField", "", "é", "customdata", "__proto__", "$ref", "x" * 2000))] = (
            self._odd({})
        )
        return frozenset((FORMAT,))

    def _no_time(self, spot: Spot) -> frozenset[str]:
        spot.value = self._dice.choice(NO_TIMES)
        return frozenset((PROPERTY,))


@cache
def _document(protocol: str, action: str, answer: bool) -> dict[str, Any]:
    schemas = schemas_of(protocol)
    found = schemas.answer_document(action) if answer else schemas.document(action)
    assert found is not None
    return found


def _left_out(spot: Spot) -> frozenset[str]:
    del spot.inside[spot.key]
    return frozenset((OCCURRENCE,))


def _too_long(spot: Spot) -> frozenset[str]:
    spot.value = spot.value + "x" * (spot.schema["maxLength"] + 1)
    return frozenset((PROPERTY,))


def _other_word(spot: Spot) -> frozenset[str]:
    spot.value = f"{spot.value}\u200b"
    return frozenset((PROPERTY,))


def _too_many(spot: Spot) -> frozenset[str]:
    if not isinstance(spot.value, list):
        return frozenset()
    most = spot.schema["maxItems"]
    spot.value = (spot.value * (most + 1))[: most + 1]
    return frozenset((OCCURRENCE,))


def _too_few(spot: Spot) -> frozenset[str]:
    spot.value = []
    return frozenset((OCCURRENCE,))


def _too_low(spot: Spot) -> frozenset[str]:
    spot.value = spot.schema["minimum"] - 1
    return frozenset((PROPERTY,))


def _too_high(spot: Spot) -> frozenset[str]:
    spot.value = spot.schema["maximum"] + 1
    return frozenset((PROPERTY,))


def _between_steps(spot: Spot) -> frozenset[str]:
    spot.value = 0.15
    return frozenset((PROPERTY,))


def _resolved(node: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = document["definitions"][node["$ref"].rpartition("/")[2]]
    return node


def _fits(value: object, kind: object) -> bool:
    """Whether a value is of a type of JSON schema."""
    match kind:
        case "object":
            return type(value) is dict
        case "array":
            return type(value) is list
        case "string":
            return type(value) is str
        case "boolean":
            return type(value) is bool
        case "integer":
            return type(value) is int
        case "number":
            return type(value) in (int, float)
    return False


def _spots(value: Any, node: dict[str, Any], document: dict[str, Any]) -> Iterator[Spot]:
    """Every value inside a payload that the schema knows, as far as it still has the schema's form."""
    node = _resolved(node, document)
    if node.get("type") == "object" and isinstance(value, dict):
        needed = node.get("required", ())
        for name, inner in node.get("properties", {}).items():
            if name in value:
                yield Spot(value, name, _resolved(inner, document), name in needed)
                yield from _spots(value[name], inner, document)
    elif node.get("type") == "array" and isinstance(value, list) and isinstance(node.get("items"), dict):
        for number, one in enumerate(value):
            yield Spot(value, number, _resolved(node["items"], document), False)
            yield from _spots(one, node["items"], document)
