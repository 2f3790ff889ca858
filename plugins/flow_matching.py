"""``where``: comparisons of an event's fields with fixed values, cheaper than expressions and each traced by its name."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from csms_plugins.flow_expressions import Path, glob, look, ordered, within

Test = Callable[[Any, Any], bool]
OPERATORS: Mapping[str, Test] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": ordered(operator.lt),
    "le": ordered(operator.le),
    "gt": ordered(operator.gt),
    "ge": ordered(operator.ge),
    "in": within,
    "glob": glob,
    "exists": lambda value, wanted: (value is not None) is bool(wanted),
}


@dataclass(frozen=True, slots=True)
class Clause:
    """One field and its tests; ``paths`` by event name, because a field may stand elsewhere in another event."""

    text: str
    paths: Mapping[str, Path]
    tests: tuple[tuple[Test, Any], ...]
    words: tuple[str, ...]

    def holds(self, name: str, names: Mapping[str, Any]) -> bool:
        """Whether all tests hold in an event of this name."""
        value = self.value(name, names)
        return all(test(value, wanted) for test, wanted in self.tests)

    def value(self, name: str, names: Mapping[str, Any]) -> Any:
        """The field's value; ``none`` where the event has no such field."""
        path = self.paths.get(name)
        return look(names, path) if path else None


def clause_of(text: str, paths: Mapping[str, Path], wanted: object) -> Clause:
    """``wanted`` is a value, a list of which one must fit, or a table of comparisons."""
    match wanted:
        case dict():
            table = wanted
        case list():
            table = {"in": wanted}
        case _:
            table = {"eq": wanted}
    words = [word for key in ("eq", "ne", "in") if key in table for word in _listed(table[key])]
    return Clause(text, paths, tuple((OPERATORS[key], value) for key, value in table.items()), tuple(words))


def _listed(value: object) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
