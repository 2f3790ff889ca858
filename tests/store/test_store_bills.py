"""Bills in the store: issued once, never changed, numbered without gaps, with their history and their way out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import pytest_twisted

from csms.model.billing import (
    Bill,
    BillKind,
    BillLine,
    BillRefused,
    BillStatus,
    DeliveryState,
    Price,
    TaxLine,
    UnknownBill,
)
from csms.model.transactions import EventType, TransactionEvent
from csms.store import Issuing, Store, StoreFault, verify

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
A = Issuing("A", "C", ("books",), T0)
PROVISIONAL, QUARANTINED, FINAL = BillStatus.PROVISIONAL, BillStatus.QUARANTINED, BillStatus.FINAL


async def transaction(store: Store, wire_id: str, *types: EventType) -> int:
    """A transaction with these events; its number."""
    for seq_no, type in enumerate(types):
        event = TransactionEvent(wire_id, type, T0 + timedelta(minutes=seq_no), "Authorized", str(seq_no), seq_no)
        recorded = await store.transactions.record("CP1", 0, "ocpp2.0.1", "TransactionEvent", event, b"{}", T0)
    return recorded.transaction.id


async def charge(store: Store, wire_id: str, events: int = 2) -> int:
    """A transaction with a start, an end and so many events in all."""
    return await transaction(store, wire_id, EventType.STARTED, EventType.ENDED, *[EventType.UPDATED] * (events - 2))


def draft(transaction: int, total: str = "4.10", status: BillStatus = FINAL, **more: Any) -> Bill:
    """What a transaction's bill should be."""
    line = BillLine("energy", Decimal("10.250"), "kWh", Decimal("0.40"), Decimal(total), "energy", T0, T0)
    tax = TaxLine("VAT", Decimal(19), Decimal("3.45"), Decimal("0.65"))
    price = Price("EUR", (line,), Decimal(total), "day", taxes=(tax,))
    wh = Decimal("10250.0")
    evidence = {"priced_by": "billing"}
    return Bill(transaction, "CP1", status, price, wh, Decimal(0), wh, T0, T0, T0, evidence=evidence, **more)


def said(bills: list[Bill]) -> list[tuple[str, str, str]]:
    """Number, status and total."""
    return [(one.number, one.status.value, str(one.price.total)) for one in bills]


@pytest_twisted.ensureDeferred
async def test_due_bills_are_of_ended_transactions_and_go_when_billed(store: Store) -> None:
    await transaction(store, "tx-1", EventType.STARTED)
    ended = await transaction(store, "tx-2", EventType.STARTED, EventType.ENDED)
    free = await transaction(store, "tx-3", EventType.STARTED, EventType.ENDED)
    due = await store.transactions.due_bills(10)
    assert [(one.id, revision) for one, revision in due] == [(ended, 2), (free, 2)]
    assert [one.id for one, _ in await store.transactions.due_bills(10, after=ended)] == [free]
    await store.bills.settle(draft(ended), 2, A)
    await store.bills.skip(free, 2)
    assert await store.transactions.due_bills(10) == []
    await transaction(store, "tx-2", EventType.STARTED, EventType.ENDED, EventType.UPDATED)
    assert [(one.id, revision) for one, revision in await store.transactions.due_bills(10)] == [(ended, 3)]


@pytest_twisted.ensureDeferred
async def test_a_final_bill_is_numbered_once_and_keeps_everything(store: Store) -> None:
    one, two = await charge(store, "1"), await charge(store, "2")
    (first,) = await store.bills.settle(draft(one), 2, A)
    assert await store.bills.settle(draft(one, "99"), 2, A) == [], "this revision is billed"
    (second,) = await store.bills.settle(draft(two), 2, A)
    assert (first.number, second.number) == ("A-000001", "A-000002")
    assert (
        await store.bills.get(one)
        == await store.bills.by_id(first.id)
        == first
        == replace(draft(one), id=first.id, number="A-000001")
    )
    assert await store.bills.list() == [second, first] == await store.bills.list(station="CP1")
    assert await store.bills.list(after=second.id) == [first] == await store.bills.list(transaction=one)
    assert await store.bills.list(since=T0 + timedelta(1)) == [] == await store.bills.list(until=T0)
    assert await store.bills.list(status=PROVISIONAL) == []
    assert (await store.bills.get(99), await store.bills.by_id(99)) == (None, None)
    with pytest.raises(StoreFault):
        await store.bills.settle(draft(99), 1, A)


@pytest_twisted.ensureDeferred
async def test_a_provisional_bill_keeps_its_id_until_it_is_final(store: Store) -> None:
    id = await charge(store, "1", 4)
    (early,) = await store.bills.settle(draft(id, "1", PROVISIONAL), 2, A)
    (later,) = await store.bills.settle(draft(id, "2", QUARANTINED, reason="odd"), 3, A)
    (final,) = await store.bills.settle(draft(id, "3"), 4, A)
    assert early.id == later.id == final.id
    assert said(await store.bills.list()) == [("A-000001", "final", "3")]
    steps = [(step.what, step.reason) for step in await store.bills.history(id)]
    assert steps == [("provisional", ""), ("quarantined", "odd"), ("final", "")]


@pytest_twisted.ensureDeferred
async def test_an_issued_bill_is_corrected_by_a_credit_note_and_a_new_bill(store: Store) -> None:
    id = await charge(store, "1", 5)
    (first,) = await store.bills.settle(draft(id, "4.10"), 2, A)
    assert await store.bills.settle(draft(id, "4.10"), 3, A) == [], "nothing new to say"
    (waiting,) = await store.bills.settle(draft(id, "5", PROVISIONAL), 4, A)
    assert await store.bills.get(id) == first, "the issued one counts until then"
    credit, second = await store.bills.settle(draft(id, "5"), 5, A)
    assert said([credit, second]) == [("C-000001", "final", "-4.10"), ("A-000002", "final", "5")]
    assert (credit.kind, credit.corrects, second.corrects, second.id) == (
        BillKind.CREDIT,
        first.id,
        first.id,
        waiting.id,
    )
    assert (credit.price.lines[0].amount, credit.price.taxes[0].amount) == (Decimal("-4.10"), Decimal("-0.65"))
    assert await store.bills.by_id(first.id) == replace(first, status=BillStatus.CORRECTED)
    assert await store.bills.get(id) == second
    assert verify(store.file) == []


@pytest_twisted.ensureDeferred
async def test_a_draft_that_says_what_was_issued_after_all_is_put_away(store: Store) -> None:
    id = await charge(store, "1", 4)
    (first,) = await store.bills.settle(draft(id), 2, A)
    await store.bills.settle(draft(id, "5", PROVISIONAL), 3, A)
    (gone,) = await store.bills.settle(draft(id), 4, A)
    assert (gone.status, gone.reason) == (BillStatus.WRITTEN_OFF, "the events say what bill A-000001 says")
    assert await store.bills.get(id) == first


@pytest_twisted.ensureDeferred
async def test_people_release_write_off_and_cancel(store: Store) -> None:
    ids = [await charge(store, str(number), 3) for number in range(3)]
    held = [(await store.bills.settle(draft(id, "4", QUARANTINED, reason="odd"), 2, A))[0] for id in ids]
    (released,) = await store.bills.release(replace(held[0], by="ann", reason="looked at"), A)
    assert (released.number, released.by, released.reason, released.id) == ("A-000001", "ann", "looked at", held[0].id)
    (off,) = await store.bills.write_off(replace(held[1], by="ann", reason="broken"), A)
    assert (off.status, off.number) == (BillStatus.WRITTEN_OFF, "")
    (credit,) = await store.bills.cancel(replace(released, by="bob", reason="goodwill"), A)
    assert (credit.number, credit.reason, credit.by, credit.corrects) == ("C-000001", "goodwill", "bob", released.id)
    assert said(await store.bills.list(transaction=ids[0])) == [
        ("C-000001", "final", "-4"),
        ("A-000001", "cancelled", "4"),
    ]
    for again in (store.bills.release, store.bills.write_off):
        with pytest.raises(BillRefused, match="not waiting"):
            await again(released, A)
    for wrong, words in ((credit, "a credit note"), (held[2], "quarantined"), (released, "cancelled")):
        with pytest.raises(BillRefused, match=words):
            await store.bills.cancel(wrong, A)
    with pytest.raises(UnknownBill):
        await store.bills.cancel(replace(released, id=99), A)
    # What a person decided is not undone by an event.
    for id in ids[:2]:
        (again,) = await store.bills.settle(draft(id, "7"), 3, A)
        assert (again.status, again.number) == (QUARANTINED, "")
        assert "there are new events" in again.reason
    assert verify(store.file) == []


@pytest_twisted.ensureDeferred
async def test_a_bill_changed_by_hand_is_not_changed_by_an_event(store: Store) -> None:
    id = await charge(store, "1", 4)
    (first,) = await store.bills.settle(draft(id, "4"), 2, A)
    changed = replace(draft(id, "3"), id=first.id, by="ann", reason="wrong tariff", by_hand=True)
    credit, second = await store.bills.correct(changed, A)
    assert said([credit, second]) == [("C-000001", "final", "-4"), ("A-000002", "final", "3")]
    (held,) = await store.bills.settle(draft(id, "5"), 3, A)
    assert (held.status, held.corrects) == (QUARANTINED, second.id)
    back, third = await store.bills.release(replace(held, by="ann", reason="the meter was read"), A)
    assert said([back, third]) == [("C-000002", "final", "-3"), ("A-000003", "final", "5")]
    assert await store.bills.get(id) == third
    assert verify(store.file) == []


@pytest_twisted.ensureDeferred
async def test_issued_bills_are_in_the_outbox_in_order_and_once(store: Store) -> None:
    id, other = await charge(store, "1", 4), await charge(store, "2")
    await store.bills.settle(draft(id, "1", PROVISIONAL), 2, A)
    assert await store.deliveries.due("books", T0, HOUR) == []
    (first,) = await store.bills.settle(draft(id, "4"), 3, A)
    await store.bills.settle(draft(id, "5"), 4, A)
    await store.bills.settle(draft(other), 2, A)
    due = await store.deliveries.due("books", T0, HOUR)
    assert [bill.number for _, bill in due] == ["A-000001", "A-000003"], "a credit note waits for its bill"
    assert await store.deliveries.due("other", T0, HOUR) == []
    record = replace(due[0][0], state=DeliveryState.DELIVERED, attempts=1, reference="77")
    await store.deliveries.change(record)
    assert await store.deliveries.list(first.id) == [record]
    assert [bill.number for _, bill in await store.deliveries.due("books", T0, HOUR)] == ["C-000001", "A-000003"]
    dead = replace(due[1][0], state=DeliveryState.DEAD, attempts=9, error="no")
    await store.deliveries.change(dead)
    assert [bill.number for _, bill in await store.deliveries.due("books", T0, HOUR)] == ["C-000001"]
    assert await store.deliveries.again(dead.bill, T0) == 1
    assert await store.deliveries.again(dead.bill, T0) == 0
    assert [bill.number for _, bill in await store.deliveries.due("books", T0, HOUR)] == ["C-000001", "A-000003"]


@pytest_twisted.ensureDeferred
async def test_a_bill_that_was_issued_while_the_clock_was_ahead_is_delivered_when_it_is_right(store: Store) -> None:
    await store.bills.settle(draft(await charge(store, "1"), "4"), 2, A)
    before = T0 - timedelta(minutes=30)
    assert await store.deliveries.due("books", before, HOUR) == [], "half an hour is a pause as any"
    assert len(await store.deliveries.due("books", T0 - timedelta(days=400), HOUR)) == 1
