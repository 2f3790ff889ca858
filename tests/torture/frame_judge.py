"""What has to follow from a message, worked out from the text alone, without any code of the server's."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from frame_payloads import FORMAT, OCCURRENCE, PROPERTY, TYPE, V16, V201

RESULT = "a result"
LONGEST, LONGEST_ID, DEEPEST = 262_144, 36, 32
CROWD, BYTES_A_BRACKET = 1024, 8
NO_ID = "-1"
UNREADABLE = {V16: "ProtocolError", V201: "RpcFrameworkError"}
SPELT = {
    V16: {
        OCCURRENCE: "OccurenceConstraintViolation",
        TYPE: "TypeConstraintViolation",
        PROPERTY: "PropertyConstraintViolation",
        FORMAT: "FormationViolation",
    },
    V201: {
        OCCURRENCE: "OccurrenceConstraintViolation",
        TYPE: "TypeConstraintViolation",
        PROPERTY: "PropertyConstraintViolation",
        FORMAT: "FormatViolation",
    },
}
LAWFUL = {
    protocol: frozenset(
        (*SPELT[protocol].values(), UNREADABLE[protocol], "NotImplemented", "NotSupported", "SecurityError", RESULT)
    )
    for protocol in (V16, V201)
}
"""What a call may be answered with; the CSMS has no excuse for InternalError."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A message of the server that has to come: to which id, and one of these codes."""

    id: str
    codes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Expected:
    """What has to follow, and nothing else: answers, or a close with one of these codes."""

    answers: tuple[Answer, ...] = ()
    close: frozenset[int] = frozenset()


NOTHING = Expected()


def unreadable(protocol: str, id: str = NO_ID) -> Expected:
    """The answer to what is no message."""
    return Expected((Answer(id, frozenset((UNREADABLE[protocol],))),))


def closed(*codes: int) -> Expected:
    """The connection ends."""
    return Expected(close=frozenset(codes))


def refused(protocol: str, id: str, kinds: Iterable[str]) -> Expected:
    """The answer to a call with mistakes of these kinds."""
    return Expected((Answer(id, frozenset(SPELT[protocol][kind] for kind in kinds)),))


def crowded(raw: bytes) -> bool:
    """Whether there is hardly anything but brackets in a text, which is refused unread."""
    brackets = raw.count(b"{") + raw.count(b"[")
    return brackets > CROWD and brackets * BYTES_A_BRACKET > len(raw)


def judged(raw: bytes, protocol: str) -> Expected:
    """What follows from any text frame."""
    if len(raw) > LONGEST:
        return closed(1009)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return closed(1007)
    try:
        message = _strict(text)
    except (ValueError, RecursionError):
        return unreadable(protocol)
    if type(message) is not list or not message or type(message[0]) is not int:
        return unreadable(protocol)
    return _of_message(message, protocol)


def _of_message(message: list[Any], protocol: str) -> Expected:
    kind = message[0]
    id = message[1] if len(message) > 1 and type(message[1]) is str and 0 < len(message[1]) <= LONGEST_ID else None
    if kind == 2:
        if id is None:
            return unreadable(protocol)
        if len(message) != 4 or type(message[2]) is not str:
            return unreadable(protocol, id)
        return Expected((Answer(id, LAWFUL[protocol]),))
    if kind in (3, 4) or protocol == V16:
        return NOTHING
    return Expected((Answer(id or NO_ID, frozenset(("MessageTypeNotSupported",))),))


def _strict(text: str) -> Any:
    """The value; ValueError for what the strict reading of JSON refuses."""
    if crowded(text.encode()):
        raise ValueError("crowded")
    value = json.loads(text, parse_constant=_no_number, parse_float=_finite, parse_int=_whole)
    level = [value]
    for _ in range(DEEPEST):
        inner = [one for outer in level for one in _parts(outer)]
        level = [one for one in inner if isinstance(one, (dict, list))]
        for one in inner:
            if isinstance(one, str):
                _character(one)
        if not level:
            break
    else:
        raise ValueError("too deep")
    if isinstance(value, str):
        _character(value)
    return value


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else ()


def _character(text: str) -> None:
    if "\0" in text:
        raise ValueError("NUL")
    text.encode()


def _no_number(word: str) -> Any:
    raise ValueError(word)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _whole(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise ValueError("beyond 64 bits")
    return int(digits)
