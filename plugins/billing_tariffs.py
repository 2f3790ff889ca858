"""What a tariff may say, as it stands in TOML: prices, steps by hour and day, limits, taxes, and which charges it is for. Prices nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Literal
from zoneinfo import ZoneInfo

from csms_plugins.billing_money import known_currency

from csms.api import Amount, Duration, TariffQuestion

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Kind = Literal["energy", "time", "charging", "idle", "start"]
Rounding = Literal["half_up", "half_even", "up", "down"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
UNITS: Mapping[Kind, tuple[str, str, str]] = {
    "energy": ("per_kwh", "Energy", "kWh"),
    "time": ("per_minute", "Time", "min"),
    "charging": ("per_charging_minute", "Charging time", "min"),
    "idle": ("per_idle_minute", "Idle time", "min"),
    "start": ("per_start", "Start", "start"),
}
"""Each part of a price: its key, its words on a bill, its unit."""
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)")


@dataclass(frozen=True)
class Step:
    """Other prices at some hours or on some days, on the clock of the site. Hours over midnight belong to the day on which they begin."""

    name: str = ""
    hours: str = ""
    days: tuple[Day, ...] = ()
    per_kwh: Amount | None = None
    per_minute: Amount | None = None
    per_charging_minute: Amount | None = None
    per_idle_minute: Amount | None = None

    def __post_init__(self) -> None:
        """Raises ValueError in plain words."""
        if self.hours and _HOURS.fullmatch(self.hours) is None:
            raise ValueError(f'hours are written "22:00-06:00", not "{self.hours[:30]}"')
        if not self.hours and not self.days:
            raise ValueError("hours or days are needed: without them a step is the tariff itself")
        if all(self.price(kind) is None for kind in UNITS):
            raise ValueError("per_kwh or another price is needed in a step")

    def price(self, kind: Kind) -> Decimal | None:
        """This step's own price of a kind, or None where the tariff's holds."""
        price: Decimal | None = getattr(self, UNITS[kind][0], None)
        return price

    @property
    def window(self) -> tuple[int, int]:
        """Begin and end in minutes of the day."""
        found = _HOURS.fullmatch(self.hours)
        if found is None:
            return 0, 1440
        begin = int(found[1]) * 60 + int(found[2])
        return begin, int(found[3]) * 60 + int(found[4]) if found[3] else 1440

    def fits(self, wall: datetime) -> bool:
        """Whether a time on the site's own clock is in this step."""
        begin, end = self.window
        minute, day = wall.hour * 60 + wall.minute, wall.weekday()
        if begin < end:
            inside = begin <= minute < end
        else:
            inside = minute >= begin or minute < end
            day -= minute < begin
        return inside and (not self.days or DAYS[day % 7] in self.days)


@dataclass(frozen=True)
class Tax:
    """A tax on everything, or on some parts of the price only."""

    name: str
    percent: Decimal
    on: tuple[Kind, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError in plain words."""
        if not (self.percent.is_finite() and 0 <= self.percent <= 100):
            raise ValueError(f"percent is 0 to 100, not {self.percent}")


@dataclass(frozen=True)
class Tariff:
    """Prices and for which charges they are; a condition that is left out fits everything. ``*`` and ``?`` are patterns, case does not count."""

    name: str
    currency: str = ""
    per_kwh: Amount = Decimal(0)
    per_minute: Amount = Decimal(0)
    per_charging_minute: Amount = Decimal(0)
    per_idle_minute: Amount = Decimal(0)
    per_start: Amount = Decimal(0)
    idle_after: Duration = timedelta(0)
    minimum: Amount | None = None
    maximum: Amount | None = None
    taxes_included: bool = True
    rounding: Rounding = "half_up"
    round_to: Amount | None = None
    sites: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()
    evses: tuple[int, ...] = ()
    tokens: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    valid_from: date | datetime | None = None
    valid_until: date | datetime | None = None
    only_by_name: bool = False
    step: tuple[Step, ...] = field(default_factory=tuple)
    tax: tuple[Tax, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        """Raises ValueError in plain words."""
        if not self.name.strip():
            raise ValueError("name is needed: it stands on the bill")
        if self.currency:
            known_currency(self.currency)
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum is {self.minimum}, more than the maximum of {self.maximum}")
        if self.round_to == 0:
            raise ValueError('round_to is an amount such as "0.05", not 0')

    def price(self, kind: Kind) -> Decimal:
        """The price of a kind where no step has another."""
        price: Decimal = getattr(self, UNITS[kind][0])
        return price

    def price_at(self, kind: Kind, wall: datetime) -> tuple[int, Decimal]:
        """The price at a time on the site's own clock, and which step it is from (-1: none); of the steps that fit, the first with a price counts."""
        for number, step in enumerate(self.step):
            price = step.price(kind)
            if price is not None and step.fits(wall):
                return number, price
        return -1, self.price(kind)

    def valid(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether the tariff holds at a time; a day counts until its end, both on the site's clock."""
        begin, end = _moment(self.valid_from, zone, 0), _moment(self.valid_until, zone, 1)
        return (begin is None or begin <= at) and (end is None or at < end)

    def fits(self, question: TariffQuestion, site: str, zone: ZoneInfo) -> bool:
        """Whether the tariff is for this charge."""
        charge = question.transaction
        token = charge.id_token.value if charge.id_token else ""
        group = question.group.value if question.group else ""
        return (
            self.valid(question.at, zone)
            and like(site, self.sites)
            and like(charge.station, self.stations)
            and (not self.evses or charge.evse in self.evses)
            and like(token, self.tokens)
            and like(group, self.groups)
        )


@dataclass(frozen=True)
class TariffFile:
    """A tariff file: a list of ``[[tariff]]`` tables."""

    tariff: tuple[Tariff, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        """Raises ValueError in plain words."""
        check_names(self.tariff)


def check_names(tariffs: tuple[Tariff, ...], standard: str = "") -> None:
    """Two tariffs of one name need different times at which they hold; raises ValueError in plain words."""
    seen: set[object] = {(standard, None, None)} if standard else set()
    for tariff in tariffs:
        key = (tariff.name, tariff.valid_from, tariff.valid_until)
        if key in seen:
            raise ValueError(
                f'tariff "{tariff.name}" is there twice: give one another name, or valid_from and valid_until'
            )
        seen.add(key)


def like(text: str, patterns: tuple[str, ...]) -> bool:
    """Whether a text fits one of the patterns; no patterns fit everything."""
    return not patterns or any(fnmatchcase(text.casefold(), pattern.casefold()) for pattern in patterns)


def _moment(limit: date | datetime | None, zone: ZoneInfo, days: int) -> datetime | None:
    if limit is None:
        return None
    if isinstance(limit, datetime):
        return limit if limit.tzinfo else limit.replace(tzinfo=zone)
    return datetime.combine(limit + timedelta(days=days), time(), zone).astimezone(UTC)
