"""The operators of expressions: none of them ever raises for what it is given, and ordering what has no order is false."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

NUMBERS = frozenset((int, float))
LONGEST_TEXT = 10_000
MOST_BITS = 4096
"""Larger numbers than these are no numbers of a charging station, and cost time."""


def is_number(value: object) -> bool:
    """Whether one can calculate with it; true and false are not numbers."""
    return type(value) in NUMBERS


def added(one: Any, other: Any) -> Any:
    """A sum, or two texts in a row as long as they are not too long."""
    if isinstance(one, str):
        return (one + other)[:LONGEST_TEXT]
    return one + other


def calculated(calculate: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    """What a calculation gives; ``none`` where there is nothing to calculate with, or no result."""
    texts = calculate is added and isinstance(one, str) and isinstance(other, str)
    if not texts and not (is_number(one) and is_number(other)):
        return None
    if isinstance(one, int) and isinstance(other, int) and (one.bit_length() + other.bit_length()) > MOST_BITS:
        return None
    try:
        found = calculate(one, other)
    except (ArithmeticError, ValueError):
        return None
    return found if not isinstance(found, float) or isfinite(found) else None


def ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """A comparison that is false between things that have no order."""

    def run(one: Any, other: Any) -> bool:
        kind, other_kind = type(one), type(other)
        alike = (kind in NUMBERS and other_kind in NUMBERS) or (kind is str and other_kind is str)
        return alike and test(one, other)

    return run


def within(one: Any, other: Any) -> bool:
    """Membership in a list or dict, or a text in a text."""
    if isinstance(other, str):
        return isinstance(one, str) and one in other
    if isinstance(other, dict):
        return isinstance(one, str) and one in other
    return isinstance(other, list | tuple) and one in other


def glob(text: Any, pattern: Any) -> bool:
    """Whether a text fits a pattern with ``*`` and ``?``; linear in memory, never exponential in time."""
    if not isinstance(text, str) or not isinstance(pattern, str):
        return False
    at = wanted = mark = 0
    star = -1
    while at < len(text):
        if wanted < len(pattern) and pattern[wanted] == "*":
            star, mark = wanted, at
            wanted += 1
        elif wanted < len(pattern) and pattern[wanted] in ("?", text[at]):
            at, wanted = at + 1, wanted + 1
        elif star >= 0:
            mark += 1
            at, wanted = mark, star + 1
        else:
            return False
    return not pattern[wanted:].strip("*")


ARITHMETIC: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: added,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
COMPARISONS: Mapping[type, Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: ordered(operator.lt),
    ast.LtE: ordered(operator.le),
    ast.Gt: ordered(operator.gt),
    ast.GtE: ordered(operator.ge),
    ast.In: within,
    ast.NotIn: lambda one, other: not within(one, other),
}
