"""The sites of a server: which stations each has, its clock, its windows, and the rules in its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
        """More windows for the server's own site: those of a test."""

    @property
    def all(self) -> Sequence[Scope]:
        """The server's own site first."""
        return tuple(_scope(one) for one in self._csms.sites())

    @property
    def first(self) -> Scope:
        """The server's own site."""
        return self.all[0]

    def of(self, station: str) -> Scope:
        """The site of a station."""
        return _scope(self._csms.site_of(station))

    def covers(self, scope: str, station: str) -> bool:
        """Whether rules of a site are for a station; those of the server itself are for all."""
        return not scope or self.of(station).id == scope

    def window_tables(self, scope: str) -> tuple[Mapping[str, Mapping[str, Any]], ZoneInfo]:
        """The windows of a site by name, the server's own behind them, and its time zone."""
        here = next((one for one in self.all if one.id == scope), self.first)
        return {**self.first.windows, **here.windows, **self.windows}, ZoneInfo(here.timezone)


def _scope(site: Any) -> Scope:
    windows = {name: _table(window) for name, window in site.windows.items()}
    return Scope(site.id, site.name, site.timezone, tuple(site.tags), windows, site.file)


def _table(window: Any) -> Mapping[str, Any]:
    if isinstance(window, Mapping):
        return window
    table = {"from": window.from_, "to": window.to, "days": list(window.days)}
    return {**table, "tz": window.tz} if window.tz else table
