"""What a charge costs: one pure function of tariff, consumption and time zone, for running costs, bills and exports alike.

Everything is exact until the end: ``charges`` gives exact parts, and parts of a split transaction are the whole's; ``settle`` adds them up, applies
the limits and the taxes, and rounds each sum once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

from csms_plugins.billing_money import minor_unit, rounded, shown
from csms_plugins.billing_periods import cuts, pieces
from csms_plugins.billing_tariffs import UNITS, Kind, Tariff, Tax

from csms.api import BillLine, Consumption, MeterPoint, Price, TaxLine

MICROSECOND = timedelta(microseconds=1)
MINUTE = 60_000_000
LONGEST = timedelta(days=366)
"""A charge that lasts longer is the work of a wrong clock."""
LARGEST_WH = 10**12
"""No meter of a station gets so far; beyond, amounts would have more digits than they can be kept with."""
RANKS = {kind: rank for rank, kind in enumerate(UNITS)}


@dataclass(frozen=True, slots=True)
class Charge:
    """One exact part of a price; ``step`` is the number of the tariff's step, -1 for none."""

    kind: Kind
    step: int
    quantity: Fraction
    unit_price: Decimal
    begin: datetime
    end: datetime

    @property
    def amount(self) -> Fraction:
        """Exactly what this part costs."""
        return self.quantity * Fraction(self.unit_price)


def price_of(tariff: Tariff, consumption: Consumption, zone: ZoneInfo) -> Price:
    """Lines, taxes and total of a charge, or of a charge so far. A charge that cannot be priced whole says so in ``note``."""
    notes = []
    if consumption.begin is None or consumption.end is None:
        notes.append("no time: the start or the end is missing")
    if len(consumption.readings) < 2:
        notes.append("no energy: the register at the start or at the end is missing")
    price = settle(tariff, charges(tariff, consumption, zone))
    return replace(price, note="; ".join(notes))


def unpriceable(consumption: Consumption) -> str:
    """Why a charge cannot be one, empty if it can: pricing it would cut years into hours, or bill the energy of a country."""
    times = _times(consumption)
    if times and max(times) - min(times) > LONGEST:
        return "it lasts longer than a year: a clock is wrong"
    if any(abs(one.wh) > LARGEST_WH for one in consumption.readings):
        return "it has a reading that no meter can show"
    return ""


def _times(consumption: Consumption) -> list[datetime]:
    times = [one.at for one in consumption.readings]
    return times + [one for one in (consumption.begin, consumption.end) if one is not None]


def charges(tariff: Tariff, consumption: Consumption, zone: ZoneInfo) -> Iterator[Charge]:
    """The exact parts of a price, cut at every edge of the tariff; their sum is the same however a transaction is split, but for the start fee."""
    begin, end, idle = consumption.begin, consumption.end, consumption.idle_since
    edges = [minute for step in tariff.step for minute in step.window]
    at = _cuts(edges, zone, consumption) if tariff.step else []
    yield from _energy(tariff, consumption.readings, zone, at)
    if begin is None or end is None:
        return
    yield from _time(tariff, "time", begin, end, zone, at)
    yield from _time(tariff, "charging", begin, min(end, idle or end), zone, at)
    if idle is not None:
        yield from _time(tariff, "idle", max(begin, idle + tariff.idle_after), end, zone, at)
    if tariff.per_start and not consumption.continues:
        yield Charge("start", -1, Fraction(1), tariff.per_start, begin, begin)


def _cuts(edges: list[int], zone: ZoneInfo, consumption: Consumption) -> list[datetime]:
    times = _times(consumption)
    return cuts(edges, zone, min(times), max(times)) if times else []


def _energy(tariff: Tariff, readings: Sequence[MeterPoint], zone: ZoneInfo, at: Sequence[datetime]) -> Iterator[Charge]:
    """Between two readings energy flows evenly, so that an edge between them divides it exactly by time."""
    for before, after in pairwise(readings):
        energy = (Fraction(after.wh) - Fraction(before.wh)) / 1000
        whole = (after.at - before.at) // MICROSECOND
        if whole <= 0:
            step, price = tariff.price_at("energy", after.at.astimezone(zone))
            yield Charge("energy", step, energy, price, after.at, after.at)
            continue
        for begin, end in pieces(before.at, after.at, at):
            step, price = tariff.price_at("energy", begin.astimezone(zone))
            yield Charge("energy", step, energy * ((end - begin) // MICROSECOND) / whole, price, begin, end)


def _time(
    tariff: Tariff, kind: Kind, begin: datetime, end: datetime, zone: ZoneInfo, at: Sequence[datetime]
) -> Iterator[Charge]:
    for first, last in pieces(begin, end, at) if begin < end else ():
        step, price = tariff.price_at(kind, first.astimezone(zone))
        if price:
            yield Charge(kind, step, Fraction((last - first) // MICROSECOND, MINUTE), price, first, last)


def settle(tariff: Tariff, parts: Iterable[Charge]) -> Price:
    """The price of some parts: like parts are one line; ``total`` is the lines, the taxes that are not in them, and ``rounding``."""
    grouped: dict[tuple[int, int, Decimal], list[Charge]] = {}
    for part in parts:
        grouped.setdefault((RANKS[part.kind], part.step, part.unit_price), []).append(part)
    groups = [grouped[key] for key in sorted(grouped)]
    unit = minor_unit(tariff.currency)
    lines = [_line(tariff, group, unit) for group in groups]
    exact = sum((part.amount for group in groups for part in group), Fraction(0))
    limited = _limited(tariff, exact)
    if limited != exact:
        missing = rounded(limited, unit, tariff.rounding) - sum((line.amount for line in lines), Decimal(0))
        lines.append(_limit_line(missing, "minimum" if limited > exact else "maximum"))
    sums = [(group[0].kind, sum((part.amount for part in group), Fraction(0))) for group in groups]
    taxes = _taxes(tariff, sums, limited / exact if exact else Fraction(1), unit)
    added = Decimal(0) if tariff.taxes_included else sum((tax.amount for tax in taxes), Decimal(0))
    total = _total(tariff, rounded(limited, unit, tariff.rounding) + added, unit)
    rest = total - sum((line.amount for line in lines), Decimal(0)) - added
    return Price(
        tariff.currency,
        tuple(lines),
        total,
        tariff.name,
        taxes=tuple(taxes),
        taxes_included=tariff.taxes_included,
        rounding=rest,
    )


def _total(tariff: Tariff, amount: Decimal, unit: Decimal) -> Decimal:
    """What is asked for: rounded to the coin that the tariff names, and written with the digits of the currency."""
    coin = tariff.round_to or unit
    total = rounded(Fraction(amount), coin, tariff.rounding)
    return total if coin % unit else total.quantize(unit)


def _line(tariff: Tariff, group: Sequence[Charge], unit: Decimal) -> BillLine:
    first = group[0]
    quantity = sum((part.quantity for part in group), Fraction(0))
    _, text, measure = UNITS[first.kind]
    step = tariff.step[first.step] if first.step >= 0 else None
    if step is not None:
        text += f" ({step.name or ' '.join([*step.days, step.hours]).strip()})"
    amount = rounded(quantity * Fraction(first.unit_price), unit, tariff.rounding)
    begin, end = min(part.begin for part in group), max(part.end for part in group)
    return BillLine(text, shown(quantity), measure, first.unit_price, amount, first.kind, begin, end)


def _limited(tariff: Tariff, exact: Fraction) -> Fraction:
    """Within minimum and maximum; what costs nothing costs no minimum either."""
    if tariff.maximum is not None and exact > Fraction(tariff.maximum):
        return Fraction(tariff.maximum)
    if tariff.minimum is not None and 0 < exact < Fraction(tariff.minimum):
        return Fraction(tariff.minimum)
    return exact


def _limit_line(amount: Decimal, kind: str) -> BillLine:
    text = "Up to the minimum" if kind == "minimum" else "Down to the maximum"
    return BillLine(text, Decimal(1), "", amount, amount, kind)


def _taxes(tariff: Tariff, sums: Sequence[tuple[Kind, Fraction]], factor: Fraction, unit: Decimal) -> list[TaxLine]:
    """Each tax of what it is on; a limit moves all parts alike. Where prices include taxes, those on one part divide what is in it."""
    lines = []
    for tax in tariff.tax:
        base = amount = Fraction(0)
        for kind, exact in sums:
            if tax.on and kind not in tax.on:
                continue
            together = Fraction(sum((one.percent for one in _on(tariff, kind)), Decimal(0)))
            net = exact * factor / (1 + together / 100) if tariff.taxes_included else exact * factor
            base += net
            amount += net * Fraction(tax.percent) / 100
        lines.append(
            TaxLine(tax.name, tax.percent, rounded(base, unit, "half_up"), rounded(amount, unit, tariff.rounding))
        )
    return lines


def _on(tariff: Tariff, kind: Kind) -> list[Tax]:
    return [tax for tax in tariff.tax if not tax.on or kind in tax.on]
