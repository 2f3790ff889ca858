"""What a transaction costs: a pure function of a tariff and a transaction's state; no clock, no store, no float."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from csms.api import BillLine, Csms, Price, Transaction, hookimpl

MOST_WH = Decimal(10) ** 10
"""More than any charge can give: a register that says so is broken."""
PRICES = ("per_kwh", "per_minute", "per_start")
SIXTY = Decimal(60)


class Billing:
    """Answers ``price`` with the tariff of the transaction's station."""

    @dataclass(frozen=True)
    class Settings:
        """Prices per unit in ``currency``; ``tariffs`` maps station patterns (``DEPOT-*``) to other prices, the first that fits counts."""

        currency: str = "EUR"
        per_kwh: Decimal = Decimal(0)
        per_minute: Decimal = Decimal(0)
        per_start: Decimal = Decimal(0)
        decimals: int = 2
        name: str = "standard"
        tariffs: Mapping[str, Any] = field(default_factory=dict)

        def __post_init__(self) -> None:
            """Raises ValueError in plain words."""
            if len(self.currency) != 3 or not self.currency.isascii() or not self.currency.isupper():
                raise ValueError(f"currency is three capital letters such as EUR, not {self.currency!r}")
            if not 0 <= self.decimals <= 4:
                raise ValueError("decimals is 0 to 4")
            for price in PRICES:
                value: Decimal = getattr(self, price)
                if not value.is_finite() or not 0 <= value < 10**9:
                    raise ValueError(f"{price} is a price of 0 or more, not {value}")
            for pattern, changes in self.tariffs.items():
                tariff_of(self, pattern, changes)

    def __init__(self, settings: Settings, csms: Csms) -> None:
        self._standard = settings
        self._tariffs = tuple(
            (pattern, tariff_of(settings, pattern, changes)) for pattern, changes in settings.tariffs.items()
        )

    @hookimpl
    def price(self, transaction: Transaction) -> Price:
        """What the transaction costs, or has cost so far."""
        fitting = (tariff for pattern, tariff in self._tariffs if fnmatchcase(transaction.station, pattern))
        return price_of(next(fitting, self._standard), transaction)


def tariff_of(settings: Billing.Settings, pattern: str, changes: object) -> Billing.Settings:
    """The settings with one entry of ``tariffs`` laid over them; raises ValueError in plain words."""
    known = [one.name for one in fields(settings) if one.name != "tariffs"]
    if not isinstance(changes, Mapping):
        raise ValueError(f'tariffs.{pattern} is a table such as {{ per_kwh = "0.39" }}')
    new: dict[str, Any] = {"name": pattern}
    for key, value in changes.items():
        if key not in known:
            close = get_close_matches(str(key), known, 1)
            cure = f"did you mean {close[0]}?" if close else f"it may have {', '.join(known)}"
            raise ValueError(f"tariffs.{pattern} has no {key}: {cure}")
        new[key] = _price(pattern, key, value) if key in PRICES else value
        if (key == "decimals" and type(value) is not int) or (
            key in ("currency", "name") and not isinstance(value, str)
        ):
            raise ValueError(f"tariffs.{pattern}.{key} cannot be {value!r}")
    try:
        return replace(settings, tariffs={}, **new)
    except ValueError as wrong:
        raise ValueError(f"tariffs.{pattern}: {wrong}") from None


def _price(pattern: str, key: str, value: object) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f'tariffs.{pattern}.{key} is a price such as "0.39", not {value!r}') from None


def price_of(tariff: Billing.Settings, transaction: Transaction) -> Price:
    """Lines and total of one transaction; what cannot be priced is left out and said in the note."""
    notes: list[str] = []
    lines = tuple(_lines(tariff, transaction, notes))
    total = sum((line.amount for line in lines), _rounded(tariff, Decimal(0)))
    if transaction.ended_at is None:
        notes.append("still running: priced so far")
    return Price(tariff.currency, lines, total, tariff.name, "; ".join(notes))


def _lines(tariff: Billing.Settings, transaction: Transaction, notes: list[str]) -> Iterator[BillLine]:
    wh = _energy(transaction, notes)
    if wh is not None:
        yield _line(tariff, "Energy", wh.scaleb(-3), "kWh", tariff.per_kwh)
    minutes = _minutes(transaction, notes) if tariff.per_minute else None
    if minutes is not None:
        yield _line(tariff, "Time", minutes, "min", tariff.per_minute)
    if tariff.per_start:
        yield _line(tariff, "Start", Decimal(1), "start", tariff.per_start)


def _energy(transaction: Transaction, notes: list[str]) -> Decimal | None:
    """End minus start in Wh; of a running transaction the newest register counts as its end."""
    begin, end = transaction.meter_start_wh, transaction.meter_stop_wh
    if end is None and transaction.ended_at is None:
        end = transaction.last_meter_wh
    missing = [name for name, value in (("start", begin), ("end", end)) if value is None]
    if begin is None or end is None:
        notes.append(
            f"no energy: the {' and the '.join(missing)} register {'is' if len(missing) == 1 else 'are'} missing"
        )
        return None
    if not (begin.is_finite() and end.is_finite()) or abs(begin) > MOST_WH * 1000 or abs(end) > MOST_WH * 1000:
        notes.append("no energy: a register is beyond belief")
        return None
    wh = end - begin
    if wh < 0 or wh > MOST_WH:
        why = "below the start register" if wh < 0 else "too far above the start register"
        notes.append(f"no energy: the end register ({end} Wh) is {why} ({begin} Wh)")
        return None
    return wh


def _minutes(transaction: Transaction, notes: list[str]) -> Decimal | None:
    """From the start to the end, or to the last event of a running transaction; hundredths of a minute."""
    until = transaction.ended_at or transaction.last_event_at
    if transaction.started_at is None or until is None:
        notes.append("no time: the start is missing")
        return None
    if until < transaction.started_at:
        notes.append("no time: the end is before the start")
        return None
    seconds = Decimal((until - transaction.started_at) // timedelta(microseconds=1)).scaleb(-6)
    return (seconds / SIXTY).quantize(Decimal("0.01"), ROUND_HALF_UP)


def _line(tariff: Billing.Settings, text: str, quantity: Decimal, unit: str, unit_price: Decimal) -> BillLine:
    return BillLine(text, quantity, unit, unit_price, _rounded(tariff, quantity * unit_price))


def _rounded(tariff: Billing.Settings, amount: Decimal) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-tariff.decimals), ROUND_HALF_UP)
