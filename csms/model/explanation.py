"""The story of one transaction: what happened, who decided what, and why its bill is what it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from csms.model.station import StationRef
from csms.model.transactions import Completeness, Transaction


class Chapter(StrEnum):
    """What a step is about; steps of one moment are in this order."""

    EVENT = "event"
    DECISION = "decision"
    PLUGIN = "plugin"
    GAP = "gap"
    COMMAND = "command"
    BILL = "bill"
    DELIVERY = "delivery"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened, by the clock of the CSMS: a sentence, and sentences that say more.

    ``who`` is the plugin, person or part of the CSMS that did it, empty for the station. ``event`` is the key of the event that it is about.
    """

    at: datetime
    chapter: Chapter
    text: str
    details: tuple[str, ...] = ()
    who: str = ""
    event: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A transaction's story: what it is now (``state``), what keeps its bill from being sent (``held``), and how that came about, by time."""

    transaction: int
    station: str
    station_transaction: str
    completeness: Completeness
    state: tuple[str, ...]
    held: tuple[str, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class PlanDecision:
    """What was decided about a station by a plan: a sentence, who decided (a plugin; empty: the CSMS itself) and why.

    ``command`` is the number of the command that it is about, ``evse`` the EVSE; None: the whole station.
    """

    station: str
    at: datetime
    text: str
    plugin: str
    reason: str
    command: int | None = None
    evse: int | None = None


@dataclass(frozen=True, slots=True)
class StoryQuestion:
    """Question of ``explain_transaction``: what has the plugin to tell of this transaction, which was between these times?"""

    station: StationRef
    transaction: Transaction
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class StoryNote:
    """One thing that a plugin did or decided about a transaction, or why it did not; ``event`` is the key of the event that led to it."""

    at: datetime
    text: str
    details: tuple[str, ...] = ()
    event: str = ""


@dataclass(frozen=True, slots=True)
class StoryNotes:
    """Answer to ``explain_transaction``."""

    notes: tuple[StoryNote, ...] = ()
