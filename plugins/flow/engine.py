"""The engine: which rules an event or a question meets, in their order, on one picture of the world; and a whole new set of rules at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from csms_plugins.flow.conditions import loop_of, unmet
from csms_plugins.flow.doer import Doer
from csms_plugins.flow.events import Kind, Vocabulary, event_names
from csms_plugins.flow.glances import Glances
from csms_plugins.flow.holds import Holds
from csms_plugins.flow.journal import Journal
from csms_plugins.flow.news import NOBODY, ORIGIN, RuleNews, TimerFired
from csms_plugins.flow.outbox import Outbox
from csms_plugins.flow.pendings import Pending, Pendings
from csms_plugins.flow.performer import Performer
from csms_plugins.flow.rule import Rule, about, key_of
from csms_plugins.flow.runs import Runs
from csms_plugins.flow.scopes import Scopes
from csms_plugins.flow.stations import Stations
from csms_plugins.flow.timers import Timers
from csms_plugins.flow.traces import Trace, Traces, cited, traced
from csms_plugins.flow.values import shown
from csms_plugins.flow.views import plain, view
from csms_plugins.flow.waits import Waits

from csms.api import CommandClosed, Csms, StationConnected

ACTIVE_TX = ("station", "active_tx")


class Engine:
    """The rules of all sites, by the events they are bound to."""

    def __init__(self, csms: Csms) -> None:
        self.csms = csms
        self.journal = Journal(csms)
        self.scopes = Scopes(csms)
        self.outbox = Outbox(csms, self.journal, self.bound)
        self.stations = Stations(csms, self.journal, self.scopes, self.outbox)
        self.holds = Holds(self.journal)
        self.traces = Traces(self.journal)
        self.waits = Waits(csms)
        doer = Doer(csms, self.stations, self.holds, self.outbox)
        performer = Performer(csms, self.journal, doer, self.waits, self.stations)
        self.runs = Runs(csms, self.journal, performer, self.holds, self.waits, self.traces, self.outbox)
        self.pendings = Pendings(csms, self.journal, self.stations, self._lasted)
        self.timers = Timers(csms, self.journal, self._timed)
        self.rules: dict[str, Rule] = {}
        self._named_by_sites: set[str] = set()
        self._vocabulary = Vocabulary()
        self._own_names: dict[type, tuple[str, ...]] = {}
        self._bound: dict[str, tuple[Rule, ...]] = {}
        self._active: frozenset[str] = frozenset()
        """The events with a rule that wants to know the active transactions."""
        self._glances = Glances(self, self._bound, self._vocabulary)
        self._queues: dict[str, deque[tuple[object, tuple[str, ...]]]] = {}
        self.started = False

    def use(self, rules: Iterable[Rule], vocabulary: Vocabulary) -> None:
        """Take over a whole new set at once. What runs goes on; a rule whose text is the same is untouched."""
        ordered = sorted(rules, key=lambda one: (one.order, one.position))
        self.rules = {rule.id: rule for rule in ordered}
        self._named_by_sites = {rule.name for rule in ordered if rule.scope}
        self._vocabulary = vocabulary
        self._own_names = {kind.event: (name,) for name, kind in vocabulary.events.items() if "." in name}
        live = [rule for rule in ordered if rule.enabled]
        names = dict.fromkeys(name for rule in live for name in rule.events if name not in ("timer", "call"))
        self._bound = {name: tuple(one for one in live if name in one.events) for name in names}
        self._active = frozenset(
            name for name, bound in self._bound.items() if any(one.reads(ACTIVE_TX) for one in bound)
        )
        self._glances = Glances(self, self._bound, vocabulary)
        self.pendings.keep_only(self.rules)
        if self.started:
            self.timers.use(ordered)

    async def start(self, rule_of: Callable[[Mapping[str, Any]], Rule | None]) -> None:
        """Go on where the last process ended; ``rule_of`` reads the text of a rule that has changed since."""
        kept = await self.journal.load()
        now = self.csms.now().timestamp()
        self.stations.load(kept)
        self.traces.load(kept, self.rules, now)
        self.holds.load(kept, self.rules, now)
        self.timers.load(kept)
        self.started = True
        self.runs.load(kept, self._finder(kept, rule_of))
        self.pendings.load(kept, self.rules)
        self.timers.use(self.rules.values())
        for event in self.outbox.again(kept):
            self.news(event)

    def _finder(
        self, kept: Mapping[str, Any], rule_of: Callable[[Mapping[str, Any]], Rule | None]
    ) -> Callable[[str, str], Rule | None]:
        def found(id: str, digest: str) -> Rule | None:
            rule = self.rules.get(id)
            if rule is not None and rule.digest == digest:
                return rule
            text = kept.get(f"rule/{digest}")
            before = rule_of(text) if text else None
            return replace(before, digest=digest) if before else None

        return found

    async def stop(self) -> None:
        """End everything that waits; it goes on after the next start."""
        self.timers.stop()
        self.pendings.stop()
        self.runs.stop()
        self.traces.write()
        await self.journal.stop()

    def bound(self, name: str) -> bool:
        """Whether any rule is on an event or question of this name."""
        return name in self._bound

    def covers(self, rule: Rule, station: str) -> bool:
        """Whether a rule is for a station: one of the server's is not where the station's site has a rule of that name."""
        if rule.scope:
            return self.scopes.of(station).id == rule.scope
        return rule.name not in self._named_by_sites or f"{self.scopes.of(station).id}/{rule.name}" not in self.rules

    def rules_on(self, name: str) -> tuple[Rule, ...]:
        """The rules on an event or question, in their order."""
        return self._bound.get(name, ())

    def kinds(self) -> tuple[type, ...]:
        """The classes of news that the rules need, and the runs of rules that have been changed since."""
        names = {name for rule in self.rules.values() if rule.enabled for name in rule.events}
        running = [run.rule for run in self.runs.unfinished()]
        steps = [step for rule in (*self.rules.values(), *running) for step in rule.every_step()]
        names |= {one.event for step in steps for one in (step.until, step.awaited) if one is not None}
        if any(rule.for_s for rule in self.rules.values()) or any(step.offline_wait_s for step in steps):
            names.add("station.connected")
        found = {
            kind.event
            for name in names
            if not self._vocabulary.is_question(name) and (kind := self._vocabulary.kind(name)) is not None
        }
        return tuple(sorted(found, key=lambda one: one.__name__))

    # News

    def news(self, event: Any) -> None:
        """Take an event; the rules come after whoever told it has finished, one event of a station after the other."""
        names = event_names(event, self._own_names)
        if not any(name in self._bound or self.waits.listens(name) for name in names) and not isinstance(
            event, StationConnected
        ):
            return
        station = event.station.id
        queue = self._queues.get(station)
        if queue is not None:
            queue.append((event, names))
        elif not self._glances.pass_over(event, names):
            self._queues[station] = deque([(event, names)])
            self.csms.later(0, lambda: self._work(station))

    async def _work(self, station: str) -> None:
        queue = self._queues[station]
        try:
            while queue:
                event, names = queue.popleft()
                try:
                    await self._handle(event, names)
                except Exception:
                    self.csms.log.failure("an event could not be given to the rules")
        finally:
            del self._queues[station]

    async def _handle(self, event: Any, names: tuple[str, ...]) -> None:
        if isinstance(event, StationConnected):
            self.pendings.back(event.station.id)
        for name in names:
            bound = self._bound.get(name, ())
            if not bound and not self.waits.listens(name):
                continue
            seen = await self.picture(name, event)
            self.waits.hear(name, event.station.id, seen)
            await self.consider(name, bound, seen, self._causes(event), getattr(event, "effect", ""))
        self.outbox.done(event)

    async def picture(self, name: str, event: Any) -> dict[str, Any]:
        """The names that all rules on an event have in common."""
        names = view(event, self._kind(name))
        await self.stations.complete(names, active=name in self._active)
        return names

    def _kind(self, name: str) -> Kind:
        kind = self._vocabulary.kind(name)
        assert kind is not None
        return kind

    async def consider(
        self, name: str, rules: Iterable[Rule], seen: dict[str, Any], causes: tuple[str, ...], effect: str
    ) -> None:
        """Find which rules an event starts, then start them: all of them see the same picture."""
        ready = []
        now, station, about_tx = self.csms.now(), str(seen["station"].get("id", "")), cited(seen)
        for rule in rules:
            if not self.covers(rule, station):
                continue
            names = self.names(rule, seen)
            why = (causes and loop_of(rule, causes)) or unmet(rule, name, names, now)
            if rule.for_s:
                self._lasting(rule, name, names, traced(now, name, station, about_tx), why, causes, effect)
            elif why:
                self.traces.skip(rule, now, name, station, why, about_tx)
            else:
                ready.append((rule, names))
        for rule, names in ready:
            await self.begin(rule, name, names, traced(now, name, station, about_tx), causes, effect)

    def names(self, rule: Rule, seen: dict[str, Any]) -> dict[str, Any]:
        """The picture as one rule sees it; not to be changed."""
        if not rule.options and not rule.let:
            return seen
        names = {**seen, "opt": rule.options}
        for name, value in rule.let.items():
            names[name] = plain(value(names))
        return names

    def _lasting(
        self, rule: Rule, name: str, names: dict[str, Any], trace: Trace, why: Any, causes: tuple[str, ...], effect: str
    ) -> None:
        """The beginning, or the end, of something that must last."""
        thing = trace.key = key_of(rule.thing, names, shown)
        if not why:
            self.traces.note(rule, trace, "pending", self.pendings.begin(rule, thing, name, names, causes, effect))
        elif self.pendings.end(rule, thing) is not None:
            self.traces.note(rule, trace, "skipped", f"for: ended by {why}")
        else:
            self.traces.skip(rule, trace.at, name, trace.station, why, (trace.tx, trace.cites))

    async def _lasted(self, pending: Pending, names: dict[str, Any]) -> None:
        rule = pending.rule
        names["opt"] = rule.options
        trace = traced(self.csms.now(), pending.event, pending.station, cited(names), pending.thing)
        why = unmet(rule, pending.event, names, self.csms.now())
        if why:
            self.traces.note(rule, trace, "skipped", why)
            self.journal.soon()
            return
        await self.begin(rule, pending.event, names, trace, pending.causes, pending.effect)

    async def _timed(self, rule: Rule, due: datetime) -> None:
        stations = [NOBODY] if rule.each is None else await self.stations.matching(rule.each)
        for station in stations:
            event = TimerFired(station, self.csms.now(), rule.id, due)
            seen = view(event, self._kind("timer"))
            if rule.each is None:
                seen["station"] = {}
            await self.stations.complete(seen, active=rule.reads(ACTIVE_TX))
            await self.consider("timer", (rule,), seen, (), "")

    async def begin(
        self, rule: Rule, name: str, names: dict[str, Any], trace: Trace, causes: tuple[str, ...], effect: str
    ) -> None:
        """Begin a run, unless something holds the rule back."""
        trace.key = key = key_of(rule.key, names, shown)
        held = self.holds.check(rule, key, self.csms.now().timestamp(), self.runs.running(rule.id))
        if held is None and (busy := self.runs.busy(rule, key)):
            self.traces.note(rule, trace, "skipped", busy)
        elif held is not None:
            self.traces.note(rule, trace, "skipped", held.reason)
            if held.at_limit:
                await self._refused(rule, key, names, causes, effect)
        elif rule.dry:
            trace.steps = [f"{step.verb} {shown(step.what(about(rule, names)))}" for step in rule.steps]
            self.holds.started(rule, key, self.csms.now().timestamp())
            self.traces.note(rule, trace, "dry", "the rule is dry: nothing was done")
        elif await self.runs.already(effect, rule):
            self.traces.note(rule, trace, "skipped", "it began for this before the server was started again")
        else:
            self.runs.begin(self.runs.make(rule, key, name, names, causes, trace, effect))
            return
        self.journal.soon()

    async def _refused(self, rule: Rule, key: str, names: dict[str, Any], causes: tuple[str, ...], effect: str) -> None:
        """The rule is at its limit: call the one that takes over, or say that it is tripped."""
        outcome = self.holds.refused(rule, key, self.csms.now().timestamp())
        then = self.rules.get(f"{rule.scope}/{rule.limit.then}" if rule.scope else rule.limit.then)
        if outcome == "trips":
            self.runs.tell_tripped(rule, key, names, causes)
        elif outcome == "hands over" and then is not None and then.enabled:
            await self.consider("call", (then,), dict(names), (*causes, rule.id), effect)

    def _causes(self, event: object) -> tuple[str, ...]:
        match event:
            case RuleNews():
                return event.causes
            case CommandClosed() if event.command.origin.startswith(ORIGIN):
                rule, _, effect = event.command.origin.removeprefix(ORIGIN).rpartition(" ")
                return self.runs.causes.get(effect.partition(":")[0], (rule or effect,))
        return ()
