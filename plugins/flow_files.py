"""Rule files as they lie on the disk: TOML with positions; what is in them is not known here.

``tomllib`` reads the values and is the truth; a scan of the lines says where headers and keys stand, and falls back to the nearest header.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

Where = tuple[str | int, ...]
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
SITE_TABLES = ("server", "plugins", "site", "database")
"""A file with one of these is a site file: its other tables are read by others."""
TOP = ("preset", "rule", "use")
_HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.\" -]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"-]+)\s*=")


class RuleFileError(ValueError):
    """Rule files cannot be used; the text tells all mistakes, each with file and line."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: where, what, and what to do."""

    file: str
    line: int
    path: str
    what: str
    cure: str = ""

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}: {place}{self.what}" + (f" ({self.cure})" if self.cure else "")


@dataclass(frozen=True, slots=True)
class Source:
    """One file, with the line of each header and key."""

    file: str
    lines: Mapping[Where, int]

    def line(self, where: Where) -> int:
        """The line of a path, or of the nearest thing around it."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)

    def mistake(self, where: Where, what: str, cure: str = "") -> Mistake:
        """A mistake at a path of this file."""
        return Mistake(self.file, self.line(where), _spoken(where), what, cure)


@dataclass(slots=True)
class Document:
    """What one file holds."""

    source: Source
    table: dict[str, Any]

    @property
    def preset(self) -> str:
        """The name of the preset that this file is, or empty."""
        head = self.table.get("preset")
        name = head.get("name") if isinstance(head, dict) else None
        return name if isinstance(name, str) else ""


def stamp(folder: Path, patterns: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    """Changes when any file does, comes or goes."""
    states = []
    for path in found(folder, patterns):
        try:
            state = path.stat()
        except OSError:
            continue
        states.append((str(path), state.st_mtime_ns, state.st_size))
    return tuple(states)


def duration(value: object) -> float | None:
    """Seconds of a text such as ``2m30s``; None when it is not one."""
    if not isinstance(value, str) or not re.fullmatch(r"(\d{1,9}(ms|s|m|h|d))+", value, re.ASCII):
        return None
    return float(sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|s|m|h|d)", value)))


def tables(document: Document, name: str, mistakes: list[Mistake]) -> list[dict[str, Any]]:
    """The ``[[name]]`` tables of a file."""
    listed = document.table.get(name, [])
    if isinstance(listed, list) and all(isinstance(one, dict) for one in listed):
        return listed
    mistakes.append(document.source.mistake((name,), f"{name} is written [[{name}]]", "two brackets, once for each"))
    return []


def found(folder: Path, patterns: Sequence[str]) -> list[Path]:
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def document_of(path: Path, folder: Path, mistakes: list[Mistake]) -> Document | None:
    name = str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
    try:
        return parse(path.read_text("utf-8-sig"), name, mistakes)
    except (OSError, UnicodeDecodeError) as fault:
        mistakes.append(Mistake(name, 1, "", f"cannot be read: {fault}", "rule files are UTF-8 text"))
        return None


def parse(text: str, name: str, mistakes: list[Mistake]) -> Document | None:
    """One file's text; None when it is not TOML."""
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as wrong:
        at = re.search(r"line (\d+)", str(wrong))
        line = int(at[1]) if at else max(1, len(text.splitlines()))
        mistakes.append(Mistake(name, line, "", f"not TOML: {wrong}", "mend the line"))
        return None
    document = Document(Source(name, dict(_positions(text))), table)
    if not any(one in table for one in SITE_TABLES):
        for key in table:
            if key not in TOP:
                mistakes.append(document.source.mistake((key,), f"unknown table {key}", suggestion(key, TOP)))
    return document


def suggestion(word: object, known: Sequence[str]) -> str:
    """``did you mean ..?`` for a misspelt word, else what is known."""
    close = get_close_matches(str(word), known, 1, 0.5)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"


def _positions(text: str) -> Iterator[tuple[Where, int]]:
    """Headers and keys with their lines; texts over several lines are passed over."""
    counts: dict[Where, int] = {}
    here: Where = ()
    quote = ""
    for number, line in enumerate(text.splitlines(), 1):
        if quote:
            quote = "" if quote in line else quote
            continue
        if header := _HEADER.match(line):
            here = _header(header[2], header[1] == "[[", counts)
            yield here, number
        elif key := _KEY.match(line):
            parts = [part.strip('"') for part in key[1].split(".")]
            yield from (((*here, *parts[: depth + 1]), number) for depth in range(len(parts)))
            quote = next((one for one in ('"""', "'''") if line.count(one) % 2), "")


def _header(name: str, many: bool, counts: dict[Where, int]) -> Where:
    parts = [part.strip().strip('"') for part in name.split(".")]
    here: Where = ()
    for part in parts[:-1]:
        here = (*here, part)
        if here in counts:
            here = (*here, counts[here])
    here = (*here, parts[-1])
    if many:
        counts[here] = counts.get(here, -1) + 1
        here = (*here, counts[here])
    return here


def _spoken(where: Where) -> str:
    text = ""
    for part in where:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text
