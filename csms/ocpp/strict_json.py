"""JSON as we accept it: finite numbers, integers of 64 bits, depth at most 32, no NUL and no lone surrogates.

What is not so is refused here, at the edge, and never at commit.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson

MAX_DEPTH = 32
LARGEST = 2**63 - 1
LONG_NUMBER = 18
"""Digits in a row from which a number may not fit 64 bits."""


class NotStrictJson(ValueError):
    """The text is not JSON, or not JSON that we accept; the message says why."""


def loads(text: str | bytes) -> Any:
    """The parsed value; raises NotStrictJson."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as wrong:
        raise NotStrictJson(str(wrong)) from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
        _check_depth(value)
    if b"\\u0000" in raw:
        _check_strings(value)
    if _has_long_number(raw):
        _check_numbers(value)
    return value


def dumps(value: Any) -> bytes:
    """Compact JSON; Decimals become exact numbers, times RFC 3339 in UTC."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f").encode())
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for one in level if isinstance(one, dict | list) for inner in _inside(one)]
        if not level:
            return
    if any(isinstance(one, dict | list) for one in level):
        raise NotStrictJson(f"nested deeper than {MAX_DEPTH} levels")


def _inside(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _check_strings(value: Any) -> None:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str) and "\0" in one:
            raise NotStrictJson("a string has a NUL character")
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one


_DIGITS_ONLY = bytes(ord("0") if chr(n).isdigit() and n < 128 else ord(" ") for n in range(256))
_LONG_RUN = b"0" * LONG_NUMBER


def _has_long_number(raw: bytes) -> bool:
    """Whether so many digits stand in a row that an integer might not fit; nearly always False, and quick."""
    return _LONG_RUN in raw.translate(_DIGITS_ONLY)


def _check_numbers(value: Any) -> None:
    """orjson turns an integer beyond 64 bits into a float without a word; a float that is a whole number so large is refused."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, int | float) and not isinstance(one, bool) and abs(one) > LARGEST:
            raise NotStrictJson("a number is beyond 64 bits")
        if isinstance(one, dict | list):
            waiting += _inside(one)
