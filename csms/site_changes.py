"""What is different between two site files: which of it can change while the server runs, in words that hide secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from csms.model.sites import Window
from csms.settings import TABLES, Site
from csms.site_files import SiteFile
from csms.site_problems import key_text, said_at

LIVE = frozenset({"plugins", "stations"})
"""Tables that are taken over while the server runs, beside those of plugins and channels."""
SITE_LIVE = frozenset({"name", "tags", "files"})
"""Keys of ``[site]`` that are."""
AT_START = frozenset({("stations", "protocols")})
"""Keys of live tables that are read at the start alone."""


@dataclass(frozen=True, slots=True)
class SiteChanges:
    """What is different, a line each; ``live`` is the new site as far as it can be taken over."""

    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]
    live: Site


def changes(old: Site, new: Site) -> SiteChanges:
    """Compare two sites."""
    changed: list[str] = []
    waiting: list[str] = []
    kept: dict[str, Any] = {}
    for name in TABLES:
        before, after = getattr(old, name), getattr(new, name)
        held = {}
        for one in fields(before):
            was, is_now = getattr(before, one.name), getattr(after, one.name)
            if was == is_now:
                continue
            live = one.name in SITE_LIVE if name == "site" else name in LIVE and (name, one.name) not in AT_START
            if live:
                changed.append(_line((name, one.name), was, is_now))
            else:
                waiting.append(_line((name, one.name), was, is_now))
                held[one.name] = was
        if held:
            kept[name] = replace(after, **held)
    for top in ("plugins", "notify"):
        written = (getattr(site, f"{top.removesuffix('s')}_tables") for site in (old, new))
        changed += _between((top,), *written)
    changed += _windows((), old.windows, new.windows)
    changed += _other_sites(old, new)
    return SiteChanges(tuple(changed), tuple(waiting), replace(new, **kept))


def _windows(path: tuple[str, ...], old: Mapping[str, Window], new: Mapping[str, Window]) -> Iterator[str]:
    plain = ({name: asdict(window) for name, window in windows.items()} for windows in (old, new))
    yield from _between((*path, "window"), *plain)


def _other_sites(old: Site, new: Site) -> Iterator[str]:
    """What is different in the files of ``sites/``."""
    before = {one.scope.id: one for one in old.site_files}
    after = {one.scope.id: one for one in new.site_files}
    for id in dict.fromkeys([*before, *after]):
        if id not in after:
            yield f"site {id}: taken out"
        elif id not in before:
            yield f"site {id}: new"
        elif before[id] != after[id]:
            yield from _between_sites(id, before[id], after[id])


def _between_sites(id: str, old: SiteFile, new: SiteFile) -> Iterator[str]:
    told = False
    for line in (
        *_windows((id,), old.scope.windows, new.scope.windows),
        *_between((id, "plugins"), old.plugin_tables, new.plugin_tables),
        *_between((id, "notify"), old.notify_tables, new.notify_tables),
    ):
        told = True
        yield line
    for name in ("name", "timezone", "stations", "tags"):
        was, is_now = getattr(old.scope, name), getattr(new.scope, name)
        if was != is_now:
            told = True
            yield _line((id, "site", name), was, is_now)
    if not told:
        yield f"site {id}: its file has changed"


def _between(path: tuple[str, ...], old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """The keys that differ, table by table."""
    for key in dict.fromkeys([*old, *new]):
        here = (*path, key)
        if key not in new:
            yield f"{key_text(here)}: taken out"
        elif key not in old:
            yield f"{key_text(here)}: {_said(here, new[key])}, new"
        elif isinstance(old[key], Mapping) and isinstance(new[key], Mapping):
            yield from _between(here, old[key], new[key])
        elif old[key] != new[key]:
            yield _line(here, old[key], new[key])


def _line(path: tuple[str, ...], old: object, new: object) -> str:
    was, is_now = _said(path, old), _said(path, new)
    return f"{key_text(path)}: changed" if was == is_now else f"{key_text(path)}: {was} -> {is_now}"


def _said(path: tuple[str, ...], value: object) -> str:
    if isinstance(value, list | tuple) and len(value) <= 12 and all(isinstance(one, str) for one in value):
        return "[" + ", ".join(said_at(path[-1], one) for one in value) + "]"
    return said_at(path[-1], value)
