"""Words for the sites of one server: which stations each has, its clock, and its windows of the day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the day, ``from_`` and ``to`` as ``22:00``; over midnight where it ends before it begins. An empty ``tz`` is the site's."""

    from_: str
    to: str
    days: tuple[str, ...] = DAYS
    tz: str = ""


@dataclass(frozen=True, slots=True)
class SiteScope:
    """One site. ``stations`` are patterns of identities; the server's own site has none: it has every station that no other site has."""

    id: str
    name: str = ""
    timezone: str = "UTC"
    stations: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    windows: Mapping[str, Window] = field(default_factory=dict)
    file: Path | None = None

    def has(self, station: str) -> bool:
        """Whether a station is one of this site's by its patterns."""
        return any(fnmatchcase(station, pattern) for pattern in self.stations)
