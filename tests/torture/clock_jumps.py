"""The wall clock jumps forth and back under load, by hours, days, and more than a year: nobody notices but who asks for the time.

    python tests/torture/clock_jumps.py --seed 7

A small C library, preloaded into the server (``clock_shim.c``), moves its wall clock alone, as an NTP server or a person would. Heartbeats are
answered at their pace and with the new time, commands to a station that does not answer end when they should, events count by their station's own
time, what was planned while the clock was ahead is done when it is right again, and no number of a bill is missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from datetime import datetime
from typing import Any

from torture_tool import Report, Run, main

# ruff: noqa: I001 - the tool makes the other folders known
from api_client import Api
from disk_log import compiled, no_shim
from good_stations import GoodStation
from kill_books import with_backend
from kill_stations import KillStation, KillStation16, KillStation201
from kill_verdict import Judge
from raw_socket import RawSocket
from server_process import CLEAN_ENDS, ServerProcess

HOUR, DAY = 3600, 86400
JUMPS = (HOUR, -HOUR, DAY, -2 * DAY, 400 * DAY, -400 * DAY)
STAY_S = {False: 1.0, True: 20.0}
CALL_S, LATE_S, HEARTBEAT_S = 0.5, 2.0, 1.0
SITE = '\n[transactions]\nask_after = "1s"\nask_again = "1s"\nask_tries = 2\n'
BOOT = {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}}


class Watch:
    """A station that asks for the time, and never answers a command."""

    def __init__(self, server: ServerProcess, api: Api, report: Report) -> None:
        self._server, self._api, self._report = server, api, report
        self._socket: Any = None
        self._number = 0

    async def begin(self) -> None:
        """Connect and boot."""
        self._socket = await RawSocket.upgrade(self._server.port, "/ocpp/WATCH")
        await self._call("BootNotification", BOOT)

    async def look(self, off_s: int) -> None:
        """The time is right, and a command times out when it should."""
        told = datetime.fromisoformat((await self._call("Heartbeat", {}))["currentTime"])
        wrong_s = abs(told.timestamp() - time.time() - off_s)
        self._report.expect(wrong_s < LATE_S, f"the clock is off by {off_s} s: a heartbeat was answered with {told}")
        began = time.monotonic()
        path = await asyncio.to_thread(self._api.command, "WATCH", "ClearCache", {})
        row = await asyncio.to_thread(self._api.until, path, lambda row: row["state"] not in ("queued", "sent"))
        took_s = time.monotonic() - began
        self._report.expect(row["state"] == "timed_out" and took_s < CALL_S + LATE_S, f"after {took_s:.1f} s: {row}")

    async def _call(self, action: str, payload: dict[str, Any]) -> Any:
        self._number += 1
        await self._socket.say([2, str(self._number), action, payload])
        while (frame := await self._socket.hear())[1] != str(self._number):
            pass
        return frame[2]


class Jumps:
    """The server, its clock, and its stations."""

    def __init__(self, run: Run, report: Report) -> None:
        self._run, self._report = run, report
        self._control = run.folder / "clock.control"
        self.set(0)
        library = compiled("clock_shim.c", run.folder)
        environment = {"LD_PRELOAD": str(library), "CLOCK_SHIM_CONTROL": str(self._control)}
        self.server = ServerProcess(run.folder, environment=environment, more=SITE)
        with_backend(self.server.site_file)
        text = self.server.site_file.read_text()
        self.server.site_file.write_text(text.replace("\n[api]", f'call_timeout = "{CALL_S}s"\n\n[api]'))
        self.api = Api(self.server)
        self.watch = Watch(self.server, self.api, report)
        kinds = (KillStation201, KillStation16)
        self.stations: list[KillStation] = [kinds[n % 2](f"CLOCK-{n}", run.random(f"station {n}")) for n in range(6)]
        for station in self.stations:
            station.pause_s = 0.02
        self.good = [GoodStation(self.server.stations_url, f"GOOD-{n}", every_s=0.05) for n in range(4)]

    def set(self, off_s: int) -> None:
        """The wall clock is off by so many seconds from now on."""
        with open(self._control, "r+b" if self._control.exists() else "wb") as file:
            file.write(struct.pack("=q", off_s * 10**9))

    async def work(self) -> None:
        """Jumps under load, and back to the right time."""
        stop = asyncio.Event()
        busy = [asyncio.create_task(self._talk(station, stop)) for station in self.stations]
        busy += [asyncio.create_task(station.live(stop)) for station in self.good]
        await self.watch.begin()
        chance = self._run.random("jumps")
        for _ in range(self._run.size):
            for off_s in chance.sample(JUMPS, len(JUMPS)):
                self.set(off_s)
                await self.watch.look(off_s)
                await asyncio.sleep(STAY_S[self._run.long])
        self.set(0)
        await self.watch.look(0)
        stop.set()
        await asyncio.gather(*busy)
        for station in self.stations:
            await station.talk(self.server.stations_url, finish=True)

    async def _talk(self, station: KillStation, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await station.talk(self.server.stations_url, until=stop)


def torture(run: Run, report: Report) -> None:
    """Jumps, and the reckoning."""
    jumps = Jumps(run, report)
    server = jumps.server
    server.start()
    try:
        server.wait_ready()
        jumps.api.put_token("KILL", "Accepted")
        asyncio.run(jumps.work())
        judge = Judge(jumps.api)
        for station in jumps.stations:
            judge.finish(station)
            report.faults += station.errors
        judge.books(run.folder)
        report.faults += judge.verdict.faults
        report.expect(server.terminate() in CLEAN_ENDS, "SIGTERM did not end the server cleanly")
    finally:
        if server.running:
            server.kill()
    report.log_of(server)
    waits = [wait for station in jumps.good for wait in station.waits_s]
    report.expect(max(waits, default=99.0) < HEARTBEAT_S, f"a heartbeat took {max(waits, default=99.0):.2f} s")
    report.expect(all(station.lost == station.late == 0 for station in jumps.good), "good stations lost connections")
    report.figures |= {
        "heartbeats": len(waits),
        "answers": sum(station.answers for station in jumps.stations),
        "right bills, delivered": judge.verdict.bills - judge.verdict.wrong_bills,
    }


if __name__ == "__main__":
    if why := no_shim():
        raise SystemExit(why)
    with contextlib.suppress(KeyboardInterrupt):
        main("clock_jumps", __doc__ or "", "rounds of jumps", (1, 20), torture)
