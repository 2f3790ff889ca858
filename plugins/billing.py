"""The plugin that prices: chooses a tariff for a charge, unless a rule did, and says what the charge costs. The sums are ``billing_pricing``'s."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from csms_plugins.billing_money import known_currency
from csms_plugins.billing_pricing import price_of, unpriceable
from csms_plugins.billing_tariffs import Tariff, TariffFile, check_names

from csms.api import (
    Amount,
    Consumption,
    Csms,
    Price,
    SiteFileError,
    TariffChoice,
    TariffQuestion,
    Transaction,
    hookimpl,
    read_toml,
)


class Billing:
    """Answers ``choose_tariff`` with the first tariff that fits, and ``price`` with the chosen one, else with the standard."""

    @dataclass(frozen=True)
    class Settings:
        """The standard tariff, for charges that no other fits; ``tariff`` are more, and ``file`` a file with still more ``[[tariff]]`` tables."""

        currency: str = "EUR"
        per_kwh: Amount = Decimal(0)
        per_minute: Amount = Decimal(0)
        per_start: Amount = Decimal(0)
        name: str = "standard"
        file: str = ""
        tariff: tuple[Tariff, ...] = ()

        def __post_init__(self) -> None:
            """Raises ValueError in plain words."""
            known_currency(self.currency)
            check_names(self.tariff, self.name)

        @property
        def standard(self) -> Tariff:
            """The tariff that fits everything."""
            return Tariff(
                self.name,
                self.currency,
                per_kwh=self.per_kwh,
                per_minute=self.per_minute,
                per_start=self.per_start,
            )

    def __init__(self, settings: Settings, csms: Csms) -> None:
        self._csms = csms
        self._settings = settings
        self._tariffs = tariffs_of(settings, csms.folder)

    def outdated(self) -> bool:
        """Whether the tariff file says something else than when it was read, or cannot be read any more."""
        try:
            return tariffs_of(self._settings, self._csms.folder) != self._tariffs
        except SiteFileError:
            return True

    @hookimpl
    def choose_tariff(self, question: TariffQuestion) -> TariffChoice:
        """The first tariff whose conditions fit, in the order in which they are written; the standard is the last."""
        *others, standard = self._tariffs
        site = self._csms.site_of(question.station.id)
        for tariff in others:
            if not tariff.only_by_name and tariff.fits(question, site.id, ZoneInfo(site.timezone)):
                return TariffChoice(tariff.name, "the first tariff that fits")
        return TariffChoice(standard.name, "no other tariff fits")

    @hookimpl
    def price(self, transaction: Transaction, consumption: Consumption, choice: TariffChoice | None) -> Price:
        """What the transaction costs, or has cost so far."""
        zone = ZoneInfo(self._csms.site_of(transaction.station).timezone)
        tariff = self._named(choice, consumption, zone)
        hold = ""
        if tariff is None:
            hold = f"no tariff is called {choice.tariff if choice else ''!r} at the time of this charge"
            tariff = self._tariffs[-1]
        if wrong := unpriceable(consumption):
            hold = wrong
            consumption = Consumption(None, None)
        price = replace(price_of(tariff, consumption, zone), hold=hold)
        return price if transaction.ended_at else replace(price, note=_and(price.note, "still running: priced so far"))

    def _named(self, choice: TariffChoice | None, consumption: Consumption, zone: ZoneInfo) -> Tariff | None:
        """The tariff of a name that is valid when the charge begins; the standard without a choice."""
        if choice is None:
            return self._tariffs[-1]
        at = consumption.begin or consumption.end or self._csms.now()
        named = (one for one in self._tariffs if one.name == choice.tariff and one.valid(at, zone))
        return next(named, None)


def tariffs_of(settings: Billing.Settings, folder: Path) -> tuple[Tariff, ...]:
    """The tariffs in the order in which they are looked at, the standard last; raises SiteFileError with every mistake of the file."""
    more = read_toml(folder / settings.file, TariffFile).tariff if settings.file else ()
    written = [replace(one, currency=one.currency or settings.currency) for one in (*settings.tariff, *more)]
    return (*written, settings.standard)


def _and(note: str, more: str) -> str:
    return f"{note}; {more}" if note else more
