"""What a transaction costs: prices, bill lines and bills. Money is Decimal with an ISO 4217 code, never float."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from csms.model.authorization import IdToken
from csms.model.station import StationRef
from csms.model.transactions import Transaction


class BillStatus(StrEnum):
    """Provisional until the transaction is complete."""

    PROVISIONAL = "provisional"
    FINAL = "final"


class MeterPoint(NamedTuple):
    """The energy register at one time, in Wh."""

    at: datetime
    wh: Decimal


@dataclass(frozen=True, slots=True)
class Consumption:
    """What a transaction used, and how long: all that a price is made of.

    ``readings`` are in the order of time and never fall; fewer than two say that the energy is not known. Energy flows evenly between two of them.
    ``end`` of a running transaction is its last event. ``idle_since`` is when charging ended for good while the vehicle stayed, if that is known.
    ``continues`` marks a later part of a transaction that was split: its start was billed before.
    """

    begin: datetime | None
    end: datetime | None
    readings: tuple[MeterPoint, ...] = ()
    idle_since: datetime | None = None
    continues: bool = False


@dataclass(frozen=True, slots=True)
class TariffQuestion:
    """Which tariff prices this transaction? ``at`` is the moment that counts (its start), ``group`` the token's group where it is known."""

    station: StationRef
    transaction: Transaction
    at: datetime
    group: IdToken | None = None


@dataclass(frozen=True, slots=True)
class TariffChoice:
    """Answer to ``choose_tariff``: a tariff's name, and why."""

    tariff: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line: ``amount`` = ``quantity`` x ``unit_price``, rounded as the currency says.

    ``kind`` is energy, time, charging, idle, start, minimum, maximum, or a plugin's own word; ``begin`` and ``end`` enclose what is billed.
    """

    text: str
    quantity: Decimal
    unit: str
    unit_price: Decimal
    amount: Decimal
    kind: str = ""
    begin: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaxLine:
    """A tax: so many per cent of ``base``, which is without tax."""

    name: str
    percent: Decimal
    base: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Price:
    """Answer to ``price``: ``total`` is the sum of the lines, of the taxes unless they are included, and of ``rounding``.

    ``note`` says what a reader should know (a missing register). ``hold`` is a reason for which a person has to look before the bill goes out.
    """

    currency: str
    lines: tuple[BillLine, ...]
    total: Decimal
    tariff: str = ""
    note: str = ""
    taxes: tuple[TaxLine, ...] = ()
    taxes_included: bool = True
    rounding: Decimal = Decimal(0)
    hold: str = ""


@dataclass(frozen=True, slots=True)
class Bill:
    """One bill per transaction, with the register values it used."""

    transaction: int
    station: str
    status: BillStatus
    price: Price
    energy_wh: Decimal | None
    meter_start_wh: Decimal | None
    meter_stop_wh: Decimal | None
    started_at: datetime | None
    ended_at: datetime | None
    issued_at: datetime
    evidence: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class BillIssued:
    """A bill was written or became final."""

    station: StationRef
    at: datetime
    bill: Bill
