"""All runs: how they begin by the rule's mode, end, and go on after a restart."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from csms_plugins.flow.doer import StepFailed
from csms_plugins.flow.holds import Holds
from csms_plugins.flow.journal import Journal, part
from csms_plugins.flow.loader import source_of
from csms_plugins.flow.news import RuleFailed, RuleTripped
from csms_plugins.flow.outbox import Outbox
from csms_plugins.flow.performer import Performer
from csms_plugins.flow.rule import MOST_AT_ONCE, Rule
from csms_plugins.flow.run import Interrupted, Run, run_of, step_at
from csms_plugins.flow.traces import Trace, Traces
from csms_plugins.flow.views import ref_of
from csms_plugins.flow.waits import Waits

from csms.api import Csms

MOST_REMEMBERED = 10_000
RESTARTED = Interrupted("started anew by a later event", forget=True)
STOPPING = Interrupted("the server stops", forget=False)
Place = tuple[str, str]


class Runs:
    """Runs by rule and key."""

    def __init__(
        self,
        csms: Csms,
        journal: Journal,
        performer: Performer,
        holds: Holds,
        waits: Waits,
        traces: Traces,
        outbox: Outbox,
    ) -> None:
        self._csms = csms
        self._journal = journal
        self._performer = performer
        self._holds = holds
        self._waits = waits
        self._traces = traces
        self._outbox = outbox
        self._active: dict[Place, list[Run]] = {}
        self._queued: dict[Place, deque[Run]] = {}
        self._stopped = False
        self._counts: dict[str, int] = {}
        self._number = 0
        self._written: set[str] = set()
        """The rules whose text is kept beside their runs."""
        self.causes: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        """The rules that led to an effect, by its run: what comes back from a station only names the run."""

    def make(
        self,
        rule: Rule,
        key: str,
        event: str,
        names: dict[str, Any],
        causes: tuple[str, ...],
        trace: Trace,
        effect: str,
    ) -> Run:
        """A run that has not begun; nothing of it is written yet."""
        self._number += 1
        id = f"{int(self._csms.now().timestamp() * 1000):x}-{self._number}"
        trace.run = id
        return Run(id, rule, key, event, names, causes, trace, effect, number=self._number)

    def busy(self, rule: Rule, key: str) -> str:
        """Why the rule's mode lets it not start for this key now; empty if it does."""
        active = self._active.get((rule.id, key), ())
        if not active or rule.mode == "restart":
            return ""
        if rule.mode == "single":
            return "busy: the rule still runs for this key"
        count = len(active) if rule.mode == "parallel" else len(self._queued.get((rule.id, key), ()))
        return (
            f"busy: {count} runs {'at once' if rule.mode == 'parallel' else 'wait'} already"
            if count >= MOST_AT_ONCE
            else ""
        )

    def begin(self, run: Run) -> None:
        """Start a run, or queue it; its start is counted, and written with its first step."""
        rule, place = run.rule, (run.rule.id, run.key)
        self._holds.started(rule, run.key, self._csms.now().timestamp())
        if rule.digest not in self._written:
            self._written.add(rule.digest)
            self._journal.put(f"rule/{rule.digest}", source_of(rule))
        if run.effect:
            self._journal.put(_mark(run.effect, rule), self._csms.now().timestamp())
        if rule.mode == "restart":
            self._waits.stop(list(self._active.get(place, ())), RESTARTED)
        elif rule.mode == "queued" and self._active.get(place):
            self._queued.setdefault(place, deque()).append(run)
            run.phase = "queued"
            self._journal.soon()
        self._journal.put(f"run/{run.id}", run.to_json())
        if run.phase != "queued":
            self._go(run)

    def running(self, rule: str) -> int:
        """How many runs a rule has, for all keys."""
        return self._counts.get(rule, 0)

    def all(self) -> Iterator[Run]:
        """Every run that has begun."""
        for runs in self._active.values():
            yield from runs

    def unfinished(self) -> Iterator[Run]:
        """Every run that has begun, or waits for another one."""
        yield from self.all()
        for queue in self._queued.values():
            yield from queue

    def waiting(self) -> int:
        """How many runs wait for another one."""
        return sum(map(len, self._queued.values()))

    async def already(self, effect: str, rule: Rule) -> bool:
        """Whether a rule began for this effect before a crash made it be done again."""
        return bool(effect) and await self._csms.kept(_mark(effect, rule)) is not None

    def stop(self) -> None:
        """The server stops: runs end where they are, and go on after the next start."""
        self._stopped = True
        self._queued.clear()
        self._waits.stop(list(self.all()), STOPPING)

    def load(self, kept: Mapping[str, Any], rule_for: Callable[[str, str], Rule | None]) -> None:
        """Go on with the runs that were kept; ``rule_for(id, digest)`` finds their rules, also those that have changed since."""
        found: list[Run] = []
        for key, value in kept.items():
            if (id := part(key, "run/")) is not None:
                rule = rule_for(value["rule"], value["digest"])
                if rule is not None:
                    found.append(run_of(id, value, rule))
                    continue
                self._journal.drop(key)
                said = "run {run} of rule {rule} is forgotten: the rule is gone"
                self._csms.log.error(said, run=id, rule=value["rule"])
            elif (digest := part(key, "rule/")) is not None:
                self._forget_text(digest, kept)
            elif part(key, "effect/") is not None and self._csms.now().timestamp() - float(value) > 86400:
                self._journal.drop(key)
        for run in sorted(found, key=lambda one: (one.phase == "queued", one.trace.at, one.number)):
            self._again(run)

    def _forget_text(self, digest: str, kept: Mapping[str, Any]) -> None:
        """A rule's text is kept as long as one of its runs is."""
        if any(part(key, "run/") is not None and value["digest"] == digest for key, value in kept.items()):
            self._written.add(digest)
        else:
            self._journal.drop(f"rule/{digest}")

    def _again(self, run: Run) -> None:
        place = (run.rule.id, run.key)
        if run.phase == "queued":
            run.phase = ""
            if self._active.get(place):
                self._queued.setdefault(place, deque()).append(run)
                return
        run.trace.steps.append("the server was started again")
        self._go(run)

    def _go(self, run: Run) -> None:
        place = (run.rule.id, run.key)
        self._active.setdefault(place, []).append(run)
        self._counts[run.rule.id] = self._counts.get(run.rule.id, 0) + 1
        self.causes[run.id] = (*run.causes, run.rule.id)
        if len(self.causes) > MOST_REMEMBERED:
            self.causes.popitem(last=False)
        self._csms.later(0, lambda: None if self._stopped else self._drive(run))

    async def _drive(self, run: Run) -> None:
        outcome, why, kind = "ran", "", ""
        try:
            outcome, why = await self._performer.perform(run)
        except Interrupted as interrupted:
            if not interrupted.forget:
                return
            outcome, why = "stopped", str(interrupted)
        except StepFailed as failed:
            outcome, kind = "failed", failed.kind
            why = f"{_verb(run)}: {failed}"
        except Exception as fault:
            if self._stopped:
                return
            outcome, kind, why = "failed", "error", f"{_verb(run)}: {type(fault).__name__}"
            self._csms.log.failure("rule {rule} failed", rule=run.rule.id)
        try:
            await self._end(run, outcome, why, kind)
        except Exception:
            # After a stop the database may be closed: as far as it was written the run goes on after the next start.
            if not self._stopped:
                raise

    async def _end(self, run: Run, outcome: str, why: str, kind: str) -> None:
        rule, place = run.rule, (run.rule.id, run.key)
        active = self._active.get(place, [])
        if run in active:
            active.remove(run)
            self._counts[rule.id] -= 1
        if not active:
            self._active.pop(place, None)
        self._journal.drop(f"run/{run.id}")
        step = step_at(rule, run.position)
        self._traces.note(rule, run.trace, outcome, why, step.place if step and kind else rule.place)
        now = self._csms.now().timestamp()
        trips = self._holds.ended(rule, run.key, now, failed=outcome == "failed", handled=not kind)
        if kind:
            self._tell_failed(run, why, kind)
        if trips:
            self.tell_tripped(rule, run.key, run.names, run.causes)
        self._next(place)
        self._traces.write_one(rule.id)
        await self._journal.commit()

    def _next(self, place: Place) -> None:
        queue = self._queued.get(place)
        if queue and not self._active.get(place):
            run = queue.popleft()
            run.phase = ""
            if not queue:
                del self._queued[place]
            self._go(run)

    def _tell_failed(self, run: Run, why: str, kind: str) -> None:
        level = self._csms.log.error if kind == "uncertain" else self._csms.log.warn
        level("rule {rule} ended early: {reason}", rule=run.rule.id, reason=why, key=run.key)
        station, causes = ref_of(run.names["station"]), (*run.causes, run.rule.id)
        now = self._csms.now()
        self._outbox.tell(RuleFailed(station, now, causes, run.effect_id, run.rule.id, run.key, _verb(run), kind, why))

    def tell_tripped(self, rule: Rule, key: str, names: Mapping[str, Any], causes: tuple[str, ...]) -> None:
        """Say once that a rule is passed over from now on."""
        reason = self._holds.tripped(rule.id).get(key, "")
        self._csms.log.error(
            "rule {rule} ({place}) is tripped for {key}: {reason}; reset it with: csms rules reset {rule}",
            rule=rule.id,
            place=rule.place,
            key=key,
            reason=reason,
        )
        news = RuleTripped(ref_of(names["station"]), self._csms.now(), (*causes, rule.id), "", rule.id, key, reason)
        self._outbox.tell(news)


def _verb(run: Run) -> str:
    step = step_at(run.rule, run.position)
    return step.verb if step else "run"


def _mark(effect: str, rule: Rule) -> str:
    return f"effect/{effect}/{rule.id}"
