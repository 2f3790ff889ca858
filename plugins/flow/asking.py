"""Questions: what the rules on one decide, the first in order first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from csms_plugins.flow.conditions import unmet
from csms_plugins.flow.engine import Engine
from csms_plugins.flow.rule import Rule, about
from csms_plugins.flow.traces import cited, traced
from csms_plugins.flow.values import shown
from csms_plugins.flow.views import plain

AT_ITS_TIME = ("price.choose",)
"""Questions about a moment that may be long past: windows and ``now`` are those of that moment."""


async def answers(engine: Engine, name: str, question: Any) -> AsyncIterator[tuple[Rule, dict[str, Any]]]:
    """What the rules on a question decide, the first in order first; each is a plain dict."""
    bound = engine.rules_on(name)
    seen = await engine.picture(name, question) if bound else {}
    now = question.at if name in AT_ITS_TIME else engine.csms.now()
    if name in AT_ITS_TIME:
        seen["now"] = engine.stations.moment(now, question.station.id)
    for rule in bound:
        if rule.answer is None or not engine.covers(rule, question.station.id):
            continue
        names = engine.names(rule, seen)
        trace = traced(engine.csms.now(), name, question.station.id, cited(seen))
        if why := unmet(rule, name, names, now):
            engine.traces.note(rule, trace, "skipped", why)
            continue
        answer = plain(rule.answer(about(rule, names)))
        trace.steps = [f"{key} = {shown(value)}" for key, value in answer.items()]
        if rule.dry:
            engine.traces.note(rule, trace, "dry", "the rule is dry: nothing was decided")
            continue
        engine.traces.note(rule, trace, "decided")
        yield rule, answer
