"""What is told about a wrong site file: a place, a mistake and a cure, in prose for the terminal. Knows neither TOML nor settings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SECRET = re.compile(r"secret|token|password|passphrase|api_?key", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, where it stands (lines and columns start at 1), and what to do about it."""

    file: str
    line: int
    column: int
    key: str
    message: str
    cure: str

    def __str__(self) -> str:
        cure = f"\n    {self.cure}" if self.cure else ""
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}:{self.column}\n  {key}{self.message}{cure}"


class SiteFileError(Exception):
    """A site file (or a file it names) has mistakes; the text is for the terminal."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda one: (one.file, one.line, one.column)))
        super().__init__(*self.problems)

    def __str__(self) -> str:
        count = len(self.problems)
        end = "1 mistake" if count == 1 else f"{count} mistakes"
        return "\n\n".join([*(str(problem) for problem in self.problems), f"{end}; nothing was changed."])


def key_text(path: Iterable[str | int]) -> str:
    """A path as a person writes it: ``plugins.enabled[0]``; other keys than plain ones stand in quotes."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part if _BARE.fullmatch(part) else _quoted(part)}"
    return text.removeprefix(".")


def said(value: object) -> str:
    """A value as a person wrote it, short and harmless to a terminal."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return _quoted(value)
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
    return str(value)[:40]


def said_at(key: str, value: object) -> str:
    """As ``said``, but what stands under a key that names a secret is described and not shown."""
    if not _SECRET.search(key) or isinstance(value, bool | dict | list | tuple):
        return said(value)
    return f"a text of {len(value)} characters" if isinstance(value, str) else "a value that is no text"


def _quoted(text: str) -> str:
    short = text if len(text) <= 40 else f"{text[:40]}..."
    return '"' + "".join(sign if sign.isprintable() else "?" for sign in short) + '"'
