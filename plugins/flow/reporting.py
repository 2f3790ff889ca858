"""A rule with everything that an operator wants to see of it."""

from __future__ import annotations

from typing import Any

from csms_plugins.flow.engine import Engine


def rule_report(engine: Engine, name: str) -> dict[str, Any]:
    """One rule with its state, counts and last traces."""
    rule = engine.rules[name]
    tripped = engine.holds.tripped(name)
    runs = [one for one in engine.runs.all() if one.rule.id == name]
    return {
        "name": name,
        "site": rule.scope,
        "place": rule.place,
        "note": str(rule.table.get("note", "")),
        "on": list(rule.events),
        "order": rule.order,
        "state": "off" if not rule.enabled else "dry" if rule.dry else "tripped" if tripped else "on",
        "tripped": tripped,
        "counts": engine.traces.counts(name),
        "running": len(runs),
        "runs": [{"id": one.id, "key": one.key, "doing": one.doing, "until": one.due} for one in runs],
        "pending": engine.pendings.of(name),
        "next": engine.timers.next_of(name),
        "traces": engine.traces.of(name),
    }
