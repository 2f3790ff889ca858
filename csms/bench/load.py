"""The fleet: connects, boots, charges, and then says the same kind of thing again and again, each station as soon as its last call is answered.

The WebSocket client is picows, compiled, so that the load is not the bottleneck; import this module only where it is installed. Knows nothing of
the servers but how an answer looks: a CALLRESULT with our message id, or with ``echo`` our own frame.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from time import perf_counter
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from csms.bench.meter import Meter, cpu_seconds, resident_kib
from csms.bench.words import Build, Words, wire_time

TICK_S = 0.002
ANSWER_S = 60.0
"""A station that waits longer for an answer ends the run."""
COMES, AGAIN_S = 60, 0.5
"""So often a station comes that is cut off at the door, and so long it waits in between."""
SETTLE_S = 1.0
"""How long the fleet is quiet before memory is read."""
BODY_SHOWN = 200
WAITS = re.compile(rb'"status": ?"(Pending|Rejected)"')
"""In the answer to a boot: the station may say nothing yet."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Which stations there are: where they connect, how many, what they are called, and how many of them do the same thing at once."""

    url: str
    stations: int
    prefix: str = "BENCH-"
    password: str = ""
    trust: str = ""
    """A file with the certificate to trust; else those of the system."""
    echo: bool = False
    at_once: int = 50


class NotLetIn(Exception):
    """The server has stations wait; the text says how many, and what helps."""


class LoadStation(WSListener):  # type: ignore[misc]
    """One station: says the next thing as soon as the last one is answered."""

    def __init__(self, words: Words, meter: Meter, *, kind: bytes) -> None:
        super().__init__()
        self.words = words
        self.lost = False
        self.heard = b""
        """The newest answer to a single question."""
        self.idle: asyncio.Future[None] | None = None
        self._meter = meter
        self._answer = b"[" + kind + b',"'
        self._next: Callable[[], Build] | None = None
        self._transport: WSTransport | None = None
        self._sent_at = 0.0

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done."""
        self._transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """No server closes a station here: it counts as an error while something is asked."""
        self.lost = True
        if self.idle is not None and not self.idle.done():
            self._meter.errors.append("a connection was closed")
            self.idle.set_result(None)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """An answer; anything else is an error."""
        if frame.msg_type != WSMsgType.TEXT:
            return
        body = frame.get_payload_as_bytes()
        if not self._answers(body):
            self._unexpected(body)
            return
        if self._next is None:
            self.heard = body
        now = perf_counter()
        meter = self._meter
        if meter.open:
            meter.latencies.append(now - self._sent_at)
        if meter.pausing or self._next is None:
            self._rest()
            return
        self._sent_at = now
        transport.send(WSMsgType.TEXT, self._next()())

    def hang_up(self) -> None:
        """Close the socket without a word, as a power cut does."""
        assert self._transport is not None
        self.idle = None
        self._transport.disconnect(graceful=False)

    def say(self, data: bytes) -> asyncio.Future[None]:
        """Say one thing; the future is done when it is answered. Raises ConnectionResetError where the server has closed the connection."""
        if self._transport is None or self.lost:
            raise ConnectionResetError("the server closed the connection of a station that still had something to say")
        self._next = None
        self.idle = asyncio.get_running_loop().create_future()
        self._sent_at = perf_counter()
        self._transport.send(WSMsgType.TEXT, data)
        return self.idle

    def talk(self, builds: Sequence[Build]) -> asyncio.Future[None]:
        """Say these things for ever; the future is done after the meter pauses and the last one is answered."""
        rest = self.say(builds[0]())
        self._next = cycle(builds).__next__
        return rest

    def _answers(self, body: bytes) -> bool:
        """Whether this answers what was said last; some servers write JSON with blanks."""
        wanted = self._answer + self.words.message_id
        return body.startswith(wanted) or body[: 2 * len(wanted)].replace(b" ", b"").startswith(wanted)

    def _rest(self) -> None:
        if self.idle is not None and not self.idle.done():
            self.idle.set_result(None)

    def _unexpected(self, body: bytes) -> None:
        """A CALL of the server is refused, as a station may; all else is counted and ends this station's talk."""
        if body[:2] == b"[2" and self._answer[1:2] == b"3":
            assert self._transport is not None
            refusal = [4, json.loads(body)[1], "NotSupported", "", {}]
            self._transport.send(WSMsgType.TEXT, json.dumps(refusal).encode())
            return
        self._meter.errors.append(body[:BODY_SHOWN].decode(errors="replace"))
        self._rest()


class Load:
    """The whole fleet at work."""

    def __init__(self, fleet: Fleet, pid: int = 0) -> None:
        self._plan = fleet
        self._pid = pid
        self._meter = Meter()
        self._now = wire_time()
        self._fleet: list[LoadStation] = []
        self._tls = ssl.create_default_context(cafile=fleet.trust or None) if fleet.url.startswith("wss:") else None

    async def run(
        self, scenarios: Sequence[str], *, seconds: float, warm_up: float, storm: bool = False
    ) -> dict[str, Any]:
        """Connect, boot, start a transaction each, then every scenario for so many seconds, its warm-up not counted.

        With ``storm`` all sockets are cut at the end, and all stations connect and boot again at once.
        """
        ticking = asyncio.create_task(self._tick())
        told: dict[str, Any] = {"stations": self._plan.stations}
        before = resident_kib(self._pid)
        told["connecting_s"] = await self._connect(self._plan.at_once)
        told["booting_s"] = await self._all_say(Words.boot, self._plan.at_once)
        told["waiting"] = self._waiting(must_talk=bool(scenarios))
        await asyncio.sleep(SETTLE_S if self._pid else 0)
        told["resident_kib"] = [before, resident_kib(self._pid)]
        if scenarios:
            await self._all_say(Words.started, self._plan.at_once)
        gc.collect()
        gc.disable()
        told["figures"] = {name: await self._measure(name, seconds - warm_up, warm_up) for name in scenarios}
        if storm:
            told["storm"] = await self._storm()
        ticking.cancel()
        errors = self._meter.errors
        return {**told, "errors": len(errors), "first_errors": errors[:5]}

    def _waiting(self, *, must_talk: bool) -> int:
        """How many stations booted and were not accepted; raises NotLetIn where those have something to say."""
        waiting = [one.words.station for one in self._fleet if WAITS.search(one.heard)]
        if waiting and must_talk:
            raise NotLetIn(
                f"{len(waiting)} of {self._plan.stations} stations, such as {waiting[0]}, booted and are not accepted: let unknown stations in "
                '(unknown = "accept" below [stations] in the site file of a test server), approve those that wait, or give another --prefix'
            )
        return len(waiting)

    async def _storm(self) -> dict[str, float]:
        """Everybody is cut off and comes back at once."""
        for station in self._fleet:
            station.hang_up()
        self._fleet.clear()
        began, used = perf_counter(), cpu_seconds(self._pid)
        await self._connect(self._plan.stations)
        connected = perf_counter() - began
        await self._all_say(Words.boot, self._plan.stations)
        took, used = perf_counter() - began, cpu_seconds(self._pid) - used
        return {"connected_s": connected, "booted_s": took, "cpu_s": used, "resident_kib": resident_kib(self._pid)}

    async def _connect(self, at_once: int) -> float:
        """Seconds until all stations are connected."""
        began = perf_counter()
        await _each(range(self._plan.stations), self._join, at_once)
        return perf_counter() - began

    async def _join(self, number: int) -> None:
        """Connect; who is cut off at the door comes again, as stations do."""
        for _ in range(COMES):
            with suppress(ConnectionResetError):
                if (station := await self._station(number)) is not None:
                    self._fleet.append(station)
                    return
            await asyncio.sleep(AGAIN_S)
        raise ConnectionResetError(
            f"the server cut off one station {COMES} times, each time before its handshake was over"
        )

    async def _all_say(self, word: Callable[[Words], bytes], at_once: int) -> float:
        """Seconds until everybody has said it and is answered."""

        async def one(station: LoadStation) -> None:
            await asyncio.wait_for(station.say(word(station.words)), ANSWER_S)

        began = perf_counter()
        await _each(self._fleet, one, at_once)
        return perf_counter() - began

    async def _station(self, number: int) -> LoadStation | None:
        plan, name = self._plan, f"{self._plan.prefix}{number:05}"
        words = Words(name, lambda: self._now)
        headers = {"Sec-WebSocket-Protocol": "ocpp2.0.1"}
        if plan.password:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{name}:{plan.password}".encode()).decode()
        _, station = await ws_connect(
            lambda: LoadStation(words, self._meter, kind=b"2" if plan.echo else b"3"),
            f"{plan.url}/{name}",
            extra_headers=headers,
            ssl_context=self._tls,
            websocket_handshake_timeout=ANSWER_S,
        )
        # None where the connection was lost while its handshake was under way.
        return station if isinstance(station, LoadStation) else None

    async def _measure(self, name: str, seconds: float, warm_up: float) -> dict[str, float]:
        meter = self._meter
        meter.begin()
        rests = [station.talk(station.words.scenario(name, number)) for number, station in enumerate(self._fleet)]
        await asyncio.sleep(warm_up)
        began, used = perf_counter(), cpu_seconds(self._pid)
        meter.open = True
        await asyncio.sleep(seconds)
        meter.open, meter.pausing = False, True
        took, used = perf_counter() - began, cpu_seconds(self._pid) - used
        await asyncio.wait_for(asyncio.gather(*rests), ANSWER_S)
        return meter.figures(took, used)

    async def _tick(self) -> None:
        while True:
            self._now = wire_time()
            await asyncio.sleep(TICK_S)


async def _each(things: Sequence[Any], do: Callable[[Any], Awaitable[None]], at_once: int) -> None:
    """Do something with each, so many at once."""
    waiting = iter(things)

    async def work() -> None:
        for thing in waiting:
            await do(thing)

    await asyncio.gather(*(work() for _ in range(min(at_once, len(things)))))
