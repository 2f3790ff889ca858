"""What a transaction costs: prices, bill lines and bills. Money is Decimal with an ISO 4217 code, never float."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from csms.model.authorization import IdToken
from csms.model.station import StationRef
from csms.model.transactions import Transaction


class BillStatus(StrEnum):
    """Provisional until the transaction is complete."""

    PROVISIONAL = "provisional"
    FINAL = "final"


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
    """One line: ``amount`` = ``quantity`` x ``unit_price``, rounded as the currency says."""

    text: str
    quantity: Decimal
    unit: str
    unit_price: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Price:
    """Answer to ``price``: the lines and their total; ``note`` says what a reader should know (a missing register, a review)."""

    currency: str
    lines: tuple[BillLine, ...]
    total: Decimal
    tariff: str = ""
    note: str = ""


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
