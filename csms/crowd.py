"""Connections that are limited in number: so many have their handshake at once, the others wait their turn with their bytes unread, or are cut off.

A fleet behind one address that comes back at once is let in as fast as it can be served; who fills the door from one address holds up nobody
elsewhere. Knows no socket.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

PATIENCE_S = 30.0
"""How long a connection waits for its handshake to begin before it is cut off."""
LOOK_S = 5.0
TOLD_S = 10.0


@dataclass(frozen=True, slots=True)
class Places:
    """How many there are in all, for one address, and for those who wait; what the log is told of the rest."""

    most: int
    most_of_address: int
    waiting: int = 0
    told: str = "too many connections: {count} cut off, the last from {address}"


class Newcomer(Protocol):
    """A new connection; ``address`` is its host, or its network."""

    address: str

    def begin(self) -> None:
        """Its handshake begins."""

    def wait(self) -> None:
        """It is not read before it begins."""

    def cut_off(self) -> None:
        """It is one too many."""


class Crowd:
    """Who has a handshake under way, and who waits for one: first come, first served, and addresses take turns."""

    log = Logger()

    def __init__(self, places: Places, clock: IReactorTime) -> None:
        self._places = places
        self._clock = clock
        self._by: Counter[str] = Counter()
        self._all = 0
        self._rooms: dict[str, dict[Newcomer, float]] = {}
        """Who waits, and since when, by address; the address at the beginning has the next turn."""
        self._waiting = 0
        self._cut_off = 0
        self._telling: IDelayedCall | None = None
        self._looking: IDelayedCall | None = None

    @property
    def count(self) -> int:
        """How many are in, the waiting not counted."""
        return self._all

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._waiting

    def came(self, one: Newcomer) -> bool:
        """Let a new connection begin, or wait; True says that it has to say when it ``left``. Else it is cut off, and done with."""
        if self._has_place(one.address):
            self._begin(one)
            return True
        if self._waiting >= self._places.waiting:
            self._cut(one)
            return False
        self._rooms.setdefault(one.address, {})[one] = self._clock.seconds()
        self._waiting += 1
        one.wait()
        if self._looking is None:
            self._looking = self._clock.callLater(LOOK_S, self._look)
        return True

    def left(self, one: Newcomer) -> None:
        """One is through, or gone; the next may begin."""
        if one in self._rooms.get(one.address, ()):
            self._take_out(one)
            return
        self._all -= 1
        self._by[one.address] -= 1
        if not self._by[one.address]:
            del self._by[one.address]
        while (following := self._next()) is not None:
            self._take_out(following)
            self._begin(following)

    def _has_place(self, address: str) -> bool:
        return self._all < self._places.most and self._by[address] < self._places.most_of_address

    def _begin(self, one: Newcomer) -> None:
        self._all += 1
        self._by[one.address] += 1
        one.begin()

    def _next(self) -> Newcomer | None:
        """Who may begin now, if anybody: the first of the first address that has a place."""
        address = next((address for address in self._rooms if self._has_place(address)), None)
        return None if address is None else next(iter(self._rooms[address]))

    def _take_out(self, one: Newcomer) -> None:
        """One waits no more; the others of its address stand behind all other addresses."""
        room = self._rooms.pop(one.address)
        del room[one]
        if room:
            self._rooms[one.address] = room
        self._waiting -= 1
        if not self._waiting and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    # Too many, or for too long

    def _look(self) -> None:
        """Cut off who has waited for too long."""
        self._looking = self._clock.callLater(LOOK_S, self._look)
        latest = self._clock.seconds() - PATIENCE_S
        late = [one for room in self._rooms.values() for one, since in room.items() if since <= latest]
        for one in late:
            self._take_out(one)
            self._cut(one)

    def _cut(self, one: Newcomer) -> None:
        self._cut_off += 1
        if self._telling is None:
            self._tell(one.address)
        one.cut_off()

    def _tell(self, address: str) -> None:
        """At once, and then now and then: an attack shall not fill the log."""
        self.log.warn(self._places.told, count=self._cut_off, address=address)
        self._cut_off = 0
        self._telling = self._clock.callLater(TOLD_S, self._told, address)

    def _told(self, address: str) -> None:
        self._telling = None
        if self._cut_off:
            self._tell(address)
