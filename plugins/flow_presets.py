"""Which rules a site has: those of its files and those of the presets it uses, with their options put in.

A preset is shipped in the package or lies among the site's files; the site's own wins. It does nothing until it is named in ``presets`` or by
``[[use]]``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from keyword import iskeyword
from pathlib import Path
from typing import Any

from csms_plugins.flow_files import (
    Document,
    Mistake,
    Source,
    Where,
    document_of,
    duration,
    found,
    parse,
    suggestion,
    tables,
)

OPTION_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "duration": (str,),
    "list": (list,),
}
PRESET_KEYS = ("name", "note", "options")
OPTION_KEYS = ("type", "default", "one_of", "note")
SETTING = Source("[plugins.flow_rules]", {})
_OPTION = re.compile(r"\{\s*opt\.([A-Za-z_][A-Za-z0-9_]*)\s*\}")
Used = dict[str, tuple[Source, Where, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class RawRule:
    """One ``[[rule]]`` with its options put in; ``position`` orders rules of equal ``order``."""

    source: Source
    where: Where
    table: Mapping[str, Any]
    options: Mapping[str, Any]
    position: int


@dataclass(slots=True)
class Reading:
    """All files of one load, and the mistakes found so far."""

    mistakes: list[Mistake] = field(default_factory=list)
    rules: list[RawRule] = field(default_factory=list)

    def add(self, document: Document, options: Mapping[str, Any]) -> None:
        """Take over the rules of a file."""
        for index, table in enumerate(tables(document, "rule", self.mistakes)):
            where: Where = ("rule", index)
            filled = _filled(table, options)
            self.rules.append(RawRule(document.source, where, filled, options, len(self.rules)))


def read_rules(folder: Path, patterns: Sequence[str], presets: Sequence[str]) -> Reading:
    """The rules of all files and of the presets in use; mistakes are collected, not raised."""
    reading = Reading()
    documents = [one for path in found(folder, patterns) if (one := document_of(path, folder, reading.mistakes))]
    gather(reading, documents, presets)
    return reading


def gather(reading: Reading, documents: Sequence[Document], presets: Sequence[str]) -> None:
    """Take over what lies in the files and what they use."""
    own: dict[str, Document] = {}
    used: Used = {name: (SETTING, ("presets",), {}) for name in presets}
    for document in documents:
        if "preset" not in document.table:
            reading.add(document, {})
        elif not document.preset or document.preset in own:
            what = f"preset {document.preset} is there already" if document.preset else "[preset] has a name"
            reading.mistakes.append(document.source.mistake(("preset",), what, 'as in name = "quiet-hours"'))
        else:
            own[document.preset] = document
        _uses(document, used, reading.mistakes)
    for name, (user, where, given) in used.items():
        preset = own.get(name) or _shipped(name, reading.mistakes)
        if preset is None:
            known = sorted({*own, *shipped_names()})
            reading.mistakes.append(user.mistake(where, f"no preset is called {name}", suggestion(name, known)))
        else:
            reading.add(preset, _options(preset, user, where, given, reading.mistakes))


def shipped_names() -> tuple[str, ...]:
    """The presets in the package."""
    entries = package_files("csms_rules").iterdir()
    names = (one.name for one in entries if one.name.endswith(".toml") and one.name != "site.toml")
    return tuple(sorted(name.removesuffix(".toml") for name in names))


def _shipped(name: str, mistakes: list[Mistake]) -> Document | None:
    if name not in shipped_names():
        return None
    text = (package_files("csms_rules") / f"{name}.toml").read_text("utf-8")
    return parse(text, f"{name}.toml (shipped)", mistakes)


def _uses(document: Document, used: Used, mistakes: list[Mistake]) -> None:
    """The ``[[use]]`` tables of a file; the same preset twice is a mistake."""
    for index, table in enumerate(tables(document, "use", mistakes)):
        where: Where = ("use", index)
        name, given = table.get("preset"), table.get("with", {})
        for key in table:
            if key not in ("preset", "with", "note"):
                cure = suggestion(key, ("preset", "with", "note"))
                mistakes.append(document.source.mistake((*where, key), f"unknown key {key}", cure))
        if not isinstance(name, str) or not isinstance(given, dict):
            cure = 'as in preset = "alert-gap" and with = { text = ".." }'
            mistakes.append(document.source.mistake(where, "[[use]] names a preset and its options", cure))
        elif name in used and used[name][0] is not SETTING:
            mistakes.append(document.source.mistake(where, f"preset {name} is used twice", "put the options together"))
        else:
            used[name] = (document.source, where, given)


def _options(
    preset: Document, user: Source, where: Where, given: Mapping[str, Any], mistakes: list[Mistake]
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
            continue
        values[name] = given.get(name, option.get("default"))
        if name in given and (wrong := _misfit(values[name], option)):
            mistakes.append(user.mistake((*where, "with", name), wrong))
    return values


def _declared(preset: Document, mistakes: list[Mistake]) -> dict[str, dict[str, Any]]:
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
