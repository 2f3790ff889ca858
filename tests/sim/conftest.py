"""A CSMS of a few lines for simulated stations: it answers at once, checks every frame against the schema, and remembers everything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock

from csms.ocpp.schemas import check
from csms.sim.assembly import make_station
from csms.sim.command import SimOptions, SimResult, simulate
from csms.sim.station import Station
from csms.sim.uplink import CannotConnect, Ear, Line

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Payload = dict[str, Any]


class FakeLine:
    """A line to the fake CSMS; answers leave one clock tick later, as over a socket."""

    def __init__(self, csms: FakeCsms, ear: Ear) -> None:
        self.csms = csms
        self.ear = ear
        self.open = True

    def send(self, frame: bytes) -> None:
        assert self.open, "a frame was sent on a closed line"
        self.csms.got(json.loads(frame))

    def close(self) -> None:
        if self.open:
            self.open = False
            self.csms.clock.callLater(0, self.ear.lost, "closed")

    def say(self, frame: list[Any]) -> None:
        self.csms.clock.callLater(0.001, self._say, json.dumps(frame).encode())

    def _say(self, frame: bytes) -> None:
        if self.open:
            self.ear.heard(frame)


class FakeCsms:
    """Answers by ``answers``: an action's payload, an error as ``(code, text)``, a function of the payload, or None for silence."""

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.clock = Clock()
        self.line: FakeLine | None = None
        self.refusals: list[CannotConnect] = []
        self.dials: list[float] = []
        self.calls: list[tuple[str, Payload]] = []
        self.ids: list[str] = []
        self.replies: dict[str, list[Any]] = {}
        self.lines: list[str] = []
        self.asked: dict[str, str] = {}
        self.answers: dict[str, Any] = {
            "BootNotification": {"status": "Accepted", "interval": 300, "currentTime": "2026-03-01T12:00:00Z"},
            "Heartbeat": {"currentTime": "2026-03-01T12:00:00Z"},
            "Authorize": {self._info: {"status": "Accepted"}},
            "StartTransaction": {"transactionId": 42, "idTagInfo": {"status": "Accepted"}},
        }

    @property
    def _info(self) -> str:
        return "idTagInfo" if self.protocol == "ocpp1.6" else "idTokenInfo"

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.clock.seconds())

    def dial(self, ear: Ear) -> Deferred[Line]:
        self.dials.append(self.clock.seconds())
        if self.refusals:
            return fail(self.refusals.pop(0))
        self.line = FakeLine(self, ear)
        return succeed(self.line)

    def got(self, frame: list[Any]) -> None:
        assert self.line is not None
        if frame[0] != 2:
            if frame[0] == 3:
                check(self.protocol, self.asked[frame[1]], frame[2], answer=True)
            self.replies[frame[1]] = frame
            return
        _, id, action, payload = frame
        check(self.protocol, action, payload)
        assert id not in self.ids
        self.ids.append(id)
        self.calls.append((action, payload))
        answer = self.answers.get(action, {})
        answer = answer(payload) if callable(answer) else answer
        if isinstance(answer, tuple):
            self.line.say([4, id, answer[0], answer[1], {}])
        elif answer is not None:
            self.line.say([3, id, answer])

    def ask(self, action: str, payload: Payload | None = None) -> Any:
        """Call the station: its answer's payload, or the error code."""
        assert self.line is not None
        id = f"c{len(self.asked)}"
        self.asked[id] = action
        self.line._say(json.dumps([2, id, action, payload or {}]).encode())
        reply = self.replies[id]
        return reply[2]

    def cut(self) -> None:
        """The line is lost."""
        assert self.line is not None
        self.line.open = False
        self.line.ear.lost("cut")

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.pump([0.05] * round(seconds / 0.05))

    def sent(self, action: str, begin: int = 0) -> list[Payload]:
        """The payloads of one action, since the call of that number."""
        return [payload for name, payload in self.calls[begin:] if name == action]

    def events(self) -> list[Payload]:
        """All TransactionEvents."""
        return self.sent("TransactionEvent")

    def statuses(self, begin: int = 0) -> list[str]:
        """The status words of connectors, since the call of that number."""
        word = "status" if self.protocol == "ocpp1.6" else "connectorStatus"
        return [one[word] for one in self.sent("StatusNotification", begin) if one["connectorId"] > 0]

    def heard(self, words: str) -> bool:
        """Whether the operator was told that."""
        return any(words in line for line in self.lines)


class World:
    """A fake CSMS and one station or story on it."""

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.csms = FakeCsms(protocol)
        self.stations: list[Station] = []
        self.stories: list[Deferred[Any]] = []

    def options(self, **more: Any) -> SimOptions:
        return SimOptions(protocol=self.protocol, **more)

    def station(self, **more: Any) -> Station:
        """A station that is switched on, with one clock tick gone."""
        csms = self.csms
        station = make_station(
            self.options(**more),
            dial=csms.dial,
            clock=csms.clock,
            random=Random(1),
            now=csms.now,
            say=csms.lines.append,
        )
        self.stations.append(station)
        station.start()
        csms.run(1)
        return station

    def story(self, **more: Any) -> list[SimResult]:
        """A story that has begun; the list gets its result."""
        results: list[SimResult] = []
        csms = self.csms
        random = Random(1 + len(self.stories))
        done = simulate(
            csms.clock, self.options(**more), say=csms.lines.append, dial=csms.dial, now=csms.now, random=random
        )
        done.addCallback(results.append)
        self.stories.append(done)
        return results

    def end(self) -> None:
        """Switch everything off; nothing may be left running."""
        for story in self.stories:
            story.addErrback(lambda failure: failure.trap(CancelledError))
            story.cancel()
        for station in self.stations:
            station.stop()
        self.csms.run(30)
        left = self.csms.clock.getDelayedCalls()
        assert left == [], left


def in_world(protocol: str) -> Iterator[World]:
    world = World(protocol)
    yield world
    world.end()


@pytest.fixture
def new() -> Iterator[World]:
    """A world that speaks OCPP 2.0.1."""
    yield from in_world("ocpp2.0.1")


@pytest.fixture
def old() -> Iterator[World]:
    """A world that speaks OCPP 1.6."""
    yield from in_world("ocpp1.6")


@pytest.fixture(params=["ocpp2.0.1", "ocpp1.6"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A world of each version."""
    yield from in_world(request.param)
