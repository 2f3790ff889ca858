"""A site file in TOML becomes frozen settings; every mistake is told at once, with file, line, key and a cure, and a bad file changes nothing."""

from __future__ import annotations

import os
import secrets
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from csms.settings import Api, Database, Duration, Plugins, Server, Site, SiteInfo, Stations
from csms.toml_positions import Path as KeyPath
from csms.toml_positions import Positions

__all__ = [
    "Duration",
    "Problem",
    "SettingsReader",
    "Site",
    "SiteFileError",
    "load_site",
    "site_schema",
    "write_starter",
]

T = TypeVar("T")
TABLES: Mapping[str, type] = {
    "site": SiteInfo,
    "server": Server,
    "api": Api,
    "database": Database,
    "stations": Stations,
    "plugins": Plugins,
}
STRICT = ConfigDict(extra="forbid", strict=False, coerce_numbers_to_str=False)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, where it stands, and what to do about it."""

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
        super().__init__()

    def __str__(self) -> str:
        count = len(self.problems)
        end = "1 mistake" if count == 1 else f"{count} mistakes"
        return "\n".join([*(str(problem) for problem in self.problems), f"{end}; nothing was changed."])


class SettingsReader:
    """Collects the mistakes of one site file while its tables are read; ``done`` raises them all."""

    def __init__(self, site: Site) -> None:
        self._name = str(site.file) if site.file else "built-in defaults"
        self._tables = site.plugin_tables
        self._positions = Positions(site.text)
        self.problems: list[Problem] = []

    def mistake(self, path: KeyPath, message: str, cure: str = "") -> None:
        """Note one mistake at a key."""
        line, column = self._positions.of(path)
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        self.problems.append(Problem(self._name, line, column, key, message, cure))

    def read(self, kind: type[T] | None, plugin: str) -> T | None:
        """A plugin's settings from ``[plugins.<name>]``; None where it has none or they are wrong (which is noted)."""
        table = self._tables.get(plugin, {})
        if kind is None:
            if table:
                self.mistake(("plugins", plugin), f"plugin {plugin} has no settings", "take this table out")
            return None
        return self.table(kind, table, ("plugins", plugin))

    def table(self, kind: type[T], table: object, path: KeyPath) -> T | None:
        """A table as a frozen dataclass; mistakes are noted, and None given."""
        if not isinstance(table, dict):
            self.mistake(path, f"a table is wanted, not {_said(table)}", f"write [{'.'.join(map(str, path))}]")
            return None
        try:
            return _adapter(kind).validate_python(table)
        except ValidationError as wrong:
            for error in wrong.errors():
                self._translate(kind, path, dict(error))
        return None

    def done(self) -> None:
        """Raise SiteFileError if there was any mistake."""
        if self.problems:
            raise SiteFileError(self.problems)

    def _translate(self, kind: type, path: KeyPath, error: dict[str, Any]) -> None:
        place = [part for part in error["loc"] if not str(part).startswith(("function-", "is-", "constrained-"))]
        full: KeyPath = (*path, *place)
        match error["type"]:
            case "unexpected_keyword_argument" | "extra_forbidden":
                known = _keys_at(kind, place[:-1])
                close = get_close_matches(str(place[-1]), known, 1)
                cure = f"did you mean {close[0]}?" if close else f"the keys here are: {', '.join(known)}"
                self.mistake(full, "this key is not known", cure)
            case "missing" | "missing_argument":
                self.mistake(full, "this key is needed", f"add {place[-1]} = ...")
            case "value_error":
                self.mistake(full, str(error["ctx"]["error"]), f"found: {_said(error['input'])}")
            case "literal_error" | "enum":
                wanted = error["ctx"]["expected"].replace("'", '"')
                self.mistake(full, f"{wanted} is wanted, not {_said(error['input'])}", _closest(error, wanted))
            case _:
                wanted = _WANTED.get(error["type"].removesuffix("_parsing").removesuffix("_type"), error["msg"])
                self.mistake(full, f"{wanted}, not {_said(error['input'])}")


_WANTED = {
    "int": "a whole number is wanted, such as 30",
    "int_from_float": "a whole number is wanted, such as 30",
    "float": "a number is wanted, such as 1.5",
    "bool": "true or false is wanted",
    "string": 'a text in quotes is wanted, such as "name"',
    "decimal": 'a number is wanted, such as "0.45"',
    "list": "a list is wanted, such as [ ... ]",
    "tuple": "a list is wanted, such as [ ... ]",
    "dict": "a table is wanted",
}


def load_site(path: Path | None, *, folder: Path | None = None) -> Site:
    """The site of a file, or the embedded default for None; raises SiteFileError with every mistake.

    Mistakes in plugins' own tables are found when the plugins are loaded (``csms.plugins``).
    """
    if path is None:
        return Site(folder=folder or Path.cwd())
    text = _text_of(path)
    document = _parsed(path, text)
    raw = document.get("plugins", {})
    tables = {name: value for name, value in raw.items() if isinstance(value, dict)} if isinstance(raw, dict) else {}
    site = Site(file=path, folder=folder or path.resolve().parent, plugin_tables=tables, text=text)
    reader = SettingsReader(site)
    read: dict[str, Any] = {}
    for name, value in document.items():
        kind = TABLES.get(name)
        if kind is None:
            close = get_close_matches(name, TABLES, 1)
            cure = f"did you mean [{close[0]}]?" if close else f"the tables are: {', '.join(TABLES)}"
            reader.mistake((name,), "this table is not known", cure)
            continue
        if name == "plugins" and isinstance(value, dict):
            value = {key: inner for key, inner in value.items() if not isinstance(inner, dict)}
        read[name] = reader.table(kind, value, (name,))
    reader.done()
    return Site(**read, file=path, folder=site.folder, plugin_tables=tables, text=text)


def _text_of(path: Path) -> str:
    def trouble(message: str, cure: str) -> SiteFileError:
        return SiteFileError([Problem(str(path), 1, 1, "", message, cure)])

    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise trouble("there is no such file", f"make one with: csms init {path}") from None
    except OSError as fault:
        raise trouble(f"cannot be read: {fault.strerror}", "is the path right, and may this user read it?") from None
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as fault:
        line = raw.count(b"\n", 0, fault.start) + 1
        problem = Problem(str(path), line, 1, "", "not UTF-8 text", "save the file as UTF-8")
        raise SiteFileError([problem]) from None


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        message, line, column = _place_of(str(wrong), text)
        raise SiteFileError([Problem(str(path), line, column, "", message, _toml_cure(message, text, line))]) from None
    except RecursionError:
        raise SiteFileError([Problem(str(path), 1, 1, "", "nested too deeply", "")]) from None


def _place_of(said: str, text: str) -> tuple[str, int, int]:
    """tomllib's message without its place, and the place."""
    message, _, place = said.rpartition(" (at ")
    if place.startswith("line "):
        line, column = (int(part.split()[-1]) for part in place.rstrip(")").split(","))
        return message, line, column
    lines = text.splitlines() or [""]
    return message or said, len(lines), len(lines[-1]) + 1


def _toml_cure(message: str, text: str, line: int) -> str:
    lines = text.splitlines()
    here = lines[line - 1] if 0 < line <= len(lines) else ""
    _, _, value = here.partition("=")
    if value.strip() in ("True", "False"):
        return f"write {value.strip().lower()} in small letters"
    if "Invalid value" in message:
        return "put texts and durations in quotes"
    if "overwrite" in message or "twice" in message or "Cannot" in message:
        return "this key or table stands here a second time: keep one"
    if here.count('"') % 2:
        return "a quote is missing"
    if "after key" in message or "key/value" in message:
        return "a line is: key = value"
    return ""


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    """pydantic's reader of a dataclass that takes no key it does not know."""
    for inner in _dataclasses(kind):
        if not hasattr(inner, "__pydantic_config__"):
            with_config(STRICT)(inner)
    return TypeAdapter(kind)


def _dataclasses(kind: Any) -> list[type]:
    if not is_dataclass(kind) or not isinstance(kind, type):
        return [one for inner in getattr(kind, "__args__", ()) for one in _dataclasses(inner)]
    return [kind, *(one for hint in get_type_hints(kind).values() for one in _dataclasses(hint))]


def _keys_at(kind: Any, place: list[Any]) -> list[str]:
    for part in place:
        kind = get_type_hints(kind).get(part, kind) if is_dataclass(kind) and isinstance(part, str) else kind
    inner = _dataclasses(kind)
    return [one.name for one in fields(inner[0])] if inner else []


def _closest(error: Mapping[str, Any], wanted: str) -> str:
    words = [word for word in wanted.split('"') if word.isidentifier() or "." in word]
    close = get_close_matches(str(error["input"]), words, 1)
    return f'did you mean "{close[0]}"?' if close else ""


def _said(value: object) -> str:
    """A value as a person wrote it, short."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value[:40]}"'
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
    return str(value)[:40]


def starter() -> str:
    """The text of a new site file, with fresh secrets."""
    text = (files("csms_rules") / "site.toml").read_text(encoding="utf-8")
    while "@SECRET@" in text:
        text = text.replace("@SECRET@", secrets.token_urlsafe(32), 1)
    return text


def write_starter(path: Path) -> None:
    """Write a new site file that only its owner can read; FileExistsError if there is one."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(starter())


def site_schema() -> dict[str, Any]:
    """A JSON Schema of the site file, for editors; plugins' own tables are open."""
    tables = {name: _adapter(kind).json_schema() for name, kind in TABLES.items()}
    tables["plugins"]["additionalProperties"] = {"type": "object"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "csms site file",
        "type": "object",
        "properties": tables,
        "additionalProperties": False,
    }
