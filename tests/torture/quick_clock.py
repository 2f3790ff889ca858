"""A clock that stands still until it is told to go on, for runs of millions of steps."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from operator import attrgetter

from twisted.internet.base import DelayedCall
from twisted.internet.task import Clock

PLANNED = attrgetter("time")


class QuickClock(Clock):
    """Twisted's, but each call is put where it belongs once; one that was put off is so when its old time comes."""

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kw: object) -> DelayedCall:
        """As IReactorTime says."""
        call = DelayedCall(self.rightNow + delay, callable, args, kw, self.calls.remove, self._moved, self.seconds)
        insort(self.calls, call, key=PLANNED)
        return call

    def _moved(self, call: DelayedCall) -> None:
        self.calls.remove(call)
        insort(self.calls, call, key=PLANNED)

    def advance(self, amount: float) -> None:
        """Let so many seconds pass, and call what is due."""
        self.rightNow += amount
        while self.due():
            call = self.calls.pop(0)
            if call.delayed_time:
                call.activate_delay()
                insort(self.calls, call, key=PLANNED)
                continue
            call.called = 1
            call.func(*call.args, **call.kw)

    def due(self) -> bool:
        """Whether the first call has to be made, or put off, now."""
        return bool(self.calls) and self.calls[0].time <= self.rightNow
