"""Issued bills on their way to backends: each at least once with the same key, in order, and nobody waits for a slow one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest_twisted
from block_kit import Make
from block_words import event
from twisted.internet.defer import Deferred

from csms.model.billing import BillIssued, BillNotDelivered, DeliveryState

SITE = """
[plugins]
enabled = ["billing", "./books.py", "./other.py"]
[plugins.billing]
per_kwh = "0.45"
[bills]
delivery_timeout = "20s"
delivery_retry = "10s"
delivery_retry_most = "30s"
delivery_attempts = 4
"""
BOOKS = """
from csms.api import BillDelivered, hookimpl
class Plugin:
    def __init__(self, settings, csms):
        self.seen = []
        self.answer = lambda delivery: BillDelivered(f"entry {len(self.seen)}")
    @hookimpl
    def deliver_bill(self, delivery):
        self.seen.append((delivery.key, delivery.attempt))
        return self.answer(delivery)
"""


async def depot(make: Make, folder: Path) -> Any:
    """A CSMS with two backends, ``books`` and ``other``."""
    for name in ("books", "other"):
        (folder / f"{name}.py").write_text(BOOKS)
    csms = await make(SITE)
    for one in csms.house.plugins.loaded:
        setattr(csms, one.found.name, one.instance)
    return csms


async def charge(csms: Any, tx: str, wh: int = 0) -> Any:
    """A charge of 600 Wh, and its bill."""
    station = getattr(csms, "cs1", None) or await csms.station("CS1")
    csms.cs1 = station
    before = len(csms.told(BillIssued))
    for payload in (event(0, "Started", tx=tx, wh=wh), event(1, "Ended", tx=tx, wh=wh + 600)):
        await station.say("TransactionEvent", payload)
    await csms.settle(lambda: len(csms.told(BillIssued)) > before)
    return csms.told(BillIssued)[-1].bill


async def states(csms: Any, bill: Any) -> list[tuple[str, str, int]]:
    """Backend, state and attempts of a bill's deliveries."""
    found = await csms.house.store.deliveries.list(bill.id)
    return [(one.plugin, one.state.value, one.attempts) for one in found]


@pytest_twisted.ensureDeferred
async def test_an_issued_bill_goes_to_every_backend_once(make: Make, tmp_path: Path) -> None:
    csms = await depot(make, tmp_path)
    csms.other.answer = lambda delivery: None
    bill = await charge(csms, "T1")
    await csms.settle(lambda: csms.books.seen and csms.other.seen)
    await csms.advance(120)
    assert csms.books.seen == csms.other.seen == [("main-2026-000001", 1)]
    assert await states(csms, bill) == [("books", "delivered", 1), ("other", "not_wanted", 1)]
    assert (await csms.house.store.deliveries.list(bill.id))[0].reference == "entry 1"


@pytest_twisted.ensureDeferred
async def test_a_backend_that_fails_is_tried_again_with_the_same_key_after_longer_pauses(
    make: Make, tmp_path: Path
) -> None:
    csms = await depot(make, tmp_path)
    answer, down = csms.books.answer, True

    def sometimes(delivery: Any) -> Any:
        if down:
            raise ConnectionError("refused")
        return answer(delivery)

    csms.books.answer = sometimes
    bill = await charge(csms, "T1")
    await csms.settle(lambda: csms.books.seen)
    await csms.advance(9)
    assert len(csms.books.seen) == 1
    await csms.advance(6)
    assert len(csms.books.seen) == 2
    down = False
    await csms.advance(25)
    assert csms.books.seen == [("main-2026-000001", attempt) for attempt in (1, 2, 3)]
    assert await states(csms, bill) == [("books", "delivered", 3), ("other", "delivered", 1)]


@pytest_twisted.ensureDeferred
async def test_a_dead_delivery_is_told_and_tried_again_when_a_person_says_so(make: Make, tmp_path: Path) -> None:
    csms = await depot(make, tmp_path)
    answer = csms.books.answer

    def broken(delivery: Any) -> Any:
        raise ValueError("no such customer")

    csms.books.answer = broken
    bill = await charge(csms, "T1")
    for _ in range(12):
        await csms.advance(31)
    assert len(csms.books.seen) == 4
    (told,) = csms.told(BillNotDelivered)
    assert (told.bill.number, told.plugin, "no such customer" in told.error) == (bill.number, "books", True)
    assert (await csms.house.store.deliveries.list(bill.id))[0].state is DeliveryState.DEAD
    csms.books.answer = answer
    await csms.advance(120)
    assert await csms.house.billing.deliveries.again(bill.id) == 1
    await csms.settle(lambda: len(csms.books.seen) == 5)
    await csms.settle()
    assert (await states(csms, bill))[0] == ("books", "delivered", 1)


@pytest_twisted.ensureDeferred
async def test_a_slow_backend_delays_no_event_no_bill_and_no_other_backend(make: Make, tmp_path: Path) -> None:
    csms = await depot(make, tmp_path)
    waiting: Deferred[Any] = Deferred()
    csms.books.answer = lambda delivery: waiting
    await charge(csms, "T1")
    await charge(csms, "T2", 600)
    await csms.settle(lambda: len(csms.other.seen) == 2)
    assert [key for key, _ in csms.other.seen] == ["main-2026-000001", "main-2026-000002"]
    assert [key for key, _ in csms.books.seen] == ["main-2026-000001"]
    csms.books.answer = lambda delivery: None
    await csms.advance(20)
    await csms.advance(11)
    assert [key for key, _ in csms.books.seen] == ["main-2026-000001", "main-2026-000002", "main-2026-000001"]


@pytest_twisted.ensureDeferred
async def test_a_credit_note_waits_for_its_bill(make: Make, tmp_path: Path) -> None:
    csms = await depot(make, tmp_path)
    answer, down = csms.books.answer, True

    def sometimes(delivery: Any) -> Any:
        if down:
            raise ConnectionError("refused")
        return answer(delivery)

    csms.books.answer = sometimes
    bill = await charge(csms, "T1")
    await csms.settle(lambda: csms.books.seen)
    await csms.house.billing.bills.cancel(bill.id, by="ann", reason="r")
    await csms.settle()
    down = False
    for _ in range(4):
        await csms.advance(6)
    assert [key for key, _ in csms.books.seen] == ["main-2026-000001", "main-2026-000001", "main-2026-000002"]


@pytest_twisted.ensureDeferred
async def test_a_crash_behind_the_backends_yes_repeats_the_key(make: Make, tmp_path: Path) -> None:
    csms = await depot(make, tmp_path)

    async def lost(record: Any) -> None:
        raise RuntimeError("killed before it was noted")

    csms.house.store.deliveries.change = lost
    bill = await charge(csms, "T1")
    await csms.settle(lambda: csms.books.seen)
    await csms.settle()
    await csms.close()
    again = await depot(make, tmp_path)
    await again.settle(lambda: again.books.seen)
    await again.settle()
    assert csms.books.seen == again.books.seen == [("main-2026-000001", 1)]
    assert await states(again, bill) == [("books", "delivered", 1), ("other", "delivered", 1)]
