"""News and questions that the rules engine makes itself, beside those of the core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from csms.api import BootNotification, Reset, StationRef

ORIGIN = "rule "
"""How the origin of a rule's command begins in the ledger."""
NOBODY = StationRef("")
"""The station of news that are about none."""


@dataclass(frozen=True, slots=True)
class RuleNews:
    """News made by rules; ``causes`` are the rules that led to it, the newest last, ``effect`` the step that made it."""

    station: StationRef
    at: datetime
    causes: tuple[str, ...]
    effect: str


@dataclass(frozen=True, slots=True)
class RuleRaised(RuleNews):
    """Made by a rule's ``raise``."""

    name: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FlagChanged(RuleNews):
    """A station's flag has another value now."""

    name: str
    value: Any
    previous: Any


@dataclass(frozen=True, slots=True)
class RuleFailed(RuleNews):
    """A rule's run ended early; ``kind`` is timeout, offline, silent, refused, error or uncertain."""

    rule: str
    key: str
    step: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class RuleTripped(RuleNews):
    """A rule is passed over for a key from now on, until somebody resets it."""

    rule: str
    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A rule's own time has come; ``station`` has an empty id where the rule names no stations."""

    station: StationRef
    at: datetime
    rule: str
    due: datetime


@dataclass(frozen=True, slots=True)
class BootAsked:
    """The question ``boot``."""

    station: StationRef
    boot: BootNotification


@dataclass(frozen=True, slots=True)
class ResetAsked:
    """The question ``reset.choose``."""

    station: StationRef
    reset: Reset
    active_transactions: int
