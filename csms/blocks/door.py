"""What the door of stations is asked and answers: the policy, what a station shows, and whether it may come in."""

from __future__ import annotations

from dataclasses import dataclass

from csms.model.security import (
    ClientCertificate,
    SecurityProfile,
)
from csms.refusals import Refusal


@dataclass(frozen=True, slots=True)
class DoorPolicy:
    """What the site file says about unknown stations and about the names in client certificates."""

    unknown: str = "pending"
    enrolment: str = ""
    """The hash of the password that a station without one of its own has to show; empty: none has to."""
    pending_limit: int = 100
    organization: str = ""
    common_name: str = "either"
    open: bool = False
    """Whether any listener takes stations without a proof."""
    profiles: frozenset[int] = frozenset({0, 1})
    """The security profiles of all listeners."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a connection shows, and which profiles its listener takes."""

    profiles: frozenset[int] = frozenset({0, 1})
    password: bytes | None = None
    certificate: ClientCertificate | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """The decision at the door; ``enrolling``: let in only to be given its first key. ``wait_s``: a refusal is told after so long."""

    refusal: Refusal | None = None
    reason: str = ""
    status: int = 0
    profile: SecurityProfile = SecurityProfile.NONE
    enrolling: bool = False
    wait_s: float = 0.0

    @property
    def admit(self) -> bool:
        """Whether the WebSocket may open."""
        return self.refusal is None


def refused(refusal: Refusal, reason: str = "") -> Entry:
    """The way in is shut; the reason is for the log."""
    return Entry(refusal, reason or refusal.cause, refusal.status)
