"""Transactions in the store: kept once, found again, in whatever order their events come."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import pytest_twisted

from csms.model.authorization import Authorization, AuthorizationStatus, Decision, IdToken
from csms.model.metering import MeterValue, SampledValue
from csms.model.transactions import Completeness, EventType, TransactionEvent
from csms.store import Fenced, Recorded, Store

T0 = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
TAG = IdToken("AbC123")


def register(wh: int, at: datetime) -> tuple[MeterValue, ...]:
    return (MeterValue(at, (SampledValue(Decimal(wh)),)),)


def event(seq_no: int, type: EventType, transaction: str = "tx-1", **more: object) -> TransactionEvent:
    at = T0 + timedelta(minutes=seq_no)
    facts: dict[str, object] = {
        "trigger": "MeterValuePeriodic",
        "key": str(seq_no),
        "seq_no": seq_no,
        "evse": 1,
        "connector": 1,
        "meter_values": register(1000 * seq_no, at),
        **more,
    }
    return TransactionEvent(transaction, type, at, **facts)  # type: ignore[arg-type]


WHOLE = (
    event(0, EventType.STARTED, id_token=TAG),
    event(1, EventType.UPDATED),
    event(2, EventType.UPDATED),
    event(3, EventType.ENDED, stopped_reason="Local"),
)


async def keep(
    store: Store, told: TransactionEvent, station: str = "CP1", fence: int = 0, authorization: str = ""
) -> Recorded:
    body = f'{{"seqNo":{told.seq_no}}}'.encode()
    decision = Decision(Authorization(AuthorizationStatus(authorization))) if authorization else None
    return await store.transactions.record(
        station, fence, "ocpp2.0.1", "TransactionEvent", told, body, T0, decision=decision
    )


def start(transaction: str = "", key: str = "start/1/AbC123/t/0") -> TransactionEvent:
    return TransactionEvent(transaction, EventType.STARTED, T0, "Authorized", key, evse=1, connector=1, id_token=TAG)


@pytest_twisted.ensureDeferred
async def test_a_whole_transaction_is_found_with_its_state_and_events(store: Store) -> None:
    for told in WHOLE:
        recorded = await keep(store, told, authorization="Accepted" if told.id_token else "")
        assert recorded.new
    assert recorded.revision == 4
    kept = await store.transactions.by_wire_id("CP1", "tx-1")
    assert kept == recorded.transaction == await store.transactions.get(recorded.transaction.id)
    assert kept is not None
    assert (kept.completeness, kept.energy_wh) == (Completeness.COMPLETE, Decimal(3000))
    assert (kept.started_at, kept.authorization, kept.id_token) == (T0, "Accepted", TAG)
    events = await store.transactions.events(kept.id)
    assert [(one.key, one.type, one.body) for one in events] == [
        (told.key, told.type, f'{{"seqNo":{told.seq_no}}}'.encode()) for told in WHOLE
    ]
    assert events[0].authorization == "Accepted"
    assert events[1].timestamp == WHOLE[1].timestamp


@pytest_twisted.ensureDeferred
async def test_every_order_gives_the_same_state(store: Store) -> None:
    states = set()
    for number, order in enumerate(itertools.permutations(WHOLE)):
        for told in order:
            await keep(store, told, f"CP{number}", authorization="Accepted" if told.id_token else "")
        kept = await store.transactions.by_wire_id(f"CP{number}", "tx-1")
        assert kept is not None
        states.add(replace(kept, id=0, station=""))
    assert len(states) == 1


@pytest_twisted.ensureDeferred
async def test_a_repeat_changes_nothing_and_gives_the_same_transaction(store: Store) -> None:
    first = await keep(store, WHOLE[0], authorization="Accepted")
    again = await keep(store, WHOLE[0], authorization="ConcurrentTx")
    assert first.new
    assert not again.new
    assert (again.transaction, again.revision) == (first.transaction, first.revision)
    assert len(await store.transactions.events(first.transaction.id)) == 1


@pytest_twisted.ensureDeferred
async def test_a_second_started_event_is_told_apart_from_a_repeat(store: Store) -> None:
    assert not (await keep(store, WHOLE[0])).one_more_start
    assert (await keep(store, event(7, EventType.STARTED))).one_more_start


@pytest_twisted.ensureDeferred
async def test_a_start_without_id_gets_the_row_number_and_its_repeat_the_same(store: Store) -> None:
    first = await keep(store, start())
    assert first.transaction.station_transaction == str(first.transaction.id)
    again = await keep(store, start())
    assert not again.new
    assert again.transaction == first.transaction
    other = await keep(store, start(key="start/1/AbC123/t/1"))
    assert other.transaction.station_transaction != first.transaction.station_transaction


@pytest_twisted.ensureDeferred
async def test_a_start_without_id_skips_numbers_that_orphans_of_the_station_have(store: Store) -> None:
    orphan = await keep(store, event(0, EventType.ENDED, transaction="2"))
    assert orphan.transaction.id == 1
    assert orphan.transaction.review == "no start seen"
    mine = await keep(store, start())
    assert mine.transaction.station_transaction == "3"
    assert mine.transaction.id == 3
    elsewhere = await keep(store, start(), station="CP2")
    assert elsewhere.transaction.station_transaction == "4"


@pytest_twisted.ensureDeferred
async def test_no_station_touches_another_stations_transaction(store: Store) -> None:
    mine = await keep(store, start())
    wire_id = mine.transaction.station_transaction
    stranger = await keep(store, event(9, EventType.ENDED, transaction=wire_id), station="EVIL")
    assert stranger.transaction.id != mine.transaction.id
    kept = await store.transactions.get(mine.transaction.id)
    assert kept is not None
    assert kept.ended_at is None


@pytest_twisted.ensureDeferred
async def test_an_older_connection_is_fenced_and_writes_nothing(store: Store) -> None:
    old = (await store.presence.attach("CP1", T0)).fence
    assert (await keep(store, WHOLE[0], fence=old)).new
    new = (await store.presence.attach("CP1", T0)).fence
    with pytest.raises(Fenced):
        await keep(store, WHOLE[1], fence=old)
    assert (await keep(store, WHOLE[1], fence=new)).new
    assert (await keep(store, WHOLE[2], fence=0)).new


@pytest_twisted.ensureDeferred
async def test_active_transactions_are_found_by_station_token_and_evse(store: Store) -> None:
    for told in WHOLE:
        await keep(store, told)
    running = (await keep(store, event(0, EventType.STARTED, transaction="tx-2", id_token=TAG, evse=2))).transaction
    other = (await keep(store, WHOLE[0], station="CP2")).transaction
    find = store.transactions.active
    assert await find() == [running, other]
    assert await find(station="CP1") == [running]
    assert await find(token=IdToken("aBc123")) == [running, other]
    assert await find(token=IdToken("aBc123", "eMAID")) == []
    assert await find(token=TAG, station="CP2") == [other]
    assert await find(station="CP1", evse=1) == []
    assert await find(evse=2) == [running]


@pytest_twisted.ensureDeferred
async def test_lists_are_newest_first_in_pages(store: Store) -> None:
    for number in range(5):
        await keep(store, event(0, EventType.STARTED, transaction=f"tx-{number}"))
    await keep(store, event(1, EventType.ENDED, transaction="tx-3"))
    page = await store.transactions.list(limit=2)
    assert [one.station_transaction for one in page] == ["tx-4", "tx-3"]
    page = await store.transactions.list(limit=2, after=page[-1].id)
    assert [one.station_transaction for one in page] == ["tx-2", "tx-1"]
    assert [one.station_transaction for one in await store.transactions.list(active=False)] == ["tx-3"]
    assert len(await store.transactions.list(active=True)) == 4
    assert await store.transactions.list(station="CP9") == []


@pytest_twisted.ensureDeferred
async def test_the_token_of_the_earliest_event_says_the_authorization(store: Store) -> None:
    late = event(1, EventType.UPDATED, id_token=IdToken("second"))
    await keep(store, late, authorization="Blocked")
    recorded = await keep(store, WHOLE[0], authorization="Accepted")
    assert (recorded.transaction.id_token, recorded.transaction.authorization) == (TAG, "Accepted")


@pytest_twisted.ensureDeferred
async def test_a_question_that_was_planned_while_the_clock_was_ahead_has_its_turn_when_it_is_right(
    store: Store,
) -> None:
    await keep(store, WHOLE[0])
    asked = (await keep(store, WHOLE[2])).transaction
    hour = timedelta(hours=1)
    assert await store.healing.open(asked, "hole", "1", T0, T0 + timedelta(seconds=30))
    assert await store.healing.due(T0, 9, hour) == []
    assert len(await store.healing.due(T0 + timedelta(seconds=30), 9, hour)) == 1
    assert len(await store.healing.due(T0 - timedelta(days=400), 9, hour)) == 1
