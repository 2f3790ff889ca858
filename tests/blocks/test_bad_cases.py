"""A corpus of sessions that went wrong for others: each is billed right, or held with the reason in words."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
import pytest_twisted
from block_kit import Make
from block_words import event, start16, stop16

from csms.model.authorization import AuthorizationStatus, IdToken, TokenRecord
from csms.model.billing import Bill, BillStatus
from csms.model.transactions import Completeness, Transaction, TransactionEnded, TransactionOverlap
from csms.store.verify import verify
from csms.testing import FakeStation, TestCsms

SITE = """
[stations]
unknown = "accept"
[transactions]
read_points = false
master_pass_group = "MASTERPASS"
[plugins]
enabled = ["rfid_list", "billing"]
[plugins.billing]
currency = "EUR"
per_kwh = "1.00"
"""
HOUR_BEFORE = "2026-03-01T11:00:00Z"


async def transaction(csms: TestCsms, wire_id: str = "T1", station: str = "CS1") -> Transaction:
    found = await csms.house.store.transactions.by_wire_id(station, wire_id)
    assert found is not None
    return found


async def bills(csms: TestCsms, wire_id: str = "T1", station: str = "CS1") -> list[Bill]:
    """The bills of a transaction, once they are written."""
    await csms.advance(11)
    return list(await csms.house.store.bills.list(transaction=(await transaction(csms, wire_id, station)).id))


def said(bill: Bill) -> tuple[str, Decimal]:
    return bill.status.value, bill.price.total


@dataclass(frozen=True)
class Case:
    """What a station of 2.0.1 tells, and what becomes of the bill of T1: its total, or why it is held."""

    told: tuple[dict[str, Any], ...]
    total: str = ""
    held: str = ""
    status: BillStatus = BillStatus.QUARANTINED


def at(second: int, kind: str, wh: float, context: str = "Sample.Periodic", seq: int = 1) -> dict[str, Any]:
    """An event so many seconds after noon with one reading."""
    told = event(seq, kind, wh=wh)
    told["timestamp"] = told["meterValue"][0]["timestamp"] = f"2026-03-01T12:{second // 60:02}:{second % 60:02}Z"
    told["meterValue"][0]["sampledValue"][0]["context"] = context
    return told


def kwh(when: str, value: float, context: str) -> dict[str, Any]:
    """A meter value in kilowatt-hours."""
    sample = {"value": value, "context": context, "unitOfMeasure": {"unit": "kWh"}}
    return {"timestamp": when, "sampledValue": [sample]}


EARLIER = (event(0, "Started", tx="T0", wh=400), event(1, "Ended", tx="T0", wh=900))
"""A session at the same EVSE that left its register at 900 Wh."""
CASES = {
    "a plain session": Case((event(0, "Started", wh=1000), event(1, "Ended", wh=1083)), total="0.08"),
    "the stop told twice": Case(
        (event(0, "Started", wh=1000), event(1, "Ended", wh=1083), event(1, "Ended", wh=1083)),
        total="0.08",
    ),
    "the stop told twice, with different ends": Case(
        (event(0, "Started", wh=1000), event(1, "Ended", wh=1083), event(1, "Ended", wh=2083)),
        held="different contents under the same number: 1",
    ),
    "the stop told twice under two numbers": Case(
        (event(0, "Started", wh=1000), event(1, "Ended", wh=1083), event(2, "Ended", wh=2083)),
        held="ended 2 times",
    ),
    "910 kWh instead of 0.083: the begin left out and taken for 0": Case(
        (event(0, "Started"), event(1, "Ended", wh=910083)), held="no begin register"
    ),
    "910 kWh instead of 0.083: the begin told as 0": Case(
        (at(0, "Started", 0, "Transaction.Begin", 0), at(300, "Ended", 910083, "Transaction.End")),
        held="910083 Wh in 300 s is more than 500 kW can give",
    ),
    "910 kWh in between": Case(
        (event(0, "Started", wh=1000), at(30, "Updated", 910000), event(2, "Ended", wh=1083)), total="0.08"
    ),
    "kilowatt-hours told as such": Case(
        (
            event(0, "Started", meterValue=[kwh("2026-03-01T12:00:00Z", 910, "Transaction.Begin")]),
            event(1, "Ended", meterValue=[kwh("2026-03-01T12:01:00Z", 910.083, "Transaction.End")]),
        ),
        total="0.08",
    ),
    "the register reset to 0 before the session": Case(
        (
            *EARLIER,
            event(2, "Started", wh=0),
            event(3, "Ended", wh=83),
        ),
        held="the register began at 0 Wh, and it stood at 900 Wh after transaction 1: was it reset?",
    ),
    "the register reset to 0 during the session": Case(
        (event(0, "Started", wh=1000), event(1, "Updated", wh=3), event(2, "Ended", wh=83)),
        held="end register below begin",
    ),
    "the meter changed between two sessions": Case(
        (*EARLIER, event(2, "Started", wh=12), event(3, "Ended", wh=95)),
        held="the register fell to 12 Wh, and it stood at 900 Wh after transaction 1: was the meter changed?",
    ),
    "no start yet": Case((event(1, "Ended", wh=1083),), held="no start seen", status=BillStatus.PROVISIONAL),
    "no end register": Case((event(0, "Started", wh=1000), event(1, "Ended")), held="no end register"),
    "the end before the start": Case((event(1, "Ended", wh=1083), event(0, "Started", wh=1000)), total="0.08"),
    "readings of one phase beside the sum": Case(
        (
            event(0, "Started", wh=1000),
            event(
                1,
                "Ended",
                meterValue=[
                    {
                        "timestamp": "2026-03-01T12:01:00Z",
                        "sampledValue": [
                            {"value": 361, "context": "Transaction.End", "phase": "L1"},
                            {"value": 1083, "context": "Transaction.End"},
                        ],
                    }
                ],
            ),
        ),
        total="0.08",
    ),
    "told offline, an hour late": Case(
        (
            event(0, "Started", wh=1000, offline=True) | {"timestamp": HOUR_BEFORE},
            event(1, "Ended", wh=1083, offline=True) | {"timestamp": "2026-03-01T11:30:00Z"},
        ),
        total="0.08",
    ),
}


@pytest.mark.parametrize("billed_between", [False, True])
@pytest.mark.parametrize("name", CASES)
@pytest_twisted.ensureDeferred
async def test_a_bad_case_is_billed_right_or_held_with_its_reason(make: Make, name: str, billed_between: bool) -> None:
    """Also when the bill was written before the last of it came: then what came later has another bill, and that one is held."""
    case = CASES[name]
    csms = await make(SITE)
    station = await csms.station("CS1")
    for payload in case.told:
        await station.say("TransactionEvent", payload)
        if billed_between:
            await csms.advance(11)
    bill, *earlier = sorted(await bills(csms), key=lambda one: one.id, reverse=True)
    assert [one.status for one in earlier] in ([], [BillStatus.FINAL])
    if case.held:
        assert (bill.status, bill.reason) == (case.status, case.held)
    else:
        assert earlier == []
        assert said(bill) == ("final", Decimal(case.total))


@pytest_twisted.ensureDeferred
async def test_different_contents_end_in_the_same_state_whichever_comes_first(make: Make) -> None:
    csms = await make(SITE)
    said_so = [event(0, "Started", wh=1000), event(1, "Ended", wh=1083), event(1, "Ended", wh=2083)]
    states = []
    for number, order in enumerate((said_so, said_so[::-1])):
        station = await csms.station(f"CS{number}")
        for payload in order:
            await station.say("TransactionEvent", payload)
        kept = await transaction(csms, station=f"CS{number}")
        states.append((kept.meter_stop_wh, kept.review, kept.events, kept.completeness))
        assert len(await csms.house.store.transactions.events(kept.id)) == 3
    assert states[0] == states[1]
    assert len(csms.told(TransactionEnded)) == 2


# Offline


@pytest_twisted.ensureDeferred
async def test_what_is_told_offline_is_judged_as_of_its_own_time(make: Make) -> None:
    csms = await make(SITE)
    half_past = csms.house.now().replace(hour=11, minute=30)
    await csms.house.store.tokens.put(TokenRecord(IdToken("TAG"), expires=half_past))
    station = await csms.station("CS1")
    late = event(0, "Started", tag="TAG", offline=True) | {"timestamp": HOUR_BEFORE}
    assert (await station.say("TransactionEvent", late))["idTokenInfo"]["status"] == "Accepted"
    live = event(0, "Started", tx="T2", tag="TAG")
    assert (await station.say("TransactionEvent", live))["idTokenInfo"]["status"] == "Expired"
    assert (await transaction(csms)).started_at == csms.house.now().replace(hour=11, minute=0)


@pytest_twisted.ensureDeferred
async def test_what_charges_now_does_not_count_against_a_session_of_yesterday(make: Make) -> None:
    csms = await make(SITE)
    await csms.house.store.tokens.put(TokenRecord(IdToken("TAG")))
    new, old = await csms.station("CS1"), await csms.station("CS2", "ocpp1.6")
    await new.say("TransactionEvent", event(0, "Started", tag="TAG"))
    late = await old.say("StartTransaction", start16(at="2026-02-28T12:00:00Z"))
    assert late["idTagInfo"]["status"] == "Accepted"
    assert (await old.say("StartTransaction", start16()))["idTagInfo"]["status"] == "ConcurrentTx"


# Who may stop


@pytest.mark.parametrize(
    ("tag", "status", "because"),
    [
        ("TAG", "Accepted", "the token that began it"),
        ("BROTHER", "Accepted", "a token of the group that began it"),
        ("KEYRING", "Accepted", "the master pass"),
        ("FRIEND", "Accepted", "another token than the one that began it"),
        ("WHO", "Unknown", "another token than the one that began it"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_who_stopped_is_kept_with_what_it_has_to_do_with_it(
    make: Make, tag: str, status: str, because: str
) -> None:
    csms = await make(SITE)
    for value, group in (("TAG", "FAMILY"), ("BROTHER", "FAMILY"), ("KEYRING", "MASTERPASS"), ("FRIEND", "OTHERS")):
        await csms.house.store.tokens.put(TokenRecord(IdToken(value), group=IdToken(group, "Central")))
    station = await csms.station("CS1")
    await station.say("TransactionEvent", event(0, "Started", wh=1000, tag="TAG"))
    answer = await station.say("TransactionEvent", event(1, "Ended", wh=1083, tag=tag))
    assert answer["idTokenInfo"]["status"] == status
    kept = await transaction(csms)
    last = (await csms.house.store.transactions.events(kept.id))[-1]
    assert last.decision is not None
    assert last.decision.because == because
    assert (kept.id_token, kept.stop_token, kept.group) == (IdToken("TAG"), IdToken(tag), IdToken("FAMILY", "Central"))


@pytest_twisted.ensureDeferred
async def test_a_repeat_is_answered_as_the_first_time_whatever_became_of_the_token(make: Make) -> None:
    csms = await make(SITE)
    await csms.house.store.tokens.put(TokenRecord(IdToken("TAG"), group=IdToken("FAMILY", "Central")))
    station = await csms.station("CS1")
    first = await station.say("TransactionEvent", event(0, "Started", tag="TAG"))
    await csms.house.store.tokens.put(TokenRecord(IdToken("TAG"), AuthorizationStatus.BLOCKED))
    assert await station.say("TransactionEvent", event(0, "Started", tag="TAG")) == first


# One vehicle per EVSE


@pytest_twisted.ensureDeferred
async def test_two_vehicles_at_one_evse_are_told_and_their_bills_held(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    for payload in (
        event(0, "Started", wh=1000),
        event(3, "Started", tx="T2", wh=1030),
        event(5, "Ended", wh=1083),
        event(8, "Ended", tx="T2", wh=1100),
    ):
        payload["seqNo"] = 0 if payload["eventType"] == "Started" else 1
        await station.say("TransactionEvent", payload)
    one, two = await transaction(csms), await transaction(csms, "T2")
    assert (one.overlaps, two.overlaps) == ((two.id,), (one.id,))
    assert csms.told(TransactionOverlap)
    for wire_id, other in (("T1", two), ("T2", one)):
        (bill,) = await bills(csms, wire_id)
        held = f"at the same EVSE at the same time as transaction {other.id}"
        assert (bill.status, bill.reason) == (BillStatus.QUARANTINED, held)


@pytest_twisted.ensureDeferred
async def test_an_end_that_comes_late_takes_the_overlap_back(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    await station.say("TransactionEvent", event(0, "Started", wh=1000))
    await station.say("TransactionEvent", event(5, "Started", tx="T2", wh=1083) | {"seqNo": 0})
    guilty, innocent = await transaction(csms), await transaction(csms, "T2")
    assert (guilty.overlaps, innocent.overlaps) == ((innocent.id,), ())
    await station.say("TransactionEvent", event(4, "Ended", wh=1083, offline=True) | {"seqNo": 1})
    assert (await transaction(csms)).overlaps == ()
    (bill,) = await bills(csms)
    assert said(bill) == ("final", Decimal("0.08"))


# OCPP 1.6


async def starts(station: FakeStation, **more: Any) -> int:
    return int((await station.say("StartTransaction", start16(**more)))["transactionId"])


@pytest_twisted.ensureDeferred
async def test_a_repeated_start_has_its_id_also_when_it_is_over(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1", "ocpp1.6")
    id = await starts(station)
    await station.say("StopTransaction", stop16(id))
    assert await starts(station) == id
    assert (await transaction(csms, str(id))).completeness is Completeness.COMPLETE


@pytest.mark.parametrize("stop_first", [True, False])
@pytest.mark.parametrize("wire_id", [-1, 987654])
@pytest_twisted.ensureDeferred
async def test_a_stop_under_an_id_that_nobody_gave_joins_its_start(make: Make, stop_first: bool, wire_id: int) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1", "ocpp1.6")
    stop = stop16(wire_id, meter=1083, idTag="TAG")
    if stop_first:
        await station.say("StopTransaction", stop)
    id = await starts(station)
    if not stop_first:
        await station.say("StopTransaction", stop)
    joined = await transaction(csms, str(id))
    assert (joined.completeness, joined.energy_wh, joined.stopped_reason) == (Completeness.COMPLETE, 83, "Local")
    assert [one.id for one in await csms.house.store.transactions.list()] == [joined.id]
    await station.say("StopTransaction", stop)
    assert (await transaction(csms, str(id))).events == 2
    (bill,) = await bills(csms, str(id))
    assert said(bill) == ("final", Decimal("0.08"))
    assert [one for one in await csms.house.store.bills.list() if one.status.open] == []
    assert verify(csms.house.store.file) == []


@pytest.mark.parametrize(
    "stop",
    [
        stop16(-1, meter=900),
        stop16(-1, idTag="OTHER"),
        stop16(-1) | {"timestamp": "2026-03-01T11:59:00Z"},
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_stop_that_cannot_be_of_a_start_stays_parked(make: Make, stop: dict[str, Any]) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1", "ocpp1.6")
    id = await starts(station)
    await station.say("StopTransaction", stop)
    assert (await transaction(csms, str(id))).completeness is Completeness.ONGOING
    assert len(await csms.house.store.transactions.list()) == 2


@pytest_twisted.ensureDeferred
async def test_a_stop_that_fits_two_starts_stays_parked(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1", "ocpp1.6")
    one, two = await starts(station), await starts(station, connector=2)
    await station.say("StopTransaction", stop16(-1, meter=1083))
    assert {(await transaction(csms, str(id))).completeness for id in (one, two)} == {Completeness.ONGOING}


@pytest_twisted.ensureDeferred
async def test_a_start_whose_id_the_station_has_used_is_no_match_for_a_lost_one(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1", "ocpp1.6")
    id = await starts(station)
    reading = {"timestamp": "2026-03-01T12:10:00Z", "sampledValue": [{"value": "1040"}]}
    await station.say("MeterValues", {"connectorId": 1, "transactionId": id, "meterValue": [reading]})
    await station.say("StopTransaction", stop16(-1, meter=1083))
    assert (await transaction(csms, str(id))).completeness is Completeness.ONGOING


@pytest_twisted.ensureDeferred
async def test_a_second_stop_of_16_with_another_meter_holds_the_bill(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1", "ocpp1.6")
    id = await starts(station)
    for meter in (1083, 2083):
        assert await station.say("StopTransaction", stop16(id, meter=meter)) == {}
    (bill,) = await bills(csms, str(id))
    assert bill.reason == "different contents under the same number: stop"


@pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp1.6"])
@pytest_twisted.ensureDeferred
async def test_no_station_touches_the_transaction_of_another(make: Make, protocol: str) -> None:
    csms = await make(SITE)
    mine, thief = await csms.station("CS1", protocol), await csms.station("CS2", protocol)
    if protocol == "ocpp1.6":
        wire_id = (await mine.say("StartTransaction", start16()))["transactionId"]
        before = await transaction(csms, str(wire_id))
        await thief.say("StopTransaction", stop16(wire_id, meter=9000))
        sample = {"value": "8000", "measurand": "Energy.Active.Import.Register"}
        values = [{"timestamp": "2026-03-01T12:10:00Z", "sampledValue": [sample]}]
        await thief.say("MeterValues", {"connectorId": 1, "transactionId": wire_id, "meterValue": values})
    else:
        wire_id = "T1"
        await mine.say("TransactionEvent", event(0, "Started", wh=1000))
        before = await transaction(csms)
        await thief.say("TransactionEvent", event(1, "Ended", wh=9000))
    assert await transaction(csms, str(wire_id)) == before
    theirs = await transaction(csms, str(wire_id), "CS2")
    assert (theirs.id != before.id, theirs.started_at, theirs.review) == (True, None, "no start seen")
    assert [one.status for one in await bills(csms, str(wire_id))] == []
