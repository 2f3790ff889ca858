"""JSON as we accept it: finite numbers, integers of 64 bits, depth at most 32, not crowded with brackets, no NUL and no lone surrogates.

What is not so is refused here, at the edge, and never at commit. Cheap searches over the bytes decide whether a closer look is needed at all.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import orjson

MAX_DEPTH: Final = 32
CROWD: Final = 1024
BYTES_A_BRACKET: Final = 8
"""Above CROWD opening brackets, a text has at least so many bytes for each: the densest list that OCPP knows, of ``{"value":1}``, has twelve.

A frame of nothing but brackets would cost a hundred times the time of an honest one of its size, and megabytes of memory."""
SMALLEST: Final = -(2**63)
LARGEST: Final = 2**63 - 1

MANY_DIGITS: Final = 19
"""Fewer digits than this always fit 64 bits."""
LONG_RUN: Final = b"0" * MANY_DIGITS
DIGITS_AS_ZERO: Final = bytes(ord("0") if 48 <= byte < 58 else ord(" ") for byte in range(256))
TEXT_OR_NUMBER: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|(-?[0-9]++)(\.[0-9]++)?+([eE][+-]?[0-9]++)?+', re.DOTALL)


class NotStrictJson(ValueError):
    """The text is not JSON, or not JSON that we accept; the message says why and repeats nothing of the text."""


def loads(text: str | bytes) -> Any:
    """The parsed value; raises NotStrictJson. Of a name given twice in one object the last value counts."""
    try:
        raw = text.encode() if isinstance(text, str) else text
        brackets = raw.count(b"{") + raw.count(b"[")
        if brackets > CROWD and brackets * BYTES_A_BRACKET > len(raw):
            raise NotStrictJson("crowded with lists and objects")
        value = orjson.loads(raw)
    except UnicodeEncodeError:
        raise NotStrictJson("a lone surrogate is no character") from None
    except orjson.JSONDecodeError as wrong:
        raise NotStrictJson(str(wrong)) from None
    if brackets > MAX_DEPTH:
        _check_depth(value)
    if b"\\" in raw and b"\\u0000" in raw:
        _check_strings(value)
    if LONG_RUN in raw.translate(DIGITS_AS_ZERO):
        _check_integers(raw)
    return value


def dumps(value: Any) -> bytes:
    """Compact JSON: Decimals become the same number, aware times RFC 3339 in UTC with milliseconds where they are not zero.

    Raises TypeError for what has no JSON form: naive times, infinite Decimals, integers beyond 64 bits, lone surrogates.
    """
    return orjson.dumps(value, default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME)


def _plain(value: Any) -> Any:
    match value:
        case Decimal() if value.is_finite():
            # Written out in full unless that would be absurdly long: 1E+5 is valid JSON, but no station expects it.
            return orjson.Fragment((format(value, "f") if abs(value.adjusted()) < 40 else str(value)).encode())
        case datetime() if value.tzinfo is not None:
            moment = value.astimezone(UTC)
            digits = "milliseconds" if moment.microsecond >= 1000 else "seconds"
            return moment.isoformat(timespec=digits).removesuffix("+00:00") + "Z"
    raise TypeError(f"a {type(value).__name__} like this has no JSON form")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for one in level
            for inner in (one.values() if type(one) is dict else one)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return
    raise NotStrictJson(f"nested deeper than {MAX_DEPTH} levels")


def _check_strings(value: Any) -> None:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if "\0" in one:
                raise NotStrictJson("a string has a NUL character")
        elif isinstance(one, dict):
            waiting += one.keys()
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _check_integers(raw: bytes) -> None:
    """Look at every number as it is written: the parser makes a float of an integer beyond 64 bits without a word."""
    for found in TEXT_OR_NUMBER.finditer(raw):
        whole, fraction, exponent = found.groups()
        if whole is None or fraction or exponent or len(whole) < MANY_DIGITS:
            continue
        if len(whole) > MANY_DIGITS + 1 or not SMALLEST <= int(whole) <= LARGEST:
            raise NotStrictJson("an integer is beyond 64 bits")
