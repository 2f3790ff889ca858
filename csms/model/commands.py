"""The command ledger's words: what was ordered, what the station said, and whether it happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from csms.model.provisioning import VariableValue
from csms.model.station import StationRef


class CommandState(StrEnum):
    """ "Accepted" is not "happened": the ledger tells them apart.

    ``accepted`` is the station's yes; ``effective`` means the effect was seen (the boot after a reset, the Started after a remote start) or that
    the answer itself was the effect. ``uncertain``: the connection or the process was lost between sending and answer.
    """

    QUEUED = "queued"
    SENT = "sent"
    ACCEPTED = "accepted"
    EFFECTIVE = "effective"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    FAILED = "failed"
    UNCERTAIN = "uncertain"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to a command in this state."""
        return self not in (CommandState.QUEUED, CommandState.SENT, CommandState.ACCEPTED)


@dataclass(frozen=True, slots=True)
class RawCall:
    """Command: any OCPP request in the station's own version, already checked against its schema."""

    action: str
    payload: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """What the station answered, neutral and raw; ``accepted`` covers Accepted, Scheduled, RebootRequired and answers without a status."""

    accepted: bool
    status: str = ""
    reason: str = ""
    payload: Mapping[str, object] | None = None
    values: tuple[VariableValue, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """One row of the ledger; ``name`` is the neutral command (``Reset``) or ``RawCall``; ``wire`` the action sent."""

    id: int
    station: str
    name: str
    arguments: Mapping[str, object]
    state: CommandState
    origin: str
    created_at: datetime
    sent_at: datetime | None = None
    answered_at: datetime | None = None
    closed_at: datetime | None = None
    tries: int = 0
    wire: str = ""
    answer: Mapping[str, object] | None = None
    error_code: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class CommandFailure:
    """Question for ``plan_retry``: a command that did not succeed, why, and how often it was tried."""

    station: StationRef
    command: str
    state: CommandState
    error: str
    tries: int
    idempotent: bool


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """Answer to ``plan_retry``: try again after ``delay_s`` seconds. ``reason`` is for people."""

    delay_s: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CommandClosed:
    """A command reached a final state."""

    station: StationRef
    at: datetime
    command: CommandRecord


def merged(answers: list[CommandAnswer]) -> CommandAnswer:
    """One answer of several: accepted when all are, the values of all, the first refusal's words."""
    if len(answers) == 1:
        return answers[0]
    first_no = next((one for one in answers if not one.accepted), answers[-1])
    return CommandAnswer(
        accepted=all(one.accepted for one in answers),
        status=first_no.status,
        reason=first_no.reason,
        payload={"results": [one.payload for one in answers]},
        values=tuple(value for one in answers for value in one.values),
    )


class CommandFailed(Exception):
    """A command did not get an answer it could use: ``state`` is what the ledger says, ``code`` a word, the text a sentence."""

    def __init__(self, state: CommandState, code: str, text: str) -> None:
        super().__init__(text)
        self.state = state
        self.code = code


def not_connected(station: str) -> CommandFailed:
    """The station has no open connection; nothing was sent."""
    return CommandFailed(CommandState.FAILED, "NotConnected", f"station {station} is not connected")
