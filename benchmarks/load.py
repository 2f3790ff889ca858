"""The load generator: many stations in one process, each with one call outstanding, on a compiled WebSocket client (picows).

    python benchmarks/load.py --url ws://127.0.0.1:9000/ocpp --stations 300 --seconds 4 Heartbeat mix

Prints one JSON object. Knows nothing of the servers but how an answer looks: a CALLRESULT with our message id, or with ``--echo`` our own frame.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import Any

from frames import SCENARIOS, Build, Words, wire_time
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

TICK_S = 0.002
AT_ONCE = 50
"""So many stations connect at the same time."""
ANSWER_S = 30.0
BODY_SHOWN = 200


def cpu_seconds(pid: int) -> float:
    """Processor time that a process and all its threads have used so far, to the nanosecond where Linux tells it (0 elsewhere)."""
    used = 0
    for stat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        used += int(stat.read_text().split()[0])
    return used / 1e9


class Meter:
    """Latencies in seconds while it is open, and what was answered wrongly at any time."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.errors: list[str] = []
        self.open = False
        self.pausing = False

    def figures(self, seconds: float, cpu: float) -> dict[str, float]:
        """Messages per second, latencies in milliseconds, and the server's processor time in microseconds a message."""
        ordered = sorted(self.latencies)
        if not ordered:
            return {"rate": 0.0, "p50_ms": 0.0, "p99_ms": 0.0, "cpu_us": 0.0, "messages": 0}
        number = len(ordered)
        p50, p99 = (ordered[min(int(number * share), number - 1)] * 1000 for share in (0.5, 0.99))
        return {
            "rate": number / seconds,
            "p50_ms": p50,
            "p99_ms": p99,
            "cpu_us": cpu / number * 1e6,
            "messages": number,
        }


class LoadStation(WSListener):  # type: ignore[misc]
    """One station: says the next thing as soon as the last one is answered."""

    def __init__(self, words: Words, meter: Meter, *, kind: bytes) -> None:
        super().__init__()
        self.words = words
        self.lost = False
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
        now = perf_counter()
        meter = self._meter
        if meter.open:
            meter.latencies.append(now - self._sent_at)
        if meter.pausing or self._next is None:
            self._rest()
            return
        self._sent_at = now
        transport.send(WSMsgType.TEXT, self._next()())

    def say(self, data: bytes) -> asyncio.Future[None]:
        """Say one thing; the future is done when it is answered."""
        assert self._transport is not None
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
    """The whole fleet."""

    def __init__(self, url: str, stations: int, *, echo: bool, pid: int = 0) -> None:
        self._url = url
        self._pid = pid
        self._count = stations
        self._echo = echo
        self._meter = Meter()
        self._now = wire_time()
        self._fleet: list[LoadStation] = []

    async def run(self, scenarios: Sequence[str], *, seconds: float, warm_up: float) -> dict[str, Any]:
        """Connect, boot, start a transaction each, then every scenario for so many seconds, its warm-up not counted."""
        ticking = asyncio.create_task(self._tick())
        await self._connect()
        for first in (Words.boot, Words.started):
            for part in range(0, self._count, AT_ONCE):
                said = [station.say(first(station.words)) for station in self._fleet[part : part + AT_ONCE]]
                await asyncio.wait_for(asyncio.gather(*said), ANSWER_S)
        gc.collect()
        gc.disable()
        figures = {name: await self._measure(name, seconds - warm_up, warm_up) for name in scenarios}
        ticking.cancel()
        errors = self._meter.errors
        return {"figures": figures, "errors": len(errors), "first_errors": errors[:5]}

    async def _connect(self) -> None:
        for part in range(0, self._count, AT_ONCE):
            numbers = range(part, min(part + AT_ONCE, self._count))
            self._fleet += await asyncio.gather(*(self._station(number) for number in numbers))

    async def _station(self, number: int) -> LoadStation:
        name = f"BENCH-{number:05}"
        words = Words(name, lambda: self._now)
        _, station = await ws_connect(
            lambda: LoadStation(words, self._meter, kind=b"2" if self._echo else b"3"),
            f"{self._url}/{name}",
            extra_headers={"Sec-WebSocket-Protocol": "ocpp2.0.1"},
            websocket_handshake_timeout=ANSWER_S,
        )
        assert isinstance(station, LoadStation)
        return station

    async def _measure(self, name: str, seconds: float, warm_up: float) -> dict[str, float]:
        meter = self._meter
        meter.pausing, meter.latencies = False, []
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


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("scenarios", nargs="+", choices=SCENARIOS)
    parser.add_argument("--url", required=True, help="where stations connect, without the identity")
    parser.add_argument("--stations", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each scenario, warm-up included")
    parser.add_argument("--warm-up", type=float, default=0.4, help="so many of them are not counted")
    parser.add_argument("--core", type=int, help="run on this processor core only")
    parser.add_argument("--pid", type=int, default=0, help="the server's process, whose time is measured")
    parser.add_argument("--echo", action="store_true", help="the server sends each frame back")
    options = parser.parse_args()
    if options.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {options.core})
    load = Load(options.url, options.stations, echo=options.echo, pid=options.pid)
    print(json.dumps(asyncio.run(load.run(options.scenarios, seconds=options.seconds, warm_up=options.warm_up))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
