"""The language of conditions to the letter: each operator at its edges, each mistake with its words and its column, each value in a text."""

from __future__ import annotations

from typing import Any

import pytest
from csms_plugins.flow.expressions import Compared, ExpressionError, compile_expression
from csms_plugins.flow.operators import COMPARISONS, added, calculated, glob
from csms_plugins.flow.values import compile_value, discreet, shown, split

NAMES: dict[str, Any] = {
    "station": {"id": "CS1", "connected": True, "place": {"floor": {"number": 2}}},
    "msg": {"values": [{"n": 1}, {"n": 2}, 3]},
    "n": 3,
    "event": {"values": [{"sampled": [{"measurand": "SoC", "value": 40}, {"measurand": "3", "value": 41}]}]},
    "tags": ["free", "depot"],
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'a' < 'b'", True),
        ("'b' < 'b'", False),
        ("'b' <= 'b'", True),
        ("'b' > 'a'", True),
        ("3 > 3", False),
        ("3 >= 3", True),
        ("3 >= 2.5", True),
        ("true < 2", False),
        ("'a' < 1", False),
        ("1 < 'a'", False),
        ("2 < n < 3", False),
        ("2 < n <= 3 != 4", True),
        ("n == 3", True),
        ("n != 3", False),
        ("'id' in station", True),
        ("'nothing' in station", False),
        ("1 in station", False),
        ("1 in [1, 2]", True),
        ("3 in [1, 2]", False),
        ("3 not in [1, 2]", True),
        ("'S1' in station.id", True),
        ("1 in '1'", False),
        ("1 in n", False),
        ("7 // 2", 3),
        ("7 - 2.5", 4.5),
        ("7 % 0", None),
        ("7 // 0", None),
        ("'a' + 1", None),
        ("1 + 'a'", None),
        ("'b' - 'a'", None),
        ("true * 2", None),
        ("+n", 3),
        ("+tags", None),
        ("-true", None),
        ("not n", False),
        ("0 or n", 3),
        ("0 or ''", ""),
        ("n and 0", 0),
        ("n and 'x'", "x"),
        ("'' and n", ""),
        ("1 if 0 else 2", 2),
        ("[n, 1, none]", [3, 1, None]),
        ("(n, 1)", [3, 1]),
        ("station.place.floor.number", 2),
        ("station.place.roof.number", None),
        ("msg.values.n", [1, 2, None]),
        ("None == none and True == true and False == false", True),
        ("  n  ", 3),
        ("sum(1, [2, 'x'], n)", 6),
        ("count([0, none, false, ''])", 2),
        ("count(n)", 1),
        ("count(none)", 0),
        ("last([])", None),
        ("any([0, ''])", False),
        ("startswith('abc', 1)", False),
        ("lower(n)", None),
        ("meter('SoC') > 39", True),
        ("meter(lower('3'))", 41),
    ],
)
def test_an_expression_gives(text: str, value: object) -> None:
    found = compile_expression(text).value(NAMES)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "words", "column"),
    [
        ("n + 2 ** 8", "Pow is not part of the language", 5),
        ("n and tags[0]", "Subscript is not part of the language", 7),
        ("n + ~n", "~ is not part of the language", 5),
        ("n + 'a'.b", "a field is read from a name, as in station.id", 5),
        ("n and x is none", "use == and != for equality", 7),
        ("n + len()", "len() takes 1 arguments", 5),
        ("n + meter()", "meter() takes 1 to 2 arguments", 5),
        ("n + meter('a', 'b', 'c')", "meter() takes 1 to 2 arguments", 5),
        ("n + len(x=1)", "Call is not part of the language", 5),
        ("-" * 24 + "n", "nested deeper than 24", 25),
        ("len(" * 24 + "n" + ")" * 24, "nested deeper than 24", 97),
        ("x" + ".a" * 24, "a field is read from a name, as in station.id", 1),
        ("n n", "invalid syntax", 3),
        ("x" * 2001, "an expression has at most 2000 characters", 0),
        (" or ".join(["a"] * 120), "an expression has at most 200 parts: use several clauses", 0),
        ("-" * 1900 + "1", "an expression has at most 200 parts: use several clauses", 0),
    ],
)
def test_a_mistake_has_its_words_and_its_column(text: str, words: str, column: int) -> None:
    with pytest.raises(ExpressionError) as wrong:
        compile_expression(text)
    assert (str(wrong.value), wrong.value.column) == (words, column)


def test_what_just_fits_is_taken() -> None:
    assert compile_expression("-" * 22 + "n").value(NAMES) == 3
    assert compile_expression("x" + ".a" * 23).value({}) is None
    assert compile_expression("last(" * 23 + "n" + ")" * 23).value(NAMES) == 3
    assert compile_expression("'" + "x" * 1998 + "'").value({}) == "x" * 1998


@pytest.mark.parametrize(
    "form",
    [
        "({} and n)",
        "(n or {})",
        "({} + n)",
        "(n + {})",
        "({} if n else n)",
        "(n if {} else n)",
        "(n if n else {})",
        "[{}]",
        "({} == n)",
        "(n == {})",
        "last({})",
        "-{}",
    ],
)
def test_every_part_that_holds_another_is_one_level(form: str) -> None:
    text = "n"
    for _ in range(23):
        text = form.format(text)
    compile_expression(text)
    with pytest.raises(ExpressionError, match="nested deeper than 24"):
        compile_expression(form.format(text))


def test_it_says_what_is_compared_with_what() -> None:
    found = compile_expression("station.id == 'CS1' and n in ['a', 'b'] and 3 < n and none == n and n == n")
    assert found.compared == (
        Compared(("station", "id"), "CS1", "Eq", 15),
        Compared(("n",), "a", "In", 31),
        Compared(("n",), "b", "In", 36),
        Compared(("n",), 3, "Lt", 45),
    )
    assert found.reads == {("station", "id"): 1, ("n",): 25}
    assert found.text.startswith("station.id ==")


def test_functions_of_plugins_are_looked_up_when_they_run() -> None:
    functions: dict[str, Any] = {}
    found = compile_expression("double(n) + double(1)", lambda: functions)
    assert found.calls == {"double": 1}
    assert found.value(NAMES) is None
    functions["double"] = lambda number: number * 2
    assert found.value(NAMES) == 8


def test_numbers_too_large_for_a_station_are_none() -> None:
    def times(one: int, other: int) -> int:
        return one * other

    assert calculated(times, 2**2047, 2**2047) == 2**4094
    assert calculated(times, 2**2048, 2**2047) is None
    assert calculated(times, 1e200, 1e200) is None
    assert added("a" * 9999, "bcd") == "a" * 9999 + "b"


def test_only_sums_are_made_of_texts() -> None:
    assert calculated(added, "a", "b") == "ab"
    assert calculated(added, "a", 1) is None
    assert calculated(lambda one, other: one + other, "a", "b") is None


def test_what_has_no_order_is_never_less_or_more() -> None:
    for pair in ((None, 1), ([1], [2]), (True, False), ("1", 2), (2, "1"), ({}, {})):
        assert [
            how.__name__
            for how, test in COMPARISONS.items()
            if how.__name__ in ("Lt", "LtE", "Gt", "GtE") and test(*pair)
        ] == []


@pytest.mark.parametrize(
    ("text", "pattern", "fits"),
    [
        ("", "", True),
        ("", "?", False),
        ("a", "", False),
        ("abc", "a**c", True),
        ("abc", "*b*", True),
        ("abc", "abc***", True),
        ("abc", "abcd", False),
        ("abc", "?b?", True),
        ("abcbc", "a*bc", True),
        ("abcbd", "a*bc", False),
        ("aXbXc", "a*X*c", True),
        ("ab", "b*", False),
        ("xaab", "*ab", True),
    ],
)
def test_patterns_to_the_letter(text: str, pattern: str, fits: bool) -> None:
    assert glob(text, pattern) is fits
    assert glob(text, 7) is False
    assert glob(7, pattern) is False


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", [("", False)]),
        ("a", [("a", False)]),
        ("{a}", [("a", True)]),
        ("x{a}{b}y", [("x", False), ("a", True), ("b", True), ("y", False)]),
        ("{{a}}", [("{a}", False)]),
        ("a{{{b}}}c", [("a{", False), ("b", True), ("}c", False)]),
        ("{'}'}", [("'}'", True)]),
        ('{"\'}"}', [('"\'}"', True)]),
        ("{", None),
        ("a}b", None),
        ("{'}", None),
    ],
)
def test_a_text_is_split_at_its_braces(text: str, pieces: object) -> None:
    assert split(text) == pieces


def test_a_brace_without_a_partner_is_told_with_the_text_and_kept() -> None:
    wrong: list[str] = []
    made = compile_value("a {b", compile_expression, wrong.append)
    assert wrong == ["a brace in 'a {b' has no partner: write {{ or }} for a brace that is meant"]
    assert made({}) == "a {b"


def test_a_text_is_no_longer_than_ten_thousand_characters() -> None:
    made = compile_value("{n}" + "x" * 10_000, compile_expression, [].append)
    assert made(NAMES) == "3" + "x" * 9999


def test_an_expression_with_a_mistake_leaves_its_place_empty() -> None:
    made = compile_value("a{n}b", lambda text: None, [].append)
    assert made(NAMES) == "ab"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        (None, "none"),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (0.1 + 0.2, "0.3"),
        (1234567890.123, "1234567890"),
        ([1, None], "[1, null]"),
        ({"a": {1}}, '{"a": "{1}"}'),
        pytest.param(10**5000, "a number too long to write", id="long"),
    ],
)
def test_a_value_inside_a_text(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("msg.id_token", {"value": "04A1B2C3D4", "type": "ISO14443"}, '{"value": "\\u2026C3D4", "type": "ISO14443"}'),
        ("msg.id_token.value", "04A1B2C3D", "…2C3D"),
        ("msg.id_token.value", "04A1B2C3", "…"),
        ("msg.id_token.type", "ISO14443XX", "ISO14443XX"),
        ("msg.idTag", ["04A1B2C3D4"], '["\\u2026C3D4"]'),
        ("msg.status", "AcceptedAndMore", "AcceptedAndMore"),
        ("msg", {"token": "04A1B2C3D4", "n": "0123456789"}, '{"token": "\\u2026C3D4", "n": "0123456789"}'),
        ("msg.token", 7, "7"),
    ],
)
def test_of_a_token_its_end_alone_is_told(path: str, value: object, text: str) -> None:
    assert discreet(path, value) == text
