"""Boot, heartbeat, variables, reports and resets: OCPP 2.x block B."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from csms.model.station import StationRef


class BootStatus(StrEnum):
    """Answer to a boot: work, wait, or go away."""

    ACCEPTED = "Accepted"
    PENDING = "Pending"
    REJECTED = "Rejected"


@dataclass(frozen=True, slots=True)
class BootNotification:
    """A station says that it (re)started, and what it is."""

    reason: str
    vendor: str
    model: str
    serial_number: str = ""
    firmware: str = ""
    iccid: str = ""
    imsi: str = ""


@dataclass(frozen=True, slots=True)
class BootDecision:
    """Answer to ``decide_boot``; ``interval_s`` is the heartbeat interval, or the wait before the next boot; None means the site's."""

    status: BootStatus
    interval_s: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BootAnswer:
    """What the station is told: status, interval in seconds, the time."""

    status: BootStatus
    interval_s: int
    current_time: datetime


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A station says that it lives."""


@dataclass(frozen=True, slots=True)
class HeartbeatAnswer:
    """The CSMS says what time it is."""

    current_time: datetime


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of the device model; ``evse`` and ``connector`` None for the station's own."""

    component: str
    name: str
    component_instance: str = ""
    instance: str = ""
    evse: int | None = None
    connector: int | None = None


@dataclass(frozen=True, slots=True)
class VariableValue:
    """A variable with one attribute's value as reported; ``attribute`` is Actual, Target, MinSet or MaxSet."""

    variable: Variable
    value: str | None = None
    attribute: str = "Actual"
    mutability: str = ""
    data_type: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class NotifyReport:
    """One part of a device-model report; ``more`` is OCPP's tbc."""

    request_id: int
    generated_at: datetime
    seq_no: int
    more: bool
    values: tuple[VariableValue, ...]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An answer without content."""


class ResetWhen(StrEnum):
    """When a reset happens; 1.6 calls them Hard and Soft."""

    IMMEDIATE = "Immediate"
    ON_IDLE = "OnIdle"


@dataclass(frozen=True, slots=True)
class Reset:
    """Command: restart the station, or one EVSE. ``when`` None lets ``plan_reset`` choose."""

    when: ResetWhen | None = None
    evse: int | None = None


@dataclass(frozen=True, slots=True)
class ResetPlan:
    """Answer to ``plan_reset``: when to reset, and what to do if it has not happened after ``escalate_after_s`` seconds.

    ``escalate`` None means that a reset which does not take effect is reported as failed and nothing more is tried. ``reason`` is for people.
    """

    when: ResetWhen
    escalate_after_s: float = 900.0
    escalate: ResetWhen | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GetVariables:
    """Command: read variables; 1.6 reads configuration keys (the variable's name)."""

    variables: tuple[Variable, ...]
    attribute: str = "Actual"


@dataclass(frozen=True, slots=True)
class SetVariables:
    """Command: write variables; 1.6 changes one configuration key at a time."""

    values: tuple[VariableValue, ...]


@dataclass(frozen=True, slots=True)
class GetBaseReport:
    """Command: ask for the device model; 1.6 answers with all its configuration keys."""

    report: str = "FullInventory"
    request_id: int | None = None


@dataclass(frozen=True, slots=True)
class StationBooted:
    """A boot was answered; ``decision`` says how."""

    station: StationRef
    at: datetime
    boot: BootNotification
    status: BootStatus


@dataclass(frozen=True, slots=True)
class ReportReceived:
    """The last part of a device-model report is stored."""

    station: StationRef
    at: datetime
    request_id: int
