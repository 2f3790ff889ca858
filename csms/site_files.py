"""Sites beside the server's own: ``sites/<id>.toml``, each a part of the server's file that holds for some stations.

A table in it is laid over the server's, key by key. ``[[use]]`` and ``[[rule]]`` are left to flow rules, which read them themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from csms.model.sites import DAYS, SiteScope, Window
from csms.setting_types import Names, TimeZone, Unfit, time_zone
from csms.settings import SiteInfo
from csms.settings_reader import SettingsReader, meant
from csms.site_problems import said

TOP = ("site", "plugins", "notify", "window", "use", "rule")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00", re.ASCII)
_KEYS = ("from", "to", "days", "tz")


@dataclass(frozen=True)
class LocalSite:
    """``[site]`` of a file in ``sites/``: its identity is the file's name, its clock the server's, unless it says otherwise."""

    stations: tuple[str, ...]
    id: str = ""
    name: str = ""
    timezone: TimeZone | None = None
    tags: Names = ()

    def __post_init__(self) -> None:
        if not self.stations or not all(self.stations):
            raise ValueError("stations are patterns of identities, at least one, such as DEPOT-*")
        if self.id and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", self.id, re.ASCII):
            raise ValueError("id is letters, digits, - and _")


@dataclass(frozen=True)
class SiteFile:
    """One file of ``sites/``: the site, and what is different there; ``enabled`` None: the server's plugins."""

    scope: SiteScope
    plugin_tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    notify_tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    enabled: tuple[str, ...] | None = None
    text: str = field(default="", repr=False)


def read_site_file(
    path: Path, text: str, document: Mapping[str, Any], own: SiteInfo, reader: SettingsReader
) -> SiteFile:
    """The site of one file; mistakes are noted with its reader."""
    for name in document:
        if name not in TOP:
            cure = meant(name, TOP, "the tables of a site are: ")
            reader.mistake((name,), "this table is not one of a single site", cure)
    info = reader.table(LocalSite, document.get("site", {}), ("site",))
    plugins = _tables(document.get("plugins", {}), ("plugins",), reader, but=("enabled",))
    scope = SiteScope(
        (info.id if info else "") or path.stem,
        info.name if info else "",
        (info.timezone if info else None) or own.timezone,
        info.stations if info else (),
        info.tags if info else (),
        windows_of(document.get("window", {}), reader),
        path,
    )
    notify = _tables(document.get("notify", {}), ("notify",), reader)
    return SiteFile(scope, plugins, notify, _enabled(document.get("plugins"), reader), text)


def _tables(value: object, path: tuple[str, ...], reader: SettingsReader, but: Sequence[str] = ()) -> dict[str, Any]:
    if not isinstance(value, dict):
        reader.mistake(path, "tables are wanted here", f"write [{path[0]}.<name>]")
        return {}
    found = {}
    for name, table in value.items():
        if name in but:
            continue
        if isinstance(table, dict):
            found[name] = table
        else:
            reader.mistake((*path, name), f"a table is wanted, not {said(table)}", f"write [{path[0]}.{name}]")
    return found


def _enabled(plugins: object, reader: SettingsReader) -> tuple[str, ...] | None:
    wanted = plugins.get("enabled") if isinstance(plugins, dict) else None
    if wanted is None:
        return None
    if not isinstance(wanted, list) or not all(isinstance(one, str) for one in wanted):
        reader.mistake(("plugins", "enabled"), "a list of plugins is wanted", 'such as ["rfid_list", "billing"]')
        return None
    return tuple(wanted)


def windows_of(value: object, reader: SettingsReader) -> dict[str, Window]:
    """The ``[window.<name>]`` tables."""
    tables = _tables(value, ("window",), reader)
    return {name: made for name, table in tables.items() if (made := _window(name, table, reader)) is not None}


def _window(name: str, table: Mapping[str, Any], reader: SettingsReader) -> Window | None:
    before = len(reader.problems)
    for key in table:
        if key not in _KEYS:
            reader.mistake(("window", name, key), "this key is not known", meant(key, _KEYS, "the keys here are: "))
    for key in ("from", "to"):
        if key not in table:
            reader.mistake(("window", name), f"a window has {key}", f'add {key} = "22:00"')
        elif not isinstance(table[key], str) or not _TIME.fullmatch(table[key]):
            reader.mistake(("window", name, key), f"a time of day is wanted, not {said(table[key])}", 'such as "22:00"')
    days = table.get("days", list(DAYS))
    if not isinstance(days, list) or not days or any(day not in DAYS for day in days):
        reader.mistake(("window", name, "days"), "days are a list", f"of: {', '.join(DAYS)}")
    zone = table.get("tz", "")
    try:
        zone = time_zone(zone) if zone else ""
    except Unfit as unfit:
        reader.mistake(("window", name, "tz"), f"{unfit}, not {said(zone)}", unfit.cure)
    if len(reader.problems) > before:
        return None
    return Window(table["from"], table["to"], tuple(days), zone)


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One table laid over another, key by key; what is no table replaces what is below it."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = over(under, value) if isinstance(value, Mapping) and isinstance(under, Mapping) else value
    return merged
