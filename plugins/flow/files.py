"""Rule files as they lie on the disk: TOML with positions; what is in them is not known here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, time
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from csms.api import NotToml, Positions, Problem, key_text, parsed

Where = tuple[str | int, ...]
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SITE_TABLES = ("server", "plugins", "site", "database", "api", "stations", "notify", "window")
"""A file with one of these is a site file: its other tables are read by others."""
TOP = ("preset", "rule", "use", "test")
_DURATION = re.compile(r"(\d{1,9}(\.\d{1,6})?(ms|s|m|h|d))+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
LONGEST_S = 36500 * 86400.0


@dataclass(frozen=True, slots=True)
class Source:
    """One file, with the place of each header and key."""

    file: str
    positions: Positions | None = None

    def place(self, where: Where) -> str:
        """``file:line`` of a path, or of the nearest thing around it."""
        return f"{self.file}:{self.at(where)[0]}"

    def at(self, where: Where) -> tuple[int, int]:
        """Line and column of a path, or of the nearest thing around it."""
        return self.positions.of(where) if self.positions else (1, 1)

    def mistake(self, where: Where, what: str, cure: str = "") -> Problem:
        """A mistake at a path of this file."""
        line, column = self.at(where)
        return Problem(self.file, line, column, key_text(where), what, cure)


@dataclass(frozen=True, slots=True)
class Document:
    """What one file holds; ``scope`` is the site whose stations its rules are for, empty for all of them."""

    source: Source
    table: dict[str, Any]
    scope: str = ""

    @property
    def preset(self) -> str:
        """The name of the preset that this file is, or empty."""
        head = self.table.get("preset")
        name = head.get("name") if isinstance(head, dict) else None
        return name if isinstance(name, str) else ""


def duration(value: object) -> float | None:
    """Seconds of a text such as ``2m30s``, at most 100 years; None when it is not one."""
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        return None
    seconds = sum(float(number) * UNITS[unit] for number, unit in _PART.findall(value))
    return seconds if seconds <= LONGEST_S else None


def grown(seconds: float, factor: float, times: int, most: float) -> float:
    """A pause that has grown so many times, up to the longest one there is."""
    try:
        return min(seconds * float(factor) ** times, most)
    except OverflowError:
        return most


def spoken(seconds: float) -> str:
    """A duration as a person writes it."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    text, rest = "", round(seconds, 3)
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, UNITS[unit])
        text += f"{count:g}{unit}" if count else ""
    return text + (f"{rest:g}s" if rest or not text else "")


def tables(document: Document, name: str, mistakes: list[Problem]) -> list[dict[str, Any]]:
    """The ``[[name]]`` tables of a file."""
    listed = document.table.get(name, [])
    if isinstance(listed, list) and all(isinstance(one, dict) for one in listed):
        return listed
    mistakes.append(document.source.mistake((name,), f"{name} is written [[{name}]]", "two brackets, once for each"))
    return []


def found(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files that patterns name, sorted."""
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def stamp(paths: Sequence[Path]) -> tuple[tuple[str, int, int], ...]:
    """Changes when any of these files does, comes or goes."""
    states = []
    for path in paths:
        try:
            state = path.stat()
        except OSError:
            continue
        states.append((str(path), state.st_mtime_ns, state.st_size))
    return tuple(states)


def document_of(path: Path, folder: Path, mistakes: list[Problem], scope: str = "") -> Document | None:
    """The file at a path, named as seen from the folder; None and a mistake when it cannot be read."""
    name = str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
    try:
        text = path.read_text("utf-8-sig")
    except OSError as fault:
        mistakes.append(Problem(name, 1, 1, "", f"cannot be read: {fault.strerror}", "name a file of rules"))
        return None
    except UnicodeDecodeError as fault:
        before = fault.object[: fault.start].decode("utf-8-sig")
        line, column = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
        mistakes.append(Problem(name, line, column, "", "this is not UTF-8 text", "save the file as UTF-8"))
        return None
    return parse(text, name, mistakes, scope)


def parse(text: str, name: str, mistakes: list[Problem], scope: str = "") -> Document | None:
    """One file's text; None and a mistake when it is not TOML."""
    text = text.replace("\r\n", "\n")
    try:
        table = parsed(text)
    except NotToml as wrong:
        one = wrong.mistake
        mistakes.append(Problem(name, one.line, one.column, one.key, f"not TOML: {one.message}", one.cure))
        return None
    document = Document(Source(name, Positions(text)), _texts(table), scope)
    for where, what, cure in _odd(table, ()):
        mistakes.append(document.source.mistake(where, what, cure))
    if not any(one in table for one in SITE_TABLES):
        for key in table:
            if key not in TOP:
                mistakes.append(document.source.mistake((key,), f"unknown table {key}", suggestion(key, TOP)))
    return document


def _texts(value: Any) -> Any:
    """A table in which dates and times, which TOML knows as such, are the texts that rules know."""
    match value:
        case dict():
            return {key: _texts(one) for key, one in value.items()}
        case list():
            return [_texts(one) for one in value]
        case date() | time():
            return value.isoformat().replace("+00:00", "Z")
    return value


def _odd(value: Any, where: Where) -> Iterator[tuple[Where, str, str]]:
    """What TOML has and rules have not: numbers with which nobody can calculate, and dates, except in tests."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield from _odd(one, (*where, key))
    if isinstance(value, float) and not math.isfinite(value):
        yield where, f"{value} is no number of a rule", "leave it out"
    elif isinstance(value, date | time) and where[0] != "test":
        yield where, f"{value.isoformat()} is a date, and rules know times as texts", "put it in quotes"


def suggestion(word: object, known: Sequence[str]) -> str:
    """``did you mean ..?`` for a misspelt word, else what is known."""
    close = get_close_matches(str(word), known, 1, 0.5)
    if close:
        return f"did you mean {close[0]}?"
    more = f" and {len(known) - 20} more" if len(known) > 20 else ""
    return f"known are {', '.join(known[:20])}{more}" if known else ""
