"""Why a rule did or did not run: from the traces of what happened, or for an event that one only thinks of."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from csms_plugins.flow.conditions import unmet
from csms_plugins.flow.rule import Rule, key_of
from csms_plugins.flow.traces import Unmet
from csms_plugins.flow.values import shown
from csms_plugins.flow.views import iso, station_view

from csms.api import StoryNote, StoryNotes, StoryQuestion

if TYPE_CHECKING:
    from csms_plugins.flow_rules import FlowRules


class Refused(Exception):
    """A request cannot be answered; ``status`` is HTTP's."""

    def __init__(self, status: int, title: str) -> None:
        super().__init__(title)
        self.status = status


def explain(rules: FlowRules, station: str, last_s: float) -> dict[str, Any]:
    """Every trace about a station within the last seconds, the newest last, by rule."""
    since = iso(rules.csms.now() - timedelta(seconds=min(last_s, 3e9 / 1000)))
    found = []
    for name, rule in rules.engine.rules.items():
        if station and not rules.engine.covers(rule, station):
            continue
        traces = [one for one in rules.engine.traces.of(name) if station in ("", one["station"]) and one["at"] >= since]
        found.append({"rule": name, "place": rule.place, "on": list(rule.events), "traces": traces})
    return {"station": station, "since": since, "rules": found}


async def explain_event(rules: FlowRules, body: Any) -> dict[str, Any]:
    """What the rules would make of an event: ``{"event": "status", "station": "CS1", "with": {..}}``. Nothing is done or counted."""
    event, station = (body.get("event"), body.get("station", "")) if isinstance(body, dict) else (None, "")
    kind = rules.set.vocabulary.kind(event) if isinstance(event, str) else None
    given = body.get("with", {}) if isinstance(body, dict) else None
    if kind is None or not isinstance(event, str) or not isinstance(given, dict) or not isinstance(station, str):
        raise Refused(400, 'an event is {"event": "status", "station": "CS1", "with": {"status": "Faulted"}}')
    engine = rules.engine
    ref = engine.stations.connected(station)
    seen: dict[str, Any] = {
        "station": station_view(ref) if ref else {"id": station, "connected": False},
        "event": given,
    }
    seen |= dict.fromkeys(kind.parts, given)
    await engine.stations.complete(seen, active=True)
    verdicts = []
    for rule in engine.rules.values():
        names = engine.names(rule, seen)
        why, place = _first_reason(rules, rule, event, names, station)
        verdicts.append({"rule": rule.id, "place": place, "runs": not why, "reason": why})
    return {"event": event, "station": station, "rules": verdicts}


def _first_reason(rules: FlowRules, rule: Rule, event: str, names: dict[str, Any], station: str) -> tuple[str, str]:
    """The first thing that keeps a rule from running; empty if nothing does."""
    engine, now = rules.engine, rules.csms.now()
    if event not in rule.events:
        return f"event: it is on {', '.join(rule.events)}", rule.place
    if not rule.enabled:
        return "off: enabled = false", rule.place
    if not engine.covers(rule, station):
        whose = f"it is for the stations of site {rule.scope}" if rule.scope else "the station's site has its own rule"
        return f"scope: {whose}", rule.place
    why = unmet(rule, event, names, now)
    if isinstance(why, Unmet):
        return str(why), why.clause.place
    if why:
        return why, rule.place
    if rule.answer is not None:
        return "", rule.place
    key = key_of(rule.key, names, shown)
    held = engine.holds.check(rule, key, now.timestamp(), engine.runs.running(rule.id))
    reason = held.reason if held else engine.runs.busy(rule, key)
    if not reason and rule.for_s:
        reason = f"for-pending: must last {rule.for_s:g} s"
    return reason or ("dry: it would run, and do nothing" if rule.dry else ""), rule.place


def transaction_notes(rules: FlowRules, question: StoryQuestion) -> StoryNotes:
    """What the rules did about a transaction as far as traces are kept; the same reason of the same rule stands once."""
    wire_id = question.transaction.station_transaction
    found: dict[tuple[str, str, str, str], list[dict[str, Any]]] = {}
    for name in rules.engine.rules:
        for trace in rules.engine.traces.of(name):
            if trace.get("tx") == wire_id and trace["station"] == question.station.id:
                found.setdefault((name, trace["event"], trace["outcome"], trace["reason"]), []).append(trace)
    return StoryNotes(tuple(_note(name, traces) for (name, *_), traces in found.items()))


def _note(rule: str, traces: list[dict[str, Any]]) -> StoryNote:
    first, times = traces[0], len(traces)
    reason = f": {first['reason']}" if first["reason"] else ""
    often = f", {times} times so" if times > 1 else ""
    text = f"rule {rule} on {first['event']}: {first['outcome']}{reason}{often}"
    cites = f"on event {first['cites']}" if first.get("cites") else ""
    details = tuple(line for line in (cites, *first["steps"], first["place"]) if line)
    return StoryNote(datetime.fromisoformat(first["at"]), text, details, first.get("cites") or "")


def told(trace: dict[str, Any]) -> str:
    """One trace as a line for people."""
    steps = "".join(f"\n      {step}" for step in trace["steps"])
    reason = f": {trace['reason']}" if trace["reason"] else ""
    return f"{trace['at']} {trace['event']} {trace['station']}: {trace['outcome']}{reason} ({trace['place']}){steps}"
