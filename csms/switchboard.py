"""Presence: which station is connected here, by which connection, under which fence.

The fence grows with every connection of a station, in the database; a late close of an older socket therefore never removes a newer one. One node
for now; the tables are those of a fleet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from twisted.logger import Logger

from csms.model.station import StationRef
from csms.stations import Station
from csms.store.faults import StoreFault

if TYPE_CHECKING:
    from csms.store import Store

LOG = Logger(namespace="csms")


class Switchboard:
    """The stations connected to this node."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._stations: dict[str, Station] = {}

    async def fence(self, station: str) -> int:
        """Claim a station for a new connection; the number is higher than any before it."""
        return (await self._store.presence.attach(station, self._now())).fence

    def add(self, station: Station) -> Station | None:
        """A connection is open; gives the older connection of the same station that it replaces, if any."""
        older = self._stations.get(station.id)
        if older is not None and older.fence > station.fence:
            return station
        self._stations[station.id] = station
        return older

    async def remove(self, station: Station) -> bool:
        """A connection is closed; says whether the station is offline now (not when a newer connection holds it)."""
        if self._stations.get(station.id) is not station:
            return False
        del self._stations[station.id]
        try:
            await self._store.presence.detach(station.id, station.fence, self._now())
        except StoreFault as fault:
            # It is gone whatever the database says; the row is put right by the next connection, or the next start.
            LOG.warn("{station} is gone, which could not be written down: {why}", station=station.id, why=fault)
        return True

    def station(self, id: str) -> Station | None:
        """The connected station of that identity, or None."""
        return self._stations.get(id)

    def stations(self) -> Sequence[Station]:
        """All connected stations, a snapshot."""
        return list(self._stations.values())

    def ref(self, id: str) -> StationRef | None:
        """Who is connected under this id, for plugins."""
        station = self._stations.get(id)
        return None if station is None else station.ref

    def connected(self) -> Sequence[StationRef]:
        """Who is connected, for plugins and the API."""
        return [station.ref for station in self._stations.values()]

    @property
    def count(self) -> int:
        """How many stations are connected here."""
        return len(self._stations)
