"""The sites of a server: which stations each has, its clock, its windows, and the rules in its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from csms.api import Csms


@dataclass(frozen=True)
class Scope:
    """One site; the first one is the server's own, with the empty ``rules`` name, whose rules are for all stations."""

    id: str
    name: str
    timezone: str
    tags: tuple[str, ...] = ()
    windows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    file: Path | None = None


class Scopes:
    """The sites as the facade shows them now."""

    def __init__(self, csms: Csms) -> None:
        self._csms = csms
        self.windows: dict[str, Mapping[str, Any]] = {}
        """More windows for the server's own site, and another time zone for it: those of a test; tags of stations too."""
        self.timezone = ""
        self.tags: dict[str, tuple[str, ...]] = {}

    @property
    def all(self) -> Sequence[Scope]:
        """The server's own site first."""
        first, *others = (_scope(one) for one in self._csms.sites())
        return (replace(first, timezone=self.timezone or first.timezone), *others)

    @property
    def first(self) -> Scope:
        """The server's own site."""
        return self.all[0]

    def of(self, station: str) -> Scope:
        """The site of a station."""
        found = _scope(self._csms.site_of(station))
        if self.timezone:
            found = replace(found, timezone=self.timezone)
        return replace(found, tags=self.tags[station]) if station in self.tags else found

    def window_tables(self, scope: str) -> tuple[Mapping[str, Mapping[str, Any]], ZoneInfo]:
        """The windows of a site by name, the server's own behind them, and its time zone."""
        here = next((one for one in self.all if one.id == scope), self.first)
        return {**self.first.windows, **here.windows, **self.windows}, ZoneInfo(here.timezone)


_MADE: dict[int, tuple[Any, Scope]] = {}
"""What was made of the facade's own objects, which live as long as a site file does."""
MOST_MADE = 1000


def _scope(site: Any) -> Scope:
    kept = _MADE.get(id(site))
    if kept is not None and kept[0] is site:
        return kept[1]
    if len(_MADE) >= MOST_MADE:
        _MADE.clear()
    _MADE[id(site)] = site, _made(site)
    return _MADE[id(site)][1]


def _made(site: Any) -> Scope:
    windows = {name: _table(window) for name, window in site.windows.items()}
    return Scope(site.id, site.name, site.timezone, tuple(site.tags), windows, site.file)


def _table(window: Any) -> Mapping[str, Any]:
    if isinstance(window, Mapping):
        return window
    table = {"from": window.from_, "to": window.to, "days": list(window.days)}
    return {**table, "tz": window.tz} if window.tz else table
