"""The message log: a frame as it was logged, what can be looked for in the log, and what a search gives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Direction(StrEnum):
    """Which way a frame went: ``in`` is from the station."""

    IN = "in"
    OUT = "out"


class MessageKind(StrEnum):
    """What a frame is; ``other`` is no message of OCPP-J."""

    CALL = "call"
    RESULT = "result"
    ERROR = "error"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class LoggedMessage:
    """One frame; ``direction`` is ``in`` (from the station) or ``out``."""

    id: int
    station: str
    at: datetime
    direction: str
    frame: str


@dataclass(frozen=True, slots=True)
class MessageQuery:
    """Frames that are looked for: those to which all of this applies, as far as it is given.

    ``action`` means calls of it, or with ``kind`` the answers to such calls. ``transaction`` is an id on the wire that the frame names,
    ``text`` stands anywhere in the frame, capital and small letters as they are. ``since`` is included, ``until`` is not.
    """

    stations: tuple[str, ...] = ()
    direction: Direction | None = None
    kind: MessageKind | None = None
    action: str | None = None
    message_id: str | None = None
    error_code: str | None = None
    transaction: str | None = None
    text: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """A frame that was looked for. ``action`` is that of the call, or of the call that it answers; ``other`` is its answer, or that call."""

    message: LoggedMessage
    kind: MessageKind
    message_id: str | None = None
    action: str | None = None
    error_code: str | None = None
    other: LoggedMessage | None = None


@dataclass(frozen=True, slots=True)
class MessagesFound:
    """A part of what a search finds, the newest first: all there is down to the number ``before``, from where the next part goes on.

    ``before`` is None when the whole log was searched. ``searched_to`` is the time of the oldest frame that was looked at, if any was.
    """

    found: tuple[FoundMessage, ...]
    before: int | None
    searched_to: datetime | None
