"""What is different between two site files: which of it can change while the server runs, in words that hide secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from csms.settings import TABLES, Site
from csms.site_problems import key_text, said_at

LIVE = frozenset({"plugins", "stations"})
"""Tables that are taken over while the server runs, beside those of plugins and channels."""
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
            if name in LIVE and (name, one.name) not in AT_START:
                changed.append(_line((name, one.name), was, is_now))
            else:
                waiting.append(_line((name, one.name), was, is_now))
                held[one.name] = was
        if held:
            kept[name] = replace(after, **held)
    for top in ("plugins", "notify"):
        written = (getattr(site, f"{top.removesuffix('s')}_tables") for site in (old, new))
        changed += _between((top,), *written)
    return SiteChanges(tuple(changed), tuple(waiting), replace(new, **kept))


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
