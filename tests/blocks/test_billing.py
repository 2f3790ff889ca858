"""Bills: once, explained, and never in the way of an event."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest_twisted
from block_kit import Make
from block_words import event

from csms.model.billing import BillIssued, BillStatus

PRICED = '[plugins]\nenabled = ["billing"]\n[plugins.billing]\ncurrency = "EUR"\nper_kwh = "0.45"\nper_start = "1.00"\n'


@pytest_twisted.ensureDeferred
async def test_a_complete_transaction_has_one_final_bill_with_its_registers(make: Make) -> None:
    csms = await make(PRICED)
    station = await csms.station("CS1")
    for payload in (event(0, "Started", wh=1000), event(1, "Ended", wh=6000)):
        await station.say("TransactionEvent", payload)
    await csms.settle(lambda: csms.told(BillIssued))
    (issued,) = csms.told(BillIssued)
    bill = issued.bill
    assert (bill.status, bill.price.total, bill.price.currency) == (BillStatus.FINAL, Decimal("3.25"), "EUR")
    assert (bill.meter_start_wh, bill.meter_stop_wh, bill.energy_wh) == (1000, 6000, 5000)
    await csms.advance(60)
    assert len(csms.told(BillIssued)) == 1


@pytest_twisted.ensureDeferred
async def test_a_bill_is_provisional_while_something_is_missing(make: Make) -> None:
    csms = await make(PRICED)
    station = await csms.station("CS1")
    await station.say("TransactionEvent", event(0, "Started", wh=1000))
    await station.say("TransactionEvent", event(2, "Ended", wh=6000))
    await csms.settle(lambda: csms.told(BillIssued))
    await station.say("TransactionEvent", event(1, "Updated", wh=3000))
    await csms.advance(11)
    await csms.settle(lambda: len(csms.told(BillIssued)) == 2)
    assert [issued.bill.status.value for issued in csms.told(BillIssued)] == ["provisional", "final"]


@pytest_twisted.ensureDeferred
async def test_a_failing_price_delays_no_event_and_is_asked_again(make: Make) -> None:
    csms = await make(PRICED)
    plugin = next(one.instance for one in csms.house.plugins.loaded if one.found.name == "billing")
    chain = csms.house.hooks.chains["price"]
    failing = True

    def price(transaction: object, consumption: object, choice: object) -> object:
        if failing:
            raise RuntimeError("the tariff server is down")
        return plugin.price(transaction, consumption, choice)

    csms.house.hooks.chains = {**csms.house.hooks.chains, "price": (replace(chain[0], call=price),)}
    station = await csms.station("CS1")
    await station.say("TransactionEvent", event(0, "Started", wh=1000))
    assert await station.say("TransactionEvent", event(1, "Ended", wh=6000)) == {}
    await csms.settle()
    assert csms.told(BillIssued) == []
    failing = False
    await csms.advance(11)
    await csms.settle(lambda: csms.told(BillIssued))
    assert csms.told(BillIssued)[0].bill.price.total == Decimal("3.25")


@pytest_twisted.ensureDeferred
async def test_what_a_crash_left_unbilled_is_billed_at_the_next_start(make: Make) -> None:
    csms = await make("[plugins]\nenabled = []\n")
    station = await csms.station("CS1")
    for payload in (event(0, "Started", wh=0), event(1, "Ended", wh=1000)):
        await station.say("TransactionEvent", payload)
    await csms.close()
    again = await make(PRICED)
    await again.settle(lambda: again.told(BillIssued))
    assert again.told(BillIssued)[0].bill.price.total == Decimal("1.45")
