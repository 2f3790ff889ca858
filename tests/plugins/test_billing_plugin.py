"""Which tariff a charge gets, and what the plugin's settings and tariff file may say."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_twisted
from csms_plugins.billing import Billing
from csms_plugins.billing_pricing import price_of
from csms_plugins.billing_tariffs import Step, Tariff, TariffFile, Tax
from fake_csms import NOON, STATION, FakeCsms

from csms.api import (
    Consumption,
    IdToken,
    MeterPoint,
    SiteFileError,
    TariffChoice,
    TariffQuestion,
    Transaction,
    read_toml,
)
from csms.model.transactions import Completeness
from csms.tap import check_site
from csms.testing import running_csms

D = Decimal
HOUR = timedelta(hours=1)
CHARGE = Transaction(
    1, "CS1", "T1", Completeness.COMPLETE, evse=2, id_token=IdToken("04A1"), started_at=NOON, ended_at=NOON + HOUR
)
USED = Consumption(NOON, NOON + HOUR, (MeterPoint(NOON, D(1000)), MeterPoint(NOON + HOUR, D(8345))))


def plugin(folder: Path, *tariffs: Tariff, **settings: Any) -> Billing:
    """The plugin with these tariffs."""
    return Billing(Billing.Settings(tariff=tariffs, **settings), FakeCsms(folder).csms)


def chosen(billing: Billing, **more: Any) -> str:
    """The name of the tariff that the plugin chooses."""
    group = more.pop("group", None)
    charge = replace(CHARGE, **more)
    return billing.choose_tariff(TariffQuestion(STATION, charge, charge.started_at or NOON, group)).tariff


def test_the_standard_prices_energy_time_and_start(tmp_path: Path) -> None:
    billing = plugin(tmp_path, per_kwh=D("0.39"), per_minute=D("0.02"), per_start=D("0.50"))
    price = billing.price(CHARGE, USED, None)
    assert [(line.text, line.quantity, line.amount) for line in price.lines] == [
        ("Energy", D("7.345"), D("2.86")),
        ("Time", D(60), D("1.20")),
        ("Start", D(1), D("0.50")),
    ]
    assert (price.total, price.currency, price.tariff, price.note, price.hold) == (D("4.56"), "EUR", "standard", "", "")
    assert "still running" in billing.price(replace(CHARGE, ended_at=None), USED, None).note


@pytest.mark.parametrize(
    ("conditions", "fits"),
    [
        ({}, True),
        ({"stations": ("cs*",)}, True),
        ({"stations": ("X*",)}, False),
        ({"sites": ("depot",)}, True),
        ({"sites": ("north",)}, False),
        ({"evses": (1, 2)}, True),
        ({"evses": (3,)}, False),
        ({"tokens": ("04a*",)}, True),
        ({"tokens": ("05*",)}, False),
        ({"groups": ("FLEET",)}, True),
        ({"groups": ("STAFF",)}, False),
        ({"valid_from": date(2026, 3, 2)}, True),
        ({"valid_from": date(2026, 3, 3)}, False),
        ({"valid_until": date(2026, 3, 2)}, True),
        ({"valid_until": date(2026, 3, 1)}, False),
        ({"valid_until": datetime(2026, 3, 2, 13)}, False),
        ({"valid_from": datetime(2026, 3, 2, 13)}, True),
        ({"only_by_name": True}, False),
    ],
)
def test_a_tariff_is_for_the_charges_that_fit_all_its_conditions(
    tmp_path: Path, conditions: dict[str, Any], fits: bool
) -> None:
    """Noon in UTC is 13:00 in Berlin, the clock of the site."""
    billing = plugin(tmp_path, Tariff("special", **conditions))
    assert chosen(billing, group=IdToken("FLEET")) == ("special" if fits else "standard")


def test_the_first_that_fits_counts(tmp_path: Path) -> None:
    billing = plugin(tmp_path, Tariff("staff", tokens=("04*",)), Tariff("all"))
    assert chosen(billing) == "staff"
    assert chosen(billing, id_token=IdToken("99")) == "all"
    assert chosen(billing, id_token=None) == "all"


def test_the_chosen_tariff_prices_and_takes_the_currency_of_the_settings(tmp_path: Path) -> None:
    billing = plugin(tmp_path, Tariff("night", per_kwh=D("0.10"), only_by_name=True), currency="CHF")
    price = billing.price(CHARGE, USED, TariffChoice("night", "a rule"))
    assert (price.tariff, price.total, price.currency) == ("night", D("0.73"), "CHF")


def test_a_new_price_is_a_tariff_of_the_same_name_from_another_day_on(tmp_path: Path) -> None:
    old = Tariff("day", per_kwh=D("0.30"), valid_until=date(2026, 3, 1))
    new = Tariff("day", per_kwh=D("0.40"), valid_from=date(2026, 3, 2))
    billing = plugin(tmp_path, old, new)
    assert billing.price(CHARGE, USED, TariffChoice("day")).total == D("2.94")
    before = Consumption(NOON - timedelta(days=1), NOON, USED.readings)
    assert billing.price(CHARGE, before, TariffChoice("day")).total == D("2.20")


def test_a_bill_is_held_when_the_chosen_tariff_does_not_exist(tmp_path: Path) -> None:
    price = plugin(tmp_path).price(CHARGE, USED, TariffChoice("nigth"))
    assert "'nigth'" in price.hold


def test_a_bill_of_years_is_held_and_not_cut_into_hours(tmp_path: Path) -> None:
    tariff = Tariff("t", step=(Step(hours="22:00-06:00", per_kwh=D(1)),))
    years = Consumption(NOON - timedelta(days=20000), NOON, USED.readings)
    price = plugin(tmp_path, tariff).price(CHARGE, years, TariffChoice("t"))
    assert "longer than a year" in price.hold
    assert price.total == 0


@pytest.mark.parametrize("reading", ["1.7E+308", "-1E+30", "1000000000001"])
def test_a_bill_of_a_reading_that_no_meter_shows_is_held(tmp_path: Path, reading: str) -> None:
    used = Consumption(NOON, NOON + HOUR, (USED.readings[0], MeterPoint(NOON + HOUR, D(reading))))
    price = plugin(tmp_path).price(CHARGE, used, None)
    assert "no meter can show" in price.hold
    assert price.total == 0


@pytest.mark.parametrize(
    ("kind", "wrong", "words"),
    [
        (Billing.Settings, {"currency": "Euro"}, "did you mean EUR"),
        (Billing.Settings, {"currency": "XAU"}, "ISO 4217"),
        (Billing.Settings, {"tariff": (Tariff("a"), Tariff("a"))}, "there twice"),
        (Billing.Settings, {"tariff": (Tariff("standard"),)}, "there twice"),
        (Tariff, {"name": " "}, "name is needed"),
        (Tariff, {"name": "t", "minimum": D(2), "maximum": D(1)}, "more than the maximum"),
        (Tariff, {"name": "t", "round_to": D(0)}, "round_to is an amount"),
        (Step, {"hours": "22-6", "per_kwh": D(1)}, "hours are written"),
        (Step, {"hours": "22:00-24:30", "per_kwh": D(1)}, "hours are written"),
        (Step, {"per_kwh": D(1)}, "hours or days are needed"),
        (Step, {"days": ("mon",)}, "per_kwh or another price"),
        (Tax, {"name": "VAT", "percent": D(101)}, "percent is 0 to 100"),
    ],
)
def test_wrong_settings_are_told_in_words(kind: Any, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kind(**wrong)


FILE = """
[[tariff]]
name = "day and night"
per_kwh = "0.45"
idle_after = "15m"
per_idle_minute = 0.10
groups = ["FLEET"]
valid_from = 2026-01-01
[[tariff.step]]
name = "night"
hours = "22:00-06:00"
days = ["fri", "sat"]
per_kwh = "0.30"
[[tariff.tax]]
name = "VAT"
percent = 19

[[tariff]]
name = "guests"
"""


def test_a_tariff_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "tariffs.toml").write_text(FILE)
    first, second = read_toml(tmp_path / "tariffs.toml", TariffFile).tariff
    assert (first.per_kwh, first.per_idle_minute, first.idle_after) == (D("0.45"), D("0.1"), timedelta(minutes=15))
    assert first.step == (Step("night", "22:00-06:00", ("fri", "sat"), per_kwh=D("0.30")),)
    assert (first.tax, first.valid_from, second.name) == ((Tax("VAT", D(19)),), date(2026, 1, 1), "guests")
    billing = Billing(Billing.Settings(file="tariffs.toml", currency="SEK"), FakeCsms(tmp_path).csms)
    assert chosen(billing) == "guests"
    assert chosen(billing, group=IdToken("fleet")) == "day and night"


WRONG = """[[tariff]]
name = "a"
per_kwh = "much"
minimun = "1"

[[tariff]]
name = "b"
per_kwh = -1
evses = ["1"]
[[tariff.step]]
hours = "22:00"
days = ["monday"]
per_kwh = 1
"""


def test_every_mistake_of_a_tariff_file_is_told_with_its_place_and_cure(
    tmp_path: Path, installed_plugins: None
) -> None:
    file, site = tmp_path / "tariffs.toml", tmp_path / "csms.toml"
    file.write_text(WRONG)
    site.write_text('[plugins]\nenabled = ["billing"]\n[plugins.billing]\nfile = "tariffs.toml"\n')
    with pytest.raises(SiteFileError) as wrong:
        check_site(site)
    places = [(one.line, one.column) for one in wrong.value.problems]
    assert places == [(3, 1), (4, 1), (8, 1), (9, 10), (12, 9)]
    text = str(wrong.value)
    assert f"{file}:3:1" in text
    assert "did you mean minimum?" in text
    assert '"mon"' in text


def test_a_tariff_file_that_is_not_there_is_told(tmp_path: Path, installed_plugins: None) -> None:
    site = tmp_path / "csms.toml"
    site.write_text('[plugins]\nenabled = ["billing"]\n[plugins.billing]\nfile = "none.toml"\n')
    with pytest.raises(SiteFileError, match="there is no such file"):
        check_site(site)


def test_tariffs_may_stand_in_the_site_file(tmp_path: Path, installed_plugins: None) -> None:
    site = tmp_path / "csms.toml"
    site.write_text('[plugins]\nenabled = ["billing"]\n[[plugins.billing.tariff]]\nname = "x"\nper_kw = 1\n')
    with pytest.raises(SiteFileError, match=r"5:1\n  plugins.billing.tariff\[0\].per_kw"):
        check_site(site)


def test_the_worked_examples_of_the_docs_are_right(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "billing.md").read_text("utf-8")
    (tmp_path / "tariffs.toml").write_text(page.split("```toml\n")[1].split("```")[0])
    (tariff,) = read_toml(tmp_path / "tariffs.toml", TariffFile).tariff
    zone = ZoneInfo("Europe/Berlin")

    def total(day: int, *readings: tuple[int, int, int], idle: bool = True) -> tuple[Decimal, Decimal]:
        points = [MeterPoint(datetime(2026, 3, day, hour, minute, tzinfo=zone), D(wh)) for hour, minute, wh in readings]
        since = points[2].at if idle else None
        price = price_of(tariff, Consumption(points[0].at, points[-1].at, tuple(points), since), zone)
        return price.total, price.taxes[0].amount

    evening = ((21, 0, 0), (22, 0, 6000), (22, 30, 8000), (23, 0, 8000))
    assert total(3, *evening) == (D("3.30"), D("0.53"))
    assert total(6, *evening) == (D("5.10"), D("0.81"))
    assert total(3, (10, 0, 0), (10, 10, 500), idle=False) == (D("1.00"), D("0.16"))


@pytest_twisted.ensureDeferred
async def test_a_reload_takes_over_a_changed_tariff_file_whole_or_not_at_all(
    tmp_path: Path, installed_plugins: None
) -> None:
    file = tmp_path / "tariffs.toml"
    file.write_text('[[tariff]]\nname = "old"\n')
    site = '[plugins]\nenabled = ["billing"]\n[plugins.billing]\nfile = "tariffs.toml"\n'
    async with running_csms(tmp_path, site=site) as csms:

        def now() -> tuple[Any, str]:
            (one,) = csms.house.plugins.loaded
            return one.instance, chosen(one.instance)

        first = now()
        assert (await csms.house.reload()).changed == ()
        assert now() == first == (first[0], "old")
        file.write_text('[[tariff]]\nname = "new"\nper_kwh = "x"\n')
        with pytest.raises(SiteFileError, match="a number is wanted"):
            await csms.house.reload()
        assert now() == first
        file.write_text('[[tariff]]\nname = "new"\n')
        await csms.house.reload()
        assert now()[1] == "new"
