"""Counts what goes wrong at the door, in memory: failed tries by address and identity, and connections that come and go.

Nobody with the right key is ever turned away here, whatever others do under the same address or name: a wrong answer over the limit costs time.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from csms.socket_care import network_of

MOST_KEPT = 10_000
"""Addresses and identities remembered at once; the oldest is forgotten first."""


@dataclass(frozen=True, slots=True)
class TryLimits:
    """Failed tries allowed in ``window_s`` seconds, what one more costs, and connections in that time that are called flapping."""

    window_s: float = 300.0
    per_address: int = 20
    per_identity: int = 10
    penalty_s: float = 4.0
    flaps: int = 10


class Counter:
    """Times of something, by key, within a window; bounded in keys and in times for each."""

    def __init__(self, clock: IReactorTime, window_s: float, most: int) -> None:
        self._clock = clock
        self._window_s = window_s
        self._most = most
        self._times: OrderedDict[str, list[float]] = OrderedDict()

    def note(self, key: str) -> int:
        """Once more; gives how often now, up to one more than the most."""
        times = self._times.setdefault(key, [])
        self._times.move_to_end(key)
        times.append(self._clock.seconds())
        del times[: -self._most - 1]
        if len(self._times) > MOST_KEPT:
            self._times.popitem(last=False)
        return self.count(key)

    def count(self, key: str) -> int:
        """How often within the window."""
        times = self._times.get(key)
        if times is None:
            return 0
        oldest = self._clock.seconds() - self._window_s
        while times and times[0] < oldest:
            del times[0]
        return len(times)

    def forget(self, key: str) -> None:
        """Begin at nothing again."""
        self._times.pop(key, None)


@dataclass(frozen=True, slots=True)
class Failed:
    """What a failed try costs: whether it is over a limit, how long the answer waits, and whether to tell of it."""

    over: bool
    wait_s: float
    tell: bool


class Sentry:
    """Remembers failed tries and flapping stations."""

    def __init__(self, clock: IReactorTime, limits: TryLimits) -> None:
        self._limits = limits
        self._addresses = Counter(clock, limits.window_s, limits.per_address)
        self._identities = Counter(clock, limits.window_s, limits.per_identity)
        self._told = Counter(clock, 60.0, 1)
        self._arrivals = Counter(clock, limits.window_s, limits.flaps)

    def failed(self, address: str, identity: str) -> Failed:
        """A wrong or missing proof; one event a minute is told for each pair, however many tries there are."""
        over = self._addresses.note(address) > self._limits.per_address
        over = self._identities.note(identity) > self._limits.per_identity or over
        tell = self._told.note(f"{address} {identity}") == 1
        return Failed(over, self._limits.penalty_s if over else 0.0, tell)

    def came(self, identity: str) -> bool:
        """A station connected; True where it has come too often, once for each time it begins to."""
        if self._arrivals.note(identity) <= self._limits.flaps:
            return False
        self._arrivals.forget(identity)
        return True


def address_of(peer: str) -> str:
    """The address in Autobahn's words for a peer (``tcp4:192.0.2.1:4711``), IPv6 as its /64 network."""
    kind, _, rest = peer.partition(":")
    host = rest.rpartition(":")[0] or rest
    return network_of(host) if kind == "tcp6" else host or peer
