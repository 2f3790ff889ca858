"""What a transaction costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from csms_plugins.billing import Billing, price_of
from fake_csms import NOON, FakeCsms
from hypothesis import given
from hypothesis import strategies as st

from csms.api import BillLine, Transaction
from csms.model.transactions import Completeness

SETTINGS = Billing.Settings(per_kwh=Decimal("0.39"), per_minute=Decimal("0.02"), per_start=Decimal("0.50"))
ENDED = Transaction(
    1,
    "CS1",
    "T1",
    Completeness.COMPLETE,
    started_at=NOON,
    ended_at=NOON + timedelta(minutes=10, seconds=30),
    meter_start_wh=Decimal(1000),
    meter_stop_wh=Decimal(8345),
    last_meter_wh=Decimal(8345),
    last_event_at=NOON + timedelta(minutes=10, seconds=30),
)


def test_energy_time_and_start_are_lines_and_their_sum_is_the_total() -> None:
    price = price_of(SETTINGS, ENDED)
    assert price.lines == (
        BillLine("Energy", Decimal("7.345"), "kWh", Decimal("0.39"), Decimal("2.86")),
        BillLine("Time", Decimal("10.50"), "min", Decimal("0.02"), Decimal("0.21")),
        BillLine("Start", Decimal(1), "start", Decimal("0.50"), Decimal("0.50")),
    )
    assert (price.total, price.currency, price.tariff, price.note) == (Decimal("3.57"), "EUR", "standard", "")


def test_half_a_cent_is_rounded_up() -> None:
    settings = Billing.Settings(per_kwh=Decimal("0.5"))
    assert price_of(settings, replace(ENDED, meter_stop_wh=Decimal(1010))).total == Decimal("0.01")
    assert price_of(settings, replace(ENDED, meter_stop_wh=Decimal("1009.9"))).total == Decimal("0.00")


@pytest.mark.parametrize(
    ("begin", "end", "words"),
    [
        (None, Decimal(1), "the start register is missing"),
        (Decimal(1), None, "the end register is missing"),
        (None, None, "the start and the end register are missing"),
        (Decimal(2), Decimal(1), "below the start register"),
        (Decimal(0), Decimal("1e11"), "too far above"),
        (Decimal(0), Decimal("1e300"), "beyond belief"),
        (Decimal(0), Decimal("NaN"), "beyond belief"),
    ],
)
def test_energy_that_cannot_be_priced_is_left_out_and_said(
    begin: Decimal | None, end: Decimal | None, words: str
) -> None:
    price = price_of(SETTINGS, replace(ENDED, meter_start_wh=begin, meter_stop_wh=end))
    assert [line.text for line in price.lines] == ["Time", "Start"]
    assert price.total == Decimal("0.71")
    assert words in price.note


def test_a_running_transaction_is_priced_so_far() -> None:
    running = replace(ENDED, ended_at=None, meter_stop_wh=None, last_meter_wh=Decimal(2000))
    price = price_of(SETTINGS, running)
    assert [line.amount for line in price.lines] == [Decimal("0.39"), Decimal("0.21"), Decimal("0.50")]
    assert "still running" in price.note


def test_time_that_cannot_be_priced_is_left_out_and_said() -> None:
    assert "no time: the start is missing" in price_of(SETTINGS, replace(ENDED, started_at=None)).note
    late = replace(ENDED, started_at=NOON + timedelta(hours=1))
    assert "no time: the end is before the start" in price_of(SETTINGS, late).note


def test_a_stations_own_tariff_lies_over_the_standard(tmp_path: Path) -> None:
    tariffs = {"DEPOT-*": {"per_kwh": "0.10", "per_start": 0, "name": "depot"}, "*-9": {"per_kwh": "9"}}
    plugin = Billing(replace(SETTINGS, tariffs=tariffs), FakeCsms(tmp_path).csms)
    depot = plugin.price(replace(ENDED, station="DEPOT-9"))
    assert (depot.tariff, depot.total) == ("depot", Decimal("0.73") + Decimal("0.21"))
    assert plugin.price(replace(ENDED, station="X-9")).tariff == "*-9"
    assert plugin.price(ENDED).total == Decimal("3.57")


@given(
    wh=st.decimals(0, 10**9, places=3),
    seconds=st.integers(0, 10**6),
    per_kwh=st.decimals(0, 1000, places=4),
    decimals=st.integers(0, 4),
)
def test_the_total_is_the_sum_of_its_rounded_lines(wh: Decimal, seconds: int, per_kwh: Decimal, decimals: int) -> None:
    settings = replace(SETTINGS, per_kwh=per_kwh, decimals=decimals)
    ended = replace(ENDED, meter_stop_wh=ENDED.meter_start_wh + wh, ended_at=NOON + timedelta(seconds=seconds))  # type: ignore[operator]
    price = price_of(settings, ended)
    assert price.total == sum(line.amount for line in price.lines)
    for line in price.lines:
        assert -line.amount.as_tuple().exponent == decimals  # type: ignore[operator]
        assert abs(line.amount - line.quantity * line.unit_price) * 2 <= Decimal(1).scaleb(-decimals)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"currency": "Euro"}, "three capital letters"),
        ({"decimals": 5}, "decimals"),
        ({"per_kwh": Decimal(-1)}, "per_kwh is a price"),
        ({"per_start": Decimal("NaN")}, "per_start is a price"),
        ({"tariffs": {"A*": {"per_kw": "1"}}}, "did you mean per_kwh"),
        ({"tariffs": {"A*": {"per_kwh": "much"}}}, "is a price such as"),
        ({"tariffs": {"A*": {"decimals": "2"}}}, "cannot be '2'"),
        ({"tariffs": {"A*": "0.30"}}, "is a table"),
        ({"tariffs": {"A*": {"currency": "eur"}}}, "tariffs.A*"),
    ],
)
def test_wrong_settings_are_told_in_words(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("*", r"\*")):
        Billing.Settings(**wrong)  # type: ignore[arg-type]
