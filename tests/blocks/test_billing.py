"""Bills: once, explained, never in the way of an event, and never changed once they are issued."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import pytest_twisted
from block_kit import Make
from block_words import event, start16, stop16
from twisted.logger import capturedLogs

from csms.model.billing import Bill, BillChange, BillIssued, BillKind, BillRefused, BillStatus, UnknownBill
from csms.store import StoreFault, verify

D = Decimal
PRICED = '[plugins]\nenabled = ["billing"]\n[plugins.billing]\ncurrency = "EUR"\nper_kwh = "0.45"\nper_start = "1.00"\n'
STAFF = PRICED + '[[plugins.billing.tariff]]\nname = "staff"\nonly_by_name = true\nper_kwh = "0.10"\n'


async def charged(csms: Any, *payloads: dict[str, Any], station: Any = None) -> Any:
    """Let a station tell these events, and the bills be written."""
    station = station or await csms.station("CS1")
    for payload in payloads:
        await station.say("TransactionEvent", payload)
    before = len(csms.told(BillIssued))
    await csms.advance(11)
    await csms.settle(lambda: len(csms.told(BillIssued)) > before)
    return station


def issued(csms: Any) -> list[Bill]:
    """The bills of all BillIssued events."""
    return [one.bill for one in csms.told(BillIssued)]


def said(bills: list[Bill]) -> list[tuple[str, str, Decimal]]:
    """Number, status, total."""
    return [(one.number, one.status.value, one.price.total) for one in bills]


@pytest_twisted.ensureDeferred
async def test_a_complete_transaction_has_one_final_bill_with_what_it_rests_on(make: Make) -> None:
    csms = await make(PRICED)
    await charged(csms, event(0, "Started", wh=1000), event(1, "Ended", wh=1600))
    (bill,) = issued(csms)
    assert said([bill]) == [("main-2026-000001", "final", D("1.27"))]
    assert (bill.meter_start_wh, bill.meter_stop_wh, bill.energy_wh) == (1000, 1600, 600)
    kept: Any = (await csms.house.store.bills.get(bill.transaction)).evidence
    assert kept["priced_by"] == "billing"
    assert kept["tariff"] == {"name": "standard", "reason": "no other tariff fits", "by": "billing"}
    assert kept["register"] == "Energy.Active.Import.Register"
    begin = {"wh": "1000", "at": "2026-03-01T12:00:00+00:00", "context": "Transaction.Begin", "event": "0"}
    assert kept["begin"] == {**begin, "signed": False}
    assert kept["end"]["context"] == "Transaction.End"
    await csms.advance(60)
    assert len(csms.told(BillIssued)) == 1


@pytest_twisted.ensureDeferred
async def test_readings_that_do_not_count_are_told_with_their_reason(make: Make) -> None:
    csms = await make(PRICED)
    odd = event(1, "Updated", wh=10**9)
    await charged(csms, event(0, "Started", wh=1000), odd, event(2, "Ended", wh=1600))
    rejected: Any = issued(csms)[0].evidence["rejected"]  # type: ignore[index]
    assert [(one["wh"], one["event"]) for one in rejected] == [(10**9, "1")]
    assert rejected[0]["why"]


@pytest_twisted.ensureDeferred
async def test_a_bill_is_provisional_while_something_is_missing(make: Make) -> None:
    csms = await make(PRICED)
    station = await charged(csms, event(0, "Started", wh=1000), event(2, "Ended", wh=1600))
    await charged(csms, event(1, "Updated", wh=1300), station=station)
    assert said(issued(csms)) == [("", "provisional", D("1.27")), ("main-2026-000001", "final", D("1.27"))]


@pytest_twisted.ensureDeferred
async def test_a_doubtful_bill_is_held_until_a_person_releases_it(make: Make) -> None:
    csms = await make(PRICED)
    await charged(csms, event(0, "Started", wh=5000), event(1, "Ended", wh=600))
    (held,) = issued(csms)
    assert held.status is BillStatus.QUARANTINED
    assert "below" in held.reason
    bills = csms.house.billing.bills
    (released,) = await bills.release(
        held.id, by="ann", reason="the display said 4800", change=BillChange(meter_start_wh=D(100))
    )
    assert said([released]) == [("main-2026-000001", "final", D("1.23"))]
    assert (released.by, released.reason, released.by_hand, released.id) == (
        "ann",
        "the display said 4800",
        True,
        held.id,
    )
    assert (released.meter_start_wh, released.energy_wh) == (100, 500)
    with pytest.raises(BillRefused, match="not waiting"):
        await bills.release(held.id, by="bob", reason="again")
    with pytest.raises(UnknownBill):
        await bills.release(99, by="bob", reason="?")


@pytest_twisted.ensureDeferred
async def test_a_held_bill_is_released_as_it_is_or_written_off(make: Make) -> None:
    csms = await make(PRICED)
    station = await charged(csms, event(0, "Started"), event(1, "Ended", wh=600))
    await charged(csms, event(0, "Started", tx="T2"), event(1, "Ended", tx="T2", wh=600), station=station)
    one, two = issued(csms)
    (released,) = await csms.house.billing.bills.release(one.id, by="ann", reason="start only")
    assert said([released]) == [("main-2026-000001", "final", D("1.00"))]
    assert not released.by_hand
    (off,) = await csms.house.billing.bills.write_off(two.id, by="ann", reason="a test")
    assert (off.status, off.number, off.reason) == (BillStatus.WRITTEN_OFF, "", "a test")


@pytest_twisted.ensureDeferred
async def test_a_late_event_corrects_an_issued_bill_by_a_credit_note_and_a_new_one(make: Make) -> None:
    csms = await make(PRICED)
    station = await csms.station("CS1", "ocpp1.6")
    id = (await station.say("StartTransaction", start16(meter=1000)))["transactionId"]
    await station.say("StopTransaction", stop16(id, 6000))
    await csms.advance(11)
    await csms.settle(lambda: csms.told(BillIssued))
    # A reading that was on its way all the time changes nothing; a register that the end names does.
    reading = {"value": "3000", "context": "Sample.Periodic"}
    late = {"timestamp": "2026-03-01T12:10:00Z", "sampledValue": [reading]}
    await station.say("MeterValues", {"connectorId": 1, "transactionId": id, "meterValue": [late]})
    await csms.advance(11)
    await csms.settle()
    assert len(issued(csms)) == 1
    reading = {"value": "6500", "context": "Transaction.End"}
    late = {"timestamp": "2026-03-01T12:31:00Z", "sampledValue": [reading]}
    await station.say("MeterValues", {"connectorId": 1, "transactionId": id, "meterValue": [late]})
    await csms.advance(11)
    await csms.settle(lambda: len(issued(csms)) == 3)
    assert said(issued(csms)) == [
        ("main-2026-000001", "final", D("3.25")),
        ("main-2026-000002", "final", D("-3.25")),
        ("main-2026-000003", "final", D("3.48")),
    ]
    first, credit, second = issued(csms)
    assert (credit.kind, credit.corrects, second.corrects) == (BillKind.CREDIT, first.id, first.id)
    stored = await csms.house.store.bills.list(transaction=int(id))
    assert [one.status.value for one in reversed(stored)] == ["corrected", "final", "final"]


@pytest_twisted.ensureDeferred
async def test_a_person_corrects_a_bill_with_another_tariff_or_cancels_it(make: Make) -> None:
    csms = await make(STAFF)
    await charged(csms, event(0, "Started", wh=1000), event(1, "Ended", wh=1600))
    bills = csms.house.billing.bills
    (first,) = issued(csms)
    with pytest.raises(BillRefused, match="'stuff'"):
        await bills.correct(first.id, by="ann", reason="staff", change=BillChange(tariff="stuff"))
    credit, second = await bills.correct(first.id, by="ann", reason="staff", change=BillChange(tariff="staff"))
    assert said([credit, second]) == [
        ("main-2026-000002", "final", D("-1.27")),
        ("main-2026-000003", "final", D("0.06")),
    ]
    assert second.price.tariff == "staff"
    (back,) = await bills.cancel(second.id, by="ann", reason="goodwill")
    assert said([back]) == [("main-2026-000004", "final", D("-0.06"))]
    for bill in (first, second, back):
        with pytest.raises(BillRefused, match="only a final bill can be taken back"):
            await bills.cancel(bill.id, by="ann", reason="again")
    assert [one.bill.number for one in csms.told(BillIssued)][-1] == back.number


@pytest_twisted.ensureDeferred
async def test_series_are_named_as_the_site_says(make: Make) -> None:
    series = '[site]\nid = "depot"\ntimezone = "Pacific/Auckland"\n[bills]\nseries = "{site}/{station}/{year}-{month}"\ncredit_series = "C{year}"\n'
    csms = await make(PRICED + series)
    await charged(csms, event(0, "Started", wh=1000), event(1, "Ended", wh=1600))
    (bill,) = issued(csms)
    (credit,) = await csms.house.billing.bills.cancel(bill.id, by="ann", reason="r")
    assert (bill.number, credit.number) == ("depot/CS1/2026-03-000001", "C2026-000001")


@pytest_twisted.ensureDeferred
async def test_a_plugin_may_choose_the_tariff_and_hold_a_bill(make: Make, tmp_path: Any) -> None:
    (tmp_path / "odd.py").write_text(
        "from csms.api import ReadingVerdicts, TariffChoice, hookimpl\n"
        "class Odd:\n"
        "    def __init__(self, settings, csms):\n"
        "        pass\n"
        "    @hookimpl\n"
        "    def choose_tariff(self, question):\n"
        "        return TariffChoice('staff', f'{question.station.id} {question.at:%H:%M} {question.group and question.group.value}')\n"
        "    @hookimpl\n"
        "    def verify_readings(self, question):\n"
        "        return ReadingVerdicts(hold=f'{len(question.signed)} signed, {question.begin.value_wh} to {question.end.value_wh}')\n"
    )
    csms = await make(STAFF.replace('"billing"', '"./odd.py", "billing"'))
    await charged(csms, event(0, "Started", wh=1000), event(1, "Ended", wh=1600))
    (bill,) = issued(csms)
    assert (bill.status, bill.reason, bill.price.total) == (BillStatus.QUARANTINED, "0 signed, 1000 to 1600", D("0.06"))
    assert bill.evidence["tariff"] == {"name": "staff", "reason": "CS1 12:00 None", "by": "odd"}  # type: ignore[index]


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
    assert await station.say("TransactionEvent", event(1, "Ended", wh=1600)) == {}
    await csms.settle()
    assert csms.told(BillIssued) == []
    failing = False
    await csms.advance(11)
    await csms.settle(lambda: csms.told(BillIssued))
    assert issued(csms)[0].price.total == D("1.27")


@pytest_twisted.ensureDeferred
async def test_one_transaction_that_cannot_be_billed_keeps_no_other_waiting(make: Make) -> None:
    csms = await make(PRICED)
    priced = csms.house.billing.pricing.priced

    async def odd(transaction: Any, *more: Any) -> Any:
        if transaction.id == 1:
            raise RuntimeError("cannot be read")
        return await priced(transaction, *more)

    csms.house.billing.pricing.priced = odd
    station = await charged(csms, event(0, "Started", wh=1000), event(1, "Ended", wh=1600))
    await charged(csms, event(0, "Started", tx="T2", wh=1600), event(1, "Ended", tx="T2", wh=1700), station=station)
    assert [one.transaction for one in issued(csms)] == [2]


@pytest_twisted.ensureDeferred
async def test_a_full_disk_is_one_line_in_the_log_and_bills_come_later(make: Make, monkeypatch: Any) -> None:
    csms = await make(PRICED)
    bills, tries = csms.house.store.bills, []

    async def full(*given: object) -> list[Bill]:
        tries.append(given)
        raise StoreFault("disk_full")

    monkeypatch.setattr(bills, "settle", full)
    with capturedLogs() as lines:
        station = await charged(csms, event(0, "Started", wh=0), event(1, "Ended", wh=1000))
        await charged(csms, event(0, "Started", tx="T2", wh=1000), event(1, "Ended", tx="T2", wh=2000), station=station)
    assert tries
    assert {line["log_level"].name for line in lines if "disk is full" in str(line.get("why", ""))} == {"warn"}
    assert not [line for line in lines if "log_failure" in line]
    monkeypatch.undo()
    await csms.advance(11)
    await csms.settle(lambda: len(issued(csms)) == 2)
    assert len(issued(csms)) == 2


@pytest_twisted.ensureDeferred
async def test_what_a_crash_left_unbilled_is_billed_at_the_next_start(make: Make) -> None:
    csms = await make("[plugins]\nenabled = []\n")
    station = await csms.station("CS1")
    for payload in (event(0, "Started", wh=0), event(1, "Ended", wh=1000)):
        await station.say("TransactionEvent", payload)
    await csms.close()
    again = await make(PRICED)
    await again.settle(lambda: again.told(BillIssued))
    assert issued(again)[0].price.total == D("1.45")


@pytest_twisted.ensureDeferred
async def test_a_bill_is_numbered_and_priced_on_the_clock_of_its_stations_site(make: Make, tmp_path: Any) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "auckland.toml").write_text('[site]\nstations = ["CS1"]\ntimezone = "Pacific/Auckland"\n')
    night = '[[plugins.billing.tariff]]\nname = "t"\n[[plugins.billing.tariff.step]]\nhours = "01:00-02:00"\nper_kwh = "0.10"\n'
    csms = await make(PRICED + night + '[bills]\nseries = "{site}-{month}"\n')
    await charged(csms, event(0, "Started", wh=1000), event(1, "Ended", wh=2000))
    await charged(csms, event(0, "Started", wh=1000), event(1, "Ended", wh=2000), station=await csms.station("CS2"))
    # Noon in UTC is one hour past midnight in Auckland, on the second of March.
    assert said(issued(csms)) == [("auckland-03-000001", "final", D("0.10")), ("main-03-000001", "final", D("0.00"))]


@pytest_twisted.ensureDeferred
async def test_the_bill_of_a_parked_stop_goes_with_it_to_the_start_that_comes_late(make: Make) -> None:
    patience = '[transactions]\nread_points = false\nask_after = "1s"\nask_again = "1s"\nask_tries = 1\n'
    csms = await make(PRICED + patience)
    station = await csms.station("CP1", "ocpp1.6")
    await station.say("StopTransaction", stop16(-7, idTag="TAG"))
    for _ in range(4):
        await csms.advance(10)
    parked = await csms.house.store.transactions.by_wire_id("CP1", "-7")
    (held,) = await csms.house.store.bills.list()
    assert (held.transaction, held.status, "no start seen" in held.reason) == (parked.id, BillStatus.QUARANTINED, True)
    answer = await station.say("StartTransaction", start16())
    await csms.advance(11)
    (bill,) = await csms.house.store.bills.list()
    assert (bill.id, bill.transaction, bill.status) == (held.id, answer["transactionId"], BillStatus.FINAL)
    assert bill.price.total == D("3.25")
    steps = await csms.house.store.bills.history(bill.transaction)
    assert [step.what for step in steps] == ["provisional", "quarantined", "final"]
    assert verify(csms.house.store.file) == []


@pytest.mark.parametrize("issued_apart", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_start_and_a_stop_that_were_billed_apart_have_one_bill_once_they_belong_together(
    make: Make, issued_apart: bool
) -> None:
    patience = '[transactions]\nread_points = false\nask_after = "1s"\nask_again = "1s"\nask_tries = 1\n'
    csms = await make(PRICED + patience)
    station = await csms.station("CP1", "ocpp1.6")
    mine = (await station.say("StartTransaction", start16()))["transactionId"]
    free = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": "2026-03-01T12:35:00Z"}
    await station.say("StatusNotification", free)
    await station.say("StopTransaction", stop16(-7, meter=500))
    await csms.advance(15 * 60)
    for _ in range(60):
        await csms.advance(10)
    apart = await csms.house.store.bills.list()
    assert [bill.status for bill in apart] == [BillStatus.QUARANTINED] * 2
    if issued_apart:
        for held in apart:
            await csms.house.billing.bills.release(held.id, by="anna", reason="it was so")
    # The stop says something else now, under the same id: an earlier time counts, and its register is not below that of the start.
    await station.say("StopTransaction", stop16(-7, meter=6000) | {"timestamp": "2026-03-01T12:20:00Z"})
    await csms.advance(11)
    (bill,) = [one for one in await csms.house.store.bills.list() if one.status.open]
    assert (bill.transaction, bill.status, bill.energy_wh) == (mine, BillStatus.QUARANTINED, D(5000))
    assert ("are of one charge" if issued_apart else "different contents under the same number") in bill.reason
    if issued_apart:
        with pytest.raises(BillRefused, match="are of one charge"):
            await csms.house.billing.bills.release(bill.id, by="anna", reason="it is right")
    steps = await csms.house.store.bills.history(mine)
    assert [step.reason for step in steps if "no start seen" in step.reason], "the story of both goes on"
    assert verify(csms.house.store.file) == []


@pytest_twisted.ensureDeferred
async def test_a_bill_that_was_taken_back_meanwhile_is_not_taken_back_once_more(make: Make) -> None:
    csms = await make(PRICED)
    station = await charged(csms, event(0, "Started", wh=1000), event(1, "Ended", wh=2000))
    (first,) = issued(csms)
    by_hand = BillChange(meter_stop_wh=D(1500))
    bills = csms.house.billing.bills
    _, second = await bills.correct(first.id, by="anna", reason="misread", change=by_hand)
    await charged(csms, event(2, "Updated", wh=2500), station=station)
    (held,) = [one for one in await csms.house.store.bills.list() if one.status.open]
    assert held.corrects == second.id
    await bills.cancel(second.id, by="anna", reason="another driver")
    (released,) = await bills.release(held.id, by="anna", reason="this one, after all")
    assert (released.status, released.corrects) == (BillStatus.FINAL, None)
    total = sum(one.price.total for one in await csms.house.store.bills.list() if one.number)
    assert total == released.price.total == D("1.45")
