"""Runs that wait: for a time, or for an event of their station."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from csms_plugins.flow.rule import Awaited
from csms_plugins.flow.run import Interrupted, Run
from twisted.internet import defer

from csms.api import Csms

FITS, FAILS, LATE = "fits", "fails", "late"


@dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    """A run that waits for an event of a station."""

    run: Run
    station: str
    wanted: Awaited
    seen: defer.Deferred[str]


class Waits:
    """Everybody who waits."""

    def __init__(self, csms: Csms) -> None:
        self._csms = csms
        self._waiters: dict[str, dict[str, list[Waiter]]] = {}
        """By event and station: of ten thousand stations that wait for the same, an event is of one."""

    def listens(self, event: str) -> bool:
        """Whether anybody waits for an event of this name."""
        return event in self._waiters

    async def until(self, run: Run, due: float) -> None:
        """Until a time; raises Interrupted when the run is ended from outside."""
        await self._either(run, defer.Deferred(), due)

    def begin(self, run: Run, wanted: Awaited) -> Waiter:
        """Begin to listen, so that nothing is missed that happens before one waits."""
        waiter = Waiter(run, run.station, wanted, defer.Deferred())
        self._waiters.setdefault(wanted.event, {}).setdefault(waiter.station, []).append(waiter)
        return waiter

    def end(self, waiter: Waiter) -> None:
        """Listen no more."""
        stations = self._waiters.get(waiter.wanted.event, {})
        waiters = stations.get(waiter.station, [])
        if waiter in waiters:
            waiters.remove(waiter)
        if not waiters:
            stations.pop(waiter.station, None)
        if not stations:
            self._waiters.pop(waiter.wanted.event, None)

    async def event(self, waiter: Waiter, due: float) -> str:
        """What came: an event that fits or fails, or the end of the time."""
        try:
            return await self._either(waiter.run, waiter.seen, due)
        finally:
            self.end(waiter)

    def hear(self, event: str, station: str, names: Mapping[str, Any]) -> None:
        """An event: wake those who wait for it."""
        for waiter in list(self._waiters.get(event, {}).get(station, ())):
            if waiter.seen.called:
                continue
            wanted = waiter.wanted
            if wanted.fail and all(one.holds(event, names) for one in wanted.fail):
                waiter.seen.callback(FAILS)
            elif all(one.holds(event, names) for one in wanted.where):
                waiter.seen.callback(FITS)

    async def _either(self, run: Run, seen: defer.Deferred[str], due: float) -> str:
        if run.interrupt is not None:
            raise run.interrupt
        delay = max(0.0, due - self._csms.now().timestamp())

        def late() -> None:
            if not seen.called:
                seen.callback(LATE)

        timer = self._csms.clock.callLater(delay, late)
        run.waiting = seen
        try:
            return await seen
        finally:
            run.waiting = None
            if timer.active():
                timer.cancel()

    def stop(self, runs: Iterable[Run], why: Interrupted) -> None:
        """End runs at once where they wait, else at their next step."""
        for run in runs:
            run.interrupt = why
            if run.waiting is not None and not run.waiting.called:
                run.waiting.errback(why)
