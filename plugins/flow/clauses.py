"""Reads ``where``: fields of an event and what they must be, checked against the event's shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csms_plugins.flow.expressions import Path
from csms_plugins.flow.files import Where, suggestion
from csms_plugins.flow.matching import OPERATORS, Clause, clause_of
from csms_plugins.flow.reader import Reader
from csms_plugins.flow.shapes import Fields, Shape, record, unknown


def read_where(reader: Reader, table: object, where: Where) -> tuple[Clause, ...]:
    """The clauses of a ``where`` table on the reader's events."""
    roots = dict(zip(reader.kinds, reader.roots(), strict=True))
    mains = {name: (kind.main, "event") for name, kind in reader.kinds.items()}
    return Clauses(reader, where, roots, mains).read(table)


def read_station(reader: Reader, table: object, where: Where, fields: Fields) -> tuple[Clause, ...]:
    """The clauses of a filter of stations."""
    return Clauses(reader, where, {"station": {"station": record(fields)}}, {"station": ("station",)}).read(table)


class Clauses:
    """Reads one table; ``mains`` are the parts of each event whose fields may stand alone."""

    def __init__(
        self, reader: Reader, where: Where, roots: Mapping[str, Fields], mains: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._reader = reader
        self._where = where
        self._roots = roots
        self._mains = mains

    def read(self, table: object) -> tuple[Clause, ...]:
        """The clauses; what is wrong is noted and left out."""
        if not isinstance(table, dict):
            self._reader.wrong(self._where, f"{self._where[-1]} is a table of fields", 'as in { status = "Faulted" }')
            return ()
        clauses = []
        for text, keys, wanted in self._flat(table, ()):
            where = (*self._where, *keys)
            paths = self._resolved(text, where)
            if paths is None or (isinstance(wanted, dict) and not self._operators(wanted, where)):
                continue
            clause = clause_of(text, paths, wanted, self._reader.place(where))
            clauses.append(clause)
            self._words(clause, paths, where)
        return tuple(clauses)

    def _words(self, clause: Clause, paths: Mapping[str, Path], where: Where) -> None:
        shapes = [self._shape(name, path) for name, path in paths.items()]
        for word in clause.words:
            self._reader.fits(clause.text, shapes, word, "", where)

    def _shape(self, name: str, path: Path) -> Shape:
        shape = record(self._roots[name]).at(path)
        assert shape is not None
        return shape

    def _flat(self, table: Mapping[str, Any], before: tuple[str, ...]) -> list[tuple[str, tuple[str, ...], Any]]:
        """``{"token.type" = x}`` and ``{token.type = x}`` are the same to a reader of the file, so they are here."""
        listed: list[tuple[str, tuple[str, ...], Any]] = []
        for key, value in table.items():
            keys = (*before, key)
            text = ".".join(keys)
            inner = isinstance(value, dict) and value and not any(one in OPERATORS for one in value)
            if inner and len(before) < 4 and not self._is_value(text):
                listed += self._flat(value, keys)
            else:
                listed.append((text, keys, value))
        return listed

    def _is_value(self, text: str) -> bool:
        return any(self._shape(name, path).leaf for name, path in self._paths(text).items())

    def _operators(self, wanted: Mapping[str, Any], where: Where) -> bool:
        for key in wanted:
            if key not in OPERATORS:
                self._reader.wrong((*where, key), f"no comparison is called {key}", suggestion(key, tuple(OPERATORS)))
                return False
        if not wanted:
            self._reader.wrong(where, "a comparison is missing", f"known are {', '.join(OPERATORS)}")
        return bool(wanted)

    def _resolved(self, text: str, where: Where) -> dict[str, Path] | None:
        if paths := self._paths(text):
            return paths
        name, roots = next(iter(self._roots.items()))
        near = [known for main in self._mains[name] for known in (roots[main].fields or ())]
        first = text.split(".")[0]
        if first in roots:
            miss, known = unknown(roots, text.split(".")) or (first, ())
            self._reader.wrong(where, f"there is no {miss} in {text.rpartition('.')[0]}", suggestion(miss, known))
        else:
            self._reader.wrong(where, f"{name} has no field {text}", suggestion(first, (*dict.fromkeys(near), *roots)))
        return None

    def _paths(self, text: str) -> dict[str, Path]:
        """The full path that a field means in each event; a lone word is a field of the event's main part."""
        path = tuple(text.split("."))
        paths: dict[str, Path] = {}
        for name, roots in self._roots.items():
            near = [(main, *path) for main in self._mains[name]]
            tries = [*near, path] if len(path) == 1 or path[0] not in roots else [path, *near]
            good = [one for one in tries if unknown(roots, one) is None]
            if good:
                paths[name] = good[0]
        return paths
