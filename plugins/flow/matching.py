"""``where``: comparisons of an event's fields with fixed values, cheaper than expressions and each traced by its name."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from csms_plugins.flow.expressions import Path, look
from csms_plugins.flow.operators import glob, ordered, within

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
    """One field and its tests, which a list fits with one of its parts.

    ``paths`` are by event name, because a field may stand elsewhere in another event.
    """

    text: str
    paths: Mapping[str, Path]
    tests: tuple[tuple[Test, Any], ...]
    words: tuple[Any, ...]
    place: str = ""

    def holds(self, name: str, names: Mapping[str, Any]) -> bool:
        """Whether all tests hold in an event of this name."""
        path = self.paths.get(name)
        if path is None:
            value = None
        else:
            part = names.get(path[0])
            value = part.get(path[1]) if len(path) == 2 and type(part) is dict else look(part, path[1:])
        if type(value) is list:
            return any(self._fits(one) for one in value)
        return self._fits(value)

    def _fits(self, value: Any) -> bool:
        return all(test(value, wanted) for test, wanted in self.tests)

    def value(self, name: str, names: Mapping[str, Any]) -> Any:
        """The field's value; ``none`` where the event has no such field."""
        path = self.paths.get(name)
        return look(names.get(path[0]), path[1:]) if path else None


def clause_of(text: str, paths: Mapping[str, Path], wanted: object, place: str = "") -> Clause:
    """``wanted`` is a value, a list of which one must fit, or a table of comparisons."""
    match wanted:
        case dict():
            table = wanted
        case list():
            table = {"in": wanted}
        case _:
            table = {"eq": wanted}
    words = [word for key in ("eq", "ne", "in") if key in table for word in _listed(table[key])]
    return Clause(text, paths, tuple((OPERATORS[key], value) for key, value in table.items()), tuple(words), place)


def _listed(value: object) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]
