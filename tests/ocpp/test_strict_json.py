"""Strict JSON: what is accepted, what is refused, and that the quick searches never let the wrong thing through."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.ocpp.strict_json import LARGEST, MAX_DEPTH, SMALLEST, NotStrictJson, dumps, loads

REFUSED: dict[str, str | bytes] = {
    "nothing": "",
    "half": '{"a":',
    "two values": "1 2",
    "not a number": "NaN",
    "infinity": "-Infinity",
    "too large a number": "1e400",
    "33 levels": "[" * 33 + "]" * 33,
    "33 levels of objects": '{"a":' * 33 + "1" + "}" * 33,
    "33 levels beside many flat ones": "[" + "[]," * 50 + "[" * 32 + "]" * 32 + "]",
    "100,000 levels": "[" * 100_000 + "]" * 100_000,
    "100,000 lists beside each other": "[" + "[]," * 100_000 + "1]",
    "10,000 towers of 28 lists": "[" + ("[" * 28 + "]" * 28 + ",") * 10_000 + "1]",
    "escaped lone surrogate": r'"\ud800"',
    "lone surrogate in a str": '"\ud800"',
    "lone surrogate in bytes": b'"\xed\xa0\x80"',
    "not UTF-8": b'"\xff"',
    "byte order mark": b"\xef\xbb\xbf{}",
    "escaped NUL": r'{"a":["x\u0000"]}',
    "escaped NUL in a name": r'{"x\u0000":1}',
    "escaped NUL before another list": r'[["x\u0000"],["a"]]',
    "raw NUL": b'"\x00"',
    "raw line break": '"\n"',
    "above 64 bits": "9223372036854775808",
    "above unsigned 64 bits": "[1,18446744073709551616]",
    "below 64 bits": '{"a":-9223372036854775809}',
    "a hundred digits": "1" * 100,
    "ten thousand digits": "1" * 10_000,
    "long integer after a text with a quote": r'["\"",9223372036854775808]',
    "comment": "{} // x",
    "trailing comma": "[1,]",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(kind: str) -> None:
    with pytest.raises(NotStrictJson) as refusal:
        loads(REFUSED[kind])
    assert 0 < len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("33 levels", "nested deeper than 32 levels"),
        ("escaped NUL", "a string has a NUL character"),
        ("above 64 bits", "an integer is beyond 64 bits"),
    ],
)
def test_a_refusal_says_why(kind: str, words: str) -> None:
    with pytest.raises(NotStrictJson, match=f"^{words}$"):
        loads(REFUSED[kind])


ACCEPTED: dict[str, tuple[str | bytes, Any]] = {
    "32 levels": ("[" * 32 + "]" * 32, None),
    "many brackets in a text": (json.dumps("[" * 100), "[" * 100),
    "many flat lists": (json.dumps([[]] * 100), [[]] * 100),
    "the densest honest list": ('[{"value":1}' + ',{"value":1}' * 9999 + "]", [{"value": 1}] * 10_000),
    "largest integer": (str(LARGEST), LARGEST),
    "smallest integer": (str(SMALLEST), SMALLEST),
    "long digits in a text": ('"12345678901234567890123"', "12345678901234567890123"),
    "long digits after an escaped quote": (r'"\"12345678901234567890123"', '"12345678901234567890123'),
    "long fraction": ("0.1234567890123456789012345", 0.1234567890123456789012345),
    "large number with a fraction": ("12345678901234567890.5", 12345678901234567890.5),
    "long digits with an exponent": ("12345678901234567890e5", 12345678901234567890e5),
    "large number with an exponent": ("1e300", 1e300),
    "escaped backslash before u0000": (r'"\\u0000"', r"\u0000"),
    "pair of surrogates": (r'"\ud83d\ude00"', "😀"),
    "name given twice": ('{"a":1,"a":2}', {"a": 2}),
    "bytes": ('"é"'.encode(), "é"),
}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_accepted(kind: str) -> None:
    text, value = ACCEPTED[kind]
    assert loads(text) == (json.loads(text) if value is None else value)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@given(st.integers(1, 80))
def test_depth_has_one_limit(depth: int) -> None:
    try:
        loads(nested(depth))
        assert depth <= MAX_DEPTH
    except NotStrictJson:
        assert depth > MAX_DEPTH


@given(st.integers(-(10**25), 10**25) | st.sampled_from([LARGEST + 1, SMALLEST - 1]), st.text(max_size=8))
def test_integer_comes_back_exactly_or_not_at_all(number: int, before: str) -> None:
    """Wherever the digits stand in the frame, an integer never turns into a float."""
    text = json.dumps([before, {"n": number}], ensure_ascii=False)
    try:
        value = loads(text)
    except (NotStrictJson, UnicodeEncodeError):
        assert not SMALLEST <= number <= LARGEST or "\0" in before
    else:
        assert value == [before, {"n": number}]
        assert type(value[1]["n"]) is int


@given(st.text() | st.binary())
def test_anything_in_gives_a_value_or_a_refusal(text: str | bytes) -> None:
    try:
        value = loads(text)
    except NotStrictJson:
        return
    assert json.loads(text) == value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(SMALLEST, LARGEST) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc~/"), inner),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert loads(dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("8.10"), b"8.10"),
        (Decimal("0.1") + Decimal("0.2"), b"0.3"),
        (Decimal("1E+5"), b"100000"),
        (Decimal("1E-7"), b"0.0000001"),
        (Decimal("-0.5"), b"-0.5"),
        (Decimal("1E+39"), b"1" + b"0" * 39),
        (Decimal("1E+40"), b"1E+40"),
        (Decimal("1E+100000"), b"1E+100000"),
        (datetime(2026, 5, 6, 10, 0, 0, tzinfo=UTC), b'"2026-05-06T10:00:00Z"'),
        (datetime(2026, 5, 6, 10, 0, 0, 123999, tzinfo=UTC), b'"2026-05-06T10:00:00.123Z"'),
        (datetime(2026, 5, 6, 10, 0, 0, 1000, tzinfo=UTC), b'"2026-05-06T10:00:00.001Z"'),
        (datetime(2026, 5, 6, 10, 0, 0, 999, tzinfo=UTC), b'"2026-05-06T10:00:00Z"'),
        (datetime(2026, 5, 6, 0, 30, tzinfo=timezone(timedelta(hours=2))), b'"2026-05-05T22:30:00Z"'),
        ({"a": [1, None, "é"]}, '{"a":[1,null,"é"]}'.encode()),
    ],
)
def test_written_form(value: Any, text: bytes) -> None:
    assert dumps(value) == text


@pytest.mark.parametrize(
    "value",
    [Decimal("NaN"), Decimal("Infinity"), datetime(2026, 5, 6), 2**64, "\ud800", {1, 2}, b"x"],
    ids=repr,
)
def test_no_json_form(value: Any) -> None:
    with pytest.raises(TypeError) as refusal:
        dumps([value])
    if not isinstance(value, int | str):
        assert str(refusal.value.__cause__) == f"a {type(value).__name__} like this has no JSON form"
