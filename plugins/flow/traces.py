"""What came of each event for each rule, and why not: the last 50 of each rule, and all failures for seven days."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from csms_plugins.flow.expressions import look
from csms_plugins.flow.journal import Journal, part
from csms_plugins.flow.matching import Clause
from csms_plugins.flow.rule import Condition, Rule
from csms_plugins.flow.values import discreet
from csms_plugins.flow.views import iso

KEPT = 50
FAILURES_S = 7 * 86400.0
MOST_FAILURES = 5000
MOST_AT_ONCE = 100
"""How many rules' traces are written at a time."""


@dataclass(slots=True)
class Unmet:
    """A clause that did not hold, and what it saw; put into words only when somebody asks."""

    clause: Clause | Condition
    event: str
    names: Mapping[str, Any]

    def __str__(self) -> str:
        clause = self.clause
        if isinstance(clause, Clause):
            return f"where {clause.text}: it is {discreet(clause.text, clause.value(self.event, self.names))}"
        reads = clause.expression.reads
        paths = [(".".join(path), look(self.names, path)) for path in sorted(reads)]
        seen = ", ".join(f"{path} = {discreet(path, value)}" for path, value in paths)
        return f"{clause.label} {clause.expression.text}: {seen or 'never true'}"


@dataclass(slots=True)
class Trace:
    """What one event did to one rule: ``outcome`` is ran, failed, skipped, pending, dry, decided or stopped; ``why`` the first thing that held it.

    ``tx`` is the transaction (its id on the wire) that the event was about, ``cites`` the key of its event.
    """

    at: datetime
    event: str
    station: str
    key: str = ""
    outcome: str = ""
    why: Unmet | str = ""
    place: str = ""
    run: str = ""
    tx: str = ""
    cites: str = ""
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
            "tx": self.tx,
            "cites": self.cites,
            "steps": list(self.steps),
        }


def traced(at: datetime, event: str, station: str, about: tuple[str, str], key: str = "") -> Trace:
    """A trace that has just begun, of an event about a transaction or about none."""
    return Trace(at, event, station, key, tx=about[0], cites=about[1])


Skip = tuple[datetime, str, str, "Unmet | str", str, str, str]
"""Time, event, station, reason, place, transaction and key of its event, of a rule that was passed over: the most numerous, so they are tuples."""


Cited = tuple[str, str]
NOTHING: Cited = ("", "")


def cited(seen: Mapping[str, Any]) -> Cited:
    """The transaction that a picture is about, by its id on the wire, and the key of its event; empty where there is none."""
    tx, event = seen.get("tx"), seen.get("event")
    if isinstance(tx, dict):
        told = seen.get("msg")
        return str(tx.get("id") or ""), str(told.get("key") or "") if isinstance(told, dict) else ""
    named = event.get("transaction") if isinstance(event, dict) else None
    return (named, "") if isinstance(named, str) else NOTHING


@dataclass(slots=True)
class Book:
    """The traces of one rule, numbered; ``written`` is the newest that is in the database."""

    traces: deque[tuple[int, Trace | Skip | dict[str, Any]]] = field(default_factory=lambda: deque(maxlen=KEPT))
    number: int = 0
    written: int = 0
    counts: dict[str, int] = field(default_factory=dict)


class Traces:
    """The traces of all rules, by rule. Number n is kept in place n modulo 50: only what is new is ever written."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._books: dict[str, Book] = {}
        self._unwritten: dict[str, None] = {}
        self._failures: dict[str, float] = {}
        self.witness: Any = None

    def skip(
        self, rule: Rule, at: datetime, event: str, station: str, why: Unmet | str, cited: Cited = NOTHING
    ) -> None:
        """Keep why an event did not start a rule, as cheaply as can be."""
        if self.witness is not None:
            self.note(rule, traced(at, event, station, cited), "skipped", why)
            return
        book = self._books.get(rule.id) or self._book(rule.id)
        book.number += 1
        book.traces.append((book.number, (at, event, station, why, rule.place, *cited)))
        book.counts["skipped"] = book.counts.get("skipped", 0) + 1
        self._unwritten[rule.id] = None

    def note(self, rule: Rule, trace: Trace, outcome: str, why: Unmet | str = "", place: str = "") -> None:
        """Keep a trace and count it."""
        trace.outcome, trace.why, trace.place = outcome, why, place or trace.place or rule.place
        book = self._books.get(rule.id) or self._book(rule.id)
        book.number += 1
        book.traces.append((book.number, trace))
        book.counts[outcome] = book.counts.get(outcome, 0) + 1
        self._unwritten[rule.id] = None
        if outcome == "failed":
            self._failed(rule, trace)
        if self.witness is not None:
            self.witness(rule, trace)

    def _book(self, rule: str) -> Book:
        return self._books.setdefault(rule, Book())

    def of(self, rule: str) -> list[dict[str, Any]]:
        """A rule's traces as JSON, the newest last."""
        book = self._books.get(rule)
        return [_report(one) for _, one in book.traces] if book else []

    def counts(self, rule: str) -> dict[str, int]:
        """How often a rule came to each outcome."""
        book = self._books.get(rule)
        return dict(book.counts) if book else {}

    def write(self) -> None:
        """Put what is new into the journal, of a hundred rules at most."""
        for rule in list(self._unwritten)[:MOST_AT_ONCE]:
            self.write_one(rule)

    def write_one(self, rule: str) -> None:
        """Put what is new about one rule into the journal."""
        self._unwritten.pop(rule, None)
        book = self._book(rule)
        for number, trace in book.traces:
            if number > book.written:
                self._journal.put(f"trace/{rule}//{number % KEPT}", {"number": number, **_report(trace)})
        book.written = book.number
        self._journal.put(f"counts/{rule}", book.counts)

    def load(self, kept: Mapping[str, Any], rules: Container[str], now: float) -> None:
        """Take over what was written before; forget rules that are no more, and failures of more than seven days ago."""
        for key, value in kept.items():
            named, counted = part(key, "trace/"), part(key, "counts/")
            rule = counted if named is None else named.rpartition("//")[0]
            if part(key, "failure/") is not None:
                self._failures[key] = float(value["unix"])
            elif rule is None:
                continue
            elif rule not in rules:
                self._journal.drop(key)
            elif named is None:
                self._book(rule).counts = dict(value)
            else:
                self._book(rule).traces.append((int(value.pop("number")), value))
        for book in self._books.values():
            book.traces = deque(sorted(book.traces, key=lambda one: one[0]), maxlen=KEPT)
            book.number = book.written = max((number for number, _ in book.traces), default=0)
        self.prune(now)

    def prune(self, now: float) -> None:
        """Forget old failures."""
        for key in [key for key, at in self._failures.items() if now - at > FAILURES_S]:
            del self._failures[key]
            self._journal.drop(key)

    def _failed(self, rule: Rule, trace: Trace) -> None:
        unix = trace.at.timestamp()
        key = f"failure/{unix:017.6f}/{trace.run or len(self._failures)}/{rule.id}"
        self._failures[key] = unix
        self._journal.put(key, {"unix": unix, "rule": rule.id, **trace.report()})
        while len(self._failures) > MOST_FAILURES:
            oldest = next(iter(self._failures))
            del self._failures[oldest]
            self._journal.drop(oldest)


def _report(trace: Trace | Skip | dict[str, Any]) -> dict[str, Any]:
    if isinstance(trace, dict):
        return trace
    if isinstance(trace, tuple):
        at, event, station, why, place, tx, cites = trace
        return Trace(at, event, station, outcome="skipped", why=why, place=place, tx=tx, cites=cites).report()
    return trace.report()
