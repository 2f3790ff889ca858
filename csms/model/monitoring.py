"""Alerts: what stations report by NotifyEvent, and holes in the series: OCPP 2.x block N."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from csms.model.provisioning import Variable
from csms.model.station import StationRef


@dataclass(frozen=True, slots=True)
class EventData:
    """One observation in an alert message."""

    event_id: int
    timestamp: datetime
    trigger: str
    actual_value: str
    variable: Variable
    notification_type: str
    cause: int | None = None
    tech_code: str = ""
    tech_info: str = ""
    cleared: bool | None = None
    transaction: str | None = None
    monitoring_id: int | None = None
    severity: int | None = None


@dataclass(frozen=True, slots=True)
class NotifyEvent:
    """One message of a series; a series starts at 0, ``more`` is OCPP's tbc."""

    generated_at: datetime
    seq_no: int
    more: bool
    data: tuple[EventData, ...]


@dataclass(frozen=True, slots=True)
class AlertReceived:
    """One observation is stored for the first time."""

    station: StationRef
    at: datetime
    alert: EventData


@dataclass(frozen=True, slots=True)
class AlertGap:
    """A series jumped: ``expected`` came as ``seen``; ``missing`` messages are lost or late."""

    station: StationRef
    at: datetime
    generated_at: datetime
    expected: int
    seen: int
    missing: int


@dataclass(frozen=True, slots=True)
class Notice:
    """A station's message that the CSMS keeps and answers, without policy of its own (firmware, log, security, limits ...).

    ``kind`` is the 2.x action name.
    """

    kind: str
    payload: dict[str, object]
    timestamp: datetime | None = None


@dataclass(frozen=True, slots=True)
class NoticeReceived:
    """A notice is stored."""

    station: StationRef
    at: datetime
    notice: Notice
