"""A site file in TOML becomes frozen settings; every mistake is told at once, with file, line, key and a cure, and a bad file changes nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from csms.door_settings import Api, Server
from csms.settings import (
    DEFAULT_PLUGINS,
    TABLES,
    Amount,
    ChannelSettings,
    Database,
    Duration,
    Plugins,
    Site,
    SiteInfo,
    Stations,
)
from csms.settings_reader import SettingsReader, meant
from csms.site_files import SiteFile, read_site_file, windows_of
from csms.site_problems import Problem, SiteFileError, key_text
from csms.toml_mistakes import NotToml, parsed
from csms.toml_positions import Positions

__all__ = [
    "Amount",
    "Api",
    "ChannelSettings",
    "Database",
    "Duration",
    "NotToml",
    "Plugins",
    "Positions",
    "Problem",
    "Server",
    "SettingsReader",
    "Site",
    "SiteFileError",
    "SiteInfo",
    "Stations",
    "key_text",
    "load_site",
    "meant",
    "overridden",
    "parsed",
    "read_site",
    "read_toml",
    "without_rules",
]

T = TypeVar("T")
_RULES = ("rules", "rule", "use", "preset")
_MORE = ("notify", "window")
_PLUGIN_KEYS = tuple(one.name for one in fields(Plugins))


def load_site(path: Path | None, *, folder: Path | None = None) -> Site:
    """The site of a file, or the embedded default for None; raises SiteFileError with every mistake.

    Mistakes in plugins' own tables are found when the plugins are loaded (``csms.plugins``).
    """
    site = read_site(path, folder=folder)
    if site.problems:
        raise SiteFileError(site.problems)
    return site


def read_site(path: Path | None, *, folder: Path | None = None) -> Site:
    """As ``load_site``, but mistakes in single tables are left in ``problems``, with defaults in their place.

    So whoever loads the plugins can tell their mistakes together with these. Raises SiteFileError where that would lead nowhere.
    """
    if path is None:
        return Site(folder=folder or Path.cwd())
    text = _text_of(path)
    document = _document(path, text)
    origin: dict[str, Any] = {
        "file": path,
        "folder": folder or path.resolve().parent,
        "plugin_tables": _plugin_tables(document.get("plugins")),
        "text": text,
    }
    reader = SettingsReader(Site(**origin))
    origin["notify_tables"] = _notify_tables(document.pop("notify", {}), reader)
    origin["windows"] = windows_of(document.pop("window", {}), reader)
    read = {name: _table(name, value, reader) for name, value in document.items()}
    info = read.get("site") or SiteInfo()
    origin["site_files"] = _site_files(origin["folder"], info, reader)
    if "plugins" in read and read["plugins"] is None:
        reader.done()
    good = {name: table for name, table in read.items() if table is not None}
    return Site(**good, **origin, problems=tuple(reader.problems))


def overridden(site: Site, overrides: Mapping[str, Mapping[str, Any]]) -> Site:
    """The site with other settings for some plugins, which are enabled."""
    tables = {**site.plugin_tables}
    for name, settings in overrides.items():
        tables[name] = {**tables.get(name, {}), **settings}
    enabled = (*(name for name in overrides if name not in site.plugins.enabled), *site.plugins.enabled)
    return replace(site, plugin_tables=tables, plugins=replace(site.plugins, enabled=enabled), overrides=overrides)


def without_rules(site: Site) -> Site:
    """The site in its safe mode: flow rules are neither read nor run."""
    return overridden(site, {"flow_rules": {"enabled": False}}) if "flow_rules" in site.plugins.enabled else site


def _site_files(folder: Path, own: SiteInfo, reader: SettingsReader) -> tuple[SiteFile, ...]:
    """The other sites, in the order of their files' names; mistakes are noted with their own files."""
    found: list[SiteFile] = []
    try:
        paths = sorted(folder.glob(own.files)) if own.files else []
    except (ValueError, NotImplementedError, OSError) as fault:
        reader.mistake(("site", "files"), f"this is no pattern of files: {fault}", 'such as "sites/*.toml"')
        return ()
    for path in paths:
        try:
            text = _text_of(path)
            document = _document(path, text)
        except SiteFileError as wrong:
            reader.problems += wrong.problems
            continue
        here = SettingsReader(Site(file=path, text=text))
        one = read_site_file(path, text, document, own, here)
        if one.scope.id in {own.id, *(other.scope.id for other in found)}:
            here.mistake(("site", "id"), f"there is a site {one.scope.id} already", "give it another id")
        reader.problems += here.problems
        found.append(one)
    return tuple(found)


def read_toml(path: Path, kind: type[T]) -> T:
    """A TOML file of a plugin's own as a frozen dataclass, as strictly as settings; raises SiteFileError with every mistake and its place."""
    text = _text_of(path)
    reader = SettingsReader(Site(file=path, text=text))
    made = reader.table(kind, _document(path, text), ())
    reader.done()
    assert made is not None
    return made


def _document(path: Path, text: str) -> dict[str, Any]:
    try:
        return parsed(text)
    except NotToml as wrong:
        one = wrong.mistake
        raise SiteFileError([Problem(str(path), one.line, one.column, one.key, one.message, one.cure)]) from None


def _table(name: str, value: object, reader: SettingsReader) -> Any:
    kind = TABLES.get(name)
    if kind is None:
        reader.mistake((name,), *_stranger(name, value))
        return None
    if not isinstance(value, dict):
        return reader.table(kind, value, (name,))
    if name == "plugins":
        value = _without_plugin_tables(value, reader)
    return reader.table(kind, _without_strayed(name, value, reader), (name,))


def _plugin_tables(plugins: object) -> dict[str, dict[str, Any]]:
    if not isinstance(plugins, dict):
        return {}
    return {name: value for name, value in plugins.items() if isinstance(value, dict) and name not in _PLUGIN_KEYS}


def _notify_tables(notify: object, reader: SettingsReader) -> dict[str, dict[str, Any]]:
    """The ``[notify.<name>]`` tables; what is in them is read when the plugins have told their kinds of channel."""
    if not isinstance(notify, dict):
        reader.mistake(("notify",), "each channel is a table of its own", "write [notify.ops]")
        return {}
    found = {}
    for name, table in notify.items():
        if not isinstance(table, dict):
            reader.mistake(("notify", name), "a channel is a table", f"write [notify.{name}] with kind = ...")
        elif not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name, re.ASCII):
            reader.mistake(("notify", name), "a channel's name is letters, digits, - and _", "such as [notify.ops]")
        else:
            found[name] = table
    return found


def _without_plugin_tables(plugins: Mapping[str, Any], reader: SettingsReader) -> dict[str, Any]:
    """The keys of ``[plugins]`` itself; a plugin's settings are one table, not a list of them."""
    kept = {}
    for name, value in plugins.items():
        if name in _PLUGIN_KEYS or not isinstance(value, dict | list):
            kept[name] = value
        elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            reader.mistake(
                ("plugins", name), "a plugin has one table, not a list of them", f"write [plugins.{name}] once"
            )
        elif isinstance(value, list):
            kept[name] = value
    return kept


def _without_strayed(name: str, table: Mapping[str, Any], reader: SettingsReader) -> dict[str, Any]:
    """The table without keys that are known in another table; those are told with their home."""
    kept = dict(table)
    for key in table:
        home = _home(key)
        if home and key not in _keys(TABLES[name]):
            reader.mistake((name, key), f"this key does not belong in [{name}]", f"move it to [{home}]")
            del kept[key]
    return kept


def _stranger(name: str, value: object) -> tuple[str, str]:
    """What is said of a name at the top that is no table of a site file."""
    if name in _RULES:
        return "flow rules stand in files of their own", 'name them in [plugins.flow_rules]: files = ["rules/*.toml"]'
    if name in DEFAULT_PLUGINS:
        return "the settings of a plugin stand under [plugins]", f"write [plugins.{name}]"
    if not isinstance(value, dict | list):
        home = _home(name)
        cure = f"move it to [{home}]" if home else "put it into one of the tables: " + ", ".join(TABLES)
        return "this key stands outside of all tables", cure
    cure = meant(name, [*TABLES, *_MORE, *DEFAULT_PLUGINS], "the tables are: ")
    plugin = next((plugin for plugin in DEFAULT_PLUGINS if cure == f"did you mean {plugin}?"), None)
    if plugin:
        return "this table is not known", f"did you mean [plugins.{plugin}]?"
    return "this table is not known", meant(name, [*TABLES, *_MORE], "the tables are: ")


def _home(key: str) -> str:
    """The one table that has a key; empty if none or several have it."""
    homes = [name for name, kind in TABLES.items() if key in _keys(kind)]
    return homes[0] if len(homes) == 1 else ""


def _keys(kind: Any) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))


def _text_of(path: Path) -> str:
    def trouble(message: str, cure: str, line: int = 1, column: int = 1) -> SiteFileError:
        return SiteFileError([Problem(str(path), line, column, "", message, cure)])

    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise trouble("there is no such file", f"make one with: csms init {path}") from None
    except IsADirectoryError:
        raise trouble("this is a folder", f"name the file in it, such as {path / 'csms.toml'}") from None
    except OSError as fault:
        raise trouble(f"cannot be read: {fault.strerror}", "is the path right, and may this user read it?") from None
    except ValueError:
        raise trouble("this is no name of a file", "name the site file, such as csms.toml") from None
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise trouble("the text is UTF-16, and UTF-8 is wanted", "save the file as UTF-8")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as fault:
        before = raw[: fault.start].rpartition(b"\n")[2].removeprefix(b"\xef\xbb\xbf").decode(errors="replace")
        line = raw.count(b"\n", 0, fault.start) + 1
        raise trouble("this character is not UTF-8", "save the file as UTF-8", line, len(before) + 1) from None
