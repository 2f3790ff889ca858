"""Which station belongs to which site, of the site file at work and of one that is about to be taken over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from csms.model.sites import SiteScope
from csms.settings import Site

MOST_STATIONS = 100_000
"""So many answers to which site a station belongs are remembered."""


class SiteMap:
    """Answers with the sites at work; what plugins are shown is the offered ones while a new set is made of them."""

    def __init__(self, site: Site) -> None:
        self._at_work = scopes_of(site)
        self._offered: tuple[SiteScope, ...] | None = None
        self._remembered: dict[str, SiteScope] = {}

    def use(self, site: Site) -> None:
        """These are the sites now."""
        self._at_work = scopes_of(site)
        self._remembered.clear()

    @contextmanager
    def offering(self, site: Site) -> Iterator[None]:
        """While this lasts plugins are shown the sites of this file."""
        self._offered = scopes_of(site)
        try:
            yield
        finally:
            self._offered = None

    def of(self, station: str) -> SiteScope:
        """The first site whose patterns a station's identity fits, else the server's own."""
        found = self._remembered.get(station)
        if found is None:
            found = _of(self._at_work, station)
            if len(self._remembered) < MOST_STATIONS:
                self._remembered[station] = found
        return found

    def shown(self) -> tuple[SiteScope, ...]:
        """The server's own site, then all others, as plugins see them."""
        return self._at_work if self._offered is None else self._offered

    def shown_of(self, station: str) -> SiteScope:
        """As ``of``, as plugins see it."""
        return self.of(station) if self._offered is None else _of(self._offered, station)


def scopes_of(site: Site) -> tuple[SiteScope, ...]:
    """The server's own site, then all others."""
    own = site.site
    first = SiteScope(own.id, own.name, own.timezone, (), own.tags, site.windows, site.file)
    return (first, *(one.scope for one in site.site_files))


def _of(scopes: tuple[SiteScope, ...], station: str) -> SiteScope:
    own, *others = scopes
    return next((one for one in others if one.has(station)), own)
