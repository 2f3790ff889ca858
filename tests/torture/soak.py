"""Days of a small site in minutes: a whole house on a clock that runs a thousand times as fast, with a real database, and nothing may grow for ever.

    python tests/torture/soak.py --size 14 --seed 7

Twenty stations of both versions beat, charge, lose readings, connect again, and get commands; the site file is read again every day, the wall clock
is put forth and back by an hour, and retention removes what is older than a day. After the first days memory, timers, and the log of messages stay
what they are; transactions are kept for ever, each with its bill. Sockets have no part in it: ``storm.py`` and ``hostile.py`` have them.
"""

from __future__ import annotations

import gc
import json
import random
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from torture_tool import Report, Run, main
from twisted.internet import defer, reactor, task
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from csms.config import load_site
from csms.house import House
from csms.model.authorization import AuthorizationStatus, ClearCache, IdToken, TokenRecord
from csms.model.billing import Bill
from csms.store import Store, verify
from csms.strain import resident_bytes
from csms.testing import NOON, FakeStation, Refused, TestCsms

LOOP: Any = reactor
STATIONS = 20
STEP_S = 30.0
TURN_S = 900.0
"""A station says something this often."""
SESSION, READINGS = 8, 5
"""A session begins in each eighth turn of a station, and has so many readings."""
DAY_S = 86_400
SETTLED_DAY = 3
CONNECTIONS, CACHE_MIB = 3, 16
"""So many connections keep so much of the database in memory, as it grows; then memory grows no more."""
MORE_MIB, MORE_TIMERS, MORE_OF_LOG = 8, 20, 1.5
ANSWERED_S = 30.0
SITE = """
[stations]
unknown = "accept"
heartbeat_interval = "{beat}"
[transactions]
read_points = false
ask_tries = 2
[retention]
archive = "old"
messages = "1d"
notices = "1d"
alerts = "1d"
commands = "1d"
security_events = "1d"
[plugins]
enabled = ["flow_rules", "rfid_list", "reset_policy", "status_retry", "billing"]
[plugins.billing]
per_kwh = "0.45"
per_start = "1.00"
"""


class SoakStation(FakeStation):
    """A station whose frames are in the log of messages, and that answers what it is asked."""

    def __init__(self, csms: TestCsms, id: str, protocol: str, chance: random.Random) -> None:
        super().__init__(csms, id, protocol)
        self._gate = csms.house.gate()
        self._chance = chance
        self._wh = chance.randrange(10_000)
        self._turn = chance.randrange(SESSION)
        self.sold_wh = 0
        self.sessions = 0
        self.holed = 0

    def send(self, frame: Any) -> None:
        """Into the log, and in."""
        text = frame if isinstance(frame, str) else json.dumps(frame)
        self._gate.logged(self.id, "in", text)
        super().send(text)

    def _written(self, frame: bytes) -> bool:
        self._gate.logged(self.id, "out", frame)
        written = super()._written(frame)
        while self.calls:
            self.refuse("NotSupported")
        return written

    async def live(self, at: datetime) -> None:
        """One turn: a heartbeat, now and then a session, a fault, an alert, a new connection."""
        self._turn += 1
        if self._chance.random() < 0.02:
            await self.close()
            await self.connect()
            await self.boot()
        await self.say("Heartbeat", {})
        if self._turn % SESSION == 0:
            await (self._session201(at) if self.protocol == "ocpp2.0.1" else self._session16(at))

    def _meter(self) -> int:
        self._wh += self._chance.randrange(1, 3000)
        return self._wh

    async def _session201(self, at: datetime) -> None:
        """A session of some minutes, told at once; now and then one of its readings never comes."""
        self.sessions += 1
        begin, wire_id = self._wh, f"{self.id}-{self.sessions}"
        lost = self._chance.randrange(1, READINGS + 1) if self._chance.random() < 0.05 else 0
        self.holed += bool(lost)
        for number in range(READINGS + 2):
            kind = "Started" if not number else "Ended" if number > READINGS else "Updated"
            context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(kind, "Sample.Periodic")
            when = _text(at - timedelta(minutes=2 * (READINGS + 1 - number)))
            wh = self._meter() if number else begin
            if lost == number and lost:
                continue
            payload = {
                "eventType": kind,
                "timestamp": when,
                "triggerReason": "Authorized" if not number else "MeterValuePeriodic",
                "seqNo": number,
                "transactionInfo": {"transactionId": wire_id},
                "evse": {"id": 1, "connectorId": 1},
                "meterValue": [{"timestamp": when, "sampledValue": [{"value": wh, "context": context}]}],
                **({} if number else {"idToken": {"idToken": self.id, "type": "ISO14443"}}),
            }
            await self.say("TransactionEvent", payload)
        self.sold_wh += self._wh - begin

    async def _session16(self, at: datetime) -> None:
        self.sessions += 1
        begin = self._wh
        began = at - timedelta(minutes=10)
        start = {"connectorId": 1, "idTag": self.id, "meterStart": begin, "timestamp": _text(began)}
        number = (await self.say("StartTransaction", start))["transactionId"]
        await self.say("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"})
        end = {"transactionId": number, "meterStop": self._meter(), "timestamp": _text(at)}
        await self.say("StopTransaction", end)
        await self.say("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"})
        self.sold_wh += self._wh - begin


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def pages(file: Path) -> int:
    """The size of a database in bytes, with what its write-ahead log has still to bring."""
    with closing(sqlite3.connect(file)) as connection:
        return sum(n * 4096 for (n,) in connection.execute("PRAGMA page_count"))


class Soak:
    """The house, its clock, its stations, and what was measured at the end of each day."""

    def __init__(self, run: Run, report: Report) -> None:
        self._run, self._report = run, report
        self._clock = task.Clock()
        self._off = timedelta(0)
        self._site = run.folder / "site.toml"
        self._site.write_text(SITE.format(beat="5m"))
        site = load_site(self._site)
        self.file = site.database_file
        self._house = House(site, self._clock, self._now, store=Store(self.file, LOOP))
        self.csms = TestCsms(self._house, self._clock, LOOP)
        self._house.hooks.witness = None
        kinds = ("ocpp2.0.1", "ocpp1.6")
        self.stations = [
            SoakStation(self.csms, f"SOAK-{n:02}", kinds[n % 2], run.random(f"station {n}")) for n in range(STATIONS)
        ]
        self.days: list[tuple[int, int, int]] = []

    def _now(self) -> datetime:
        return NOON + timedelta(seconds=self._clock.seconds()) + self._off

    async def live(self) -> None:
        """Open, all days, the reckoning."""
        await self._house.open()
        for station in self.stations:
            record = TokenRecord(IdToken(station.id), AuthorizationStatus.ACCEPTED)
            await self._house.store.tokens.put(record)
            await station.connect()
            await station.boot()
        chance = self._run.random("days")
        for day in range(1, self._run.size + 1):
            await self._day(chance)
            self._site.write_text(SITE.format(beat="10m" if day % 2 else "5m"))
            await self._house.reload()
            self._off = timedelta(hours=chance.choice((-1, 0, 1)))
            gc.collect()
            log = pages(self._house.store.messages_file)
            self.days.append((resident_bytes() >> 20, len(self._clock.getDelayedCalls()), log))
            self._run.say(f"day {day}: {self.days[-1][0]} MiB, {self.days[-1][1]} timers, {log >> 10} KiB of log")
        await self._reckon()
        await self._house.store.close()

    async def _day(self, chance: random.Random) -> None:
        for _ in range(int(DAY_S / TURN_S)):
            await self._all(lambda station: station.live(self._now()))
            if chance.random() < 0.2:
                await self._house.commands.submit(chance.choice(self.stations).id, ClearCache(), origin="soak")
            for _ in range(int(TURN_S / STEP_S)):
                self._clock.advance(STEP_S)
                await task.deferLater(LOOP, 0)

    async def _all(self, does: Callable[[SoakStation], Awaitable[None]]) -> None:
        busy = [defer.Deferred.fromCoroutine(self._one(does, station)) for station in self.stations]
        await defer.gatherResults(busy).addTimeout(ANSWERED_S, LOOP)

    async def _one(self, does: Callable[[SoakStation], Awaitable[None]], station: SoakStation) -> None:
        try:
            await does(station)
        except Refused as no:
            self._report.fault(f"{station.id}: {no}")

    async def _bills(self, station: str) -> list[Bill]:
        found: list[Bill] = []
        while page := await self._house.store.bills.list(station=station, after=found[-1].id if found else 0):
            found += page
        return found

    async def _reckon(self) -> None:
        store = self._house.store
        sold = billed = Decimal(0)
        bills = final = holed = 0
        for station in self.stations:
            sold += station.sold_wh
            after = 0
            while page := await store.transactions.list(station=station.id, limit=500, after=after):
                after = page[-1].id
                holed += sum(bool(one.missing) for one in page)
            for bill in await self._bills(station.id):
                bills += 1
                final += bill.status == "final"
                billed += bill.energy_wh
        sessions = sum(station.sessions for station in self.stations)
        self._report.expect(
            bills == sessions and billed == sold, f"{sessions} sessions of {sold} Wh, {bills} bills of {billed} Wh"
        )
        self._report.expect(
            holed == sum(one.holed for one in self.stations), f"{holed} transactions say that they lack a reading"
        )
        self._report.expect(not (found := verify(store.file)), f"csms db verify: {found}")
        self._bounds()
        self._report.figures |= {
            "sessions": sessions,
            "with holes": holed,
            "final bills": final,
            "MiB by day": [one[0] for one in self.days],
            "timers by day": [one[1] for one in self.days],
            "log KiB by day": [one[2] >> 10 for one in self.days],
            "database KiB": store.file.stat().st_size >> 10,
        }

    def _bounds(self) -> None:
        if len(self.days) <= SETTLED_DAY:
            return
        then, last = self.days[SETTLED_DAY - 1], self.days[-1]
        more = MORE_MIB + CONNECTIONS * min(CACHE_MIB, self.file.stat().st_size >> 20)
        self._report.expect(last[0] <= then[0] + more, f"memory grew from {then[0]} to {last[0]} MiB")
        self._report.expect(last[1] <= then[1] + MORE_TIMERS, f"{then[1]} timers became {last[1]}")
        self._report.expect(
            last[2] <= then[2] * MORE_OF_LOG, f"the log of messages grew from {then[2]} to {last[2]} bytes"
        )


def torture(run: Run, report: Report) -> None:
    """All days, in a reactor of its own."""
    soak = Soak(run, report)

    def begin() -> None:
        living = defer.Deferred.fromCoroutine(soak.live())
        living.addErrback(lambda failure: report.fault(failure.getTraceback()))
        living.addBoth(lambda _: LOOP.stop())

    def note(event: Any) -> None:
        if event["log_level"] >= LogLevel.critical:
            report.fault(f"logged: {formatEvent(event)}")

    globalLogPublisher.addObserver(note)
    LOOP.callWhenRunning(begin)
    LOOP.run()
    globalLogPublisher.removeObserver(note)


if __name__ == "__main__":
    main("soak", __doc__ or "", "days", (4, 60), torture)
