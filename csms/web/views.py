"""What the API shows: one dataclass per answer, made of the model's words. Secrets never get here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

from csms.model.authorization import IdToken
from csms.model.availability import ConnectorRecord, ConnectorStatus
from csms.model.billing import Bill, BillKind, BillLine, BillStatus, BillStep, DeliveryRecord, TaxLine
from csms.model.commands import CommandState
from csms.model.metering import MeterValue
from csms.model.people import ApiKey, Role
from csms.model.provisioning import Variable
from csms.model.station import Admission
from csms.model.transactions import Completeness, EventType
from csms.redaction import HIDDEN, is_secret
from csms.web.rooms import StoredAlert

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list; ``next`` is the path of the next part, or null at the end."""

    items: Sequence[T]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class ChannelView:
    """A channel of notifications, and how many of them are in which state."""

    name: str
    kind: str
    waiting: int
    delivered: int
    dead: int


@dataclass(frozen=True, slots=True)
class StatusView:
    """The newest status of a station, an EVSE or a connector."""

    status: ConnectorStatus
    timestamp: datetime
    detail: str = ""
    error_code: str = ""
    info: str = ""


@dataclass(frozen=True, slots=True)
class ConnectorView:
    """One connector; ``status`` is null until the station has told it."""

    id: int
    status: StatusView | None


@dataclass(frozen=True, slots=True)
class EvseView:
    """One EVSE and its connectors; ``status`` is what the station said of the EVSE as a whole, or null."""

    id: int
    status: StatusView | None
    connectors: Sequence[ConnectorView]


@dataclass(frozen=True, slots=True)
class StationView:
    """A station; ``connected``: its socket is open now; ``online``: the database says that it lives."""

    id: str
    admission: Admission
    connected: bool
    online: bool
    protocol: str
    vendor: str
    model: str
    serial_number: str
    firmware: str
    boot_reason: str
    booted_at: datetime | None
    seen_at: datetime | None
    clock_skew_s: float | None
    heartbeat_interval_s: int | None
    has_password: bool
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class StationDetail(StationView):
    """A station with its EVSEs and connectors; ``status`` is that of the station itself.

    At its ``start_points`` transactions begin and at its ``stop_points`` they end, as far as the station told; 1.6 has none.
    """

    status: StatusView | None
    evses: Sequence[EvseView]
    start_points: Sequence[str]
    stop_points: Sequence[str]


@dataclass(frozen=True, slots=True)
class ProvisionedStation(StationView):
    """A station after a change; ``password`` is shown this once if it was generated, else null."""

    password: str | None


@dataclass(frozen=True, slots=True)
class MessageView:
    """One frame of the message log; passwords in it are blanked out."""

    id: int
    station: str
    at: datetime
    direction: str
    frame: str


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """What the station answered, in its own version's words."""

    payload: Mapping[str, object]


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
class LoggedIn:
    """A session: send ``token`` as a bearer token until ``expires``."""

    token: str
    name: str
    role: Role
    sites: Sequence[str]
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key; ``token`` is shown this once."""

    token: str
    key: ApiKey


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
class PluginView:
    """A plugin: ``order`` is its place in the row of those asked, ``state`` well, faulty or passed over."""

    name: str
    version: str
    source: str
    order: int
    hooks: Sequence[str]
    state: str
    faults: int
    last_fault: str


@dataclass(frozen=True, slots=True)
class StallView:
    """A place of the code at which the reactor stood still, so that all stations had to wait; ``place`` is file, line and function."""

    place: str
    times: int
    longest_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Health:
    """``status`` is ``alive`` or ``ready``."""

    status: str


def facts(kind: type, record: object, **more: Any) -> dict[str, Any]:
    """The fields of a view that a record has by the same name, and more."""
    same = {
        one.name: getattr(record, one.name)
        for one in fields(kind)
        if one.name not in more and hasattr(record, one.name)
    }
    return same | more


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


def tree(records: Iterable[ConnectorRecord]) -> tuple[StatusView | None, list[EvseView]]:
    """The station's own status, and its EVSEs with their connectors, in the order of their numbers."""
    known = {(one.evse, one.connector): StatusView(**facts(StatusView, one)) for one in records}
    evses = sorted({evse for evse, _ in known if evse})
    return known.get((0, 0)), [
        EvseView(
            id=evse,
            status=known.get((evse, 0)),
            connectors=[
                ConnectorView(number, known[place, number])
                for place, number in sorted(known)
                if place == evse and number
            ],
        )
        for evse in evses
    ]


@dataclass(frozen=True, slots=True)
class StationCertificate:
    """The newest certificate of one kind that a station has, as far as it is known; ``serial_number`` in hex."""

    station: str
    kind: str
    serial_number: str
    subject: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class AlertView:
    """One observation that a station reported by NotifyEvent; ``seq_no`` is its message's place in the series that began at ``generated_at``."""

    id: int
    station: str
    generated_at: datetime
    seq_no: int
    received_at: datetime
    event_id: int
    timestamp: datetime
    trigger: str
    actual_value: str
    variable: Variable
    notification_type: str
    cause: int | None
    tech_code: str
    tech_info: str
    cleared: bool | None
    transaction: str | None
    monitoring_id: int | None
    severity: int | None


def alert_view(row: StoredAlert) -> AlertView:
    """An alert as it is kept, with the observation folded in."""
    shown = replace(row.alert, actual_value=HIDDEN) if is_secret(row.alert.variable.name) else row.alert
    return AlertView(**{**facts(AlertView, row), **facts(AlertView, shown, id=row.id, station=row.station)})
