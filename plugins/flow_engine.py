"""Runs rules: which of them an event starts and which not and why, limits per key, traces. Everything here lives in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from csms_plugins.flow_events import RuleRaised, event_names, kind_of, moment, plain, view
from csms_plugins.flow_grammar import Rule
from csms_plugins.flow_steps import ORIGIN, Doer, StepFailed, Stopped
from csms_plugins.flow_values import shown

from csms.api import CommandClosed, Csms

TRACES, MOST_KEYS, DEEPEST = 50, 10_000, 8
ACTIVE_TX = ("station", "active_tx")


@dataclass(slots=True)
class Trace:
    """What one event did to one rule: ``outcome`` is ran, failed, skipped, dry or decided; ``reason`` the first thing that stopped it."""

    at: str
    event: str
    station: str
    key: str = ""
    outcome: str = "skipped"
    reason: str = ""
    steps: list[str] = field(default_factory=list)


@dataclass(slots=True)
class State:
    """A rule and its memory."""

    rule: Rule
    problem: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    traces: deque[Trace] = field(default_factory=lambda: deque(maxlen=TRACES))
    starts: dict[str, deque[float]] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)

    def note(self, trace: Trace, outcome: str, reason: str = "") -> None:
        """Keep a trace and count it."""
        trace.outcome, trace.reason = outcome, reason
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
        self.traces.append(trace)

    def report(self) -> dict[str, Any]:
        """What the API shows of it."""
        rule = self.rule
        state = "faulty" if self.problem else "off" if not rule.enabled else "dry" if rule.dry else "on"
        return {
            "name": rule.name,
            "place": rule.place,
            "on": list(rule.on),
            "order": rule.order,
            "state": state,
            "problem": self.problem,
            "counts": dict(self.counts),
            "running": len(self.busy),
            "traces": [asdict(one) for one in self.traces],
        }


class Engine:
    """The rules of a site, by the events they are bound to."""

    def __init__(self, csms: Csms) -> None:
        self._csms = csms
        self._zone = ZoneInfo(csms.timezone)
        self._doer = Doer(csms)
        self._bound: dict[str, tuple[State, ...]] = {}
        self._runs = 0
        self.states: list[State] = []

    def use(self, rules: Iterable[Rule]) -> None:
        """Take over a whole new set at once; a rule whose text is the same keeps its memory."""
        before = {(state.rule.name, state.rule.digest): state for state in self.states}
        states = [before.get((rule.name, rule.digest)) or State(rule) for rule in rules]
        for state, rule in zip(states, rules, strict=True):
            state.rule = rule
        self.states = sorted(states, key=lambda one: (one.rule.order, one.rule.position))
        names = {name for state in states for name in state.rule.on}
        live = [state for state in self.states if state.rule.enabled]
        self._bound = {name: tuple(one for one in live if name in one.rule.on) for name in names}

    def stop(self) -> None:
        """End the runs that wait."""
        self._doer.stop()

    # News

    def news(self, event: object) -> None:
        """Start the rules bound to an event, after whoever told it has finished."""
        bound = [(name, state) for name in event_names(event) for state in self._bound.get(name, ())]
        if bound:
            self._csms.later(0, lambda: self._handle(event, bound))

    async def _handle(self, event: Any, bound: Sequence[tuple[str, State]]) -> None:
        station: dict[str, Any] = {}
        if any(state.rule.reads(ACTIVE_TX) for _, state in bound):
            active = await self._csms.read.active_transactions(station=event.station.id)
            station["active_tx"] = len(active)
        seen: dict[str, dict[str, Any]] = {}
        for name, state in bound:
            if name not in seen:
                seen[name] = self._shared(name, event, station)
            self._consider(state, name, event, self._names(seen[name], state.rule))

    def _shared(self, name: str, event: Any, station: Mapping[str, Any]) -> dict[str, Any]:
        """The names that all rules on an event have in common."""
        kind = kind_of(name)
        assert kind is not None
        names = view(event, kind)
        names["station"] |= station
        names["site"] = {"id": self._csms.site, "timezone": self._csms.timezone}
        now = self._csms.now()
        names["now"] = moment(now, self._zone)
        names["run"] = {"second": int(now.timestamp())}
        return names

    def _names(self, shared: Mapping[str, Any], rule: Rule) -> dict[str, Any]:
        self._runs += 1
        request = (shared["run"]["second"] + self._runs) % 2**31
        run = {"id": self._runs, "rule": rule.name, "request_id": request}
        return {**shared, "opt": rule.options, "run": run}

    def _consider(self, state: State, name: str, event: Any, names: dict[str, Any]) -> None:
        rule, causes = state.rule, _causes(event)
        trace = self._trace(name, names)
        reason = _looped(rule, causes) or state.problem or _unmet(rule, name, names)
        if reason:
            state.note(trace, "skipped", reason)
            return
        trace.key = ", ".join(shown(one.value(names)) for one in rule.key)
        if reason := self._held(state, trace.key):
            state.note(trace, "skipped", reason)
        elif rule.dry:
            trace.steps = [f"{step.verb} {shown(step.what(names))}" for step in rule.steps]
            state.note(trace, "dry", "the rule is dry: nothing was done")
        else:
            state.busy.add(trace.key)
            self._csms.later(0, lambda: self._run(state, trace, names, (*causes, rule.name)))

    def _held(self, state: State, key: str) -> str:
        """Why a rule may not start for this key now; a start is counted."""
        rule, now = state.rule, self._csms.clock.seconds()
        if key in state.busy:
            return "busy: the rule still runs for this key"
        starts = state.starts.setdefault(key, deque())
        if starts and now - starts[-1] < rule.cooldown_s:
            return f"cooldown: {rule.cooldown_s - now + starts[-1]:g} s left"
        while starts and now - starts[0] >= rule.per_s:
            starts.popleft()
        if len(starts) >= rule.runs:
            return f"limit: {rule.runs} runs in {rule.per_s:g} s"
        starts.append(now)
        if len(state.starts) > MOST_KEYS:
            del state.starts[next(iter(state.starts))]
        return ""

    async def _run(self, state: State, trace: Trace, names: dict[str, Any], causes: tuple[str, ...]) -> None:
        outcome, reason = "ran", ""
        try:
            for step in state.rule.steps:
                if not all(one.value(names) for one in step.when):
                    trace.steps.append(f"{step.verb}: passed over")
                    continue
                trace.steps.append(f"{step.verb}: {await self._doer.do(step, names, causes)}")
        except Stopped as stopped:
            reason = f"stop: {stopped}"
        except StepFailed as failed:
            outcome, reason = "failed", f"{step.verb}: {failed}"
            self._csms.log.warn("rule {rule} ended early: {reason}", rule=state.rule.name, reason=reason)
        except Exception as fault:
            outcome, reason = "failed", f"{step.verb}: {type(fault).__name__}"
            self._csms.log.failure("rule {rule} failed", rule=state.rule.name)
        finally:
            state.busy.discard(trace.key)
            state.note(trace, outcome, reason)

    def _trace(self, name: str, names: Mapping[str, Any]) -> Trace:
        return Trace(names["now"]["iso"], name, str(names["station"].get("id", "")))

    # Questions

    def answers(self, name: str, question: Any) -> Iterable[dict[str, Any]]:
        """What the rules on a question decide, the first in order first; each is a plain dict."""
        bound = self._bound.get(name, ())
        shared = self._shared(name, question, {}) if bound else {}
        for state in bound:
            if state.rule.answer is None:
                continue
            names = self._names(shared, state.rule)
            trace = self._trace(name, names)
            reason = state.problem or _unmet(state.rule, name, names)
            if reason:
                state.note(trace, "skipped", reason)
                continue
            answer = plain(state.rule.answer(names))
            trace.steps = [f"{key} = {shown(value)}" for key, value in answer.items()]
            if state.rule.dry:
                state.note(trace, "dry", "the rule is dry: nothing was decided")
                continue
            state.note(trace, "decided")
            yield answer


def _causes(event: object) -> tuple[str, ...]:
    match event:
        case RuleRaised():
            return event.causes
        case CommandClosed() if event.command.origin.startswith(ORIGIN):
            return (event.command.origin.removeprefix(ORIGIN),)
    return ()


def _looped(rule: Rule, causes: Sequence[str]) -> str:
    if rule.name in causes:
        return "loop: the event is the rule's own consequence"
    return f"loop: {len(causes)} rules led to this" if len(causes) >= DEEPEST else ""


def _unmet(rule: Rule, event: str, names: Mapping[str, Any]) -> str:
    """The first condition that does not hold, with what it saw."""
    for clause in rule.where:
        if not clause.holds(event, names):
            return f"where {clause.text}: it is {shown(clause.value(event, names))}"
    for index, expression in enumerate(rule.when):
        if not expression.value(names):
            seen = ", ".join(f"{'.'.join(path)} = {shown(_at(names, path))}" for path in sorted(expression.reads))
            return f"when[{index + 1}] {expression.text}: {seen or 'never true'}"
    return ""


def _at(names: Any, path: Sequence[str]) -> Any:
    for part in path:
        names = names.get(part) if isinstance(names, dict) else None
    return names
