"""What many stations said in one round is answered together, where answering is keeping it: one write for all, one loop of answers.

A message that is answered by itself has a coroutine, a unit in the writer's batch, a Deferred and a wake-up of its own, which together cost more than
what it is about (decision 17). Here calls share them. Nothing is promised less: each answer leaves after the commit that holds what it promises, and
whatever is not plain is answered by itself, as if it had never been here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from csms.blocks.outcome import Outcome, Received
from csms.blocks.reception import Reception
from csms.model.station import CallReceived
from csms.stations import Reply, Station
from csms.store import StoreFault

MOST = 250
"""So many calls are written in one go: a batch of the writer ends between them."""


class Lane(Protocol):
    """How a block answers many requests of one kind."""

    @property
    def answer(self) -> Any:
        """The answer, which is the same to each of them."""

    @property
    def tells(self) -> type:
        """The kind of news that may follow."""

    def take(self, station: Station, request: Any, received: Received) -> Any | None:
        """What is to be written for a request; None where it has to be answered by itself. Waits for nothing."""

    def write(self, works: list[Any]) -> Deferred[list[Any]]:
        """Write it all in one go; for each what came of it, or None where nothing was written and it has to be answered by itself."""

    def news(self, station: Station, request: Any, received: Received, written: Any) -> tuple[object, ...]:
        """What follows from one request that was written."""


Party = list[tuple[Station, Received, Any]]


class Together:
    """Answers the calls of a round, together where there is a lane for them."""

    log = Logger()

    def __init__(
        self,
        reception: Reception,
        lanes: Mapping[type, Lane],
        wanted: Callable[[type], bool],
        now: Callable[[], datetime],
    ) -> None:
        self._reception = reception
        self._lanes = lanes
        self._wanted = wanted
        self._now = now

    def serve(self, action: str, stations: list[Station]) -> None:
        """Answer what these stations called, each of them this action."""
        reception, lanes, at = self._reception, self._lanes, self._now()
        asking = reception.plugins_answer
        parties: dict[type, Party] = {}
        for station in stations:
            call = station.take()
            if call is None:
                continue
            kind = type(call.request)
            lane = lanes.get(kind) if station.accepted else None
            if lane is None:
                station.answer_by(reception.answer(station, call))
                continue
            received = Received(call, at)
            if asking and (answering := reception.ask(station, received)) is not None:
                station.answer_by(reception.answer(station, call, asked=True, answering=answering))
                continue
            work = self._take(lane, station, received)
            if work is None:
                station.answer_by(reception.answer(station, call, asked=True))
            else:
                parties.setdefault(kind, []).append((station, received, work))
        for kind, party in parties.items():
            for first in range(0, len(party), MOST):
                self._write(lanes[kind], party[first : first + MOST])

    def _take(self, lane: Lane, station: Station, received: Received) -> Any | None:
        try:
            return lane.take(station, received.call.request, received)
        except Exception:
            self.log.failure("bug: {action} of {station} raised", action=received.action, station=station.id)
            return None

    def _write(self, lane: Lane, party: Party) -> None:
        written = lane.write([work for _, _, work in party])
        written.addCallbacks(
            lambda results: self._written(lane, party, results),
            lambda failure: self._not_written(party, failure),
        )

    def _written(self, lane: Lane, party: Party, results: list[Any]) -> None:
        """It is committed: answer those of whom something was written."""
        reception, telling, count = self._reception, self._wanted(lane.tells) or self._wanted(CallReceived), 0
        quiet: dict[str, Reply] = {}  # what is said where nobody wants to hear of it, by version
        for (station, received, _), result in zip(party, results, strict=True):
            if result is None:
                station.answer_by(reception.answer(station, received.call, asked=True))
                continue
            count += 1
            try:
                reply = None if telling else quiet.get(station.protocol)
                if reply is None:
                    news = lane.news(station, received.call.request, received, result) if telling else ()
                    reply = reception.reply(station, received, Outcome(lane.answer, news))
                    quiet[station.protocol] = reply
            except Exception as fault:
                reply = reception.not_answered(station, received.action, fault)
            station.answered(reply)
        if count:
            reception.answered_together(party[0][1].action, count)

    def _not_written(self, party: Party, failure: Failure) -> None:
        """Whose fault it is shows when each is answered by itself."""
        if not isinstance(failure.value, StoreFault):
            self.log.failure("bug: writing what {count} stations said raised", failure, count=len(party))
        for station, received, _ in party:
            station.answer_by(self._reception.answer(station, received.call, asked=True))
