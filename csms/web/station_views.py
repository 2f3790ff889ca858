"""What the API shows of stations: their state, their messages, what they reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from csms.model.availability import ConnectorRecord, ConnectorStatus
from csms.model.messages import MessageKind
from csms.model.provisioning import Variable
from csms.model.station import Admission
from csms.redaction import HIDDEN, is_secret
from csms.web.store_rooms import StoredAlert
from csms.web.views import facts


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
class FoundMessageView(MessageView):
    """A frame that was looked for. ``action`` is that of the call, or of the call that it answers; ``other`` is its answer, or that call."""

    kind: MessageKind
    message_id: str | None
    action: str | None
    error_code: str | None
    other: MessageView | None


@dataclass(frozen=True, slots=True)
class FoundMessages:
    """A part of what was found, the newest first; all that is there down to ``searched_to``. ``next`` goes on from there, and is null at the end."""

    items: Sequence[FoundMessageView]
    searched_to: datetime | None
    next: str | None


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """What the station answered, in its own version's words."""

    payload: Mapping[str, object]


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
