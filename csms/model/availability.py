"""Status of connectors and the commands that change it: OCPP 2.x block G."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from csms.model.station import StationRef


class ConnectorStatus(StrEnum):
    """The five words of 2.x; the nine of 1.6 are translated, the original kept in ``detail``."""

    AVAILABLE = "Available"
    OCCUPIED = "Occupied"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


@dataclass(frozen=True, slots=True)
class StatusNotification:
    """A connector's status at a time; ``evse`` 0 is the station itself, ``connector`` 0 the whole EVSE."""

    timestamp: datetime
    status: ConnectorStatus
    evse: int
    connector: int
    detail: str = ""
    error_code: str = ""
    info: str = ""


@dataclass(frozen=True, slots=True)
class ConnectorRecord:
    """The newest status of one connector."""

    station: str
    evse: int
    connector: int
    status: ConnectorStatus
    timestamp: datetime
    detail: str = ""
    error_code: str = ""
    info: str = ""


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """A connector's status is now another one; repeats and older reports tell nothing."""

    station: StationRef
    at: datetime
    evse: int
    connector: int
    status: ConnectorStatus
    previous: ConnectorStatus | None
    detail: str = ""
    error_code: str = ""
    info: str = ""


@dataclass(frozen=True, slots=True)
class StatusMissing:
    """A connected station's connector has not told its status for ``silence_s`` seconds; ``asked`` requests were in vain."""

    station: StationRef
    at: datetime
    evse: int
    connector: int
    silence_s: float
    asked: int


@dataclass(frozen=True, slots=True)
class StatusSilence:
    """Question for ``plan_status_check``: how long a connector is silent and how often it was asked already."""

    station: StationRef
    evse: int
    connector: int
    silence_s: float
    asked: int
    known: bool


@dataclass(frozen=True, slots=True)
class StatusCheckPlan:
    """Answer to ``plan_status_check``: ask again, raise a fault, and look again after ``next_in_s`` seconds. ``reason`` is for people."""

    ask: bool
    fault: bool = False
    next_in_s: float = 60.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ChangeAvailability:
    """Command: make the station, an EVSE or a connector usable or not."""

    operative: bool
    evse: int | None = None
    connector: int | None = None


@dataclass(frozen=True, slots=True)
class UnlockConnector:
    """Command: open a connector's lock."""

    evse: int
    connector: int = 1


@dataclass(frozen=True, slots=True)
class TriggerMessage:
    """Command: ask the station to send a message now; ``requested`` is a 2.x word such as StatusNotification."""

    requested: str
    evse: int | None = None
    connector: int | None = None
