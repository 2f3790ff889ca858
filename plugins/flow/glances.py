"""What an event's own fields turn down: most events of a kind mean nothing to the rules on it, and of those no picture is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

from csms_plugins.flow.events import HIDDEN, Kind, Vocabulary
from csms_plugins.flow.matching import Clause
from csms_plugins.flow.news import RuleNews
from csms_plugins.flow.pendings import Pendings
from csms_plugins.flow.rule import Rule
from csms_plugins.flow.traces import Traces, Unmet
from csms_plugins.flow.views import plain
from csms_plugins.flow.waits import Waits

from csms.api import CommandClosed, Csms, StationConnected

NEVER = (RuleNews, CommandClosed, StationConnected)
"""News that mean more to the engine than what its rules do with them."""


class Glance:
    """The rules on one event, each with the first of its ``where``, as far as they are about the event's own fields."""

    def __init__(self, name: str, rules: Iterable[tuple[Rule, tuple[Clause, ...]]]) -> None:
        self._name = name
        self._rules = tuple(rules)

    def turned_down(self, event: object) -> list[tuple[Rule, Unmet]] | None:
        """Each rule with the clause that the event does not fit, the first as in a whole picture; None where a rule is not turned down by these."""
        found = []
        for rule, clauses in self._rules:
            why = self._unmet(clauses, event)
            if why is None:
                return None
            found.append((rule, why))
        return found

    def _unmet(self, clauses: tuple[Clause, ...], event: object) -> Unmet | None:
        for clause in clauses:
            root, field = clause.paths[self._name]
            names: dict[str, Any] = {root: {field: plain(getattr(event, field))}}
            if not clause.holds(self._name, names):
                return Unmet(clause, self._name, names)
        return None


def glance(name: str, kind: Kind, rules: Iterable[Rule]) -> Glance | None:
    """The glance at events of this name; None where it could not turn down every rule, or where traces tell more than the event's own fields."""
    own = {one.name for one in fields(kind.event)} - set(HIDDEN) if is_dataclass(kind.event) else set()
    if issubclass(kind.event, NEVER) or "transaction" in own or "tx" in kind.parts:
        return None
    whole = {"event", *(root for root, path in kind.parts.items() if not path)}
    found = [(rule, tuple(_leading(rule, name, whole, own))) for rule in rules]
    return Glance(name, found) if all(clauses for _, clauses in found) else None


def _leading(rule: Rule, name: str, whole: set[str], own: set[str]) -> Iterable[Clause]:
    for clause in rule.where:
        path = clause.paths.get(name, ())
        if len(path) != 2 or path[0] not in whole or path[1] not in own:
            return
        yield clause


class Watched(Protocol):
    """What an engine shows to a glance: who waits, what has begun, for whom a rule is, and where it is written why a rule did not start."""

    csms: Csms
    waits: Waits
    pendings: Pendings
    traces: Traces

    def covers(self, rule: Rule, station: str) -> bool: ...


class Glances:
    """At all news that rules are bound to, by name."""

    def __init__(self, engine: Watched, bound: Mapping[str, tuple[Rule, ...]], vocabulary: Vocabulary) -> None:
        self._engine = engine
        self._found: dict[str, Glance] = {}
        for name, rules in bound.items():
            kind = None if vocabulary.is_question(name) else vocabulary.kind(name)
            if kind is not None and (found := glance(name, kind, rules)) is not None:
                self._found[name] = found

    def pass_over(self, event: Any, names: tuple[str, ...]) -> bool:
        """Whether a glance shows that an event begins and ends nothing; then the traces of its rules say why."""
        engine, station = self._engine, event.station.id
        if engine.pendings.about(station):
            return False
        found: list[tuple[str, Rule, Unmet]] = []
        for name in names:
            at = self._found.get(name)
            down = at.turned_down(event) if at is not None and not engine.waits.listens(name) else None
            if down is None:
                return False
            found += [(name, *one) for one in down]
        now = engine.csms.now()
        for name, rule, why in found:
            if engine.covers(rule, station):
                engine.traces.skip(rule, now, name, station, why)
        return True
