"""Words for telling people something: what is told, over which channel, and whether it arrived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum

LEVELS = ("info", "warn", "error")
"""How grave a notification is, the mildest first."""


@dataclass(frozen=True, slots=True)
class Notification:
    """What people are told over one channel; ``id`` stays the same at every try, so that a receiver can tell a repeat."""

    id: str
    at: datetime
    channel: str
    text: str
    level: str = "info"
    title: str = ""
    site: str = ""
    station: str = ""
    origin: str = ""
    data: Mapping[str, object] = field(default_factory=dict)

    def plain(self) -> dict[str, object]:
        """All of it as JSON takes it; the time in ISO 8601."""
        return {**asdict(self), "at": self.at.isoformat(), "data": dict(self.data)}


class NotificationState(StrEnum):
    """``waiting`` for its next try, ``delivered``, or ``dead``: given up, until somebody retries it."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class NotificationRecord:
    """One row of the outbox: a notification on its way; ``due`` is when it is tried next, ``error`` what went wrong last."""

    id: int
    notification: Notification
    state: NotificationState
    tries: int
    due: datetime
    closed_at: datetime | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class NotificationUndelivered:
    """Event: a notification was given up after so many tries; it is kept, and may be retried by hand."""

    at: datetime
    channel: str
    notification: Notification
    tries: int
    error: str


class DeliveryFailed(Exception):
    """A channel could not deliver. ``final``: trying again is of no use; ``again_in_s``: the target asked not to be tried sooner."""

    def __init__(self, why: str, *, final: bool = False, again_in_s: float = 0.0) -> None:
        super().__init__(why)
        self.final = final
        self.again_in_s = again_in_s


class NotifyFailed(Exception):
    """A notification was not taken: there is no such channel, or too many wait in it already."""
