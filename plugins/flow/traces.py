"""What came of each event for each rule, and why not: the last 50 of each rule, and all failures for seven days."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from csms_plugins.flow.expressions import look
from csms_plugins.flow.journal import Journal, part
from csms_plugins.flow.matching import Clause
from csms_plugins.flow.rule import Condition, Rule
from csms_plugins.flow.values import shown
from csms_plugins.flow.views import iso

KEPT = 50
FAILURES_S = 7 * 86400.0
MOST_FAILURES = 5000
MOST_AT_ONCE = 100
"""How many rules' traces are written at a time."""


@dataclass(frozen=True, slots=True)
class Unmet:
    """A clause that did not hold, and what it saw; put into words only when somebody asks."""

    clause: Clause | Condition
    event: str
    names: Mapping[str, Any]

    def __str__(self) -> str:
        clause = self.clause
        if isinstance(clause, Clause):
            return f"where {clause.text}: it is {shown(clause.value(self.event, self.names))}"
        reads = clause.expression.reads
        seen = ", ".join(f"{'.'.join(path)} = {shown(look(self.names, path))}" for path in sorted(reads))
        return f"{clause.label} {clause.expression.text}: {seen or 'never true'}"


@dataclass(slots=True)
class Trace:
    """What one event did to one rule: ``outcome`` is ran, failed, skipped, pending, dry, decided or stopped; ``why`` the first thing that held it."""

    at: datetime
    event: str
    station: str
    key: str = ""
    outcome: str = ""
    why: Unmet | str = ""
    place: str = ""
    run: str = ""
    steps: list[str] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """As JSON."""
        place = self.why.clause.place if isinstance(self.why, Unmet) else self.place
        return {
            "at": iso(self.at),
            "event": self.event,
            "station": self.station,
            "key": self.key,
            "outcome": self.outcome,
            "reason": str(self.why),
            "place": place,
            "run": self.run,
            "steps": list(self.steps),
        }


class Traces:
    """The traces of all rules, by rule."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._by_rule: dict[str, deque[Trace | dict[str, Any]]] = {}
        self._unwritten: dict[str, None] = {}
        self._failures: dict[str, float] = {}
        self.counts: dict[str, dict[str, int]] = {}
        self.witness: Any = None

    def note(self, rule: Rule, trace: Trace, outcome: str, why: Unmet | str = "", place: str = "") -> None:
        """Keep a trace and count it."""
        trace.outcome, trace.why, trace.place = outcome, why, place or trace.place or rule.place
        traces = self._by_rule.get(rule.id)
        if traces is None:
            traces = self._by_rule[rule.id] = deque(maxlen=KEPT)
        traces.append(trace)
        counts = self.counts.setdefault(rule.id, {})
        counts[outcome] = counts.get(outcome, 0) + 1
        self._unwritten[rule.id] = None
        if outcome == "failed":
            self._failed(rule, trace)
        if self.witness is not None:
            self.witness(rule, trace)

    def of(self, rule: str) -> list[dict[str, Any]]:
        """A rule's traces as JSON, the newest last."""
        return [one if isinstance(one, dict) else one.report() for one in self._by_rule.get(rule, ())]

    def write(self) -> None:
        """Put what is new into the journal, of a hundred rules at most."""
        for rule in list(self._unwritten)[:MOST_AT_ONCE]:
            del self._unwritten[rule]
            self._journal.put(f"trace/{rule}", {"counts": self.counts.get(rule, {}), "traces": self.of(rule)})

    def load(self, kept: Mapping[str, Any], now: float) -> None:
        """Take over what was written before; forget failures of more than seven days ago."""
        for key, value in kept.items():
            if (rule := part(key, "trace/")) is not None and isinstance(value, dict):
                self._by_rule[rule] = deque(value["traces"], maxlen=KEPT)
                self.counts[rule] = dict(value["counts"])
            elif part(key, "failure/") is not None and isinstance(value, dict):
                self._failures[key] = float(value.get("unix", 0))
        self.prune(now)

    def prune(self, now: float) -> None:
        """Forget old failures."""
        for key in [key for key, at in self._failures.items() if now - at > FAILURES_S]:
            del self._failures[key]
            self._journal.drop(key)

    def forget(self, rules: Iterable[str]) -> None:
        """Forget the traces of rules that are no more."""
        for rule in rules:
            self._by_rule.pop(rule, None)
            self.counts.pop(rule, None)
            self._unwritten.pop(rule, None)
            self._journal.drop(f"trace/{rule}")

    def rules(self) -> list[str]:
        """The rules that have traces."""
        return list(self._by_rule)

    def _failed(self, rule: Rule, trace: Trace) -> None:
        unix = trace.at.timestamp()
        key = f"failure/{unix:017.6f}/{trace.run or len(self._failures)}/{rule.id}"
        self._failures[key] = unix
        self._journal.put(key, {"unix": unix, "rule": rule.id, **trace.report()})
        while len(self._failures) > MOST_FAILURES:
            oldest = next(iter(self._failures))
            del self._failures[oldest]
            self._journal.drop(oldest)
