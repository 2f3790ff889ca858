"""What reading any part of a rule needs: compiled expressions whose paths were checked, and a place for mistakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from csms_plugins.flow_events import Kind, shape, unknown
from csms_plugins.flow_expressions import Expression, ExpressionError, Functions, Path, compile_expression
from csms_plugins.flow_files import Mistake, Where, duration, suggestion
from csms_plugins.flow_presets import RawRule
from csms_plugins.flow_values import Value, compile_value


@dataclass(slots=True)
class Reader:
    """Reads one rule; a part that is wrong is left out and noted."""

    raw: RawRule
    functions: Callable[[], Functions]
    mistakes: list[Mistake]
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    expressions: list[Expression] = field(default_factory=list)

    def wrong(self, where: Sequence[str | int], what: str, cure: str = "") -> None:
        """Note a mistake below this rule."""
        self.mistakes.append(self.raw.source.mistake((*self.raw.where, *where), what, cure))

    def expression(self, text: object, where: Where) -> Expression | None:
        """Compile and check the paths it reads."""
        if not isinstance(text, str):
            self.wrong(where, "an expression is a text", 'as in "station.connected"')
            return None
        try:
            found = compile_expression(text, self.functions)
        except ExpressionError as wrong:
            at = f" at column {wrong.column}" if wrong.column else ""
            self.wrong(where, f"{text!r}{at}: {wrong}", "the language is in docs/rules.md")
            return None
        for path in sorted(found.reads):
            self.path(path, where)
        self.expressions.append(found)
        return found

    def path(self, path: Path, where: Where) -> bool:
        """Check that some event of the rule has this path."""
        if path[0] == "opt":
            options = tuple(self.raw.options)
            if len(path) > 1 and path[1] not in options:
                self.wrong(where, f"no option is called {path[1]}", suggestion(path[1], options) if options else "")
                return False
            return True
        misses = [unknown(shape(kind), path) for kind in self.kinds.values()]
        if not misses or None in misses:
            return True
        miss, known = misses[0] or ("", ())
        if path[-1] == miss and len(path) == 1:
            known = (*known, "opt")
        self.wrong(
            where, f"{'.'.join(path)}: there is no {miss} in {self.on}", suggestion(miss, known) if known else ""
        )
        return False

    @property
    def on(self) -> str:
        """The events, for a message."""
        return ", ".join(self.kinds)

    def expressions_of(self, value: object, where: Where) -> tuple[Expression, ...]:
        """One expression or a list of them."""
        listed = value if isinstance(value, list) else [value]
        return tuple(one for text in listed if (one := self.expression(text, where)))

    def value(self, value: object, where: Where) -> Value:
        """A value whose texts may hold ``{EXPR}``."""
        return compile_value(value, lambda text: self.expression(text, where), lambda what: self.wrong(where, what))

    def seconds(self, value: object, where: Where) -> float:
        """A duration."""
        found = duration(value)
        if found is None:
            self.wrong(where, f"{value!r} is not a duration", "as in 90s, 2m30s or 24h")
        return found or 0.0
