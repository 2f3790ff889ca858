"""What a transaction costs: prices, bill lines and bills. Money is Decimal with an ISO 4217 code, never float."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from csms.model.authorization import IdToken
from csms.model.metering import Reading
from csms.model.station import StationRef
from csms.model.transactions import Transaction


class BillStatus(StrEnum):
    """What a bill is: only ``final`` ones count, and those never change again but to be corrected or cancelled by a credit note."""

    PROVISIONAL = "provisional"
    QUARANTINED = "quarantined"
    FINAL = "final"
    CORRECTED = "corrected"
    CANCELLED = "cancelled"
    WRITTEN_OFF = "written_off"

    @property
    def open(self) -> bool:
        """Whether it has not been issued, and may still become something else."""
        return self in (BillStatus.PROVISIONAL, BillStatus.QUARANTINED)


class BillKind(StrEnum):
    """A credit note takes back one bill, with all its lines."""

    BILL = "bill"
    CREDIT = "credit"


class MeterPoint(NamedTuple):
    """The energy register at one time, in Wh."""

    at: datetime
    wh: Decimal


@dataclass(frozen=True, slots=True)
class Consumption:
    """What a transaction used, and how long: all that a price is made of.

    ``readings`` are in the order of time and never fall; fewer than two say that the energy is not known. Energy flows evenly between two of them.
    ``end`` of a running transaction is its last event, or now. ``idle_since`` is when charging ended for good while the vehicle stayed, if known.
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
class SignedReadings:
    """Question of ``verify_readings``: are the signed readings genuine, and do they say what is billed?

    ``signed`` are the readings with signed data, as they came (``Reading.signed`` is unchanged); ``begin`` and ``end`` are those that are billed.
    """

    station: StationRef
    transaction: Transaction
    signed: tuple[Reading, ...]
    begin: Reading | None = None
    end: Reading | None = None


@dataclass(frozen=True, slots=True)
class ReadingVerdict:
    """What was found out about one signed reading: ``valid`` is None where it could not be verified, and ``detail`` says why."""

    event: str
    at: datetime
    context: str
    valid: bool | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ReadingVerdicts:
    """Answer to ``verify_readings``; ``hold`` is a reason for which the bill must not go out."""

    verdicts: tuple[ReadingVerdict, ...] = ()
    hold: str = ""


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
    """A bill, or the credit note that takes one back, with the register values it used.

    ``number`` is without gaps in its series, and empty until the bill is issued; so is ``issued_at`` then only the time of the last pricing.
    ``corrects`` is the id of the bill that this one takes back or takes the place of. ``reason`` says why it is held, corrected or released, ``by``
    who did that (empty: the CSMS itself). ``by_hand``: a person changed what was priced, so that no later event may.
    """

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
    evidence: Mapping[str, object] | None = None
    id: int = 0
    kind: BillKind = BillKind.BILL
    number: str = ""
    corrects: int | None = None
    reason: str = ""
    by: str = ""
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class BillChange:
    """What a person changes about a bill: another tariff by its name, other registers in Wh; None leaves what the events say."""

    tariff: str | None = None
    meter_start_wh: Decimal | None = None
    meter_stop_wh: Decimal | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is changed."""
        return self == BillChange()


class BillRefused(Exception):
    """What was asked of a bill does not go with what it is; the text is for a person."""


class UnknownBill(BillRefused):
    """There is no such bill."""


@dataclass(frozen=True, slots=True)
class BillStep:
    """One thing that happened to a bill, kept for ever."""

    bill: int
    at: datetime
    what: str
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BillDelivery:
    """Question of ``deliver_bill``. A backend that has seen ``key`` before has this bill already: deliveries are repeated until they are answered."""

    key: str
    attempt: int
    bill: Bill

    @property
    def station(self) -> str:
        """The station whose bill it is; a plugin with settings for single sites is asked for that station's site."""
        return self.bill.station


@dataclass(frozen=True, slots=True)
class BillDelivered:
    """Answer to ``deliver_bill``: the backend has it; ``reference`` is its own name for it."""

    reference: str = ""


class DeliveryState(StrEnum):
    """Waiting ones are tried again; dead ones only when a person says so."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    NOT_WANTED = "not_wanted"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """How far one issued bill has come on its way to one backend."""

    bill: int
    plugin: str
    state: DeliveryState
    attempts: int
    next_at: datetime
    error: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class ShowCost:
    """Command: show the driver what a transaction, named by its id on the wire, has cost so far."""

    transaction: str
    total: Decimal


@dataclass(frozen=True, slots=True)
class BillIssued:
    """A bill was written: provisional, quarantined, final, or a credit note."""

    station: StationRef
    at: datetime
    bill: Bill


@dataclass(frozen=True, slots=True)
class BillNotDelivered:
    """A backend did not take an issued bill, and is not tried any more until a person says so."""

    station: StationRef
    at: datetime
    bill: Bill
    plugin: str
    error: str
