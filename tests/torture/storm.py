"""Everybody back at once: the server ends under load, by SIGTERM and by kill -9, and when it is there again all stations want in at the same moment.

    python tests/torture/storm.py --size 1000 --seed 7
    python tests/torture/storm.py --tls

SIGTERM closes every socket with code 1012. All come from one address, as behind a proxy, and wait their turn at the door: none is cut off, none
waits long, nothing that was answered is lost, and memory stays in bounds.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext

from torture_tool import Report, Run, main

# ruff: noqa: I001 - the tool makes the other folders known
from api_client import Api
from kill_stations import KillStation, KillStation16, KillStation201
from kill_verdict import Judge
from over_tls import Door, made, provision
from server_process import CLEAN_ENDS, ServerProcess

from csms.strain import raise_descriptor_limit

LONGEST = 4
"""Readings of a transaction."""
LOAD_S, PAUSE_S, A_SECOND = 2.0, 1.0, 500
"""How long they talk before the server ends, how long each waits after an answer, and how many messages they say a second at most: thousands of
stations that talk here all the time leave no processor for the handshakes."""
AT_A_TIME = 200
"""So many connect over TLS: of one address the server begins half as many handshakes at once, and as stations these have one processor for all."""
RESTART = 1012
BACK_S = {False: 30.0, True: 120.0}
MOST_MIB = {False: 500, True: 1000}
"""In the clear, and over TLS."""
AGAIN_S = 0.5
"""A station that was cut off comes again after a part of this."""


class Storm:
    """The stations, and the server that ends under them."""

    def __init__(self, run: Run, report: Report, server: ServerProcess, door: Door) -> None:
        self._run, self._report, self._server, self._door = run, report, server, door
        self._chance = run.random("storm")
        self.stations = [one_of_many(number, run.random(f"station {number}")) for number in range(run.size)]
        places = asyncio.Semaphore(AT_A_TIME)
        for station in self.stations:
            station.longest = LONGEST
            station.comes_in = places if run.tls else nullcontext()
            station.pause_s = max(PAUSE_S, run.size / A_SECOND)
        self.judge = Judge(Api(server))

    async def rage(self) -> None:
        """Everybody in, SIGTERM, everybody back, kill -9, everybody back; then every station ends what it began."""
        stop = asyncio.Event()
        coming = [asyncio.create_task(self._come(station, stop)) for station in self.stations]
        await self._all_in("the start")
        await self._end("SIGTERM", self._server.terminate)
        codes = Counter(code for station in self.stations for code in station.closed_with)
        self._report.expect(codes == {RESTART: len(self.stations)}, f"SIGTERM closed the sockets with {dict(codes)}")
        await self._end("kill -9", self._server.kill)
        stop.set()
        await asyncio.gather(*coming)
        async with asyncio.timeout(60 + self._run.size / 10):
            await asyncio.gather(*(self._finish(station) for station in self.stations))

    async def _end(self, name: str, end: Callable[[], object]) -> None:
        """The server ends while they talk; when it is there again, so is everybody."""
        await asyncio.sleep(LOAD_S)
        await asyncio.to_thread(end)
        self._server.start()
        await asyncio.to_thread(self._server.wait_ready)
        await self._all_in(name)

    async def _all_in(self, name: str) -> None:
        """Wait until each station has been answered once more."""
        began, before = time.monotonic(), [station.answers for station in self.stations]
        waiting, took_s = len(before), 0.0
        while waiting and took_s < BACK_S[self._run.long] * (1 + self._run.tls):
            await asyncio.sleep(0.05)
            waiting = sum(one.answers == n for one, n in zip(self.stations, before, strict=True))
            took_s = time.monotonic() - began
        resident = self._server.resident_kib() >> 10
        self._report.expect(not waiting, f"{name}: {waiting} stations were not answered within {took_s:.0f} s")
        self._report.expect(resident <= MOST_MIB[self._run.tls], f"{name}: the server has {resident} MiB")
        self._report.figures[f"all in after {name}, s"] = round(took_s, 1)
        self._run.say(f"{name}: all in after {took_s:.1f} s, {resident} MiB")

    async def _come(self, station: KillStation, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await station.talk(self._door, until=stop)
            await asyncio.sleep(self._chance.uniform(0.0, AGAIN_S))

    async def _finish(self, station: KillStation) -> None:
        while not station.done:
            await station.talk(self._door, finish=True)
            await asyncio.sleep(self._chance.uniform(0.0, AGAIN_S))


def one_of_many(number: int, chance: random.Random) -> KillStation:
    """One of the stations: every second speaks 1.6."""
    return (KillStation201, KillStation16)[number % 2](f"STORM-{number:05}", chance)


def torture(run: Run, report: Report) -> None:
    """The storms, and the reckoning."""
    raise_descriptor_limit()
    server, door = made(run.folder, tls=run.tls)
    server.start()
    storm = Storm(run, report, server, door)
    try:
        server.wait_ready()
        Api(server).put_token("KILL", "Accepted")
        if run.tls:
            provision(Api(server), (station.name for station in storm.stations))
        asyncio.run(storm.rage())
        for station in storm.stations:
            storm.judge.finish(station)
            report.faults += station.errors
        report.faults += storm.judge.verdict.faults
        report.expect(server.terminate() in CLEAN_ENDS, "SIGTERM did not end the server cleanly")
    finally:
        if server.running:
            server.kill()
    report.log_of(server)
    cut_off = sum(int(count) for count in re.findall(r"without a handshake: (\d+) cut off", server.log))
    report.expect(not cut_off, f"{cut_off} connections were cut off for want of a place")
    report.figures |= {
        "answers": sum(station.answers for station in storm.stations),
        "repeats": sum(station.repeats for station in storm.stations),
        "right bills": storm.judge.verdict.bills - storm.judge.verdict.wrong_bills,
    }


if __name__ == "__main__":
    main("storm", __doc__ or "", "stations", (1000, 10_000), torture, tls=True)
