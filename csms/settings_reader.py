"""Tables become frozen dataclasses, strictly; each mistake is noted with its place and told in our own words, not in pydantic's. Reads no files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from pydantic_core import ErrorDetails, SchemaValidator

from csms.settings import Site, Unfit
from csms.site_problems import Problem, SiteFileError, key_text, said_at
from csms.toml_positions import Path as KeyPath
from csms.toml_positions import Positions

T = TypeVar("T")

_STRICT = ("int", "float", "bool", "str")
_WANTED = {
    "int": ("a whole number", "30"),
    "int_from_float": ("a whole number", "30"),
    "float": ("a number", "1.5"),
    "bool": ("true or false", "true"),
    "string": ("a text in quotes", '"name"'),
    "decimal": ("a number", '"0.45"'),
    "finite_number": ("a finite number", "1.5"),
    "list": ("a list", '[ "one", "two" ]'),
    "tuple": ("a list", '[ "one", "two" ]'),
    "dict": ("a table", '{ key = "value" }'),
    "mapping": ("a table", '{ key = "value" }'),
    "dataclass": ("a table", '{ key = "value" }'),
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


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
        self.problems.append(Problem(self._name, line, column, key_text(path), message, cure))

    def read(self, kind: type[T] | None, plugin: str) -> T | None:
        """A plugin's settings from ``[plugins.<name>]``; None where it has none or they are wrong (which is noted)."""
        path = ("plugins", plugin)
        table = self._tables.get(plugin, {})
        if kind is None:
            if table:
                self.mistake(path, f"plugin {plugin} has no settings", "take this table out")
            return None
        try:
            return self.table(kind, table, path)
        except Exception as fault:
            why = str(fault).partition("\n")[0]
            self.mistake(
                path, f"the settings of plugin {plugin} cannot be read: {why}", "this is a mistake in the plugin"
            )
        return None

    def table(self, kind: type[T], table: object, path: KeyPath) -> T | None:
        """A table as a frozen dataclass; mistakes are noted, and None given."""
        if not isinstance(table, dict):
            one = " once, with single brackets" if isinstance(table, list) else ""
            self.mistake(
                path, f"a table is wanted, not {said_at(str(path[-1]), table)}", f"write [{key_text(path)}]{one}"
            )
            return None
        try:
            made: T = _validator(kind).validate_python(table)
            return made
        except ValidationError as wrong:
            self._translate(kind, table, path, wrong.errors(include_url=False))
        return None

    def done(self) -> None:
        """Raise SiteFileError if there was any mistake."""
        if self.problems:
            raise SiteFileError(self.problems)

    def _translate(self, kind: type, table: Mapping[str, Any], path: KeyPath, errors: Iterable[ErrorDetails]) -> None:
        """One mistake for each place: where several types are allowed, pydantic tells one error for each of them."""
        places: dict[KeyPath, list[ErrorDetails]] = {}
        for error in errors:
            places.setdefault(_place(table, error), []).append(error)
        for place, here in places.items():
            if here[0]["type"] == "value_error" and isinstance(here[0]["input"], dict) and _keys_at(kind, place):
                self._whole(kind, path, place, here[0])
                continue
            told = [_told(kind, place, error) for error in here]
            ways = dict.fromkeys(wanted.removesuffix(" is wanted") for wanted, _, _ in told)
            wanted = " or ".join(ways) + (" is wanted" if told[0][0].endswith(" is wanted") else "")
            _, found, cure = told[0]
            self.mistake((*path, *place), wanted + found, cure)

    def _whole(self, kind: type, path: KeyPath, place: KeyPath, error: ErrorDetails) -> None:
        """A check of a whole dataclass: it stands at the key whose name its text begins with."""
        message = str(error["ctx"]["error"])
        key = message.partition(" ")[0]
        table = error["input"]
        if key not in _keys_at(kind, place):
            self.mistake((*path, *place), message, _cure_of(error))
            return
        found = said_at(key, table[key]) if key in table else ""
        cure = f"found: {found}" if found and found not in message else ""
        self.mistake((*path, *place, key), message, _cure_of(error) or cure)


def _told(kind: type, place: KeyPath, error: ErrorDetails) -> tuple[str, str, str]:
    """What is wanted, what was found, and the cure."""
    key = str(place[-1]) if place else ""
    name = next((part for part in reversed(place) if isinstance(part, str)), key)
    value = error["input"]
    found = f", not {said_at(name, value)}"
    match error["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            return "this key is not known", "", meant(key, _keys_at(kind, place[:-1]), "the keys here are: ")
        case "missing" | "missing_argument":
            return "this key is needed", "", f"add {key} = ..."
        case "value_error" | "assertion_error":
            return str(error["ctx"]["error"]), "" if isinstance(value, list) else found, _cure_of(error)
        case "literal_error" | "enum":
            wanted = error["ctx"]["expected"].replace("'", '"')
            return f"{wanted} is wanted", found, _closest(value, wanted)
        case bound if bound in _BOUNDS:
            limit, words = _BOUNDS[bound]
            return f"a number of {words} {error['ctx'][limit]} is wanted", found, ""
    wanted, example = _WANTED.get(error["type"].removesuffix("_parsing").removesuffix("_type"), ("", ""))
    if not wanted:
        return error["msg"], found, ""
    return f"{wanted} is wanted", found, _type_cure(name, _default(kind, place) or example, value, inside=name != key)


def _type_cure(name: str, example: str, value: object, *, inside: bool) -> str:
    write = "write " if inside else f"write {name} = "
    match value:
        case bool() | dict() | list():
            pass
        case str() if not example.startswith(('"', "[", "{")) and _looks_like(value, example):
            return f"take the quotes away: {write}{value}"
        case int() | float() if example.startswith('"') and said_at(name, value) == str(value):
            return f'put it in quotes: {write}"{value}"'
        case str() if example.startswith("[") and said_at(name, value) == f'"{value}"':
            return f'put it in brackets: {write}["{value}"]'
    return f"for example: {write}{example}"


def _default(kind: type, place: KeyPath) -> str:
    """The default of a setting that is a number, the best example there is; else empty."""
    inner = _dataclasses(_kind_at(kind, place[:-1]), set())
    defaults = [one.default for one in fields(inner[0]) if one.name == place[-1]] if inner and place else []
    return str(defaults[0]) if defaults and type(defaults[0]) in (int, float) else ""


def _looks_like(text: str, example: str) -> bool:
    if example in ("true", "false"):
        return text in ("true", "false")
    return text.isascii() and text.replace(".", "", 1 if "." in example else 0).removeprefix("-").isdigit()


def _cure_of(error: ErrorDetails) -> str:
    fault = error["ctx"]["error"]
    return fault.cure if isinstance(fault, Unfit) else ""


def meant(key: str, known: Iterable[str], otherwise: str) -> str:
    """A cure for a key nobody knows: the one it is most like, or all of them."""
    names = {name.lower(): name for name in known}
    close = get_close_matches(key.lower().replace("-", "_"), names, 1)
    return f"did you mean {names[close[0]]}?" if close else otherwise + ", ".join(names.values())


def _closest(value: object, wanted: str) -> str:
    words = {word.lower(): word for word in wanted.split('"')[1::2]}
    text = str(value).strip().lower()
    close = get_close_matches(text, words, 1) or [word for word in words if len(text) > 1 and word.endswith(text)]
    return f'did you mean "{words[close[0]]}"?' if close else ""


def _place(table: object, error: ErrorDetails) -> KeyPath:
    """An error's path without the steps that pydantic adds for its own sake (validators, members of a union)."""
    path: KeyPath = ()
    last = len(error["loc"]) - 1
    for step, part in enumerate(error["loc"]):
        match table:
            case dict() if part in table:
                table = table[part]
            case list() if isinstance(part, int) and part < len(table):
                table = table[part]
            case _ if step < last or not error["type"].startswith("missing"):
                continue
        path = (*path, part)
    return path


def _validator(kind: type) -> SchemaValidator:
    """pydantic's reader of a dataclass, which takes texts for texts only and numbers for numbers only."""
    return SchemaValidator(_strictly(adapter(kind).core_schema))


def _strictly(schema: Any) -> Any:
    match schema:
        case list():
            return [_strictly(one) for one in schema]
        case dict():
            kept = ("default", "metadata", "serialization", "expected")
            made = {name: one if name in kept else _strictly(one) for name, one in schema.items()}
            return made | {"strict": True} if made.get("type") in _STRICT else made
    return schema


def adapter(kind: type[T]) -> TypeAdapter[T]:
    """pydantic's view of a dataclass that takes no key it does not know."""
    for inner in _dataclasses(kind, set()):
        if not hasattr(inner, "__pydantic_config__"):
            with_config(ConfigDict(extra="forbid"))(inner)
    return TypeAdapter(kind)


def _dataclasses(kind: Any, seen: set[type]) -> list[type]:
    if not is_dataclass(kind) or not isinstance(kind, type):
        return [one for inner in get_args(kind) for one in _dataclasses(inner, seen)]
    if kind in seen:
        return []
    seen.add(kind)
    return [kind, *(one for hint in get_type_hints(kind).values() for one in _dataclasses(hint, seen))]


def _kind_at(kind: Any, place: KeyPath) -> Any:
    for part in place:
        if isinstance(part, str):
            here = _dataclasses(kind, set())
            kind = get_type_hints(here[0]).get(part) if here else None
    return kind


def _keys_at(kind: Any, place: KeyPath) -> list[str]:
    inner = _dataclasses(_kind_at(kind, place), set())
    return [one.name for one in fields(inner[0]) if one.init] if inner else []
