"""Says in plain words why a text is not TOML, where, and what the usual cure is. Knows nothing of what a site file may say."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import Any

from csms.site_problems import key_text
from csms.toml_positions import Positions

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')
_WORDS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_SECOND = ("Cannot declare", "Cannot overwrite", "Cannot redefine", "Cannot mutate", "Duplicate")
_CLOSING = {
    "Unclosed array": ("a list is not closed", "add the missing ]"),
    "Unclosed inline table": (
        "a table in braces is not closed",
        "add the missing }; such a table stands on one line",
    ),
    "Expected ']'": ("the name of a table is not closed", "a table is written [name]"),
    "Expected ']]'": ("the name of a table is not closed", "a table of a list is written [[name]]"),
    "Unterminated string": ("a text is not closed", "add the missing quote"),
    'Expected "\'"': ("a text is not closed", "add the missing quote"),
    "Expected \"'''\"": ("a text is not closed", "add the missing quotes"),
    "Illegal character '\\n'": ("a text is not closed on its line", "add the missing quote"),
    "Found invalid character '\\n'": ("a text is not closed on its line", "add the missing quote"),
    "Invalid date or datetime": ("there is no such date or time", "write it as 2026-03-31 or 2026-03-31T12:00:00Z"),
}
_BACKSLASH = ("Unescaped", "Invalid hex", "Escaped character")


@dataclass(frozen=True, slots=True)
class SyntaxMistake:
    """Why a text is not TOML; line and column start at 1."""

    line: int
    column: int
    key: str
    message: str
    cure: str


class NotToml(Exception):
    """A text is not TOML; ``mistake`` says why."""

    def __init__(self, mistake: SyntaxMistake) -> None:
        self.mistake = mistake
        super().__init__(mistake.message)


def parsed(text: str) -> dict[str, Any]:
    """The values of a TOML text; raises NotToml, whatever is wrong with it."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise NotToml(_mistake(str(wrong), text)) from None
    except RecursionError:
        line, column = Positions(text).at(_deepest(text))
        raise NotToml(SyntaxMistake(line, column, "", "lists or tables are nested too deeply", "")) from None
    except ValueError:
        huge = re.search(r"[0-9_]{4000,}", text)
        line, column = Positions(text).at(huge.start() if huge else 0)
        raise NotToml(SyntaxMistake(line, column, "", "a number is too long", "write fewer digits")) from None


def _deepest(text: str) -> int:
    found = re.search(r"[\[{](?:\s*[\[{]|\s*[\w\"'.-]+\s*=\s*\{){50}", text)
    return found.start() if found else 0


def _mistake(told: str, text: str) -> SyntaxMistake:
    message, line, column = _place_of(told, text)
    if message.startswith(_SECOND):
        return _repeated(line, column, text)
    lines = text.splitlines()
    here = lines[line - 1] if 0 < line <= len(lines) else ""
    if message.startswith(_BACKSLASH):
        column = here.rfind("\\", 0, column - 1) + 1 or column
    plain, cure = _plain(message, here, column)
    return SyntaxMistake(line, column, "", plain, cure)


def _place_of(told: str, text: str) -> tuple[str, int, int]:
    """tomllib's message without its place, and the place."""
    message, _, place = told.rpartition(" (at ")
    numbers = re.fullmatch(r"line (\d+), column (\d+)\)", place)
    if numbers:
        return message, int(numbers[1]), int(numbers[2])
    lines = text.rstrip("\n").split("\n")
    return message or told, len(lines), len(lines[-1]) + 1


def _repeated(line: int, column: int, text: str) -> SyntaxMistake:
    """tomllib points behind the second value; the scan of the text knows both places."""
    positions = Positions(text)
    places = [(path, positions.at(offset)) for path, offset in positions.repeats]
    before = [(path, place) for path, place in places if place <= (line, column)]
    if not before:
        return SyntaxMistake(line, column, "", "this contradicts what stands above", "keep one of the two")
    path, (line, column) = before[-1]
    first, _ = positions.of(path)
    cure = f"it stands on line {first} already: keep one of the two"
    return SyntaxMistake(line, column, key_text(path), "this stands here a second time", cure)


def _plain(message: str, here: str, column: int) -> tuple[str, str]:
    for start, words in _CLOSING.items():
        if message.startswith(start):
            return words
    if message.startswith(_BACKSLASH):
        return (
            "a backslash means something else in double quotes",
            f"use single quotes, or \\\\ for each \\{_path(here)}",
        )
    if "“" in here or "”" in here or "„" in here:
        return "these are typographic quotes", 'use the straight ones: "text"'
    rest = here[column - 1 :].strip()
    match message.partition(" ")[0]:
        case "Expected":
            return _expected(message, here, rest)
        case "Invalid" if message == "Invalid value":
            return "this value is not TOML", _value_cure(here, rest)
        case "Illegal" | "Found":
            return "a character that cannot be printed stands here", "remove it"
    return "this line is no key, no table and no comment", _statement_cure(rest)


def _path(here: str) -> str:
    found = re.search(r'"([A-Za-z]:\\[^"]*)"?', here)
    return f": '{found[1]}'" if found else ""


def _expected(message: str, here: str, rest: str) -> tuple[str, str]:
    if "after a key" not in message:
        return "something stands behind the value", _behind_cure(here, rest)
    if rest.startswith(":"):
        return "a key is followed by =", f"write = instead of :, as in {here.partition(':')[0].strip()} = ..."
    name, equals, value = here.partition("=")
    if equals and " " in name.strip():
        return "a key is one word", f"write {'_'.join(name.split())} = {value.strip()}"
    return "a key is followed by =", "a line is: key = value"


def _value_cure(here: str, rest: str) -> str:
    word = re.split(r"[\s,\]}#]", rest, maxsplit=1)[0]
    if word.lower() in ("true", "false"):
        return f"write {word.lower()} in small letters"
    if word.lower() in _WORDS:
        return f"write {_WORDS[word.lower()]}"
    if word.lower() in ("none", "null", "nil"):
        return "TOML has no such value: leave the key out"
    if not word:
        return "a value is missing: a line is key = value"
    if re.fullmatch(r"\.\d+", word):
        return f"write 0{word}"
    if here.count('"') % 2:
        return "a quote is missing"
    return f'put texts and durations in quotes: "{word.strip(chr(34))}"'


def _behind_cure(here: str, rest: str) -> str:
    if rest.startswith(("//", ";", "--", "/*")):
        return "a comment begins with #"
    if rest.startswith(","):
        return "take the comma away: each key has its own line"
    value = _QUOTED.sub("", here).partition("=")[2].partition("#")[0].strip()
    if re.fullmatch(r"0\d+", value):
        return f"take the leading zero away: {value.lstrip('0') or '0'}"
    if re.match(r"\d+,\d+$", value):
        return f"write a point: {value.replace(',', '.')}"
    if here.count('"') % 2:
        return "a quote is missing"
    if value and '"' not in here and "'" not in here:
        return f'put texts and durations in quotes: "{value}"'
    return "each key has its own line, and a comment begins with #"


def _statement_cure(rest: str) -> str:
    if rest.startswith(("//", ";", "--", "/*")):
        return "a comment begins with #"
    return "a table is written [name], a key is written name = value"
