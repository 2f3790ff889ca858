"""Take the disk away from a working server in every way there is, and give it back.

    python tests/torture/disk_faults.py --seed 7

A full disk, a failing write, a failing sync, a failing read, and another process that holds the database: while it lasts, events may go unanswered
(stations repeat them) but heartbeats are answered and the server says that it is not ready; afterwards it recovers by itself. At the end the power
plug is pulled (kill -9), and every event that was answered must be there, once. Last, the file is damaged: the server refuses it in plain words, and
goes on from its backup.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from torture_tool import Report, Run, main, percentile

# ruff: noqa: I001 - the tool makes the other folders known
from api_client import Api
from disk_log import READS, SYNCS, WRITES, Shim, no_shim
from good_stations import GoodStation
from kill_stations import KillStation, KillStation16, KillStation201
from kill_verdict import Judge
from server_process import CLEAN_ENDS, ServerProcess, csms_bin

STATIONS, GOOD = 8, 4
LATE_S = 1.0
FAULT_S = {False: 1.5, True: 10.0}
RECOVERED_S = 8.0
HEARTBEAT_S = 1.0


class Outage:
    """One way to take the disk away: ``begin`` and ``end`` do it, ``told`` says whether the server has to call itself not ready."""

    def __init__(self, name: str, begin: Callable[[], object], end: Callable[[], object], *, told: bool = True) -> None:
        self.name = name
        self.begin = begin
        self.end = end
        self.told = told


def outages(shim: Shim, database: Path) -> Iterator[Outage]:
    """Each once."""
    for name, place, number in (
        ("disk full", WRITES, errno.ENOSPC),
        ("failing writes", WRITES, errno.EIO),
        ("failing syncs", SYNCS, errno.EIO),
        ("disk over quota", WRITES, errno.EDQUOT),
        ("read-only disk", WRITES, errno.EROFS),
    ):
        yield Outage(name, lambda p=place, n=number: shim.set(p, n), lambda p=place: shim.set(p, 0))  # type: ignore[misc]
    yield Outage(
        "failing reads", lambda: shim.set(READS, errno.EIO), lambda: shim.set(READS, 0), told=False
    )  # SQLite may not have to read
    holder: list[sqlite3.Connection] = []

    def hold() -> None:
        holder.append(sqlite3.connect(database, isolation_level=None))
        holder[0].execute("BEGIN IMMEDIATE")

    yield Outage("database locked", hold, lambda: holder.pop().close(), told=False)  # a writer waits 5 s for a lock


class Torture:
    """One server, its stations, its outages."""

    def __init__(self, run: Run, report: Report) -> None:
        self.run, self.report = run, report
        self.shim = Shim(run.folder)
        self.server = ServerProcess(run.folder, environment=self.shim.environment)
        self.api = Api(self.server)
        kinds = (KillStation201, KillStation16)
        self.stations: list[KillStation] = [
            kinds[n % 2](f"DISK-{n:02}", run.random(f"station {n}"), patience_s=LATE_S) for n in range(STATIONS)
        ]
        self.good = [GoodStation(self.server.stations_url, f"GOOD-{n}", every_s=0.05) for n in range(GOOD)]

    async def work(self) -> None:
        """All outages, under load; in the long form several rounds in random order."""
        stop = asyncio.Event()
        busy = [asyncio.create_task(self._talk(station, stop)) for station in self.stations]
        busy += [asyncio.create_task(station.live(stop)) for station in self.good]
        await asyncio.sleep(1.0)
        chance = self.run.random("order")
        for _ in range(self.run.size):
            rounds = list(outages(self.shim, self.run.folder / "csms.sqlite"))
            chance.shuffle(rounds)
            for outage in rounds:
                await self._suffer(outage)
        stop.set()
        await asyncio.gather(*busy)

    async def _talk(self, station: KillStation, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await station.talk(self.server.stations_url, finish=False, until=stop)

    async def _suffer(self, outage: Outage) -> None:
        before = [len(station.waits_s) for station in self.good]
        outage.begin()
        unready = 0
        try:
            until = time.monotonic() + FAULT_S[self.run.long]
            while time.monotonic() < until:
                unready += not await asyncio.to_thread(self.server.is_ready)
                await asyncio.sleep(0.1)
        finally:
            outage.end()
        self._heartbeats(outage, before)
        self.report.expect(unready or not outage.told, f"{outage.name}: /readyz never said that the database is unwell")
        await self._recovers(outage)

    def _heartbeats(self, outage: Outage, before: list[int]) -> None:
        waits = [wait for station, n in zip(self.good, before, strict=True) for wait in station.waits_s[n:]]
        self.report.expect(waits, f"{outage.name}: no heartbeat was answered")
        slowest = max(waits, default=0.0)
        self.report.expect(slowest < HEARTBEAT_S, f"{outage.name}: a heartbeat took {slowest:.2f} s")

    async def _recovers(self, outage: Outage) -> None:
        answered = [station.answers for station in self.stations]
        began = time.monotonic()
        while any(station.answers == n for station, n in zip(self.stations, answered, strict=True)):
            if time.monotonic() - began > RECOVERED_S:
                stuck = [s.name for s, n in zip(self.stations, answered, strict=True) if s.answers == n]
                self.report.fault(f"{outage.name}: {RECOVERED_S:g} s later {', '.join(stuck)} got no answer yet")
                return
            await asyncio.sleep(0.05)
        self.report.expect(
            await asyncio.to_thread(self.server.is_ready), f"{outage.name}: over, but /readyz says not ready"
        )
        self.run.say(f"{outage.name}: recovered after {time.monotonic() - began:.2f} s")

    async def finish(self) -> None:
        """Every station ends what it began."""
        async with asyncio.timeout(60):
            await asyncio.gather(*(station.talk(self.server.stations_url, finish=True) for station in self.stations))


def torture(run: Run, report: Report) -> None:
    """Outages, a kill, the reckoning, and a damaged file."""
    work = Torture(run, report)
    server = work.server
    server.start()
    try:
        server.wait_ready()
        work.api.put_token("KILL", "Accepted")
        asyncio.run(work.work())
        server.kill()
        server.start()
        server.wait_ready()
        asyncio.run(work.finish())
        judge = Judge(work.api)
        for station in work.stations:
            judge.finish(station)
            report.faults += station.errors
        report.faults += judge.verdict.faults
        damaged(server, report)
    finally:
        if server.running:
            server.kill()
    report.log_of(server)
    waits = [wait for station in work.good for wait in station.waits_s]
    report.expect(all(station.lost == station.late == 0 for station in work.good), "good stations lost connections")
    report.figures |= {
        "answers": sum(station.answers for station in work.stations),
        "heartbeat p99 ms": round(percentile(waits, 0.99) * 1000, 1),
        "heartbeat worst ms": round(max(waits, default=0.0) * 1000, 1),
    }


def damaged(server: ServerProcess, report: Report) -> None:
    """A damaged file is refused in plain words; the backup takes its place."""
    backup = server.folder / "good.sqlite"
    _csms(report, server, "db", "backup", str(backup), "--site", "site.toml")
    report.expect(server.terminate() in CLEAN_ENDS, "SIGTERM did not end the server cleanly")
    file = server.folder / "csms.sqlite"
    with file.open("r+b") as damage:
        damage.seek(100)
        damage.write(bytes(8000))
    server.start()
    report.expect(server.wait_end() == 1, "a server with a damaged file did not end with status 1")
    report.expect("damaged" in server.log, "the log does not say that the file is damaged")
    _csms(report, server, "db", "restore", str(backup), "--site", "site.toml")
    server.start()
    server.wait_ready()
    report.expect(server.terminate() in CLEAN_ENDS, "SIGTERM did not end the restored server cleanly")


def _csms(report: Report, server: ServerProcess, *words: str) -> None:
    done = subprocess.run([csms_bin() / "csms", *words], cwd=server.folder, capture_output=True, text=True, timeout=60)
    report.expect(done.returncode == 0, f"csms {' '.join(words)}: {done.returncode} {done.stdout}{done.stderr}")


if __name__ == "__main__":
    if why := no_shim():
        raise SystemExit(why)
    with contextlib.suppress(KeyboardInterrupt):
        main("disk_faults", __doc__ or "", "rounds of outages", (1, 20), torture)
