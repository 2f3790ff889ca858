"""Rules on a time: ``every`` and ``cron``. When each came last is kept, so that a restart neither forgets nor repeats one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from csms_plugins.flow.journal import Journal, part
from csms_plugins.flow.rule import Rule, Trigger

from csms.api import Csms

FARTHEST_S = 86400.0
"""A timer looks at the clock once a day at least: the wall clock may be set."""
Fire = Callable[[Rule, datetime], Awaitable[None]]


@dataclass(slots=True)
class Timer:
    """One trigger of one rule; ``last`` and ``due`` are seconds since 1970."""

    rule: Rule
    index: int
    trigger: Trigger
    last: float
    due: float = 0.0
    call: Any = None

    @property
    def key(self) -> str:
        """Its name in the journal; another time in the file is another timer."""
        return f"timer/{self.rule.id}//{self.index}"

    @property
    def text(self) -> str:
        """What it is, so that a changed one begins anew."""
        trigger = self.trigger
        return f"cron {trigger.cron.text} {trigger.cron.zone.key}" if trigger.cron else f"every {trigger.every_s:g}"


class Timers:
    """The timers of all rules."""

    def __init__(self, csms: Csms, journal: Journal, fire: Fire) -> None:
        self._csms = csms
        self._journal = journal
        self._fire = fire
        self._timers: dict[str, Timer] = {}
        self._last: dict[str, tuple[str, float]] = {}

    def load(self, kept: Mapping[str, Any]) -> None:
        """Take over when each came last."""
        for key, value in kept.items():
            if part(key, "timer/") is not None:
                self._last[key] = str(value["text"]), float(value["last"])

    def use(self, rules: Iterable[Rule]) -> None:
        """Take over these rules' times; those that are the same go on."""
        self.stop()
        now = self._csms.now().timestamp()
        before, self._timers = self._timers, {}
        for rule in rules:
            for index, trigger in enumerate(rule.on):
                if trigger.event == "timer" and rule.enabled:
                    timer = Timer(rule, index, trigger, now)
                    text, last = self._last.get(timer.key, ("", now))
                    if text == timer.text:
                        timer.last = last
                    self._timers[timer.key] = timer
                    self._keep(timer)
                    self._plan(timer, now)
        for key in before.keys() - self._timers.keys():
            self._last.pop(key, None)
            self._journal.drop(key)

    def stop(self) -> None:
        """Wait for nothing more."""
        for timer in self._timers.values():
            if timer.call is not None and timer.call.active():
                timer.call.cancel()

    def next_of(self, rule: str) -> list[str]:
        """When a rule comes next, for people."""
        found = [one for one in self._timers.values() if one.rule.id == rule]
        return [datetime.fromtimestamp(one.due, UTC).isoformat() for one in found]

    def _plan(self, timer: Timer, now: float) -> None:
        timer.due = self._next(timer, now)
        self._wait(timer, now)

    def _next(self, timer: Timer, now: float) -> float:
        trigger = timer.trigger
        if trigger.cron is None:
            return max(timer.last + trigger.every_s, now)
        due = trigger.cron.after(datetime.fromtimestamp(timer.last, UTC))
        if due is not None and due.timestamp() < now and not trigger.catchup:
            due = trigger.cron.after(datetime.fromtimestamp(now, UTC))
        return now + FARTHEST_S if due is None else max(due.timestamp(), now)

    def _wait(self, timer: Timer, now: float) -> None:
        delay = min(max(timer.due - now, 0.0), FARTHEST_S)
        timer.call = self._csms.later(delay, lambda: self._come(timer))

    async def _come(self, timer: Timer) -> None:
        now = self._csms.now().timestamp()
        if now < timer.due:
            self._wait(timer, now)
            return
        due, timer.last = timer.due, now
        self._keep(timer)
        self._journal.soon()
        self._plan(timer, now)
        await self._fire(timer.rule, datetime.fromtimestamp(due, UTC))

    def _keep(self, timer: Timer) -> None:
        self._last[timer.key] = timer.text, timer.last
        self._journal.put(timer.key, {"text": timer.text, "last": timer.last})
