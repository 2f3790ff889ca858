"""Block of its own: who is alive. Any message counts; what was heard is written to the database in batches, never per message."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from csms.hooks import Hooks
from csms.model.provisioning import BootStatus, StationBooted
from csms.model.station import StationConnected, StationLost
from csms.running import run_guarded
from csms.stations import Station
from csms.store import Store
from csms.switchboard import Switchboard

SWEEP_S = 5.0


class Presence:
    """Notes who was heard, and tells of stations that fell silent though their socket is open."""

    log = Logger()

    def __init__(
        self,
        hooks: Hooks,
        store: Store,
        switchboard: Switchboard,
        clock: IReactorTime,
        now: Callable[[], datetime],
        *,
        offline_after: int,
    ) -> None:
        self._hooks = hooks
        self._store = store
        self._switchboard = switchboard
        self._clock = clock
        self._now = now
        self.offline_after = offline_after
        self._heard: dict[str, Station] = {}
        self._silent: set[str] = set()
        self._timer = LoopingCall(self._sweep)
        self._timer.clock = clock

    def start(self) -> None:
        """Begin to sweep."""
        self._timer.start(SWEEP_S, now=False)

    async def stop(self) -> None:
        """Write down what is not written yet."""
        if self._timer.running:
            self._timer.stop()
        await self.flush()

    def seen(self, station: Station) -> None:
        """A message came: cheap, for it is called for every one."""
        self._heard[station.id] = station
        if self._silent and station.id in self._silent:
            self._silent.discard(station.id)
            self._hooks.tell(StationConnected(station.ref, self._now(), station.peer_address))

    def on_event(self, event: object) -> None:
        """A lost connection ends the silence too."""
        if isinstance(event, StationLost) or (isinstance(event, StationBooted) and event.status is BootStatus.ACCEPTED):
            self._silent.discard(event.station.id)

    async def flush(self) -> None:
        """Write the times of the last messages in one commit."""
        heard, self._heard = self._heard, {}
        if not heard:
            return
        now, seconds = self._now(), self._clock.seconds()
        times = {id: now - timedelta(seconds=seconds - station.heard_at) for id, station in heard.items()}
        await self._store.stations.seen(times)

    def _sweep(self) -> None:
        run_guarded(self.flush, self.log)
        for station in self._switchboard.stations():
            self._look(station)

    def _look(self, station: Station) -> None:
        if station.heartbeat_s is None or station.id in self._silent:
            return
        silence = self._clock.seconds() - station.heard_at
        if silence <= station.heartbeat_s * (self.offline_after + 1):
            return
        why = f"nothing heard for {silence:.0f} s, {self.offline_after} heartbeats missed"
        self._silent.add(station.id)
        self.log.warn("{station}: {why}", station=station.id, why=why)
        self._hooks.tell(StationLost(station.ref, self._now(), why))
