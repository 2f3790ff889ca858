"""Meter evidence: which readings count, which do not and why, and what is held against a register's past."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.evidence import KnownRegister, MeterRules, doubts, meter_evidence, nature_of
from csms.model.metering import ENERGY_REGISTER, UNREADABLE, MeterEvidence, MeterValue, SampledValue
from csms.model.transactions import EventType, Nature, TransactionEvent

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STARTED, UPDATED, ENDED = EventType.STARTED, EventType.UPDATED, EventType.ENDED
BEGIN, END, PERIODIC = "Transaction.Begin", "Transaction.End", "Sample.Periodic"


def event(minute: int, kind: EventType, *samples: SampledValue, state: str = "") -> TransactionEvent:
    at = NOON + timedelta(minutes=minute)
    values = (MeterValue(at, samples),) if samples else ()
    return TransactionEvent(
        "T1", kind, at, "MeterValuePeriodic", str(minute), minute, meter_values=values, charging_state=state
    )


def wh(value: float, context: str = PERIODIC, **more: str) -> SampledValue:
    return SampledValue(Decimal(str(value)), context=context, **more)


def session(*middle: TransactionEvent, begin: int = 1000, end: int = 6000, minutes: int = 60) -> list[TransactionEvent]:
    return [event(0, STARTED, wh(begin, BEGIN)), *middle, event(minutes, ENDED, wh(end, END))]


def values(evidence: MeterEvidence) -> list[int]:
    return [int(one.value_wh) for one in evidence.series]


def test_a_bill_line_can_be_traced_to_two_readings() -> None:
    found = meter_evidence(session(event(30, UPDATED, wh(3000, signed="OCMF|{}"), state="Charging")))
    assert found.begin is not None
    assert found.end is not None
    assert (found.begin.value_wh, found.begin.at, found.begin.event) == (1000, NOON, "0")
    assert (found.end.value_wh, found.end.context, found.end.event) == (6000, END, "60")
    assert values(found) == [1000, 3000, 6000]
    assert [one.signed for one in found.signed] == ["OCMF|{}"]
    assert [(one.state, one.event) for one in found.changes] == [("Charging", "30")]
    assert found.rejected == ()


@pytest.mark.parametrize(
    ("sample", "minute", "why"),
    [
        (wh(3000, phase="L1"), 30, "of phase L1 only"),
        (wh(3000, location="Inlet"), 30, "measured at the Inlet, not at the outlet"),
        (wh(3000, unit="varh"), 30, "in varh, which is no energy"),
        (SampledValue(Decimal(0), UNREADABLE, signed="12 kWh"), 30, "not a number: 12 kWh"),
        (wh(500), 30, "below the begin register of 1000 Wh"),
        (wh(910000), 30, "asks more than 500 kW since the begin reading"),
        (wh(7000), 30, "above the end register of 6000 Wh"),
        (wh(5000), 61, "taken after the transaction's end reading"),
        (wh(5000), -1, "taken before the transaction's begin reading"),
    ],
)
def test_a_reading_that_does_not_count_says_why(sample: SampledValue, minute: int, why: str) -> None:
    found = meter_evidence(session(event(minute, UPDATED, sample)))
    assert [one.why for one in found.rejected] == [why]
    assert values(found) == [1000, 6000]


def test_one_spike_rejects_itself_and_not_those_after_it() -> None:
    spike = [event(10, UPDATED, wh(2000)), event(20, UPDATED, wh(5500)), event(30, UPDATED, wh(3000))]
    found = meter_evidence(session(*spike, event(40, UPDATED, wh(4000))))
    assert values(found) == [1000, 2000, 3000, 4000, 6000]
    assert [(one.reading.event, one.why) for one in found.rejected] == [
        ("20", "the readings before and after it say otherwise")
    ]


def test_without_named_contexts_the_first_of_the_start_and_the_last_of_the_end_count() -> None:
    found = meter_evidence([event(0, STARTED, wh(10)), event(5, UPDATED, wh(20)), event(9, ENDED, wh(30))])
    assert values(found) == [10, 20, 30]


def test_readings_that_say_begin_and_end_count_before_those_of_the_first_and_last_event() -> None:
    found = meter_evidence(
        [
            event(0, STARTED, wh(1200)),
            event(1, UPDATED, wh(1000, BEGIN)),
            event(2, UPDATED, wh(5000), wh(6000, END)),
            event(3, ENDED, wh(5500)),
        ]
    )
    assert values(found) == [1000, 5000, 6000]
    assert [one.why for one in found.rejected] == [
        "taken before the transaction's begin reading",
        "taken after the transaction's end reading",
    ]


def test_an_end_below_its_begin_is_no_series() -> None:
    assert meter_evidence(session(begin=6000, end=1000)).series == ()
    assert values(meter_evidence(session(begin=6000, end=6000))) == [6000, 6000]


def test_a_reading_like_the_begin_or_the_end_counts() -> None:
    same = [event(0, UPDATED, wh(1000)), event(30, UPDATED, wh(1000)), event(60, UPDATED, wh(6000))]
    found = meter_evidence(session(*same))
    assert (values(found), found.rejected) == ([1000, 1000, 1000, 6000, 6000], ())


def test_no_more_than_the_power_allows_in_the_time_and_a_minute() -> None:
    most = 500_000 * 61 // 60
    assert doubts(meter_evidence(session(begin=0, end=most)), None, MeterRules()) == ()
    assert doubts(meter_evidence(session(begin=0, end=most + 1000)), None, MeterRules()) != ()


def test_other_quantities_beside_it_hide_no_reading() -> None:
    power = SampledValue(Decimal(11000), "Power.Active.Import", unit="W")
    found = meter_evidence(session(event(30, UPDATED, power, wh(3000))))
    assert values(found) == [1000, 3000, 6000]
    assert found.rejected == ()


def test_a_rejected_reading_is_shown_whole_and_a_change_of_state_once() -> None:
    told = replace(event(30, UPDATED, wh(3000, phase="L1", location="Inlet"), state="Charging"), offline=True)
    again = event(31, UPDATED, state="Charging")
    found = meter_evidence(session(told, again))
    (one,) = found.rejected
    assert (one.reading.measurand, one.reading.location, one.reading.phase) == (ENERGY_REGISTER, "Inlet", "L1")
    assert (one.reading.offline, one.reading.at) == (True, NOON + timedelta(minutes=30))
    assert [(change.at, change.state) for change in found.changes] == [(NOON + timedelta(minutes=30), "Charging")]


def test_signed_readings_are_in_the_order_in_which_they_were_taken() -> None:
    told = [event(20, UPDATED, wh(3000, signed="A")), event(10, UPDATED, wh(2000, signed="B"))]
    late = MeterValue(NOON + timedelta(minutes=5), (wh(1500, signed="C"),))
    found = meter_evidence(session(*told, replace(event(40, UPDATED), meter_values=(late,))))
    assert [one.signed for one in found.signed] == ["C", "B", "A"]


def test_an_ongoing_transaction_has_no_end_and_what_came_so_far() -> None:
    found = meter_evidence([event(0, STARTED, wh(10, BEGIN)), event(5, UPDATED, wh(20))])
    assert found.end is None
    assert values(found) == [10, 20]


@given(st.lists(st.tuples(st.integers(-2, 62), st.integers(0, 8000)), max_size=12), st.randoms(use_true_random=False))
def test_any_order_gives_the_same_evidence_and_its_series_never_falls(
    told: list[tuple[int, int]], dice: random.Random
) -> None:
    events = session(*(event(minute, UPDATED, wh(value)) for minute, value in told))
    found = meter_evidence(events)
    dice.shuffle(events)
    assert meter_evidence(events) == found
    assert list(found.series) == sorted(found.series, key=lambda one: (one.value_wh, one.at))
    assert len(found.series) + len(found.rejected) == len(events)


BEFORE = KnownRegister(Decimal(900), NOON - timedelta(days=1), 7)


@pytest.mark.parametrize(
    ("begin", "end", "minutes", "known", "expected"),
    [
        (1000, 6000, 60, None, ()),
        (1000, 6000, 60, BEFORE, ()),
        (900, 6000, 60, BEFORE, ()),
        (0, 83, 5, None, ()),
        (0, 83, 5, BEFORE, ("the register began at 0 Wh, and it stood at 900 Wh after transaction 7: was it reset?",)),
        (
            400,
            500,
            5,
            BEFORE,
            ("the register fell to 400 Wh, and it stood at 900 Wh after transaction 7: was the meter changed?",),
        ),
        (1000, 911000, 5, None, ("910000 Wh in 300 s is more than 500 kW can give",)),
    ],
)
def test_the_guard_names_what_speaks_against_the_meter(
    begin: int, end: int, minutes: int, known: KnownRegister | None, expected: tuple[str, ...]
) -> None:
    rules = MeterRules()
    found = meter_evidence(session(begin=begin, end=end, minutes=minutes), rules)
    assert doubts(found, known, rules) == expected


def test_a_register_that_begins_anew_in_each_transaction_may_begin_at_0() -> None:
    found = meter_evidence(session(begin=0, end=83))
    assert doubts(found, BEFORE, MeterRules(lifetime=False)) == ()


@pytest.mark.parametrize(
    ("registers", "state", "authorized", "nature"),
    [
        ((1000, 1001), "", False, Nature.CHARGE),
        ((1000, 1000), "Charging", False, Nature.CHARGE),
        ((1000, 1000), "SuspendedEV", True, Nature.NO_ENERGY),
        ((1000, 1000), "SuspendedEV", False, Nature.VISIT),
        ((1000,), "", True, Nature.NO_ENERGY),
        ((), "", False, Nature.VISIT),
    ],
)
def test_a_charge_is_told_by_its_register_or_by_its_station(
    registers: tuple[int, ...], state: str, authorized: bool, nature: Nature
) -> None:
    kinds = ((STARTED, BEGIN), (ENDED, END))
    told = [
        event(minute, kind, wh(register, context))
        for minute, (register, (kind, context)) in enumerate(zip(registers, kinds, strict=False))
    ]
    told += [event(9, UPDATED, state=state)] if state else []
    assert nature_of(meter_evidence(told), authorized=authorized) is nature
