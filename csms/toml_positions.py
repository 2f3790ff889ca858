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
        self.offsets = _Scanner(text).scan()

    def of(self, path: Path) -> Position:
        """Line and column of a path, or of what encloses it, or the start of the file."""
        for length in range(len(path), 0, -1):
            offset = self.offsets.get(tuple(path[:length]))
            if offset is not None:
                line = bisect_right(self._starts, offset)
                return line, offset - self._starts[line - 1] + 1
        return 1, 1


class _Scanner:
    """Walks over valid TOML once; where the text surprises it, it goes on with the next line."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.table: Path = ()
        self.found: dict[Path, int] = {(): 0}
        self.lengths: dict[Path, int] = {}

    def scan(self) -> dict[Path, int]:
        while True:
            self._match(_SKIP)
            if self.at >= len(self.text):
                return self.found
            try:
                if self.text[self.at] == "[":
                    self._header()
                else:
                    self._pair(self.table)
            except ValueError:
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end

    def _header(self) -> None:
        start = self.at
        many = self.text.startswith("[[", start)
        self.at += 2 if many else 1
        keys = self._keys()
        self._expect("]]" if many else "]")
        self.table = self._resolve(keys if not many else keys[:-1])
        if many:
            listed = (*self.table, keys[-1])
            index = self.lengths.get(listed, 0)
            self.lengths[listed] = index + 1
            self.found.setdefault(listed, start)
            self.table = (*listed, index)
        self.found.setdefault(self.table, start)

    def _resolve(self, keys: list[str]) -> Path:
        """Keys of a header to a path: a name that is an array of tables means its last one."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            if path in self.lengths:
                path = (*path, self.lengths[path] - 1)
        return path

    def _pair(self, table: Path) -> None:
        start = self.at
        keys = self._keys()
        self._expect("=")
        for length in range(1, len(keys) + 1):
            self.found.setdefault((*table, *keys[:length]), start)
        self._value((*table, *keys))

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._match(_BLANK)
            keys.append(self._key())
            self._match(_BLANK)
            if not self.text.startswith(".", self.at):
                return keys
            self.at += 1

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
