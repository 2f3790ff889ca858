"""What the API shows of transactions and of the bills that follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from csms.model.authorization import IdToken
from csms.model.billing import Bill, BillKind, BillLine, BillStatus, BillStep, DeliveryRecord, TaxLine
from csms.model.commands import CommandState
from csms.model.metering import MeterValue
from csms.model.transactions import Completeness, EventType
from csms.web.views import facts


@dataclass(frozen=True, slots=True)
class TransactionView:
    """A transaction; energy in Wh; ``missing`` lists sequence numbers that have not come."""

    id: int
    station: str
    station_transaction: str
    completeness: Completeness
    evse: int | None
    connector: int | None
    id_token: IdToken | None
    stop_token: IdToken | None
    authorization: str
    started_at: datetime | None
    ended_at: datetime | None
    start_trigger: str
    stopped_reason: str
    charging_state: str
    remote_start_id: int | None
    meter_start_wh: Decimal | None
    meter_stop_wh: Decimal | None
    last_meter_wh: Decimal | None
    energy_wh: Decimal | None
    last_event_at: datetime | None
    event_count: int
    missing: Sequence[int]
    review: str


@dataclass(frozen=True, slots=True)
class MyCommand:
    """What became of a driver's order."""

    id: int
    station: str
    name: str
    state: CommandState
    created_at: datetime
    error_code: str
    error: str


@dataclass(frozen=True, slots=True)
class EventView:
    """One event of a transaction as the station sent it; ``authorization`` is what was decided on its token."""

    key: str
    seq_no: int | None
    protocol: str
    action: str
    type: EventType
    timestamp: datetime
    received_at: datetime
    offline: bool
    authorization: str
    payload: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class BillView:
    """A bill or a credit note: amounts are money in ``currency``, written as text. ``number`` is empty until it is issued.

    ``total`` is the sum of the lines, of the taxes unless they are included, and of ``rounding``.
    """

    id: int
    number: str
    kind: BillKind
    transaction: int
    station: str
    status: BillStatus
    currency: str
    total: Decimal
    lines: Sequence[BillLine]
    taxes: Sequence[TaxLine]
    taxes_included: bool
    rounding: Decimal
    tariff: str
    note: str
    energy_wh: Decimal | None
    meter_start_wh: Decimal | None
    meter_stop_wh: Decimal | None
    started_at: datetime | None
    ended_at: datetime | None
    issued_at: datetime
    corrects: int | None
    reason: str
    by: str
    by_hand: bool
    evidence: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class SampledValueView:
    """One reading in base units of its measurand."""

    value: Decimal
    measurand: str
    context: str
    phase: str
    location: str
    unit: str
    signed: str


@dataclass(frozen=True, slots=True)
class MeterValueView:
    """Readings taken at one time."""

    timestamp: datetime
    sampled: tuple[SampledValueView, ...]


def meter_value_view(value: MeterValue) -> MeterValueView:
    """Readings with the names of their fields."""
    return MeterValueView(value.timestamp, tuple(SampledValueView(*sample) for sample in value.sampled))


@dataclass(frozen=True, slots=True)
class MyTransaction(TransactionView):
    """A driver's own transaction; ``bill`` is null until there is one."""

    bill: BillView | None


@dataclass(frozen=True, slots=True)
class TransactionDetail(TransactionView):
    """A transaction with its events, the meter values in them by time, and its bill if there is one."""

    events: Sequence[EventView]
    meter_values: Sequence[MeterValueView]
    bill: BillView | None


@dataclass(frozen=True, slots=True)
class BillDetail(BillView):
    """A bill with what happened to the bills of its transaction, and its way to each backend."""

    history: Sequence[BillStep]
    deliveries: Sequence[DeliveryRecord]


@dataclass(frozen=True, slots=True)
class Retried:
    """How many deliveries are tried again."""

    again: int


def bill_view(bill: Bill) -> BillView:
    """A bill with its price folded in."""
    price = bill.price
    return BillView(**{**facts(BillView, price), **facts(BillView, bill)})
