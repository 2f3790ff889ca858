"""The kit for tests of plugins, and for our own: a whole CSMS without a socket, on a clock that stands still, and a station to talk to it.

    async with running_csms(tmp_path, site='[plugins]\\nenabled = ["./night.py"]') as csms:
        station = await csms.station("CS1")
        answer = await station.say("Authorize", {"idToken": {"idToken": "A1", "type": "ISO14443"}})

The database is real (SQLite in the folder given), so a running reactor is needed: pytest-twisted gives one. Timers move only by ``advance``.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet import defer, task
from twisted.internet.task import Clock

from csms.blocks.door import Proof
from csms.config import load_site
from csms.dialects import DIALECTS
from csms.house import House
from csms.model.station import AdmitDecision, Handshake, StationConnected, StationLost, StationRef
from csms.stations import Station
from csms.store import Store

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
REST_TURNS = 10
"""Turns of the reactor in which nothing is under way: then everything has come to rest."""
HOPE_TURNS = 200
"""Such turns, a millisecond each, in which something that is waited for may still come from outside: a socket, another process."""
MOST_TURNS = 10_000


class Refused(Exception):
    """The CSMS answered a call with an error: ``code`` as it stood on the wire."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code


class NotAdmitted(Exception):
    """The handshake was refused: ``decision`` says why."""

    def __init__(self, decision: AdmitDecision) -> None:
        super().__init__(decision.reason)
        self.decision = decision


class TestCsms:
    """A running CSMS: its ``house``, its ``clock``, the ``gate`` by which stations come in, and every event that was told, in order.

    What stations say within ``with csms.gate.round:`` comes in one round, as from many sockets at once.
    """

    __test__ = False

    def __init__(self, house: House, clock: Clock, reactor: Any) -> None:
        self.house = house
        self.gate = house.gate()
        self.clock = clock
        self.events: list[object] = []
        self.reactor = reactor
        self._threads_of_others = len(reactor.getThreadPool().working)
        house.hooks.witness = self.events.append

    async def station(
        self, id: str, protocol: str = "ocpp2.0.1", *, password: str | None = None, booted: bool = True
    ) -> FakeStation:
        """A connected station, booted unless you say otherwise; raises NotAdmitted."""
        station = FakeStation(self, id, protocol)
        await station.connect(password)
        if booted:
            await station.boot()
        return station

    async def advance(self, seconds: float) -> None:
        """Let so many seconds pass, and everything that follows from it happen."""
        self.clock.advance(seconds)
        await self.settle()

    async def settle(self, until: Callable[[], object] | None = None) -> None:
        """Let the database, threads, and what waits for them come to rest; with ``until``, wait until that holds, or for a while in vain."""
        quiet, enough = 0, REST_TURNS if until is None else HOPE_TURNS
        for _ in range(MOST_TURNS):
            if quiet == enough or (until is not None and until()):
                return
            quiet = 0 if self._under_way() else quiet + 1
            self.clock.advance(0)
            await task.deferLater(self.reactor, 0.001 if quiet == 0 or until is not None else 0)

    def _under_way(self) -> bool:
        """Whether the database, a thread or the reactor's next turn has something to do."""
        now = self.reactor.seconds()
        return (
            self.house.store.busy
            or len(self.reactor.getThreadPool().working) > self._threads_of_others
            or any(call.getTime() <= now for call in self.reactor.getDelayedCalls())
        )

    def told(self, kind: type) -> list[Any]:
        """The events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    async def close(self) -> None:
        """Stop it and close its database."""
        await self.house.store.close()


class FakeStation:
    """One end of an OCPP connection. ``calls`` are the CSMS's calls that wait for ``answer``; ``dropped`` says why it was cut off."""

    def __init__(self, csms: TestCsms, id: str, protocol: str) -> None:
        self.id = id
        self.protocol = protocol
        self.calls: list[list[Any]] = []
        self.dropped = ""
        self.held = False
        self.alive = True
        self._csms = csms
        self._ids = count(1)
        self._waiting: dict[str, defer.Deferred[dict[str, Any]]] = {}
        self.station: Station

    async def connect(self, password: str | None = None) -> None:
        """The handshake and what follows it; raises NotAdmitted."""
        house = self._csms.house
        listener = house.site.listeners[0]
        handshake = Handshake(self.id, "test", (self.protocol,), password is not None, listener.tls)
        given = password.encode() if password is not None else None
        entry = await house.security.admit(handshake, Proof(frozenset(listener.profiles), given))
        if not entry.admit:
            raise NotAdmitted(AdmitDecision(False, entry.status, entry.reason))
        gate = self._csms.gate
        self.station = Station(
            StationRef(self.id, self.protocol, connected=True),
            DIALECTS[self.protocol],
            fence=await house.switchboard.fence(self.id),
            peer_address="test",
            write=self._written,
            drop=self._drop,
            hold=self._hold,
            ping=self._ping,
            answer=gate.answer,
            tell=gate.tell,
            clock=self._csms.clock,
            call_timeout_s=30.0,
            round=gate.round,
            fast_path=gate.limits.fast_path,
        )
        self.station.profile, self.station.enrolling = entry.profile, entry.enrolling
        house.switchboard.add(self.station)
        await house.provisioning.connected(self.station)
        house.tell(StationConnected(self.station.ref, house.now(), "test"))

    def send(self, frame: str | list[Any]) -> None:
        """A frame as it is."""
        self.station.receive(frame.encode() if isinstance(frame, str) else json.dumps(frame).encode())
        self._csms.house.presence.seen(self.station)

    def say(self, action: str, payload: dict[str, Any]) -> defer.Deferred[dict[str, Any]]:
        """Send a call; the Deferred has the answer's payload, or Refused."""
        id = f"s{next(self._ids)}"
        answered: defer.Deferred[dict[str, Any]] = defer.Deferred()
        self._waiting[id] = answered
        self.send([2, id, action, payload])
        return answered

    async def boot(self, vendor: str = "V", model: str = "M", firmware: str = "") -> dict[str, Any]:
        """Boot, in the words of the version."""
        version = {"firmwareVersion": firmware} if firmware else {}
        if self.protocol == "ocpp1.6":
            return await self.say(
                "BootNotification", {"chargePointVendor": vendor, "chargePointModel": model, **version}
            )
        charging_station = {"vendorName": vendor, "model": model, **version}
        return await self.say("BootNotification", {"reason": "PowerUp", "chargingStation": charging_station})

    async def heard(self, number: int = 1) -> list[Any]:
        """The newest call of the CSMS, once so many have come that are not answered yet."""
        await self._csms.settle(lambda: len(self.calls) >= number)
        return self.calls[-1]

    async def take_password(self) -> str:
        """Wait for the password that the CSMS gives this station, and accept it."""
        _, _, action, payload = await self.heard()
        if action == "ChangeConfiguration":
            self.answer({"status": "Accepted"})
            return str(payload["value"])
        (data,) = payload["setVariableData"]
        told = {"component": data["component"], "variable": data["variable"], "attributeStatus": "Accepted"}
        self.answer({"setVariableResult": [told]})
        return str(data["attributeValue"])

    def answer(self, payload: dict[str, Any]) -> None:
        """Answer the oldest call of the CSMS."""
        self.send([3, self.calls.pop(0)[1], payload])

    def refuse(self, code: str, description: str = "") -> None:
        """Refuse the oldest call of the CSMS."""
        self.send([4, self.calls.pop(0)[1], code, description, {}])

    async def close(self) -> None:
        """Lose the connection."""
        house = self._csms.house
        self.station.gone()
        if await house.switchboard.remove(self.station):
            house.tell(StationLost(self.station.ref, house.now(), "closed"))

    def _written(self, frame: bytes) -> bool:
        message = json.loads(frame)
        match message:
            case [2, *_]:
                self.calls.append(message)
            case [3, id, payload] if id in self._waiting:
                self._later(self._waiting.pop(id).callback, payload)
            case [4, id, code, description, _] if id in self._waiting:
                self._later(self._waiting.pop(id).errback, Refused(code, description))
        return True

    def _later(self, call: Callable[[Any], None], what: object) -> None:
        """As over a socket: the CSMS has finished with a message before the station hears of it."""
        self._csms.reactor.callLater(0, call, what)

    def _drop(self, reason: str) -> None:
        self.dropped = reason

    def _hold(self, held: bool) -> None:
        self.held = held

    def _ping(self) -> defer.Deferred[None]:
        return defer.succeed(None) if self.alive else defer.Deferred()


async def make_csms(
    folder: Path, *, site: str = "", clock: Clock | None = None, store: Store | None = None
) -> TestCsms:
    """A running CSMS in a folder, from the text of a site file.

    Unless it says otherwise, stations that nobody knows are let in, and none is asked for its start and stop points.
    """
    from twisted.internet import reactor

    file = folder / "csms.toml"
    usual = {"[stations]": 'unknown = "accept"', "[transactions]": "read_points = false"}
    lines = [site, *(f"{table}\n{line}" for table, line in usual.items() if table not in site)]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    clock = clock or Clock()
    settings = load_site(file)
    now = lambda: NOON + timedelta(seconds=clock.seconds())  # noqa: E731 - the wall clock that the timers move, over restarts too
    house = House(settings, clock, now, store=store or Store(settings.database_file, reactor))
    csms = TestCsms(house, clock, reactor)
    await house.store.open()
    await house.commands.recover()
    await house.plugins.start()
    house.notifications.start()
    house.certificates.start(house.commands.send)
    house.presence.start()
    house.billing.start()
    house.healer.start()
    return csms


@asynccontextmanager
async def running_csms(folder: Path, *, site: str = "", clock: Clock | None = None) -> AsyncIterator[TestCsms]:
    """As ``make_csms``, and closed at the end, however the test ends."""
    csms = await make_csms(folder, site=site, clock=clock)
    try:
        yield csms
    finally:
        await csms.close()
