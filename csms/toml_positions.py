"""Where each key of a TOML text stands. Yields positions and nothing else: ``tomllib`` reads the values and is the truth.

A path is a tuple of keys, with numbers for the places in arrays: ``("rule", 0, "do", 1, "send")``. Lines and columns start at 1.
"""

from __future__ import annotations

import re
from bisect import bisect_right

Path = tuple[str | int, ...]
Position = tuple[int, int]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SKIP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)+")
_BLANK = re.compile(r"[ \t]*")
_SCALAR = re.compile(r"[^,\]}#\n]+")
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})', re.S),
    re.compile(r"'''.*?'''(?:'{0,2})", re.S),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}
_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([btnfr"\\]))')


class Positions:
    """Looks up where a path stands; a path that was not found gets its nearest enclosing one."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        scanner = _Scanner(text)
        scanner.scan()
        self.offsets = scanner.found
        self.repeats = scanner.repeats
        """Paths that are written again, each with the offset of its second place; there are none in valid TOML."""

    def of(self, path: Path) -> Position:
        """Line and column of a path, or of what encloses it, or the start of the file."""
        for length in range(len(path), 0, -1):
            offset = self.offsets.get(tuple(path[:length]))
            if offset is not None:
                return self.at(offset)
        return 1, 1

    def at(self, offset: int) -> Position:
        """Line and column of an offset in the text."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


class _Scanner:
    """Walks over TOML once; where the text surprises it, it goes on with the next line."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.table: Path = ()
        self.found: dict[Path, int] = {(): 0}
        self.repeats: list[tuple[Path, int]] = []
        self.implied: set[Path] = set()
        self.lengths: dict[Path, int] = {}

    def scan(self) -> None:
        while True:
            self._match(_SKIP)
            if self.at >= len(self.text):
                return
            try:
                if self.text[self.at] == "[":
                    self._header()
                else:
                    self._pair(self.table)
            except (ValueError, OverflowError, RecursionError):
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end

    def _header(self) -> None:
        start = self.at
        many = self.text.startswith("[[", start)
        self.at += 2 if many else 1
        keys = [key for key, _ in self._keys()]
        self._expect("]]" if many else "]")
        enclosing = self._resolve(keys[:-1], start)
        listed = (*enclosing, keys[-1])
        if many:
            index = self.lengths.get(listed, 0)
            self.lengths[listed] = index + 1
            self.found.setdefault(listed, start)
            self.table = (*listed, index)
        else:
            self.table = self._resolve(keys, start)
        self._write(self.table, start)

    def _resolve(self, keys: list[str], start: int) -> Path:
        """Keys of a header to a path, where a name that is an array of tables means its last one."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            if path in self.lengths:
                path = (*path, self.lengths[path] - 1)
            self._imply(path, start)
        return path

    def _imply(self, path: Path, offset: int) -> None:
        """A table that exists because something in it is written; its own header may still come."""
        if path not in self.found:
            self.found[path] = offset
            self.implied.add(path)

    def _write(self, path: Path, offset: int) -> None:
        if path in self.found and path not in self.implied:
            self.repeats.append((path, offset))
            return
        self.found[path] = offset
        self.implied.discard(path)

    def _pair(self, table: Path) -> None:
        keys = self._keys()
        self._expect("=")
        path = table
        for key, offset in keys[:-1]:
            path = (*path, key)
            self._imply(path, offset)
        key, offset = keys[-1]
        self._write((*path, key), offset)
        self._value((*path, key))

    def _keys(self) -> list[tuple[str, int]]:
        keys = []
        while True:
            self._match(_BLANK)
            offset = self.at
            keys.append((self._key(), offset))
            self._match(_BLANK)
            if not self._took("."):
                return keys

    def _key(self) -> str:
        bare = _BARE.match(self.text, self.at)
        if bare:
            self.at = bare.end()
            return bare.group()
        text = self._string()
        return text[1:-1] if text.startswith("'") else _ESCAPE.sub(_unescape, text[1:-1])

    def _string(self) -> str:
        for pattern in _STRINGS:
            found = pattern.match(self.text, self.at)
            if found:
                self.at = found.end()
                return found.group()
        raise ValueError("no string here")

    def _value(self, path: Path) -> None:
        self._match(_BLANK)
        first = self.text[self.at : self.at + 1]
        if first in ('"', "'"):
            self._string()
        elif first == "[":
            self._array(path)
        elif first == "{":
            self._inline(path)
        elif not self._match(_SCALAR):
            raise ValueError("no value here")

    def _array(self, path: Path) -> None:
        self.at += 1
        index = 0
        while True:
            self._match(_SKIP)
            if self._took("]"):
                return
            self.found[(*path, index)] = self.at
            self._value((*path, index))
            index += 1
            self._match(_SKIP)
            self._took(",")

    def _inline(self, path: Path) -> None:
        self.at += 1
        while True:
            self._match(_SKIP)
            if self._took("}"):
                return
            self._pair(path)
            self._match(_SKIP)
            self._took(",")

    def _match(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self.text, self.at)
        if found and found.end() > self.at:
            self.at = found.end()
            return True
        return False

    def _took(self, sign: str) -> bool:
        if self.text.startswith(sign, self.at):
            self.at += len(sign)
            return True
        return False

    def _expect(self, sign: str) -> None:
        self._match(_BLANK)
        if not self._took(sign):
            raise ValueError(f"{sign} expected")


def _unescape(found: re.Match[str]) -> str:
    short, long, plain = found.groups()
    return chr(int(short or long, 16)) if short or long else _ESCAPES[plain]
