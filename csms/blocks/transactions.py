"""Block E: every event of a transaction is kept and answered, whatever it says; problems go to review, never back to the station.

The state follows from the set of events (``csms.ledger``); one policy for all versions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from twisted.logger import Logger

from csms.blocks.authorization import AuthorizationBlock, Judged
from csms.blocks.outcome import Outcome, Received
from csms.blocks.provisioning import Provisioning
from csms.blocks.running_cost import RunningCost
from csms.ledger import stops
from csms.model.authorization import Authorization, AuthorizationRequest, AuthorizationStatus, Decision, Purpose
from csms.model.metering import READINGS, MeterValues, MeterValuesReceived
from csms.model.provisioning import Acknowledged
from csms.model.transactions import (
    EventType,
    Transaction,
    TransactionAnswer,
    TransactionEnded,
    TransactionEvent,
    TransactionOverlap,
    TransactionStarted,
    TransactionUpdated,
)
from csms.stations import Station
from csms.store import Recorded, Store


@dataclass(frozen=True, slots=True)
class StopPolicy:
    """Who may end what another began: tokens of ``master_pass`` may end everything (empty: there is no such group)."""

    master_pass: str = ""
    late_after: timedelta = timedelta(minutes=5)
    """A start or stop of 1.6, which cannot say that it was offline, is taken for one when it is so old."""


class Transactions:
    """Records transaction events and meter values."""

    log = Logger()

    def __init__(
        self,
        store: Store,
        authorization: AuthorizationBlock,
        provisioning: Provisioning,
        policy: StopPolicy,
        now: Callable[[], datetime],
        costs: RunningCost | None = None,
    ) -> None:
        self._store = store
        self._authorization = authorization
        self._provisioning = provisioning
        self._policy = policy
        self._now = now
        self._costs = costs

    async def event(self, station: Station, event: TransactionEvent, received: Received) -> Outcome:
        """Judge the token if there is one, keep the event, and answer once it is kept."""
        judged = await self._judge(station, event, received) if event.id_token else None
        recorded = await self._store.transactions.record(
            station.id,
            station.fence,
            station.protocol,
            received.action,
            event,
            received.body,
            received.at,
            decision=judged.decision if judged else None,
        )
        if event.tells_the_time and self._provisioning.clock_moved(station, event.timestamp, received.at):
            await self._provisioning.measure_clock(station, event.timestamp, received.at)
        cost = None
        if self._costs is not None and event.type is EventType.ENDED:
            cost = await self._costs.final(station, recorded.transaction)
        answer = TransactionAnswer(recorded.wire_id, judged.authorization if judged else None, cost)
        news: tuple[object, ...] = (judged.news,) if judged and judged.news else ()
        return Outcome(answer, (*news, *_news(station, event, recorded, received.at)))

    async def _judge(self, station: Station, event: TransactionEvent, received: Received) -> Judged:
        """The decision on the event's token: of a repeat the one that was made, of a stop whether it may end this transaction."""
        assert event.id_token is not None
        made = self._store.transactions.decided(station.id, event, received.body)
        if made is not None:
            return Judged(made, None)
        offline = self._offline(event, received)
        question = AuthorizationRequest(
            station.ref,
            event.id_token,
            event.timestamp if offline else received.at,
            Purpose.TRANSACTION,
            evse=event.evse,
            transaction=event.transaction or event.key,
        )
        if stops(event):
            return await self._judge_stop(station, event, question)
        if offline:
            return await self._authorization.judge(question, counted=False)
        own = event.transaction or await self._same_start(station, event)
        return await self._authorization.judge(question, own=own)

    def _offline(self, event: TransactionEvent, received: Received) -> bool:
        """Whether the event is told of afterwards: its token is judged as of its own time, and what charges now is no matter."""
        told_late = event.seq_no is None and received.at - event.timestamp > self._policy.late_after
        return event.offline or told_late

    async def _judge_stop(self, station: Station, event: TransactionEvent, question: AuthorizationRequest) -> Judged:
        """Who began may end, also when the token was blocked meanwhile; so may its group, and the master pass."""
        known = await self._store.transactions.by_wire_id(station.id, event.transaction)
        begun = known.id_token if known else None
        if begun is not None and begun.key == question.id_token.key:
            accepted = Authorization(AuthorizationStatus.ACCEPTED, known.group if known else None)
            return Judged(Decision(accepted, because="the token that began it"), None)
        judged = await self._authorization.judge(question, counted=False)
        return replace(judged, decision=replace(judged.decision, because=self._standing_of(judged, known)))

    def _standing_of(self, judged: Judged, known: Transaction | None) -> str:
        """What a token that did not begin a transaction has to do with it."""
        group = judged.authorization.group
        if group is None or judged.authorization.status is not AuthorizationStatus.ACCEPTED:
            return "another token than the one that began it"
        if known is not None and known.group is not None and known.group.key == group.key:
            return "a token of the group that began it"
        if self._policy.master_pass and group.key == self._policy.master_pass.casefold():
            return "the master pass"
        return "another token than the one that began it"

    async def _same_start(self, station: Station, event: TransactionEvent) -> str:
        """The id that a repeated 1.6 start already has; the answer to the first one may have been lost."""
        active = await self._store.transactions.active(station=station.id, evse=event.evse)
        same = (one.station_transaction for one in active if one.started_at == event.timestamp)
        return next(same, "")

    async def meter_values(self, station: Station, values: MeterValues, received: Received) -> Outcome:
        """Telemetry outside a transaction: kept, told, never billed."""
        body = received.body
        await self._store.telemetry.record(station.id, station.fence, values.evse, body, received.at)
        news = MeterValuesReceived(station.ref, received.at, values.evse, READINGS.held(values))
        return Outcome(Acknowledged(), (news,))


def _news(station: Station, event: TransactionEvent, recorded: Recorded, at: datetime) -> tuple[object, ...]:
    beside: tuple[object, ...] = ()
    if recorded.beside:
        beside = (TransactionOverlap(station.ref, at, recorded.transaction, recorded.beside),)
    if not recorded.new:
        return beside
    match event.type:
        case EventType.STARTED:
            return (TransactionStarted(station.ref, at, recorded.transaction, event), *beside)
        case EventType.UPDATED:
            return (TransactionUpdated(station.ref, at, recorded.wire_id, event), *beside)
        case EventType.ENDED:
            return (TransactionEnded(station.ref, at, recorded.transaction, event), *beside)
