"""What a charge costs: a table worked out by hand, the sum of parts, and splitting."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from csms_plugins.billing_pricing import charges, price_of, settle
from csms_plugins.billing_tariffs import Step, Tariff, Tax
from hypothesis import given, settings
from hypothesis import strategies as st

from csms.api import Consumption, MeterPoint, Price

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
UTC_ = ZoneInfo("UTC")
D = Decimal


def at(text: str) -> datetime:
    """A time in UTC, such as 2026-03-28 20:00."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def even(begin: str, end: str, kwh: str, **more: Any) -> Consumption:
    """A charge whose energy flows evenly."""
    points = (MeterPoint(at(begin), D(1000)), MeterPoint(at(end), 1000 + D(kwh) * 1000))
    return Consumption(at(begin), at(end), points, **more)


def said(price: Price) -> list[tuple[str, Decimal, Decimal]]:
    """Text, quantity and amount of each line."""
    return [(line.text, line.quantity, line.amount) for line in price.lines]


NIGHT = Tariff(
    "night",
    "EUR",
    per_kwh=D("0.40"),
    per_minute=D("0.01"),
    step=(Step("night", "22:00-06:00", per_kwh=D("0.20")),),
)


# On 29 March 2026 the clocks of Amsterdam go from 02:00 to 03:00, on 25 October from 03:00 back to 02:00. Times here are UTC.
BY_HAND = [
    # 21:00 to 07:00 in spring: 9 hours, 7 of them night (22:00 CET = 21:00 UTC to 06:00 CEST = 04:00 UTC).
    ("2026-03-28 20:00", "2026-03-29 05:00", "9", "22:00-06:00", (), "2", "7", "7.60"),
    # 21:00 to 07:00 in autumn: 11 hours, 9 of them night (22:00 CEST = 20:00 UTC to 06:00 CET = 05:00 UTC).
    ("2026-10-24 19:00", "2026-10-25 06:00", "11", "22:00-06:00", (), "2", "9", "9.20"),
    # The same hours in summer: 10 hours, 8 of them night.
    ("2026-07-01 19:00", "2026-07-02 05:00", "10", "22:00-06:00", (), "2", "8", "8.40"),
    # 02:30 does not come in spring: the step begins with the jump to 03:00, 01:00 UTC, and ends at 04:00 CEST, 02:00 UTC.
    ("2026-03-28 23:00", "2026-03-29 05:00", "6", "02:30-04:00", (), "5", "1", "5.80"),
    # In autumn 02:30 comes twice: 00:30 to 01:00 UTC, then 01:30 to 03:00 UTC (04:00 CET).
    ("2026-10-24 22:00", "2026-10-25 04:00", "6", "02:30-04:00", (), "4", "2", "5.60"),
    # 01:30 to 02:30: half an hour in spring (00:30 to 01:00 UTC), an hour and a half in autumn (23:30 to 00:30, 01:00 to 01:30 UTC).
    ("2026-03-28 23:00", "2026-03-29 05:00", "6", "01:30-02:30", (), "5.5", "0.5", "5.90"),
    ("2026-10-24 22:00", "2026-10-25 04:00", "6", "01:30-02:30", (), "4.5", "1.5", "5.70"),
    # The night of Saturday reaches into Sunday morning; 28 March is a Saturday.
    ("2026-03-28 20:00", "2026-03-29 05:00", "9", "22:00-06:00", ("sat",), "2", "7", "7.60"),
    ("2026-03-28 20:00", "2026-03-29 05:00", "9", "22:00-06:00", ("sun",), "9", "0", "9.00"),
    # All of Sunday, from midnight (23:00 UTC) to midnight (22:00 UTC): 23 hours in spring, 25 in autumn.
    ("2026-03-28 22:00", "2026-03-29 23:00", "25", "", ("sun",), "2", "23", "20.40"),
    ("2026-10-24 21:00", "2026-10-26 00:00", "27", "", ("sun",), "2", "25", "22.00"),
]


@pytest.mark.parametrize(("begin", "end", "kwh", "hours", "days", "day_kwh", "night_kwh", "total"), BY_HAND)
def test_steps_through_the_changes_of_the_clock(
    begin: str, end: str, kwh: str, hours: str, days: Any, day_kwh: str, night_kwh: str, total: str
) -> None:
    tariff = Tariff(
        "t", "EUR", per_kwh=D("0.40"), per_minute=D("0.01"), step=(Step("s", hours, days, per_kwh=D("0.20")),)
    )
    price = price_of(tariff, even(begin, end, kwh), AMSTERDAM)
    energy = {line.text: line.quantity for line in price.lines if line.kind == "energy"}
    assert (energy.get("Energy", D(0)), energy.get("Energy (s)", D(0))) == (D(day_kwh), D(night_kwh))
    assert price.total == D(total)


def test_energy_between_readings_goes_to_the_step_in_which_it_flowed() -> None:
    # 3 kWh before 22:00, 1 kWh in the hour after it.
    points = (
        MeterPoint(at("2026-07-01 19:00"), D(0)),
        MeterPoint(at("2026-07-01 20:00"), D(3000)),
        MeterPoint(at("2026-07-01 21:00"), D(4000)),
    )
    price = price_of(NIGHT, Consumption(points[0].at, points[-1].at, points), AMSTERDAM)
    assert said(price) == [
        ("Energy", D(3), D("1.20")),
        ("Energy (night)", D(1), D("0.20")),
        ("Time", D(120), D("1.20")),
    ]


def test_idle_time_begins_when_charging_ended_and_the_grace_is_over() -> None:
    tariff = Tariff(
        "t",
        "EUR",
        per_charging_minute=D("0.02"),
        per_idle_minute=D("0.10"),
        idle_after=timedelta(minutes=15),
        step=(Step(hours="22:00-08:00", per_idle_minute=D(0)),),
    )
    charge = even("2026-07-01 18:00", "2026-07-01 21:00", "10", idle_since=at("2026-07-01 19:00"))
    # Charging 60 min; idle from 19:15 to 20:00 UTC (22:00 in Amsterdam), then free.
    assert said(price_of(tariff, charge, AMSTERDAM)) == [
        ("Energy", D(10), D("0.00")),
        ("Charging time", D(60), D("1.20")),
        ("Idle time", D(45), D("4.50")),
    ]


@pytest.mark.parametrize(
    ("currency", "amount", "total"),
    [("EUR", "0.0051", "0.01"), ("JPY", "123.5", "124"), ("KWD", "0.0005", "0.001"), ("CLF", "0.00005", "0.0001")],
)
def test_money_has_the_digits_of_its_currency(currency: str, amount: str, total: str) -> None:
    price = price_of(
        Tariff("t", currency, per_start=D(amount)), even("2026-07-01 18:00", "2026-07-01 19:00", "0"), UTC_
    )
    assert str(price.total) == total


@pytest.mark.parametrize(
    ("mode", "amount", "total"),
    [
        ("half_up", "1.005", "1.01"),
        ("half_even", "1.005", "1.00"),
        ("half_even", "1.015", "1.02"),
        ("up", "1.0001", "1.01"),
        ("down", "1.0099", "1.00"),
    ],
)
def test_rounding_rules(mode: Any, amount: str, total: str) -> None:
    tariff = Tariff("t", "EUR", per_start=D(amount), rounding=mode)
    assert str(price_of(tariff, Consumption(at("2026-01-01 00:00"), at("2026-01-01 00:00")), UTC_).total) == total


def test_a_total_is_rounded_to_the_smallest_coin_and_says_by_how_much() -> None:
    tariff = Tariff("t", "CHF", per_start=D("1.03"), round_to=D("0.05"))
    price = price_of(tariff, Consumption(at("2026-01-01 00:00"), at("2026-01-01 00:00")), UTC_)
    assert (price.total, price.rounding, price.lines[0].amount) == (D("1.05"), D("0.02"), D("1.03"))


def test_minimum_and_maximum_are_lines_of_their_own() -> None:
    tariff = Tariff("t", "EUR", per_kwh=D("0.50"), minimum=D("2"), maximum=D("20"))
    hour = ("2026-07-01 18:00", "2026-07-01 19:00")
    assert said(price_of(tariff, even(*hour, "1"), UTC_))[1] == ("Up to the minimum", D(1), D("1.50"))
    assert price_of(tariff, even(*hour, "1"), UTC_).total == D("2.00")
    assert said(price_of(tariff, even(*hour, "50"), UTC_))[1] == ("Down to the maximum", D(1), D("-5.00"))
    assert price_of(tariff, even(*hour, "50"), UTC_).total == D("20.00")
    assert price_of(tariff, even(*hour, "0"), UTC_).total == 0, "what costs nothing costs no minimum"


def test_taxes_in_the_price_are_shown_and_taxes_upon_it_are_added() -> None:
    hour = ("2026-07-01 18:00", "2026-07-01 19:00")
    tax = (Tax("VAT", D(19)),)
    inside = price_of(Tariff("t", "EUR", per_kwh=D("1.19"), tax=tax), even(*hour, "10"), UTC_)
    assert (inside.total, inside.taxes[0].base, inside.taxes[0].amount) == (D("11.90"), D("10.00"), D("1.90"))
    upon = price_of(Tariff("t", "EUR", per_kwh=D("1"), tax=tax, taxes_included=False), even(*hour, "10"), UTC_)
    assert (upon.total, upon.taxes[0].base, upon.taxes[0].amount) == (D("11.90"), D("10.00"), D("1.90"))


def test_a_tax_may_be_on_some_parts_only_and_follows_a_limit() -> None:
    tax = (Tax("VAT", D(20)), Tax("energy tax", D(10), on=("energy",)))
    tariff = Tariff("t", "EUR", per_kwh=D(1), per_start=D(10), taxes_included=False, maximum=D(10), tax=tax)
    # 10 kWh and 10 for the start, halved by the maximum: 5 and 5.
    price = price_of(tariff, even("2026-07-01 18:00", "2026-07-01 19:00", "10"), UTC_)
    assert [(one.base, one.amount) for one in price.taxes] == [(D("10.00"), D("2.00")), (D("5.00"), D("0.50"))]
    assert price.total == D("12.50")


def test_what_cannot_be_priced_is_left_out_and_said() -> None:
    price = price_of(NIGHT, Consumption(None, None), AMSTERDAM)
    assert (price.total, price.lines) == (0, ())
    assert "no time" in price.note
    assert "no energy" in price.note


# Properties

PRICE = st.decimals(0, 100, places=4)
STEP = st.builds(
    Step,
    st.just(""),
    st.sampled_from(["22:00-06:00", "02:30-03:15", "00:00-24:00", "12:00-12:00"]),
    st.lists(st.sampled_from(["mon", "sat", "sun"]), max_size=2, unique=True).map(tuple),
    per_kwh=PRICE,
    per_minute=PRICE,
    per_idle_minute=st.none() | PRICE,
)
TARIFF = st.builds(
    Tariff,
    st.just("t"),
    st.sampled_from(["EUR", "JPY", "KWD"]),
    PRICE,
    PRICE,
    PRICE,
    PRICE,
    PRICE,
    st.timedeltas(timedelta(0), timedelta(hours=2)),
    minimum=st.none() | st.decimals(0, 10, places=2),
    maximum=st.none() | st.decimals(11, 10**6, places=2),
    taxes_included=st.booleans(),
    rounding=st.sampled_from(["half_up", "half_even", "up", "down"]),
    round_to=st.none() | st.sampled_from([D("0.05"), D(1)]),
    step=st.lists(STEP, max_size=3).map(tuple),
    tax=st.lists(st.builds(Tax, st.just("VAT"), st.decimals(0, 30, places=1)), max_size=2).map(tuple),
)


@st.composite
def consumptions(draw: st.DrawFn) -> Consumption:
    """A charge around a change of the clock, with a register that never falls."""
    begin = at(draw(st.sampled_from(["2026-03-28 18:00", "2026-10-24 18:00", "2026-06-05 03:00"])))
    seconds = sorted(draw(st.lists(st.integers(0, 200_000), min_size=2, max_size=8)))
    steps = draw(st.lists(st.decimals(0, 30_000, places=1), min_size=len(seconds), max_size=len(seconds)))
    points, wh = [], D(0)
    for second, more in zip(seconds, steps, strict=True):
        wh += more
        points.append(MeterPoint(begin + timedelta(seconds=second), wh))
    end = points[-1].at
    idle = draw(st.none() | st.integers(0, seconds[-1]))
    return Consumption(begin, end, tuple(points), None if idle is None else begin + timedelta(seconds=idle))


def split(whole: Consumption, moment: datetime) -> tuple[Consumption, Consumption]:
    """Two parts; the register at the moment is what even flow makes it, exactly."""
    assert whole.begin
    assert whole.end
    before = [point for point in whole.readings if point.at <= moment]
    after = [point for point in whole.readings if point.at > moment]
    middle = []
    if before and after:
        (low, low_wh), (high, high_wh) = before[-1], after[0]
        part = Fraction((moment - low) // timedelta(microseconds=1), (high - low) // timedelta(microseconds=1))
        exact: Any = Fraction(low_wh) + (Fraction(high_wh) - Fraction(low_wh)) * part
        middle = [MeterPoint(moment, exact)]
    first = Consumption(whole.begin, moment, (*before, *middle), whole.idle_since)
    second = Consumption(moment, whole.end, (*middle, *after), whole.idle_since, continues=True)
    return first, second


@settings(max_examples=150, deadline=None)
@given(TARIFF, consumptions(), st.integers(0, 200_000))
def test_splitting_a_charge_at_any_moment_changes_nothing_but_the_start_fee(
    tariff: Tariff, whole: Consumption, seconds: int
) -> None:
    assert whole.begin
    assert whole.end
    moment = min(whole.begin + timedelta(seconds=seconds), whole.end)
    first, second = split(whole, moment)
    parts = [*charges(tariff, first, AMSTERDAM), *charges(tariff, second, AMSTERDAM)]
    assert settle(tariff, parts) == settle(tariff, charges(tariff, whole, AMSTERDAM))
    begun_twice = [*charges(tariff, first, AMSTERDAM), *charges(tariff, replace(second, continues=False), AMSTERDAM)]
    exact = sum(part.amount for part in charges(tariff, whole, AMSTERDAM))
    assert sum(part.amount for part in begun_twice) - exact == Fraction(tariff.per_start)


@settings(max_examples=150, deadline=None)
@given(TARIFF, consumptions())
def test_the_sum_of_the_parts_is_the_whole(tariff: Tariff, whole: Consumption) -> None:
    price = price_of(tariff, whole, AMSTERDAM)
    added = D(0) if price.taxes_included else sum((tax.amount for tax in price.taxes), D(0))
    assert price.total == sum((line.amount for line in price.lines), D(0)) + added + price.rounding
    parts = list(charges(tariff, whole, AMSTERDAM))
    energy = sum((part.quantity for part in parts if part.kind == "energy"), Fraction(0))
    assert energy == Fraction(whole.readings[-1].wh - whole.readings[0].wh) / 1000
    exact = sum((part.amount for part in parts), Fraction(0))
    if tariff.minimum is None and tariff.maximum is None and not tariff.tax and tariff.round_to is None:
        unit = Fraction(1, 10 ** -int(price.total.as_tuple().exponent))
        assert abs(Fraction(price.total) - exact) < unit
