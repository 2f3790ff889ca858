"""Hostile and broken clients among good stations: nobody but themselves suffers.

    python tests/torture/hostile.py --seed 7
    python tests/torture/hostile.py --tls

For so many seconds there are sockets that say nothing or drip, floods, peers that never read, wrong passwords, stolen identities, garbage, deflate
bombs, stations that never answer commands or lie (``attackers.py``). Meanwhile good stations beat and charge, the one whose password is guessed at
comes and goes, and commands find their end. Afterwards the server's memory and descriptors are those of before.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

from torture_tool import Report, Run, main, percentile

# ruff: noqa: I001 - the tool makes the other folders known
from api_client import Api
from attackers import KINDS, VALID, Attack, again_and_again
from good_stations import GoodStation
from kill_stations import KillStation, KillStation16, KillStation201
from kill_verdict import Judge
from over_tls import PASSWORD, Door, authorization, made, provision
from raw_socket import RawSocket
from server_process import CLEAN_ENDS, ServerProcess

GOOD, CHARGING = 20, 4
LOCKED = "LOCKED"
SITE = 'call_timeout = "1s"\nhandshake_timeout = "2s"\n'
ENDS = {"MUTE": {"timed_out"}, "LIAR": {"accepted", "effective", "rejected", "timed_out"}}
"""How a command to such a station may end. A connection that an attack replaced makes it uncertain, and one that is not there fails it."""
MORE_MIB, MORE_DESCRIPTORS = 64, 20
LEAVE_S, QUIET_S = 0.5, 10.0


class Siege:
    """The server, the good and the bad."""

    def __init__(self, run: Run, report: Report, server: ServerProcess, door: Door) -> None:
        self._run, self._report, self._server, self._door = run, report, server, door
        self._api = Api(server)
        self.good = [GoodStation(door, f"GOOD-{n}", every_s=0.1) for n in range(GOOD)]
        kinds = (KillStation201, KillStation16)
        self.charging: list[KillStation] = [
            kinds[n % 2](f"CHARGE-{n}", run.random(f"station {n}")) for n in range(CHARGING)
        ]
        for station in self.charging:
            station.pause_s = 0.1
        self.attack = Attack(door, "GOOD-0", LOCKED, run.random("attack"))
        self.entered = 0
        self.commands: Counter[str] = Counter()

    @property
    def names(self) -> list[str]:
        """Everybody who comes in, good and bad."""
        return [*(one.name for one in self.good), *(one.name for one in self.charging), *VALID]

    async def hold(self) -> None:
        """All at once for so many seconds; then the bad leave, and all is as before."""
        stop = asyncio.Event()
        busy = [asyncio.create_task(station.live(stop)) for station in self.good]
        busy += [asyncio.create_task(station.talk(self._door, until=stop)) for station in self.charging]
        await asyncio.sleep(0.5)
        before = self._measured()
        bad = [asyncio.create_task(again_and_again(kind, self.attack)) for kind, many in KINDS for _ in range(many)]
        orders = [asyncio.create_task(self._order(name, ends)) for name, ends in ENDS.items()]
        await self._come_and_go()
        self.attack.over.set()
        await asyncio.wait(bad, timeout=LEAVE_S)
        for one in bad:
            one.cancel()
        await asyncio.gather(*bad, return_exceptions=True)
        await asyncio.gather(*orders)
        stop.set()
        await asyncio.gather(*busy)
        await self._is_as_before(*before)
        for station in self.charging:
            await station.talk(self._door, finish=True)

    async def _come_and_go(self) -> None:
        until = time.monotonic() + self._run.size
        while time.monotonic() < until:
            socket = await RawSocket.upgrade(
                self._door.port,
                f"/ocpp/{LOCKED}",
                headers=authorization(LOCKED, PASSWORD),
                context=self._door.context,
            )
            self._report.expect(socket.status == 101, f"{LOCKED} with its password was answered {socket.status}")
            self.entered += socket.status == 101
            socket.close()
            await asyncio.sleep(0.3)

    async def _order(self, name: str, ends: set[str]) -> None:
        """Commands to one of the bad, one after the other: each ends, and as it should."""
        while not self.attack.over.is_set():
            row = await asyncio.to_thread(self._command, name)
            if row is not None:
                self.commands[f"{name} {row['state']}"] += 1
                fits = ends | {"uncertain", "failed"}
                self._report.expect(row["state"] in fits, f"a command to {name} ended as {row}")
            await self.attack.rest(0.1)

    def _command(self, name: str) -> Any:
        path = f"/api/v1/stations/{name}/commands"
        answer = self._api.request("POST", path, {"command": "ClearCache", "with": {}})
        if answer.status != 202:
            return None
        return self._api.until(answer.headers["location"], lambda row: row["state"] not in ("queued", "sent"))

    def _measured(self) -> tuple[int, int]:
        return self._server.resident_kib() >> 10, len(os.listdir(Path("/proc") / str(self._server.pid) / "fd"))

    async def _is_as_before(self, mib: int, descriptors: int) -> None:
        until = time.monotonic() + QUIET_S
        while (now := self._measured())[1] > descriptors + MORE_DESCRIPTORS and time.monotonic() < until:
            await asyncio.sleep(0.2)
        self._report.expect(now[0] <= mib + MORE_MIB, f"memory grew from {mib} to {now[0]} MiB")
        self._report.expect(
            now[1] <= descriptors + MORE_DESCRIPTORS, f"descriptors: {descriptors} before, {now[1]} after"
        )
        self._report.figures["MiB before and after"] = f"{mib} {now[0]}"


def torture(run: Run, report: Report) -> None:
    """The siege, and the reckoning."""
    server, door = made(run.folder, tls=run.tls, more=SITE)
    server.start()
    siege = Siege(run, report, server, door)
    try:
        server.wait_ready()
        api = Api(server)
        api.put_token("KILL", "Accepted")
        provision(api, (LOCKED, *(siege.names if run.tls else ())))
        asyncio.run(siege.hold())
        judge = Judge(api)
        for station in siege.charging:
            judge.finish(station)
            report.faults += station.errors
        report.faults += judge.verdict.faults
        report.expect(server.terminate() in CLEAN_ENDS, "SIGTERM did not end the server cleanly")
    finally:
        if server.running:
            server.kill()
    report.log_of(server)
    waits = [wait for station in siege.good for wait in station.waits_s]
    for station in siege.good:
        report.expect(
            not station.lost and not station.late,
            f"{station.name}: {station.lost} connections lost, {station.late} late",
        )
    report.expect(siege.commands.total() > 1, "hardly a command was ordered")
    report.figures |= {
        "heartbeats": len(waits),
        "p99 ms": round(percentile(waits, 0.99) * 1000),
        "worst ms": round(max(waits, default=0.0) * 1000),
        "right bills": judge.verdict.bills - judge.verdict.wrong_bills,
        "commands": dict(sorted(siege.commands.items())),
        "the bad": dict(sorted(siege.attack.done.items())),
    }


if __name__ == "__main__":
    main("hostile", __doc__ or "", "seconds", (15, 3600), torture, tls=True)
