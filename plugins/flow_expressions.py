"""The expressions of flow rules: a small compiler from a part of Python's grammar to closures.

Nothing but data is reachable: whitelisted nodes, fields of dicts, pure functions by name; at most 200 nodes and depth 24. Missing is ``none``,
ordering against it is false, arithmetic with it is ``none``, and no exception reaches whoever evaluates.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Names = Mapping[str, Any]
Run = Callable[[Names], Any]
Functions = Mapping[str, Callable[..., Any]]
Path = tuple[str, ...]

MOST_NODES, DEEPEST, LONGEST = 200, 24, 2000
WORDS = {"none": None, "true": True, "false": False, "None": None, "True": True, "False": False}


class ExpressionError(ValueError):
    """An expression cannot be compiled; ``column`` counts from 1, 0 when it is not known."""

    def __init__(self, why: str, column: int = 0) -> None:
        super().__init__(why)
        self.column = column


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression; ``reads`` are the paths it looks at, ``calls`` the functions it uses."""

    text: str
    run: Run = field(repr=False)
    reads: frozenset[Path]
    calls: frozenset[str]

    def value(self, names: Names) -> Any:
        """What it gives for these names; ``none`` for whatever goes wrong."""
        try:
            return self.run(names)
        except Exception:
            return None


def compile_expression(text: str, functions: Callable[[], Functions] = dict) -> Expression:
    """Compile one expression; ``functions`` gives those of plugins when it runs. Raises ExpressionError."""
    if len(text) > LONGEST:
        raise ExpressionError(f"an expression has at most {LONGEST} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as wrong:
        raise ExpressionError(f"{wrong.msg or 'not an expression'}", wrong.offset or 0) from None
    except (ValueError, MemoryError, RecursionError):
        raise ExpressionError("not an expression, or nested too deep") from None
    if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
        raise ExpressionError(f"an expression has at most {MOST_NODES} parts: use several clauses")
    compiler = _Compiler(functions)
    run = compiler.visit(tree.body, 1)
    return Expression(text, run, frozenset(compiler.reads), frozenset(compiler.calls))


class _Compiler:
    """One walk over one tree."""

    def __init__(self, functions: Callable[[], Functions]) -> None:
        self._functions = functions
        self.reads: set[Path] = set()
        self.calls: set[str] = set()

    def visit(self, node: ast.expr, depth: int) -> Run:
        if depth > DEEPEST:
            raise ExpressionError(f"nested deeper than {DEEPEST}", node.col_offset + 1)
        match node:
            case ast.Constant(value=bool() | int() | float() | str() | None):
                return _constant(node.value)
            case ast.Name() | ast.Attribute():
                return self._path(node, depth)
            case ast.BoolOp():
                return _chain(type(node.op) is ast.Or, [self.visit(one, depth + 1) for one in node.values])
            case ast.UnaryOp():
                return _unary(node, self.visit(node.operand, depth + 1))
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                left, right = self.visit(node.left, depth + 1), self.visit(node.right, depth + 1)
                return _binary(_ARITHMETIC[type(node.op)], left, right)
            case ast.Compare():
                return self._compare(node, depth)
            case ast.IfExp():
                test, yes, no = (self.visit(one, depth + 1) for one in (node.test, node.body, node.orelse))
                return lambda names: yes(names) if test(names) else no(names)
            case ast.List() | ast.Tuple():
                parts = [self.visit(one, depth + 1) for one in node.elts]
                return lambda names: [part(names) for part in parts]
            case ast.Call(func=ast.Name(), keywords=[]):
                return self._call(node, depth)
        what = type(node.op).__name__ if isinstance(node, ast.BinOp) else type(node).__name__
        raise ExpressionError(f"{what} is not part of the language", node.col_offset + 1)

    def _path(self, node: ast.expr, depth: int) -> Run:
        fields: list[str] = []
        inner = node
        while isinstance(inner, ast.Attribute):
            fields.append(inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name) or depth + len(fields) > DEEPEST:
            raise ExpressionError("a field is read from a name, as in station.id", node.col_offset + 1)
        if inner.id in WORDS and not fields:
            return _constant(WORDS[inner.id])
        path = (inner.id, *reversed(fields))
        self.reads.add(path)
        return lambda names: look(names, path)

    def _compare(self, node: ast.Compare, depth: int) -> Run:
        for one in node.ops:
            if type(one) not in _COMPARISONS:
                raise ExpressionError("use == and != for equality", node.col_offset + 1)
        tests = [_COMPARISONS[type(one)] for one in node.ops]
        sides = [self.visit(one, depth + 1) for one in (node.left, *node.comparators)]

        def run(names: Names) -> bool:
            left = sides[0](names)
            for test, side in zip(tests, sides[1:], strict=True):
                right = side(names)
                if not test(left, right):
                    return False
                left = right
            return True

        return run

    def _call(self, node: ast.Call, depth: int) -> Run:
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        parts = [self.visit(one, depth + 1) for one in node.args]
        if (own := FUNCTIONS.get(name)) is not None:
            if len(parts) != ARGUMENTS.get(name, len(parts)):
                raise ExpressionError(f"{name}() takes {ARGUMENTS[name]} arguments", node.col_offset + 1)
            return lambda names: own(*[part(names) for part in parts])
        self.calls.add(name)
        functions = self._functions
        return lambda names: functions()[name](*[part(names) for part in parts])


def look(names: Any, path: Path) -> Any:
    """The value at a path through dicts; ``none`` where there is nothing."""
    for part in path:
        if not isinstance(names, dict):
            return None
        names = names.get(part)
    return names


def _constant(value: Any) -> Run:
    return lambda names: value


def _chain(until: bool, parts: list[Run]) -> Run:
    """Like Python's: the first value that decides, or the last one."""

    def run(names: Names) -> Any:
        value = None
        for part in parts:
            value = part(names)
            if bool(value) is until:
                return value
        return value

    return run


def _unary(node: ast.UnaryOp, operand: Run) -> Run:
    match node.op:
        case ast.Not():
            return lambda names: not operand(names)
        case ast.USub():
            return lambda names: -value if is_number(value := operand(names)) else None
        case ast.UAdd():
            return lambda names: value if is_number(value := operand(names)) else None
    raise ExpressionError("~ is not part of the language", node.col_offset + 1)


def _binary(calculate: Callable[[Any, Any], Any], left: Run, right: Run) -> Run:
    def run(names: Names) -> Any:
        one, other = left(names), right(names)
        texts = calculate is operator.add and isinstance(one, str) and isinstance(other, str)
        if not texts and not (is_number(one) and is_number(other)):
            return None
        try:
            return calculate(one, other)
        except (ArithmeticError, ValueError):
            return None

    return run


def is_number(value: object) -> bool:
    """Whether one can calculate with it; true and false are not numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """A comparison that is false between things that have no order."""

    def run(one: Any, other: Any) -> bool:
        alike = (is_number(one) and is_number(other)) or (isinstance(one, str) and isinstance(other, str))
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


def _len(value: Any) -> int | None:
    return len(value) if isinstance(value, str | list | tuple | dict) else None


def _lower(value: Any) -> str | None:
    return value.lower() if isinstance(value, str) else None


def _startswith(value: Any, start: Any) -> bool:
    return isinstance(value, str) and isinstance(start, str) and value.startswith(start)


def _any(*values: Any) -> bool:
    return any(any(one) if isinstance(one, list | tuple) else one for one in values)


FUNCTIONS: Functions = {"len": _len, "lower": _lower, "glob": glob, "startswith": _startswith, "any": _any}
ARGUMENTS = {"len": 1, "lower": 1, "glob": 2, "startswith": 2}
_ARITHMETIC: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARISONS: Mapping[type, Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: ordered(operator.lt),
    ast.LtE: ordered(operator.le),
    ast.Gt: ordered(operator.gt),
    ast.GtE: ordered(operator.ge),
    ast.In: within,
    ast.NotIn: lambda one, other: not within(one, other),
}
