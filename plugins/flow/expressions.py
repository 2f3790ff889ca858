"""The expressions of flow rules: a small compiler from a part of Python's grammar to closures.

Nothing but data is reachable: whitelisted nodes, fields of dicts, pure functions by name; at most 200 nodes and depth 24. Missing is ``none``,
ordering against it is false, arithmetic with it is ``none``, and no exception reaches whoever evaluates.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from csms_plugins.flow.functions import ARGUMENTS, CONTEXTUAL, FUNCTIONS
from csms_plugins.flow.operators import ARITHMETIC, COMPARISONS, calculated, is_number

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
class Compared:
    """A path that stands beside a fixed value: ``how`` is the comparison's name in the syntax tree."""

    path: Path
    value: Any
    how: str
    column: int


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression; ``reads`` are the paths it looks at and ``calls`` the functions of plugins it uses, each with its first column."""

    text: str
    run: Run = field(repr=False)
    reads: Mapping[Path, int]
    calls: Mapping[str, int]
    compared: tuple[Compared, ...] = ()

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
    return Expression(text, run, compiler.reads, compiler.calls, tuple(compiler.compared))


class _Compiler:
    """One walk over one tree."""

    def __init__(self, functions: Callable[[], Functions]) -> None:
        self._functions = functions
        self.reads: dict[Path, int] = {}
        self.calls: dict[str, int] = {}
        self.compared: list[Compared] = []

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
            case ast.BinOp() if type(node.op) in ARITHMETIC:
                calculate = ARITHMETIC[type(node.op)]
                left, right = self.visit(node.left, depth + 1), self.visit(node.right, depth + 1)
                return lambda names: calculated(calculate, left(names), right(names))
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
        path = _path_of(node)
        if path is None or depth + len(path) - 1 > DEEPEST:
            raise ExpressionError("a field is read from a name, as in station.id", node.col_offset + 1)
        if len(path) == 1 and path[0] in WORDS:
            return _constant(WORDS[path[0]])
        self.reads.setdefault(path, node.col_offset + 1)
        return _reader(path)

    def _compare(self, node: ast.Compare, depth: int) -> Run:
        for one in node.ops:
            if type(one) not in COMPARISONS:
                raise ExpressionError("use == and != for equality", node.col_offset + 1)
        operands = (node.left, *node.comparators)
        for how, left, right in zip(node.ops, operands, operands[1:], strict=False):
            self._note(type(how).__name__, left, right)
        tests = [COMPARISONS[type(one)] for one in node.ops]
        sides = [self.visit(one, depth + 1) for one in operands]
        if len(tests) == 1:
            test, first, second = tests[0], sides[0], sides[1]
            return lambda names: test(first(names), second(names))

        def run(names: Names) -> bool:
            left = sides[0](names)
            for test, side in zip(tests, sides[1:], strict=True):
                right = side(names)
                if not test(left, right):
                    return False
                left = right
            return True

        return run

    def _note(self, how: str, left: ast.expr, right: ast.expr) -> None:
        """Remember a field that is compared with fixed values, so that its words can be checked."""
        for one, other in ((left, right), (right, left)):
            path = _path_of(one)
            if path is None or (len(path) == 1 and path[0] in WORDS):
                continue
            for fixed in other.elts if isinstance(other, ast.List | ast.Tuple) else [other]:
                if isinstance(fixed, ast.Constant):
                    self.compared.append(Compared(path, fixed.value, how, fixed.col_offset + 1))

    def _call(self, node: ast.Call, depth: int) -> Run:
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        parts = [self.visit(one, depth + 1) for one in node.args]
        if name in ARGUMENTS:
            least, most = ARGUMENTS[name]
            if not least <= len(parts) <= most:
                count = f"{least}" if least == most else f"{least} to {most}"
                raise ExpressionError(f"{name}() takes {count} arguments", node.col_offset + 1)
        if (own := FUNCTIONS.get(name)) is not None:
            return lambda names: own(*[part(names) for part in parts])
        if (contextual := CONTEXTUAL.get(name)) is not None:
            return lambda names: contextual(names, *[part(names) for part in parts])
        self.calls.setdefault(name, node.col_offset + 1)
        functions = self._functions
        return lambda names: functions()[name](*[part(names) for part in parts])


def _path_of(node: ast.expr) -> Path | None:
    """The names of ``a.b.c``; None for anything else."""
    fields: list[str] = []
    while isinstance(node, ast.Attribute):
        fields.append(node.attr)
        node = node.value
    return (node.id, *reversed(fields)) if isinstance(node, ast.Name) else None


def _reader(path: Path) -> Run:
    """A closure for a path; nearly all have one or two names, and those are read without a loop."""
    if len(path) == 1:
        root = path[0]
        return lambda names: names.get(root)
    root, rest = path[0], path[1:]
    first = rest[0]
    if len(rest) > 1:
        return lambda names: look(names.get(root), rest)

    def read(names: Names) -> Any:
        part = names.get(root)
        return part.get(first) if type(part) is dict else look(part, rest)

    return read


def look(value: Any, path: Path) -> Any:
    """The value at a path through dicts; ``none`` where there is nothing; of a list, that of each of its parts."""
    for index, part in enumerate(path):
        if isinstance(value, list):
            rest = path[index:]
            return [look(one, rest) for one in value]
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


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
