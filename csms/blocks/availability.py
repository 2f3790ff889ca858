"""Block G: what each connector says of itself, and what happens when one says nothing.

The newest timestamp wins and repeats change nothing. After a boot every known connector is expected to tell its status; when and how often to ask a
silent one is the plugins' decision (``plan_status_check``), the asking is done here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from csms.blocks.outcome import Outcome, Received
from csms.blocks.planning import Planning
from csms.blocks.provisioning import Provisioning
from csms.hooks import Hooks
from csms.model.availability import (
    StatusChanged,
    StatusMissing,
    StatusNotification,
    StatusSilence,
    TriggerMessage,
)
from csms.model.commands import CommandFailed
from csms.model.provisioning import Acknowledged, BootStatus, StationBooted
from csms.ocpp.times import UNKNOWN_TIME
from csms.running import run_guarded
from csms.stations import Station
from csms.store import StatusRecorded, Store
from csms.switchboard import Switchboard

FIRST_LOOK_S = 30.0
"""How long after its boot a station has to tell the status of its connectors before anybody asks."""

Place = tuple[int, int]
WHOLE_STATION: Place = (0, 0)


@dataclass(frozen=True, slots=True)
class Boot:
    """One boot of one connection; the next one begins a watch of its own. By name: a connection that is gone is kept by nobody."""

    station: str
    fence: int
    number: int
    at: float


class Availability:
    """Keeps the tree station, EVSE, connector, and watches for silence."""

    log = Logger()

    def __init__(
        self,
        hooks: Hooks,
        store: Store,
        switchboard: Switchboard,
        provisioning: Provisioning,
        planning: Planning,
        clock: IReactorTime,
        now: Callable[[], datetime],
    ) -> None:
        self._hooks = hooks
        self._store = store
        self._switchboard = switchboard
        self._provisioning = provisioning
        self._planning = planning
        self._clock = clock
        self._now = now

    async def status(self, station: Station, status: StatusNotification, received: Received) -> Outcome:
        """Keep a connector's status if it is newer than what is known."""
        if status.timestamp == UNKNOWN_TIME:
            status = replace(status, timestamp=received.at)
        elif self._provisioning.clock_moved(station, status.timestamp, received.at):
            await self._provisioning.measure_clock(station, status.timestamp, received.at)
        return Outcome(Acknowledged(), await self.note(station, status, received.at))

    async def note(self, station: Station, status: StatusNotification, at: datetime) -> tuple[object, ...]:
        """Keep a status, whichever message told it; the news if it is another one than before."""
        self.heard(station, status)
        return changed(station, await self._store.availability.record(station.id, station.fence, status, at), at)

    def heard(self, station: Station, status: StatusNotification) -> None:
        """A station told a status: nobody has to ask for it now."""
        station.reported[status.evse, status.connector] = self._clock.seconds()

    # Silence

    def on_event(self, event: object) -> None:
        """After an accepted boot the watch begins; it ends with the next boot or with the connection."""
        if isinstance(event, StationBooted) and event.status is BootStatus.ACCEPTED:
            station = self._switchboard.station(event.station.id)
            if station is not None and self._planning.checks_silence:
                boot = Boot(station.id, station.fence, station.boots, self._clock.seconds())
                self._later(FIRST_LOOK_S, lambda: self._begin_watch(boot))

    async def _begin_watch(self, boot: Boot) -> None:
        if self._watched(boot) is None:
            return
        connectors = await self._store.availability.list(boot.station)
        places = [(one.evse, one.connector) for one in connectors] or [WHOLE_STATION]
        for place in places:
            await self._look(boot, place, 0)

    async def _look(self, boot: Boot, place: Place, asked: int) -> None:
        station, since = self._watched(boot), boot.at
        if station is None:
            return
        heard = self._heard(station, place)
        known = heard is not None and heard >= since
        silence_s = self._clock.seconds() - (heard if known and heard is not None else since)
        evse, connector = place
        question = StatusSilence(station.ref, evse, connector, silence_s, asked, known)
        plan = await self._planning.status_check(station, question)
        if plan.fault:
            self._raise_fault(station, question)
            return
        if plan.ask:
            await self._ask(station, place)
            asked += 1
        elif known:
            asked = 0
        self._later(plan.next_in_s, lambda: self._look(boot, place, asked))

    def _watched(self, boot: Boot) -> Station | None:
        """The station, while its connection is the one that booted, and that boot its last."""
        station = self._switchboard.station(boot.station)
        return station if station and (station.fence, station.boots) == (boot.fence, boot.number) else None

    def _heard(self, station: Station, place: Place) -> float | None:
        if place == WHOLE_STATION and station.reported:
            return max(station.reported.values())
        return station.reported.get(place)

    async def _ask(self, station: Station, place: Place) -> None:
        evse, connector = place
        try:
            await station.send(TriggerMessage("StatusNotification", evse or None, connector or None))
        except CommandFailed as failed:
            self.log.info("{station} could not be asked for its status: {why}", station=station.id, why=str(failed))

    def _raise_fault(self, station: Station, silence: StatusSilence) -> None:
        self.log.warn(
            "{station} EVSE {evse} connector {connector}: no status after {asked} requests",
            station=station.id,
            evse=silence.evse,
            connector=silence.connector,
            asked=silence.asked,
        )
        self._hooks.tell(
            StatusMissing(station.ref, self._now(), silence.evse, silence.connector, silence.silence_s, silence.asked)
        )

    def _later(self, seconds: float, call: Callable[[], object]) -> None:
        self._clock.callLater(seconds, run_guarded, call, self.log)


def changed(station: Station, kept: StatusRecorded, at: datetime) -> tuple[StatusChanged, ...]:
    """The news that a kept status is, if it is another one than before."""
    if not kept.changed:
        return ()
    now = kept.current
    previous = kept.previous.status if kept.previous else None
    return (
        StatusChanged(
            station.ref, at, now.evse, now.connector, now.status, previous, now.detail, now.error_code, now.info
        ),
    )
