"""Which rules a site has: those of its files and those of the presets it uses, with their options put in.

A preset is shipped in the package or lies among the site's files; the site's own wins. It does nothing until it is named in ``presets`` or by
``[[use]]``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from importlib.resources.abc import Traversable
from keyword import iskeyword
from typing import Any

from csms_plugins.flow.files import Document, Source, Where, duration, parse, suggestion, tables

from csms.api import Problem

OPTION_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "duration": (str,),
    "list": (list,),
}
SAMPLES: Mapping[str, Any] = {
    "string": "x", "integer": 1, "number": 1, "boolean": False, "duration": "1s", "list": [],
}  # fmt: skip
PRESET_KEYS = ("name", "note", "options")
OPTION_KEYS = ("type", "default", "one_of", "note")
SETTING = Source("[plugins.flow_rules]")
_OPTION = re.compile(r"\{\s*opt\.([A-Za-z_][A-Za-z0-9_]*)\s*\}")
SHIPPED = "csms_rules"


@dataclass(frozen=True, slots=True)
class RawRule:
    """One ``[[rule]]`` with its options put in; ``position`` orders rules of equal ``order``, ``scope`` is the site it is for."""

    source: Source
    where: Where
    table: Mapping[str, Any]
    options: Mapping[str, Any]
    position: int
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """A preset that a file, or the setting ``presets``, wants."""

    source: Source
    where: Where
    given: Mapping[str, Any]


@dataclass(slots=True)
class Reading:
    """All files of one load, and the mistakes found so far; ``folders`` are where plugins keep presets."""

    folders: Sequence[Traversable] = ()
    mistakes: list[Problem] = field(default_factory=list)
    rules: list[RawRule] = field(default_factory=list)
    used: dict[tuple[str, str], Use] = field(default_factory=dict)
    """By site and name of the preset."""

    def add(self, document: Document, options: Mapping[str, Any], scope: str) -> None:
        """Take over the rules of a file."""
        for index, table in enumerate(tables(document, "rule", self.mistakes)):
            filled = _filled(table, options)
            self.rules.append(RawRule(document.source, ("rule", index), filled, options, len(self.rules), scope))


def gather(reading: Reading, documents: Sequence[Document], presets: Sequence[str]) -> None:
    """Take over what lies in the files and what they use; mistakes are collected, not raised."""
    own: dict[str, Document] = {}
    reading.used = {("", name): Use(SETTING, ("presets",), {}) for name in presets}
    for document in documents:
        if "preset" not in document.table:
            reading.add(document, {}, document.scope)
        elif not document.preset or document.preset in own:
            what = f"preset {document.preset} is there already" if document.preset else "[preset] has a name"
            reading.mistakes.append(document.source.mistake(("preset",), what, 'as in name = "quiet-hours"'))
        else:
            own[document.preset] = document
        _uses(document, reading)
    for (scope, name), use in reading.used.items():
        preset = own.get(name) or _offered(name, reading)
        if preset is None:
            known = sorted({*own, *shipped_names(), *_folder_names(reading.folders)})
            where = (*use.where, "preset") if use.source is not SETTING else use.where
            reading.mistakes.append(use.source.mistake(where, f"no preset is called {name}", suggestion(name, known)))
        else:
            reading.add(preset, _options(preset, use.source, use.where, use.given, reading.mistakes), scope)


def shipped_names() -> tuple[str, ...]:
    """The presets in the package."""
    return tuple(name for name in _folder_names([package_files(SHIPPED)]) if name != "site")


def _folder_names(folders: Sequence[Traversable]) -> list[str]:
    names = (one.name for folder in folders if folder.is_dir() for one in folder.iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def _offered(name: str, reading: Reading) -> Document | None:
    """A preset of a plugin, or one that comes with csms; a plugin's goes first."""
    for folder in (*reading.folders, package_files(SHIPPED)):
        if name in _folder_names([folder]) and name != "site":
            whose = "shipped" if folder is not None and folder == package_files(SHIPPED) else str(folder)
            return parse((folder / f"{name}.toml").read_text("utf-8"), f"{name}.toml ({whose})", reading.mistakes)
    return None


def _uses(document: Document, reading: Reading) -> None:
    """The ``[[use]]`` tables of a file; the same preset twice for one site is a mistake."""
    mistakes = reading.mistakes
    for index, table in enumerate(tables(document, "use", mistakes)):
        where: Where = ("use", index)
        name, given = table.get("preset"), table.get("with", {})
        for key in table:
            if key not in ("preset", "with", "note"):
                cure = suggestion(key, ("preset", "with", "note"))
                mistakes.append(document.source.mistake((*where, key), f"unknown key {key}", cure))
        before = reading.used.get((document.scope, name)) if isinstance(name, str) else None
        if not isinstance(name, str) or not isinstance(given, dict):
            cure = 'as in preset = "alert-gap" and with = { text = ".." }'
            mistakes.append(document.source.mistake(where, "[[use]] names a preset and its options", cure))
        elif before is not None and before.source is not SETTING:
            mistakes.append(document.source.mistake(where, f"preset {name} is used twice", "put the options together"))
        else:
            reading.used[document.scope, name] = Use(document.source, where, given)


def _options(
    preset: Document, user: Source, where: Where, given: Mapping[str, Any], mistakes: list[Problem]
) -> dict[str, Any]:
    """The value of each option of a preset: the user's or the default."""
    known = _declared(preset, mistakes)
    for name in given:
        if name not in known:
            what = f"preset {preset.preset} has no option {name}"
            mistakes.append(user.mistake((*where, "with", name), what, suggestion(name, tuple(known))))
    values: dict[str, Any] = {}
    for name, option in known.items():
        if name not in given and "default" not in option:
            what = f"preset {preset.preset} needs the option {name}"
            mistakes.append(user.mistake((*where, "with"), what, f"it is a {option['type']}"))
        values[name] = given.get(name, option.get("default", _sample(option)))
        if name in given and (wrong := _misfit(values[name], option)):
            mistakes.append(user.mistake((*where, "with", name), wrong))
            values[name] = option.get("default", _sample(option))
    return values


def _sample(option: Mapping[str, Any]) -> Any:
    """A value that an option may have, so that a wrong one is told once and not again where it is used."""
    allowed = option.get("one_of")
    return allowed[0] if isinstance(allowed, list) and allowed else SAMPLES[option["type"]]


def _declared(preset: Document, mistakes: list[Problem]) -> dict[str, dict[str, Any]]:
    """The options that a preset declares, each checked."""
    head = preset.table["preset"]
    for key in head:
        if key not in PRESET_KEYS:
            mistakes.append(preset.source.mistake(("preset", key), f"unknown key {key}", suggestion(key, PRESET_KEYS)))
    declared = head.get("options", {})
    good: dict[str, dict[str, Any]] = {}
    if not isinstance(declared, dict):
        mistakes.append(preset.source.mistake(("preset", "options"), "options is a table", "as in [preset.options]"))
        return good
    for name, option in declared.items():
        where: Where = ("preset", "options", name)
        wrong = "an expression cannot read this name" if not _readable(name) else _undeclared(option)
        if wrong:
            mistakes.append(preset.source.mistake(where, wrong))
        else:
            good[name] = option
    return good


def _readable(name: str) -> bool:
    return name.isidentifier() and not iskeyword(name)


def _undeclared(option: object) -> str:
    if not isinstance(option, dict) or option.get("type") not in OPTION_TYPES:
        return f"an option has a type, one of {', '.join(OPTION_TYPES)}"
    strange = [key for key in option if key not in OPTION_KEYS]
    if strange:
        return f"an option has no {strange[0]}: {suggestion(strange[0], OPTION_KEYS)}"
    return _misfit(option["default"], option) if "default" in option else ""


def _misfit(value: object, option: Mapping[str, Any]) -> str:
    kind = str(option["type"])
    fits = isinstance(value, OPTION_TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
    if not fits or (kind == "duration" and duration(value) is None):
        return f"{value!r} is not of type {kind}" + (" such as 2m30s" if kind == "duration" else "")
    allowed = option.get("one_of")
    if isinstance(allowed, list) and value not in allowed:
        return f"{value!r} is not one of {', '.join(map(str, allowed))}"
    return ""


def _filled(value: Any, options: Mapping[str, Any]) -> Any:
    """A table in which every text that is exactly ``{opt.name}`` has become the option's value."""
    match value:
        case dict():
            return {key: _filled(one, options) for key, one in value.items()}
        case list():
            return [_filled(one, options) for one in value]
        case str() if (named := _OPTION.fullmatch(value)) and named[1] in options:
            return options[named[1]]
    return value
