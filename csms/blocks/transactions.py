"""Block E: every event of a transaction is kept and answered, whatever it says; problems go to review, never back to the station.

The state follows from the set of events (``csms.ledger``); one policy for all versions.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from csms.blocks.authorization import AuthorizationBlock, Judged
from csms.blocks.outcome import Outcome, Received
from csms.blocks.provisioning import Provisioning
from csms.blocks.running_cost import RunningCost
from csms.model.authorization import Authorization, AuthorizationRequest, AuthorizationStatus, IdToken, Purpose
from csms.model.metering import MeterValues, MeterValuesReceived
from csms.model.provisioning import Acknowledged
from csms.model.transactions import (
    EventType,
    TransactionAnswer,
    TransactionEnded,
    TransactionEvent,
    TransactionStarted,
    TransactionUpdated,
)
from csms.stations import Station
from csms.store import Recorded, Store


class Transactions:
    """Records transaction events and meter values."""

    def __init__(
        self,
        store: Store,
        authorization: AuthorizationBlock,
        provisioning: Provisioning,
        now: Callable[[], datetime],
        costs: RunningCost | None = None,
    ) -> None:
        self._store = store
        self._authorization = authorization
        self._provisioning = provisioning
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
            authorization=judged.authorization.status.value if judged else "",
        )
        if not event.offline and event.seq_no is not None:
            await self._provisioning.measure_clock(station, event.timestamp, received.at)
        cost = None
        if self._costs is not None and event.type is EventType.ENDED:
            cost = await self._costs.final(station, recorded.transaction)
        answer = TransactionAnswer(recorded.wire_id, judged.authorization if judged else None, cost)
        news: tuple[object, ...] = (judged.news,) if judged and judged.news else ()
        return Outcome(answer, (*news, *_news(station, event, recorded, received.at)))

    async def _judge(self, station: Station, event: TransactionEvent, received: Received) -> Judged:
        assert event.id_token is not None
        if event.type is EventType.ENDED and await self._started_with(station, event.transaction, event.id_token):
            return Judged(Authorization(AuthorizationStatus.ACCEPTED), "", None)
        question = AuthorizationRequest(
            station.ref,
            event.id_token,
            received.at,
            Purpose.TRANSACTION,
            evse=event.evse,
            transaction=event.transaction or event.key,
        )
        own = event.transaction or await self._same_start(station, event)
        return await self._authorization.judge(question, own=lambda s, t: s == station.id and t == own)

    async def _started_with(self, station: Station, transaction: str, token: IdToken) -> bool:
        """Whoever started a transaction may end it, also when the token was blocked or used up meanwhile."""
        known = await self._store.transactions.by_wire_id(station.id, transaction)
        return known is not None and known.id_token is not None and known.id_token.key == token.key

    async def _same_start(self, station: Station, event: TransactionEvent) -> str:
        """The id that a repeated 1.6 start already has; the answer to the first one may have been lost."""
        active = await self._store.transactions.active(station=station.id, evse=event.evse)
        same = (one.station_transaction for one in active if one.started_at == event.timestamp)
        return next(same, "")

    async def meter_values(self, station: Station, values: MeterValues, received: Received) -> Outcome:
        """Telemetry outside a transaction: kept, told, never billed."""
        body = received.body
        await self._store.telemetry.record(station.id, station.fence, values.evse, body, received.at)
        news = MeterValuesReceived(station.ref, received.at, values.evse, values.values)
        return Outcome(Acknowledged(), (news,))


def _news(station: Station, event: TransactionEvent, recorded: Recorded, at: datetime) -> tuple[object, ...]:
    if not recorded.new:
        return ()
    match event.type:
        case EventType.STARTED:
            return (TransactionStarted(station.ref, at, recorded.transaction, event),)
        case EventType.UPDATED:
            return (TransactionUpdated(station.ref, at, recorded.wire_id, event),)
        case EventType.ENDED:
            return (TransactionEnded(station.ref, at, recorded.transaction, event),)
