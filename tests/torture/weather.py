"""A network that misbehaves: a TCP proxy that treats what passes as its weather says, by a seed.

Every piece of data may be delayed, split, sent twice, damaged, swallowed with all that would follow, held up for a while, or be the last before
the connection is reset or half closed. TCP loses nothing in the middle, so what follows a hole never arrives either.

Damage turns the top bit of one byte over: in the ASCII of these messages that is never valid UTF-8, masked or not, so that it cannot make a wrong
message out of a right one. Real networks have checksums; what slips through them is nothing that OCPP could notice.
"""

from __future__ import annotations

import random
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from server_process import HOST
from twisted.internet import endpoints, protocol, reactor
from twisted.internet.interfaces import IDelayedCall

LOOP: Any = reactor
DELAY_S, STALL_S = 0.1, 2.0
SPLIT = 7
"""Bytes in each part of what is split."""
ODDS = {
    "delay": 0.2,
    "split": 0.05,
    "repeat": 0.01,
    "damage": 0.005,
    "stall": 0.01,
    "reset": 0.01,
    "half close": 0.005,
    "swallow": 0.002,
}
"""How likely each fault is for one piece of data."""


@dataclass(slots=True)
class Weather:
    """How likely each fault is now, and how often each came."""

    chance: random.Random
    odds: dict[str, float] = field(default_factory=lambda: dict(ODDS))
    counts: Counter[str] = field(default_factory=Counter)

    def good(self) -> None:
        """From now on nothing happens any more."""
        self.odds.clear()

    def strikes(self, what: str) -> bool:
        """Whether this fault happens now; counted if it does."""
        strikes = self.chance.random() < self.odds.get(what, 0.0)
        self.counts[what] += strikes
        return strikes


class Pipe:
    """One direction of one connection: what comes in goes out, in order, after what the weather does to it. ``cut`` ends the connection."""

    def __init__(self, weather: Weather, cut: Callable[[], None]) -> None:
        self._weather = weather
        self._cut = cut
        self._queue: deque[tuple[float, bytes]] = deque()
        self._moving: IDelayedCall | None = None
        self._target: Any = None
        self._last = ""
        self.swallows = False
        """Nothing comes through any more, and neither side is told."""

    def to(self, target: Any) -> None:
        """Where it all goes; what came before waited."""
        self._target = target
        self._later()

    def put(self, data: bytes) -> None:
        """A piece of data from the other end."""
        weather = self._weather
        if self.swallows or self._last:
            return
        if weather.strikes("swallow"):
            self.swallows = True
            return
        for ending in ("reset", "half close"):
            if weather.strikes(ending):
                self._last = ending
                data = data[: weather.chance.randrange(len(data) + 1)]
                break
        for piece in self._pieces(data):
            self._queue.append((self._wait(), piece))
        self._later()

    def _pieces(self, data: bytes) -> list[bytes]:
        weather = self._weather
        if data and weather.strikes("damage"):
            place = weather.chance.randrange(len(data))
            data = data[:place] + bytes([data[place] ^ 0x80]) + data[place + 1 :]
        if weather.strikes("repeat"):
            data += data
        if weather.strikes("split"):
            return [data[n : n + SPLIT] for n in range(0, len(data), SPLIT)]
        return [data]

    def _wait(self) -> float:
        weather = self._weather
        if weather.strikes("stall"):
            return weather.chance.uniform(0.2, STALL_S)
        return weather.chance.uniform(0.0, DELAY_S) if weather.strikes("delay") else 0.0

    def _later(self) -> None:
        if self._moving is None and self._target is not None and (self._queue or self._last):
            self._moving = LOOP.callLater(self._queue[0][0] if self._queue else 0.0, self._move)

    def _move(self) -> None:
        self._moving = None
        if self._queue:
            self._target.write(self._queue.popleft()[1])
            self._later()
        elif self._last == "reset":
            self._cut()
        else:
            self._target.loseWriteConnection()

    def stop(self) -> None:
        """The connection is over."""
        self._queue.clear()
        self._last, self._target = "", None
        if self._moving is not None:
            self._moving.cancel()
            self._moving = None


class Near(protocol.Protocol):
    """The side of the station; makes the side of the server."""

    def __init__(self, weather: Weather, port: int) -> None:
        self._port = port
        self.up, self.down = Pipe(weather, self.cut), Pipe(weather, self.cut)
        self._far: Any = None
        self._over = False

    def connectionMade(self) -> None:
        """Dial the server."""
        self.down.to(self.transport)
        endpoint = endpoints.HostnameEndpoint(LOOP, HOST, self._port)
        endpoints.connectProtocol(endpoint, Far(self)).addCallbacks(self._made, lambda failure: self.cut())

    def _made(self, far: Any) -> None:
        self._far = far
        if self._over:
            far.transport.abortConnection()
        else:
            self.up.to(far.transport)

    def dataReceived(self, data: bytes) -> None:
        """The station says something."""
        self.up.put(data)

    def cut(self) -> None:
        """End both sides at once."""
        if self._over:
            return
        self._over = True
        self.up.stop()
        self.down.stop()
        for side in (self, self._far):
            if side is not None and side.transport is not None:
                side.transport.abortConnection()

    def connectionLost(self, reason: Any = None) -> None:
        """A connection that swallows is half-open from now on: the server has to find out by itself."""
        if self.up.swallows:
            self.down.stop()
        else:
            self.cut()


class Far(protocol.Protocol):
    """The side of the server."""

    def __init__(self, near: Near) -> None:
        self._near = near

    def dataReceived(self, data: bytes) -> None:
        """The server says something."""
        self._near.down.put(data)

    def connectionLost(self, reason: Any = None) -> None:
        """The server closed it, or a fault did."""
        self._near.cut()


class Proxy:
    """A listening proxy in a thread of its own."""

    def __init__(self, weather: Weather, server_port: int) -> None:
        self.weather = weather
        self._server_port = server_port
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    def start(self) -> None:
        """Listen; returns when it does."""
        self._thread.start()
        assert self._ready.wait(10)

    def _run(self) -> None:
        factory = protocol.Factory()
        factory.noisy = False
        factory.buildProtocol = lambda address: Near(self.weather, self._server_port)  # type: ignore[method-assign]
        self.port = LOOP.listenTCP(0, factory, interface=HOST).getHost().port
        LOOP.callWhenRunning(self._ready.set)
        LOOP.run(installSignalHandlers=False)

    def clear_up(self) -> None:
        """The weather gets good."""
        LOOP.callFromThread(self.weather.good)

    def stop(self) -> None:
        """No more."""
        LOOP.callFromThread(LOOP.stop)
        self._thread.join(10)
