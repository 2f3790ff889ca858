"""Whether a rule's conditions hold for an event, and the first that does not: windows, fields, expressions, and loops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from csms_plugins.flow.rule import Rule
from csms_plugins.flow.traces import Unmet

DEEPEST = 8


def loop_of(rule: Rule, causes: Sequence[str]) -> str:
    """Why a rule does not follow on its own consequence, or on too many others; empty if it may."""
    if len(causes) >= DEEPEST:
        return f"loop: {len(causes)} rules led to this"
    if rule.id in causes and not rule.reentrant:
        return "loop: the event is the rule's own consequence"
    return ""


def unmet(rule: Rule, event: str, names: Mapping[str, Any], now: datetime) -> Unmet | str:
    """The first condition that does not hold, with what it saw; empty if all do."""
    for clause in rule.where:
        if not clause.holds(event, names):
            return Unmet(clause, event, names)
    if rule.during is not None and not rule.during.holds(now):
        return f"window: {rule.during} is not open"
    if rule.not_during is not None and rule.not_during.holds(now):
        return f"window: {rule.not_during} is open"
    for condition in rule.when:
        if not condition.expression.value(names):
            return Unmet(condition, event, names)
    return ""
