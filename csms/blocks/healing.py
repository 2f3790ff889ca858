"""Asks stations for what is missing: holes in the numbers, starts that never came, transactions that fell silent (OCPP 2.0.1 E14).

What is to be asked, how often it was, and when again, stands in the database; after a restart the healer goes on where it was. It asks only
stations that are connected and whose version has the question, waits longer each time, and in the end says that it gives up, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from csms.blocks.commands import Commands
from csms.model.availability import ConnectorStatus
from csms.model.commands import CommandRecord, CommandState
from csms.model.station import StationConnected, StationRef
from csms.model.transactions import (
    GetTransactionStatus,
    Transaction,
    TransactionGaveUp,
    TransactionHealed,
    TransactionIncomplete,
    TransactionStatus,
)
from csms.running import run_guarded
from csms.stations import Station
from csms.store import Healing, Store
from csms.switchboard import Switchboard

ORIGIN = "healing"
SWEEP_S = 10.0
BATCH = 500
LONGEST_WAIT = timedelta(hours=1)
EMPTY_ENOUGH = 2
"""A station's word that nothing waits counts when it is said twice: the first answer may have overtaken events that were on their way."""
HOLE, NO_START, SILENCE = "hole", "no start", "silence"
UNABLE = ("NotSupported", "NotImplemented", "NotSupportedByStation")


@dataclass(frozen=True, slots=True)
class HealingPolicy:
    """How patient the healer is: seconds of ``silence`` of a transaction, before the first question, and before the second; and how often."""

    silence: timedelta
    ask_after: timedelta
    ask_again: timedelta
    tries: int

    @property
    def longest(self) -> timedelta:
        """No question waits longer for its turn."""
        return max(LONGEST_WAIT, self.ask_again, self.ask_after)

    def wait(self, tries: int) -> timedelta:
        """Until the next question: twice as long each time, at most LONGEST_WAIT."""
        doubled: timedelta = self.ask_again * 2 ** min(tries, 20)
        return min(doubled, self.longest)


class Healer:
    """Looks for what is missing every few seconds, and asks when its turn has come."""

    log = Logger()

    def __init__(
        self,
        store: Store,
        commands: Commands,
        switchboard: Switchboard,
        policy: HealingPolicy,
        status_of: Callable[[Mapping[str, object]], TransactionStatus],
        tell: Callable[[object], None],
        clock: IReactorTime,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._commands = commands
        self._switchboard = switchboard
        self._policy = policy
        self._status_of = status_of
        self._tell = tell
        self._clock = clock
        self._now = now
        self._timer = LoopingCall(self._sweep_guarded)
        self._timer.clock = clock
        self._sweeping = False

    def start(self) -> None:
        """Begin with what a stop left over."""
        self._timer.start(SWEEP_S, now=True)

    def stop(self) -> None:
        """No more questions."""
        if self._timer.running:
            self._timer.stop()

    @property
    def idle(self) -> bool:
        """Whether no sweep is under way."""
        return not self._sweeping

    def on_event(self, event: object) -> None:
        """A station is back: what waited for it has its turn soon, and what it does not tell by itself is asked for."""
        if isinstance(event, StationConnected):
            self._clock.callLater(
                self._policy.ask_after.total_seconds(),
                run_guarded,
                lambda: self._back(event.station.id, event.at),
                self.log,
            )

    async def _back(self, station: str, since: datetime) -> None:
        await self._store.healing.wake(station, self._now())
        for transaction in await self._store.healing.silent(since, BATCH, station=station):
            await self._open(transaction, SILENCE, timedelta(0))

    def _sweep_guarded(self) -> None:
        if not self._sweeping:
            run_guarded(self.sweep, self.log)

    async def sweep(self) -> None:
        """Note what is missing, and ask for that whose turn has come."""
        self._sweeping = True
        try:
            for transaction in await self._store.healing.wanting(BATCH):
                cause = HOLE if transaction.started_at else NO_START
                await self._open(transaction, cause, self._policy.ask_after)
            for transaction in await self._store.healing.silent(self._now() - self._policy.silence, BATCH):
                await self._open(transaction, SILENCE, timedelta(0))
            for healing in await self._store.healing.due(self._now(), BATCH, self._policy.longest):
                await self._turn(healing)
        finally:
            self._sweeping = False

    async def _open(self, transaction: Transaction, cause: str, delay: timedelta) -> None:
        now = self._now()
        await self._store.healing.open(transaction, cause, lacking(transaction), now, now + delay)

    async def _turn(self, healing: Healing) -> None:
        """One healing's turn: it may be over by itself, the station may be away, and else it is asked."""
        transaction = await self._store.transactions.get(healing.transaction)
        if transaction is None or _settled(transaction, healing):
            await self._healed(healing, transaction)
            return
        station = self._switchboard.station(healing.station)
        if station is None or not station.accepted:
            await self._store.healing.put_off(healing.id, None if station is None else self._next(healing))
            return
        if healing.tries == 0 and healing.cause != SILENCE:
            self._tell(TransactionIncomplete(station.ref, self._now(), transaction, lacking(transaction)))
        await self._store.healing.asked(healing.id, self._now(), self._next(healing))
        run_guarded(lambda: self._ask(station, healing, transaction), self.log)

    def _next(self, healing: Healing) -> datetime:
        return self._now() + self._policy.wait(healing.tries)

    async def _healed(self, healing: Healing, transaction: Transaction | None) -> None:
        await self._store.healing.close(healing, "healed", "what was missing has come", self._now())
        if transaction is not None and healing.tries and healing.cause != SILENCE:
            self._tell(TransactionHealed(self._ref(transaction.station), self._now(), transaction))

    async def _ask(self, station: Station, healing: Healing, transaction: Transaction) -> None:
        if GetTransactionStatus not in station.dialect.commands:
            await self._unaskable(station, healing, transaction)
            return
        question = GetTransactionStatus(transaction.station_transaction)
        record = await self._commands.send(station.id, question, origin=ORIGIN)
        if record.state is CommandState.EFFECTIVE:
            await self._answered(healing, transaction, self._status_of(record.answer or {}))
        else:
            await self._unanswered(healing, transaction, record)

    async def _answered(self, healing: Healing, transaction: Transaction, status: TransactionStatus) -> None:
        """Messages wait: so does the healer. None wait, and the transaction goes on: silence was all there was."""
        if status.queued:
            await self._store.healing.answered(healing.id, 0)
            why = f"asked {healing.tries + 1} times: messages of it wait at the station, and they do not come"
            await self._or_enough(healing, transaction, why)
        elif healing.cause == SILENCE and status.ongoing is not False:
            await self._store.healing.close(healing, "ongoing", "the station says that it goes on", self._now())
        elif healing.empty + 1 < EMPTY_ENOUGH:
            await self._store.healing.answered(healing.id, healing.empty + 1)
        else:
            over = status.ongoing is False
            why = "the station says that it is over, and has" if over else "the station has"
            await self._give_up(healing, transaction, f"{why} no more messages of it", over=over)

    async def _unanswered(self, healing: Healing, transaction: Transaction, record: CommandRecord) -> None:
        if record.error_code == "NotConnected":
            await self._store.healing.put_off(healing.id, None)
        elif record.error_code not in UNABLE:
            why = f"asked {healing.tries + 1} times: {record.error}"
            await self._or_enough(healing, transaction, why)
        elif healing.cause == SILENCE:
            await self._store.healing.close(healing, "ongoing", "the station cannot be asked", self._now())
        else:
            await self._give_up(healing, transaction, "the station cannot be asked for it", over=False)

    async def _or_enough(self, healing: Healing, transaction: Transaction, why: str) -> None:
        """Its turn comes again, unless it has come often enough."""
        if healing.tries + 1 >= self._policy.tries:
            await self._give_up(healing, transaction, why, over=False)

    async def _unaskable(self, station: Station, healing: Healing, transaction: Transaction) -> None:
        """A version without the question: only time tells, and whether the connector is free."""
        if healing.cause != SILENCE:
            why = f"it did not come in time, and {station.protocol} has no message to ask for it"
            await self._or_enough(healing, transaction, why)
            return
        status = await self._connector(transaction)
        if status is not ConnectorStatus.AVAILABLE:
            said = "is not known" if status is None else f"is {status.value}"
            await self._store.healing.close(healing, "ongoing", f"the connector {said}", self._now())
        elif healing.empty + 1 < EMPTY_ENOUGH:
            await self._store.healing.answered(healing.id, healing.empty + 1)
        else:
            await self._give_up(healing, transaction, "the connector is free, and no end came", over=True)

    async def _connector(self, transaction: Transaction) -> ConnectorStatus | None:
        """Its connector's status if it is newer than the transaction's last news."""
        place = (transaction.evse, transaction.connector)
        for known in await self._store.availability.list(transaction.station):
            newer = transaction.last_event_at is None or known.timestamp > transaction.last_event_at
            if (known.evse, known.connector) == place and newer:
                return known.status
        return None

    async def _give_up(self, healing: Healing, transaction: Transaction, why: str, *, over: bool) -> None:
        given_up = await self._store.healing.give_up(healing, transaction, why, self._now(), over=over)
        if given_up is None:
            return
        self.log.warn(
            "transaction {id} of {station} stays incomplete: {why}", id=given_up.id, station=given_up.station, why=why
        )
        self._tell(TransactionGaveUp(self._ref(given_up.station), self._now(), given_up, why))

    def _ref(self, station: str) -> StationRef:
        connected = self._switchboard.station(station)
        return connected.ref if connected else StationRef(station)


def lacking(transaction: Transaction) -> str:
    """What is missing, in words."""
    parts = []
    if transaction.started_at is None:
        parts.append("the start")
    if transaction.missing:
        parts.append(f"the events {', '.join(map(str, transaction.missing))}")
    return " and ".join(parts) or "news"


def _settled(transaction: Transaction, healing: Healing) -> bool:
    """Whether what was missing is there."""
    if healing.cause == SILENCE:
        heard = transaction.heard_at is not None and transaction.heard_at > healing.opened_at
        return heard or transaction.ended_at is not None
    return transaction.started_at is not None and not transaction.missing
