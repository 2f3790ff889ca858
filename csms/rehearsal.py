"""A whole CSMS in memory, on a clock that stands still, for trying out a plugin: nothing leaves it, and the same again gives the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from twisted.internet import defer
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, Logger, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from csms.config import Server, Site
from csms.facade import Csms
from csms.house import House
from csms.model.commands import CommandRecord, CommandState
from csms.model.station import StationRef
from csms.ocpp.schemas import shortest_answer
from csms.registries import Action
from csms.store.inline import InlineStore
from csms.testing import FakeStation, Refused

MOST_TURNS = 1000


class RehearsalHouse(House):
    """A house whose facade for one plugin leads nowhere."""

    def __init__(self, site: Site, stage: Stage, store: InlineStore) -> None:
        self._stage = stage
        super().__init__(site, stage.clock, lambda: stage.now, store=store)

    def facade(self, plugin: str, site: str = "") -> Csms:
        """What one plugin is given; the plugin in rehearsal gets the stage's own doors."""
        given = super().facade(plugin, site)
        return self._stage.doors(given) if plugin == self._stage.name else given


class Stage:
    """One rehearsal; see ``csms.workbench.Rehearsal``."""

    def __init__(self, site: Site, name: str, at: datetime, *, dry: bool) -> None:
        self.name = name
        self.clock = Clock()
        self.reactor = self.clock
        self.heard: list[tuple[str, str, Mapping[str, Any]]] = []
        self.notified: list[tuple[str, str, str]] = []
        self.called: list[tuple[str, Mapping[str, Any]]] = []
        self.logged: list[tuple[str, str]] = []
        self.replies: dict[str, list[Mapping[str, Any] | None]] = {}
        self._begin = at
        self._dry = dry
        self._orders = 0
        self._stations: dict[str, FakeStation] = {}
        strangers = replace(site.stations, unknown="accept")
        quiet = replace(site.transactions, read_points=False, start_points=(), stop_points=())
        rehearsed = replace(site, server=Server(), stations=strangers, transactions=quiet)
        self.house = RehearsalHouse(rehearsed, self, InlineStore(self.clock))
        self.gate = self.house.gate()
        self.plugin = next(one.instance for one in self.house.plugins.loaded if one.found.name == name)
        self._finish(self._open())

    async def _open(self) -> None:
        await self.house.store.open()
        await self.house.plugins.start()
        self.house.presence.start()
        self.house.billing.start()

    @property
    def now(self) -> datetime:
        """What time it is in there."""
        return self._begin + timedelta(seconds=self.clock.seconds())

    # Time

    def pass_until(self, at: datetime) -> None:
        """Let time pass; everything that is due happens at its time."""
        end = (at - self._begin).total_seconds()
        while (due := self._next_call()) is not None and due <= end:
            self.clock.advance(max(0.0, due - self.clock.seconds()))
            self._settle()
        self.clock.advance(max(0.0, end - self.clock.seconds()))
        self._settle()

    def _next_call(self) -> float | None:
        calls = self.clock.getDelayedCalls()
        return min((call.getTime() for call in calls), default=None)

    def _settle(self) -> None:
        """Let everything happen that is due now, and answer what stations were asked."""
        for _ in range(MOST_TURNS):
            answered = [self._answer(station) for station in list(self._stations.values())]
            due = self._next_call()
            if due is not None and due <= self.clock.seconds():
                self.clock.advance(0)
            elif not any(answered):
                return

    async def settle(self, until: Callable[[], object] = lambda: False) -> None:
        """As a station of the test kit wants it."""
        self._settle()

    # Stations

    def connect(self, station: str, protocol: str, *, vendor: str = "V", model: str = "M", firmware: str = "") -> None:
        """A station connects, and boots."""
        self.join(station, protocol)
        self._finish(self._stations[station].boot(vendor, model, firmware))

    def join(self, station: str, protocol: str) -> None:
        """A station connects, and says nothing yet."""
        fake = FakeStation(self, station, protocol)  # type: ignore[arg-type]
        self._finish(fake.connect())
        self._stations[station] = fake

    def lose(self, station: str) -> None:
        """A station loses its connection."""
        self._finish(self._stations.pop(station).close())

    def say(self, station: str, action: str, payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """A station sends a call; the answer, None when it is refused."""
        try:
            answer: Mapping[str, Any] = self._finish(self._stations[station].say(action, dict(payload)))
        except Refused:
            return None
        return answer

    def _answer(self, station: FakeStation) -> bool:
        """Answer what a station was asked."""
        calls, station.calls = station.calls, []
        for _, id, action, payload in calls:
            if not self._dry:
                self.heard.append((station.id, action, payload))
            waiting = self.replies.get(action)
            reply = waiting.pop(0) if waiting else shortest_answer(station.protocol, action)
            if reply is not None:
                station.send([3, id, dict(reply)])
        return bool(calls)

    # News and questions

    def tell(self, event: object) -> None:
        """News, as if the server had told it."""
        self.house.tell(event)
        self._settle()

    def ask(self, hook: str, question: Mapping[str, Any]) -> Any:
        """What the plugins answer to a question."""
        answer = self._finish(self.house.hooks.ask(hook, **question))
        return answer.value if answer else None

    def ref(self, station: str) -> StationRef:
        """A station as events name it."""
        connected = self.house.switchboard.station(station)
        return connected.ref if connected else StationRef(station)

    def close(self) -> None:
        """Leave nothing behind."""
        self._finish(self.house.plugins.stop())
        self._finish(self.house.store.close())

    # The doors of the plugin in rehearsal

    def doors(self, given: Csms) -> Csms:
        """A facade that notes what goes out."""
        log = Logger(namespace="rehearsal", observer=_Observer(self.logged))
        changed = replace(given, notify=self._notify, actions=lambda: self._actions(given), log=log)
        return replace(changed, send=self._send) if self._dry else changed

    def _actions(self, given: Csms) -> Mapping[str, Action]:
        return {name: replace(action, run=self._action(name)) for name, action in given.actions().items()}

    def _action(self, name: str) -> Callable[..., Any]:
        def run(arguments: Mapping[str, Any], effect: str = "") -> Any:
            self.called.append((name, arguments))
            waiting = self.replies.get(name)
            return waiting.pop(0) if waiting else None

        return run

    async def _notify(self, channel: str, text: str, *, level: str = "info", **more: Any) -> bool:
        self.notified.append((channel, text, level))
        return True

    async def _send(self, station: str, command: object, *, origin: str) -> CommandRecord:
        self._orders += 1
        action = str(getattr(command, "action", type(command).__name__))
        self.heard.append((station, action, getattr(command, "payload", {})))
        waiting = self.replies.get(f"{station} {action}")
        answer = (waiting.pop(0) if waiting else None) or {"status": "Accepted"}
        refused = answer.get("status") == "Rejected"
        state = CommandState.REJECTED if refused else CommandState.EFFECTIVE
        error = "Rejected" if refused else ""
        return CommandRecord(-self._orders, station, action, {}, state, origin, self.now, answer=answer, error=error)

    def _finish(self, work: Awaitable[Any] | defer.Deferred[Any]) -> Any:
        """What comes of something that needs nothing but this clock, now."""
        found: list[Any] = []
        defer.ensureDeferred(_await(work)).addBoth(found.append)
        self._settle()
        if not found:
            raise RuntimeError("a rehearsal waits for something that does not come")
        if isinstance(found[0], Failure):
            found[0].raiseException()
        return found[0]


@implementer(ILogObserver)
class _Observer:
    """Keeps what is logged, as level and text."""

    def __init__(self, logged: list[tuple[str, str]]) -> None:
        self._logged = logged

    def __call__(self, event: Mapping[str, Any]) -> None:
        self._logged.append((event["log_level"].name, formatEvent(dict(event))))


async def _await(work: Awaitable[Any]) -> Any:
    return await work
