"""Flow rules: a site's TOML rules bound to events and questions, read again when a file changes; the grammar is in docs/rules.md.

A set of rules is taken over whole or not at all: one mistake anywhere leaves the old set at work.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from csms_plugins.flow_engine import Engine
from csms_plugins.flow_events import CUSTOM, BootAsked, ResetAsked, kind_of, listened
from csms_plugins.flow_files import Mistake, RuleFileError, duration, stamp, suggestion
from csms_plugins.flow_grammar import Rule, check_functions, read_rule
from csms_plugins.flow_presets import Reading, read_rules
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource

from csms.api import (
    Authorization,
    AuthorizationRequest,
    AuthorizationStatus,
    BootDecision,
    BootNotification,
    BootStatus,
    Csms,
    Duration,
    IdToken,
    Reset,
    ResetPlan,
    ResetWhen,
    StationRef,
    WebRegistry,
    hookimpl,
)

T = TypeVar("T")
ESCALATE_AFTER_S = 900.0
SHOWN = 30


class FlowRules:
    """Reads the rules, gives events to the engine and answers questions with what rules decide."""

    @dataclass(frozen=True)
    class Settings:
        """``files`` are patterns relative to the site file; ``presets`` are used with their defaults; ``reload_every`` 0s never looks again."""

        files: tuple[str, ...] = ("rules/*.toml",)
        presets: tuple[str, ...] = ()
        enabled: bool = True
        reload_every: Duration = timedelta(seconds=5)

        def __post_init__(self) -> None:
            """Raises ValueError in plain words."""
            for pattern in self.files:
                if not pattern or pattern.startswith(("/", "\\")):
                    raise ValueError(f"files are patterns relative to the site file, not {pattern!r}")
            if timedelta(0) != self.reload_every < timedelta(seconds=1):
                raise ValueError("reload_every is at least 1s, or 0s for never")

    def __init__(self, settings: Settings, csms: Csms) -> None:
        self._settings = settings
        self._csms = csms
        self._engine = Engine(csms)
        self._mistakes: list[Mistake] = []
        self._stamp: object = None
        self._timer = LoopingCall(self.look)
        self._timer.clock = csms.clock
        if settings.enabled:
            self._stamp = stamp(csms.folder, settings.files)
            self._engine.use(self._read())
        self.listens_to = listened(name for state in self._engine.states for name in state.rule.on)

    def _read(self) -> list[Rule]:
        """The rules as they lie on the disk; raises RuleFileError with every mistake."""
        reading = read_rules(self._csms.folder, self._settings.files, self._settings.presets)
        rules = compiled(reading, self._csms)
        if reading.mistakes:
            self._mistakes = reading.mistakes
            more = len(reading.mistakes) - SHOWN
            raise RuleFileError(
                "\n".join(map(str, reading.mistakes[:SHOWN])) + (f"\n... and {more} more" if more > 0 else "")
            )
        self._mistakes = []
        return rules

    async def start(self) -> None:
        """All plugins are there now: set aside what needs one that is not, and begin to look at the files."""
        for state in self._engine.states:
            state.problem = self._lacks(state.rule)
            if state.problem:
                self._csms.log.error(
                    "rule {rule} ({place}) is set aside: {why}",
                    rule=state.rule.name,
                    place=state.rule.place,
                    why=state.problem,
                )
        every_s = self._settings.reload_every.total_seconds()
        if self._settings.enabled and every_s:
            self._timer.start(every_s, now=False).addErrback(
                lambda failure: self._csms.log.failure("rule files are no longer looked at", failure=failure)
            )

    async def stop(self) -> None:
        """Look no more and end the runs that wait."""
        if self._timer.running:
            self._timer.stop()
        self._engine.stop()

    def look(self) -> None:
        """Take over changed files, all or none."""
        now = stamp(self._csms.folder, self._settings.files)
        if now == self._stamp:
            return
        self._stamp = now
        try:
            rules = self._read()
            lacks = [f"{rule.place}: {lack}" for rule in rules if (lack := self._lacks(rule))]
            if lacks:
                raise RuleFileError("\n".join(lacks))
        except RuleFileError as wrong:
            self._csms.log.error("the rules stay as they were: {mistakes}", mistakes=str(wrong))
            return
        self._engine.use(rules)
        for state in self._engine.states:
            state.problem = ""
        self._csms.log.info("{count} rules are at work", count=len(rules))
        self._say_unheard(rules)

    def _say_unheard(self, rules: list[Rule]) -> None:
        for rule in rules:
            if not all(kind in self.listens_to for kind in listened(rule.on)):
                self._csms.log.warn(
                    "rule {rule} ({place}) is on a kind of event that no rule wanted at start: it works after a restart",
                    rule=rule.name,
                    place=rule.place,
                )

    def _lacks(self, rule: Rule) -> str:
        actions = self._csms.actions()
        for step in rule.steps:
            if step.verb == "call" and (name := step.fixed) and name not in actions:
                return f"no plugin offers the action {name}: {suggestion(name, tuple(actions)) if actions else ''}"
        return check_functions(rule, self._csms.conditions())

    @hookimpl
    def on_event(self, event: object) -> None:
        """Rules run after this has returned, and never hold anybody up."""
        self._engine.news(event)

    @hookimpl
    def plan_reset(self, station: StationRef, reset: Reset, active_transactions: int) -> ResetPlan | None:
        """What the rules on ``reset.choose`` decide."""
        for answer in self._engine.answers("reset.choose", ResetAsked(station, reset, active_transactions)):
            if (plan := self._made(answer, _reset_plan)) is not None:
                return plan
        return None

    @hookimpl
    def authorize(self, request: AuthorizationRequest) -> Authorization | None:
        """What the rules on ``authorize`` decide."""
        for answer in self._engine.answers("authorize", request):
            if (authorization := self._made(answer, _authorization)) is not None:
                return authorization
        return None

    @hookimpl
    def decide_boot(self, station: StationRef, boot: BootNotification) -> BootDecision | None:
        """What the rules on ``boot`` decide."""
        for answer in self._engine.answers("boot", BootAsked(station, boot)):
            if (decision := self._made(answer, _boot_decision)) is not None:
                return decision
        return None

    def _made(self, answer: Mapping[str, Any], make: Callable[[Mapping[str, Any]], T]) -> T | None:
        try:
            return make(answer)
        except (ValueError, TypeError) as wrong:
            self._csms.log.error("a rule's decision is passed over: {why}", why=str(wrong))
            return None

    @hookimpl
    def register_web(self, site: WebRegistry) -> None:
        """``GET /plugins/flow_rules/rules``: every rule with its state, counts and last traces."""
        site("rules", RulesResource(self))

    def report(self) -> dict[str, Any]:
        """The rules at work, and the mistakes that keep newer files from being."""
        return {
            "rules": [state.report() for state in self._engine.states],
            "mistakes": [str(mistake) for mistake in self._mistakes],
        }


def compiled(reading: Reading, csms: Csms) -> list[Rule]:
    """The rules of a reading; mistakes are added to it, also those that only show between rules."""
    rules: list[Rule] = []
    places: dict[str, str] = {}
    for raw in reading.rules:
        rule = read_rule(raw, csms.conditions, reading.mistakes)
        if rule is None:
            continue
        if rule.name in places:
            what = f"rule {rule.name} is in {places[rule.name]} already"
            reading.mistakes.append(raw.source.mistake((*raw.where, "name"), what, "give it another name"))
        places[rule.name] = rule.place
        rules.append(rule)
    raised = {step.fixed for rule in rules for step in rule.steps if step.verb == "raise"}
    for raw, rule in ((raw, rule) for raw in reading.rules for rule in rules if raw.position == rule.position):
        for name in rule.on:
            if kind_of(name) is CUSTOM and name not in raised and "" not in raised:
                cure = suggestion(name, sorted(raised)) if raised else "a step such as raise = ..."
                reading.mistakes.append(raw.source.mistake((*raw.where, "on"), f"no rule raises {name}", cure))
    return rules


def _reset_plan(answer: Mapping[str, Any]) -> ResetPlan:
    escalate, after = answer.get("escalate"), answer.get("escalate_after")
    after_s = ESCALATE_AFTER_S if after is None else duration(after)
    if after_s is None:
        raise ValueError(f"{after!r} is not a duration")
    return ResetPlan(ResetWhen(str(answer.get("when"))), after_s, ResetWhen(escalate) if escalate else None)


def _authorization(answer: Mapping[str, Any]) -> Authorization:
    accept = answer.get("accept")
    word = answer.get("status") or ("Accepted" if accept is True else "Invalid")
    group = answer.get("group")
    reason = str(answer.get("reason") or "decided by a rule")
    return Authorization(AuthorizationStatus(word), IdToken(str(group), "Central") if group else None, reason=reason)


def _boot_decision(answer: Mapping[str, Any]) -> BootDecision:
    interval = answer.get("interval")
    if interval is not None and (type(interval) is not int or interval < 1):
        raise ValueError(f"interval {interval!r} is not a number of seconds")
    return BootDecision(BootStatus(str(answer.get("status"))), interval, str(answer.get("reason") or ""))


class RulesResource(Resource):
    """Shows the rules as JSON."""

    isLeaf = True

    def __init__(self, rules: FlowRules) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._rules = rules

    def render(self, request: Any) -> bytes:
        """The report, or 405 for anything but reading."""
        if request.method not in (b"GET", b"HEAD"):
            request.setResponseCode(405)
            request.setHeader(b"allow", b"GET")
            request.setHeader(b"content-type", b"application/problem+json")
            return json.dumps({"type": "about:blank", "status": 405, "title": "rules are only read here"}).encode()
        request.setHeader(b"content-type", b"application/json")
        return json.dumps(self._rules.report()).encode()
