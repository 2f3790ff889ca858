"""The rooms as a caller of some sites may enter them: the one place where every object is held against its site.

An object belongs to the site of its station. What is elsewhere is not there, rather than forbidden; what belongs to no station (drivers' tokens,
people, keys) is closed to callers of single sites. A room that is not named here is closed to them too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from csms.model.commands import CommandRecord
from csms.model.explanation import Explanation
from csms.model.people import Caller
from csms.model.station import StationRecord
from csms.model.transactions import Transaction
from csms.web.problems import Kind, Refused
from csms.web.rooms import ConnectedStation, PeopleRoom, Rooms
from csms.web.scoped_rows import (
    Bills,
    Messages,
    Numbered,
    OfBill,
    OfNamedStation,
    OfStation,
    Sees,
    Stations,
    Transactions,
    Uploads,
)


def rooms_for(caller: Caller | None, rooms: Rooms) -> Rooms:
    """The rooms that a caller may enter: all of them, unless its sites are named."""
    if caller is None or not caller.sites:
        return rooms

    def sees(station: str) -> bool:
        return rooms.site_of(station) in caller.sites

    closed: Any = Closed()
    store: Any = ScopedStore(rooms.store, sees)
    return replace(
        rooms,
        store=store,
        stations=ScopedProvisioning(rooms, sees),
        commands=ScopedCommands(rooms, sees),
        explain=scoped_explain(rooms, sees),
        switchboard=ScopedSwitchboard(rooms, sees),
        people=OwnPerson(caller, rooms.people),
        audit=closed,
        plugins=closed,
        notifications=closed,
        reload=closed,
    )


def closed_to_sites(what: str) -> Refused:
    """A caller of single sites asks for something that has none."""
    return Refused(Kind.FORBIDDEN, f"{what} belongs to all sites, and this caller to some of them")


class Closed:
    """A room without a door for callers of single sites."""

    def __getattr__(self, name: str) -> Any:
        raise closed_to_sites(name)

    def __call__(self) -> Any:
        raise closed_to_sites("this")


class OwnPerson(Closed):
    """Of people and keys, what a caller may do about itself: change its password, log out."""

    def __init__(self, caller: Caller, people: PeopleRoom) -> None:
        self._caller, self._people = caller, people

    async def change_password(self, caller: Caller, old: str, new: str, address: str) -> bool:
        """As the block's."""
        return await self._people.change_password(self._caller, old, new, address)

    async def revoke(self, key: int) -> bool:
        """As the block's, of the key that the caller shows."""
        if key != self._caller.key:
            raise closed_to_sites("a key")
        return await self._people.revoke(key)


class ScopedStore:
    """The store's readers, each looking at the stations of the caller's sites only."""

    def __init__(self, store: Any, sees: Sees) -> None:
        self.healthy = store.healthy
        self.stations = Stations(store.stations, sees)
        self.availability = OfStation(store.availability, sees)
        self.variables = OfStation(store.variables, sees)
        self.messages = Messages(store.messages, sees)
        self.transactions = Transactions(store.transactions, sees)
        self.bills = Bills(store.bills, sees)
        self.deliveries = OfBill(store.deliveries, self.bills)
        self.commands = Numbered(store.commands, sees)
        self.alerts = Numbered(store.alerts, sees)
        self.uploads = Uploads(store.uploads, sees)
        self.security = OfNamedStation(store.security, sees)
        self.security_events = OfNamedStation(store.security_events, sees)

    def __getattr__(self, name: str) -> Any:
        raise closed_to_sites(name)


def scoped_explain(rooms: Rooms, sees: Sees) -> Callable[[Transaction], Awaitable[Explanation]]:
    """The stories of transactions that the caller may see; the routes have looked them up before, in the store that it may enter."""

    async def explain(transaction: Transaction) -> Explanation:
        if not sees(transaction.station):
            raise Refused(Kind.UNKNOWN_TRANSACTION, f"there is no transaction {transaction.id}")
        return await rooms.explain(transaction)

    return explain


class ScopedProvisioning:
    """Changes of stations."""

    def __init__(self, rooms: Rooms, sees: Sees) -> None:
        self._stations, self._sees = rooms.stations, sees

    async def provision(self, id: str, **facts: Any) -> StationRecord:
        """As the block's; a station of another site is refused with 403."""
        if not self._sees(id):
            raise Refused(Kind.FORBIDDEN, f"{id[:100]} is of no site of this caller")
        return await self._stations.provision(id, **facts)

    async def remove(self, id: str) -> bool:
        """As the block's."""
        return self._sees(id) and await self._stations.remove(id)

    def generate_password(self) -> str:
        """As the block's."""
        return self._stations.generate_password()


class ScopedCommands:
    """Orders to stations; the routes have looked the station up before, in the store that the caller may see."""

    def __init__(self, rooms: Rooms, sees: Sees) -> None:
        self._commands, self._sees = rooms.commands, sees

    async def submit(self, station: str, command: object, *, origin: str) -> CommandRecord:
        """As the block's."""
        return await self._commands.submit(self._seen(station), command, origin=origin)

    async def call(self, station: str, action: str, payload: dict[str, Any], *, origin: str) -> CommandRecord:
        """As the block's."""
        return await self._commands.call(self._seen(station), action, payload, origin=origin)

    async def finished(self, id: int, seconds: float) -> CommandRecord | None:
        """As the block's."""
        record = await self._commands.finished(id, seconds)
        return record if record is not None and self._sees(record.station) else None

    def _seen(self, station: str) -> str:
        if not self._sees(station):
            raise Refused(Kind.UNKNOWN_STATION, f"no station is called {station[:100]}")
        return station


class ScopedSwitchboard:
    """Who is connected."""

    def __init__(self, rooms: Rooms, sees: Sees) -> None:
        self._switchboard, self._sees = rooms.switchboard, sees

    def station(self, id: str) -> ConnectedStation | None:
        """The station, if it is connected and the caller's."""
        return self._switchboard.station(id) if self._sees(id) else None

    @property
    def count(self) -> int:
        """A figure of all sites."""
        raise closed_to_sites("the metrics")
