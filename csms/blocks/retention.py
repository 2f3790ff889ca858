"""How long things are kept: once an hour what is older than the site file says is archived and removed, a little at a time.

Transactions, their events and bills are never removed. A wall clock that jumped removes nothing: then it is the clock that is in doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from csms.running import run_guarded
from csms.store import Archive, Shelf, Shelves, StoreFault, Thinning, Walk

EVERY_S = 3600.0
FIRST_S = 60.0
PAUSE_S, RESTS = 0.02, 4.0
"""After each step at least so long, and so many times as long as the writer was busy."""
CLOCK_JUMP = timedelta(days=1)
FREED_PAGES = 200


@dataclass(frozen=True, slots=True)
class Rule:
    """One shelf of one file, and how old its rows may get; ``thinning`` keeps some of the old ones."""

    shelves: Shelves
    shelf: Shelf
    keep: timedelta
    thinning: Thinning | None = None


class Retention:
    """Walks the shelves."""

    log = Logger(namespace="csms.retention")

    def __init__(
        self, rules: Sequence[Rule], archive: Archive | None, clock: IReactorTime, now: Callable[[], datetime]
    ) -> None:
        self._rules = rules
        self._archive = archive
        self._clock = clock
        self._now = now
        self._started = (now(), clock.seconds())
        self._walks: dict[str, Walk] = {}
        self._running = False
        self._stopped = False
        self._timer = LoopingCall(self._run_guarded)
        self._timer.clock = clock

    def start(self) -> None:
        """Begin a minute from now, and then once an hour."""
        self._started = (self._now(), self._clock.seconds())
        self._first = self._clock.callLater(FIRST_S, self._timer.start, EVERY_S)

    def stop(self) -> None:
        """No more; what is being removed is."""
        self._stopped = True
        if self._first.active():
            self._first.cancel()
        if self._timer.running:
            self._timer.stop()

    def _run_guarded(self) -> None:
        run_guarded(self.run, self.log)

    async def run(self) -> int:
        """Remove what is too old; gives how many rows went."""
        if self._running or self._clock_jumped():
            return 0
        self._running, removed = True, 0
        try:
            for rule in self._rules:
                removed += await self._walk(rule)
        finally:
            self._running = False
        return removed

    def _clock_jumped(self) -> bool:
        """Whether the wall clock went another way than the monotonic one since the start."""
        wall, steady = self._started
        off = self._now() - wall - timedelta(seconds=self._clock.seconds() - steady)
        if abs(off) < CLOCK_JUMP:
            return False
        self.log.warn("the wall clock jumped by {off} since the start: nothing is removed until a restart", off=off)
        return True

    async def _walk(self, rule: Rule) -> int:
        walk = self._begun(rule)
        while not walk.over and not self._stopped:
            try:
                busy_s = await rule.shelves.step(
                    rule.shelf, walk, self._now() - rule.keep, archive=self._archive, thinning=rule.thinning
                )
            except (StoreFault, OSError) as fault:
                self.log.warn("{what} that are too old stay for now: {why}", what=rule.shelf.name, why=fault)
                return walk.removed
            await deferLater(self._clock, max(PAUSE_S, RESTS * busy_s))
        if walk.removed:
            what = "thinned out" if rule.thinning else "removed"
            self.log.info("{count} {name} were old and {what}", count=walk.removed, name=rule.shelf.name, what=what)
            await self._give_back(rule)
        return walk.removed

    def _begun(self, rule: Rule) -> Walk:
        """From the first row; what was thinned out already is not looked at again."""
        if rule.thinning is None:
            return Walk()
        before = self._walks.get(rule.shelf.name, Walk())
        walk = self._walks[rule.shelf.name] = Walk(after=before.after)
        return walk

    async def _give_back(self, rule: Rule) -> None:
        while not self._stopped and await rule.shelves.give_back(FREED_PAGES):
            await deferLater(self._clock, PAUSE_S)
