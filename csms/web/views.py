"""What the API shows: one dataclass per answer, made of the model's words. Secrets never get here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Generic, TypeVar

from csms.model.people import ApiKey, Role

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
