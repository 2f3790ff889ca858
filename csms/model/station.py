"""Who a station is and what the CSMS remembers of it between two connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Admission(StrEnum):
    """Whether the operator lets a station work."""

    PENDING = "pending"
    APPROVED = "approved"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class StationRecord:
    """One row of the station list: what stays when the socket is gone."""

    id: str
    admission: Admission
    protocol: str = ""
    vendor: str = ""
    model: str = ""
    serial_number: str = ""
    firmware: str = ""
    boot_reason: str = ""
    booted_at: datetime | None = None
    seen_at: datetime | None = None
    online: bool = False
    clock_skew_s: float | None = None
    heartbeat_interval_s: int | None = None
    has_password: bool = False
    created_at: datetime | None = None
    settings: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class StationRef:
    """The station a question or an event is about, as plugins and rules see it."""

    id: str
    protocol: str = ""
    vendor: str = ""
    model: str = ""
    firmware: str = ""
    connected: bool = False


@dataclass(frozen=True, slots=True)
class Handshake:
    """What is known of a station before its WebSocket opens: identity, address, offered subprotocols, password given."""

    station: str
    peer: str
    protocols: tuple[str, ...]
    password_given: bool = False
    tls: bool = False


@dataclass(frozen=True, slots=True)
class AdmitDecision:
    """Answer to ``admit_station``: let the handshake go on, or end it with an HTTP status and a reason."""

    admit: bool
    http_status: int = 404
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StationConnected:
    """A station's socket is open and owned by this connection."""

    station: StationRef
    at: datetime
    peer: str


@dataclass(frozen=True, slots=True)
class StationLost:
    """A station's socket is gone, or nothing was heard for too long."""

    station: StationRef
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class CallReceived:
    """A station's call was answered: any action, in its own version's words (``ocpp.<Action>`` for rules)."""

    station: StationRef
    at: datetime
    action: str
    payload: Mapping[str, object]
