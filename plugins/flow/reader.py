"""What reading any part of a rule needs: compiled expressions whose fields, words and functions were checked, and a place for mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from csms_plugins.flow.events import Kind
from csms_plugins.flow.expressions import Compared, Expression, ExpressionError, Path, compile_expression
from csms_plugins.flow.files import Where, duration, suggestion
from csms_plugins.flow.functions import ARGUMENTS
from csms_plugins.flow.presets import RawRule
from csms_plugins.flow.rule import Condition
from csms_plugins.flow.shapes import ANY, Shape, record, unknown
from csms_plugins.flow.values import Value, compile_value
from csms_plugins.flow.words import Words

from csms.api import Problem

ORDERINGS = ("Lt", "LtE", "Gt", "GtE")


@dataclass(slots=True)
class Reader:
    """Reads one rule; a part that is wrong is left out and noted. ``made`` are names that the rule itself gives: ``let`` and ``save``."""

    raw: RawRule
    words: Words
    mistakes: list[Problem]
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    expressions: list[Expression] = field(default_factory=list)
    _roots: list[dict[str, Shape]] = field(default_factory=list)

    def on(self, kinds: Mapping[str, Kind]) -> None:
        """From now on the rule's events are these."""
        self.kinds = kinds
        self._roots = self.words.vocabulary.roots(kinds.values())

    @property
    def on_what(self) -> str:
        """The events, for a message."""
        return ", ".join(self.kinds) or "this rule"

    def roots(self) -> list[dict[str, Shape]]:
        """For each event of the rule the names that can be read."""
        options = record(dict.fromkeys(self.raw.options, ANY))
        more = {"opt": options, **dict.fromkeys(self.made, ANY)}
        return [{**roots, **more} for roots in self._roots]

    def wrong(self, where: Sequence[str | int], what: str, cure: str = "") -> None:
        """Note a mistake below this rule."""
        self.mistakes.append(self.raw.source.mistake((*self.raw.where, *where), what, cure))

    def place(self, where: Sequence[str | int]) -> str:
        """``file:line`` of a part of this rule."""
        return self.raw.source.place((*self.raw.where, *where))

    def expression(self, text: object, where: Where) -> Expression | None:
        """Compile and check what it reads, compares and calls."""
        if not isinstance(text, str):
            self.wrong(where, "an expression is a text", 'as in "station.connected"')
            return None
        try:
            found = compile_expression(text, self.words.functions)
        except ExpressionError as wrong:
            at = f" at column {wrong.column}" if wrong.column else ""
            self.wrong(where, f"{text!r}{at}: {wrong}", "the language is in docs/rules.md")
            return None
        for path, column in found.reads.items():
            self._path(path, f"{text!r} at column {column}: ", where)
        for one in found.compared:
            self._compared(one, f"{text!r} at column {one.column}: ", where)
        self._calls(found, where)
        self.expressions.append(found)
        return found

    def _path(self, path: Path, before: str, where: Where) -> None:
        """Some event of the rule has this path."""
        misses = [unknown(roots, path) for roots in self.roots()]
        if not misses or None in misses:
            return
        miss, known = misses[0] or ("", ())
        if path[0] == "opt" and miss != "opt":
            self.wrong(where, f"{before}no option is called {miss}", suggestion(miss, known))
            return
        owner = ".".join(path[: path.index(miss)]) or self.on_what
        self.wrong(where, f"{before}there is no {miss} in {owner}", suggestion(miss, known))

    def _compared(self, one: Compared, before: str, where: Where) -> None:
        """A word that the field never is, or another kind of value."""
        shapes = [shape for roots in self.roots() if (shape := record(roots).at(one.path)) is not None]
        if shapes and all(not shape.many for shape in shapes):
            self.fits(".".join(one.path), shapes, one.value, before, where, ordering=one.how in ORDERINGS)

    def fits(
        self, text: str, shapes: Sequence[Shape], value: Any, before: str, where: Where, *, ordering: bool = False
    ) -> None:
        """Whether a fixed value can be what a field is."""
        kinds = {shape.kind for shape in shapes}
        if value is None or "any" in kinds:
            return
        if kinds == {"object"}:
            self.wrong(where, f"{before}{text} is no plain value", suggestion("", tuple(shapes[0].fields or ())))
        elif isinstance(value, str) and kinds <= {"number", "boolean"}:
            self.wrong(where, f"{before}{text} is a {' or '.join(sorted(kinds))}, never {value!r}", "without quotes")
        elif isinstance(value, bool | int | float) and kinds <= {"text", "time"}:
            self.wrong(where, f"{before}{text} is a text, never {value!r}", "put it in quotes")
        elif isinstance(value, str) and all(shape.words for shape in shapes) and not ordering:
            words = tuple(dict.fromkeys(word for shape in shapes for word in shape.words))
            if value not in words:
                self.wrong(where, f"{before}{text} is never {value}", suggestion(value, words))

    def _calls(self, found: Expression, where: Where) -> None:
        known = self.words.functions()
        for name, column in found.calls.items():
            if name not in known:
                what = f"{found.text!r} at column {column}: no function is called {name}"
                self.wrong(where, what, suggestion(name, (*ARGUMENTS, *known)))

    def conditions(self, value: object, where: Where, label: str) -> tuple[Condition, ...]:
        """One expression or a list of them; each is traced on its own."""
        if not isinstance(value, list):
            found = self.expression(value, where)
            return (Condition(label, found, self.place(where)),) if found else ()
        made = []
        for index, text in enumerate(value):
            found = self.expression(text, (*where, index))
            if found:
                made.append(Condition(f"{label}[{index}]", found, self.place((*where, index))))
        return tuple(made)

    def value(self, value: object, where: Where) -> Value:
        """A value whose texts may hold ``{EXPR}``."""
        return compile_value(value, lambda text: self.expression(text, where), lambda what: self.wrong(where, what))

    def seconds(self, value: object, where: Where) -> float:
        """A duration."""
        found = duration(value)
        if found is None:
            self.wrong(where, f"{value!r} is not a duration", 'as in "90s", "2m30s" or "24h"')
        return found or 0.0

    def table(self, value: object, where: Where, keys: Sequence[str], example: str) -> dict[str, Any] | None:
        """A table with no other keys than these; None and a mistake for anything else."""
        if not isinstance(value, dict):
            self.wrong(where, f"{where[-1]} is a table", example)
            return None
        for key in value:
            if key not in keys:
                self.wrong((*where, key), f"{where[-1]} has no {key}", suggestion(key, tuple(keys)))
        return value

    def number(self, value: object, where: Where, least: float, most: float, *, whole: bool = True) -> float:
        """A number in its bounds."""
        good = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not good or not least <= value <= most:  # type: ignore[operator]
            self.wrong(where, f"{where[-1]} is a number from {least:g} to {most:g}, not {value!r}")
            return least
        return value  # type: ignore[return-value]
