"""The language of conditions: what it says, what it refuses, and that nothing gets out of it."""

from __future__ import annotations

from typing import Any

import pytest
from csms_plugins.flow.expressions import ExpressionError, compile_expression
from csms_plugins.flow.operators import glob
from csms_plugins.flow.values import compile_value, shown, split
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES: dict[str, Any] = {
    "station": {"id": "CS1", "model": "One", "connected": True, "active_tx": 0},
    "gap": {"missing": 3, "expected": 1},
    "tags": ["free", "depot"],
    "text": "Emergency Stop",
    "big": 10**5000,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("gap.missing > 2 and station.connected", True),
        ("not station.maintenance", True),
        ("station.nothing.at.all", None),
        ("station.nothing < 3", False),
        ("station.nothing >= 3", False),
        ("station.id < 3", False),
        ("station.nothing + 1", None),
        ("-station.id", None),
        ("-gap.missing", -3),
        ("gap.missing * 2 + 1 == 7", True),
        ("gap.missing / 0", None),
        ("gap.missing % 2", 1),
        ("big / 3 == none", True),
        ("big * 0.5", None),
        ("1e308 * 10", None),
        ("sum(0.5, " + "9" * 400 + ")", None),
        ("'a' + 'b'", "ab"),
        ("'a' * 3", None),
        ("true + 1", None),
        ("'free' in tags", True),
        ("'x' not in tags", True),
        ("'x' in none", False),
        ("[1] in 'abc'", False),
        ("1 < gap.missing <= 3", True),
        ("station.error or 'no code'", "no code"),
        ("'yes' if station.connected else 'no'", "yes"),
        ("len(tags)", 2),
        ("len(station.active_tx)", None),
        ("lower(text)", "emergency stop"),
        ("startswith(text, 'Emer')", True),
        ("glob(station.id, 'CS?')", True),
        ("glob(none, '*')", False),
        ("any(0, [0, ''], tags)", True),
        ("any()", False),
        ("station.id == 'CS1' != false", True),
        ("double(gap.missing)", 6),
        ("nobody(1)", None),
        ("fails(1)", None),
    ],
)
def test_an_expression_gives(text: str, value: object) -> None:
    functions = {"double": lambda number: number * 2, "fails": lambda _: 1 / 0}
    assert compile_expression(text, lambda: functions).value(NAMES) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ".+"),
        ("1 +", ".+"),
        ("a = 1", ".+"),
        ("2 ** 8", "Pow is not part"),
        ("1 << 9", "LShift is not part"),
        ("~1", "~ is not part"),
        ("x is none", "use == and !="),
        ("lambda: 1", "Lambda is not part"),
        ("[x for x in tags]", "ListComp is not part"),
        ("tags[0]", "Subscript is not part"),
        ("f'{x}'", "JoinedStr is not part"),
        ("'a'.upper()", "Call is not part"),
        ("len(x=1)", "Call is not part"),
        ("'a'.b", "a field is read from a name"),
        ("(x := 1)", "NamedExpr is not part"),
        ("1j", "Constant is not part"),
        ("b'a'", "Constant is not part"),
        ("len()", "takes 1"),
        ("glob('a')", "takes 2"),
        ("x" * 2001, "at most 2000"),
        ("[" * 90 + "1" + "]" * 90, "nested deeper"),
        ("-" * 40 + "1", "nested deeper"),
        ("-" * 1900 + "1", ".+"),
        ("x" + ".a" * 30, "a field is read"),
        (" or ".join(["a"] * 120), "at most 200 parts"),
        ("\0", ".+"),
        ("9" * 1999, ".+"),
    ],
)
def test_anything_else_is_refused_before_it_runs(text: str, words: str) -> None:
    if text == "9" * 1999:
        assert compile_expression(text).value({}) == int(text)
        return
    with pytest.raises(ExpressionError, match=words):
        compile_expression(text)


def test_it_says_what_it_reads_and_calls() -> None:
    found = compile_expression("station.active_tx == 0 and near(token.value, none)")
    assert found.reads == {("station", "active_tx"): 1, ("token", "value"): 33}
    assert found.calls == {"near": 28}


def test_objects_are_never_looked_into() -> None:
    assert compile_expression("x.__class__").value({"x": "text"}) is None
    assert compile_expression("x.real").value({"x": 3}) is None


TOKENS = """a station.id gap.missing none true 1 -2 3.5 1e308 'x' "y" [ ] ( ) , + - * / // % ** < <= == != in not and or
if else len lower glob any is lambda for . : {} @ ~ big tags text __class__ \\ '"""
WORDS = st.sampled_from([*TOKENS.split(), "\0", chr(0xD800)])


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60), st.lists(WORDS, max_size=30).map(" ".join), st.lists(WORDS, max_size=40).map("".join)
    )
)
def test_no_text_gets_anything_but_its_own_error_out_of_the_compiler(text: str) -> None:
    try:
        found = compile_expression(text)
    except ExpressionError:
        return
    value = found.value(NAMES)
    assert value is None or isinstance(value, bool | int | float | str | list | dict)
    shown(value)


LEAVES = st.sampled_from(
    ["a", "station.id", "gap.missing", "none", "1", "0", "2.5", "'x'", "tags", "big", "text", "[]"]
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(
            inner,
            st.sampled_from(["+", "-", "*", "/", "//", "%", "<", "<=", ">", ">=", "==", "!=", "in", "and", "or"]),
            inner,
        ).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda one: f"(not {one})"),
        inner.map(lambda one: f"(-{one})"),
        st.tuples(st.sampled_from(["len", "lower", "any"]), inner).map(lambda parts: f"{parts[0]}({parts[1]})"),
        st.tuples(inner, inner).map(lambda parts: f"glob({parts[0]}, {parts[1]})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
    ),
    max_leaves=30,
)
DATA = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["id", "missing"]), inner)),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(text=TREES, station=DATA, gap=DATA, a=DATA)
def test_every_good_expression_gives_a_value_for_any_data(text: str, station: Any, gap: Any, a: Any) -> None:
    try:
        found = compile_expression(text)
    except ExpressionError:
        return
    shown(found.run({**NAMES, "station": station, "gap": gap, "a": a}))


def test_the_worst_pattern_comes_to_an_end() -> None:
    """Whoever tried every way to fit it would be at it for ever."""
    assert not glob("a" * 5000, "*a" * 50 + "b")


@pytest.mark.parametrize(
    ("text", "pattern", "fits"),
    [
        ("abc", "*", True),
        ("", "*", True),
        ("abc", "a*c", True),
        ("abc", "a?c", True),
        ("abc", "ab", False),
        ("a*", "a*", True),
    ],
)
def test_patterns(text: str, pattern: str, fits: bool) -> None:
    assert glob(text, pattern) is fits


def test_a_text_with_expressions_keeps_the_type_of_a_lone_one() -> None:
    wrong: list[str] = []
    value = {
        "alone": "{gap.missing}",
        "many": "{station.id}: {gap.missing} of {{x}} {nothing} {station.connected}",
        "deep": [{"n": "{gap.missing + 1}"}],
        "plain": 7,
        "quoted": "{'}'}",
    }
    made = compile_value(value, compile_expression, wrong.append)
    assert made(NAMES) == {
        "alone": 3,
        "many": "CS1: 3 of {x} none true",
        "deep": [{"n": 4}],
        "plain": 7,
        "quoted": "}",
    }
    assert wrong == []


@pytest.mark.parametrize("text", ["{", "}", "a {b", "a } b", "{'}"])
def test_a_brace_without_a_partner_is_told(text: str) -> None:
    wrong: list[str] = []
    compile_value(text, compile_expression, wrong.append)
    assert "has no partner" in wrong[0]


@given(st.text("{}'\"ab ", max_size=30))
def test_splitting_never_fails(text: str) -> None:
    pieces = split(text)
    assert pieces is None or all(isinstance(piece, str) for piece, _ in pieces)
