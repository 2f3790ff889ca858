"""What rules know of stations beside an event: flags that rules set, tags, active transactions, and whether they are connected now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from csms_plugins.flow.journal import Journal, part
from csms_plugins.flow.matching import Clause
from csms_plugins.flow.news import FlagChanged
from csms_plugins.flow.outbox import Outbox
from csms_plugins.flow.scopes import Scopes
from csms_plugins.flow.views import moment, station_view

from csms.api import Csms, StationRef

MOST_FLAGS = 50


class Stations:
    """Flags by station, and the names ``station``, ``site`` and ``now`` of expressions."""

    def __init__(self, csms: Csms, journal: Journal, scopes: Scopes, outbox: Outbox) -> None:
        self._csms = csms
        self._journal = journal
        self._outbox = outbox
        self.scopes = scopes
        self.flags: dict[str, dict[str, Any]] = {}

    def load(self, kept: Mapping[str, Any]) -> None:
        """Take over the flags that were kept."""
        for key, value in kept.items():
            if (station := part(key, "flag/")) is not None and isinstance(value, dict):
                self.flags[station] = value

    def set_flag(self, station: StationRef, name: str, value: Any, causes: tuple[str, ...], effect: str) -> None:
        """Set a flag (none takes it away), and tell it if it is another one now; the caller commits."""
        flags = self.flags.setdefault(station.id, {})
        previous = flags.get(name)
        if value is None:
            flags.pop(name, None)
        elif name in flags or len(flags) < MOST_FLAGS:
            flags[name] = value
        self._journal.put(f"flag/{station.id}", flags)
        if previous != value:
            about = f"{effect}/{name}" if effect else ""
            self._outbox.tell(FlagChanged(station, self._csms.now(), causes, about, name, value, previous))

    async def complete(self, names: dict[str, Any], *, active: bool) -> None:
        """Put everything about the station, its site and the time into the names of an event."""
        station = names["station"]
        id = station.get("id")
        if id:
            scope = self.scopes.of(id)
            station |= self.flags.get(id, {})
            station["tags"] = list(scope.tags)
            if active and "active_tx" not in station:
                station["active_tx"] = len(await self._csms.read.active_transactions(station=id))
        else:
            scope = self.scopes.first
        names["site"] = {"id": scope.id, "name": scope.name, "timezone": scope.timezone, "tags": list(scope.tags)}
        names["now"] = moment(self._csms.now(), ZoneInfo(scope.timezone))

    def moment(self, at: datetime, station: str) -> dict[str, Any]:
        """The name ``now`` for another time, in the time zone of a station's site."""
        return moment(at, ZoneInfo(self.scopes.of(station).timezone))

    async def fresh(self, names: Mapping[str, Any], *, active: bool) -> dict[str, Any]:
        """The names of an event that happened before, with the station as it is now."""
        station = dict(names["station"])
        id = station.get("id")
        if id:
            found = self.connected(id)
            station = {**station, **(station_view(found) if found else {"connected": False})}
            station.pop("active_tx", None)
        again = {**names, "station": station}
        await self.complete(again, active=active)
        return again

    def connected(self, id: str) -> StationRef | None:
        """The station if it is connected now."""
        return self._csms.station(id)

    async def matching(self, clauses: Iterable[Clause]) -> list[StationRef]:
        """The approved stations that a filter fits."""
        connected = {one.id: one for one in self._csms.connected()}
        found = []
        for record in await self._csms.read.stations():
            if record.admission != "approved":
                continue
            ref = connected.get(record.id)
            if ref is None:
                ref = StationRef(record.id, record.protocol, record.vendor, record.model, record.firmware)
            shown = {**station_view(ref), **self.flags.get(ref.id, {}), "tags": list(self.scopes.of(ref.id).tags)}
            if all(clause.holds("station", {"station": shown}) for clause in clauses):
                found.append(ref)
        return found
