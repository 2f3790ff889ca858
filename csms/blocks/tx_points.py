"""When stations begin and end their transactions: read after the boot where it is not known, written where the site wants it otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from csms.blocks.commands import Commands
from csms.model.commands import CommandState
from csms.model.provisioning import BootStatus, GetVariables, SetVariables, StationBooted, VariableValue
from csms.model.transactions import GetTransactionStatus
from csms.model.tx_points import COMPONENT, START, STOP, TxPoints
from csms.running import run_guarded
from csms.stations import Station
from csms.store import Store
from csms.switchboard import Switchboard

ORIGIN = "start and stop points"
AFTER_BOOT_S = 30.0
"""Stations have enough to tell right after a boot."""


@dataclass(frozen=True, slots=True)
class PointPolicy:
    """The points that stations are to have (none: their own), and whether stations are asked for theirs."""

    wanted: TxPoints
    read: bool


class TxPointsBlock:
    """Knows each station's start and stop points."""

    log = Logger()

    def __init__(
        self, store: Store, commands: Commands, switchboard: Switchboard, policy: PointPolicy, clock: IReactorTime
    ) -> None:
        self._store = store
        self._commands = commands
        self._switchboard = switchboard
        self._policy = policy
        self._clock = clock
        self._looking: set[str] = set()

    def on_event(self, event: object) -> None:
        """A station has booted."""
        if isinstance(event, StationBooted) and event.status is BootStatus.ACCEPTED:
            self._clock.callLater(AFTER_BOOT_S, run_guarded, lambda: self._look(event.station.id), self.log)

    async def known(self, station: str) -> TxPoints:
        """What the station has told of its points."""
        return TxPoints.of(await self._store.variables.list(station, component=COMPONENT))

    async def _look(self, id: str) -> None:
        """Ask and set, unless that goes on already: a station may boot again and again, and answer nothing."""
        if id in self._looking:
            return
        self._looking.add(id)
        try:
            await self._ask_and_set(id)
        finally:
            self._looking.remove(id)

    async def _ask_and_set(self, id: str) -> None:
        station = self._switchboard.station(id)
        if station is None or not _has_points(station):
            return
        known = await self.known(id)
        if self._policy.read and not (known.start and known.stop):
            await self._commands.send(id, GetVariables((START, STOP)), origin=ORIGIN)
            known = await self.known(id)
        values = tuple(self._to_write(known))
        if values:
            record = await self._commands.send(id, SetVariables(values), origin=ORIGIN)
            if record.state is not CommandState.EFFECTIVE:
                why = record.error or record.state.value
                self.log.warn("{station} did not take over its start and stop points: {why}", station=id, why=why)

    def _to_write(self, known: TxPoints) -> Iterator[VariableValue]:
        wanted = self._policy.wanted
        for variable, has, shall in ((START, known.start, wanted.start), (STOP, known.stop, wanted.stop)):
            if shall and set(has) != set(shall):
                yield VariableValue(variable, ",".join(shall))


def _has_points(station: Station) -> bool:
    """Whether its version has transactions that begin and end at points: those that can be asked about have."""
    return GetTransactionStatus in station.dialect.commands
