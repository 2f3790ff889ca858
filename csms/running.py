"""Running coroutines on Twisted: at once where nothing waits, by callbacks where something does."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

T = TypeVar("T")


def run_now(coroutine: Coroutine[Any, Any, T], done: Callable[[T], None], failed: Callable[[Exception], None]) -> None:
    """Run a coroutine; call ``done`` or ``failed`` when it ends, which is before this returns if it never had to wait.

    Steps the coroutine itself: the many messages that wait for nothing, or for one commit, need no Deferred of their own (benchmarks/README.md).
    """
    _Steps(coroutine, done, failed).step(None)


class Promise(defer.Deferred[T]):
    """A Deferred that mostly one coroutine of ``run_now`` waits for, and nobody else: then it goes on with that, past all that callbacks can do.

    ``keep`` and ``fail`` take the place of ``callback`` and ``errback``.
    """

    log = Logger()
    step: Callable[[Any], None] | None = None

    def keep(self, value: T) -> None:
        """What was waited for."""
        step = self.step
        if step is None:
            self.callback(value)
            return
        self.called, self.result = True, value
        try:
            step(value)
        except Exception:
            self.log.failure("bug: what waited for this raised")

    def fail(self, fault: BaseException) -> None:
        """It does not come."""
        if self.step is not None:
            self.addBoth(self.step)
        self.errback(fault)


class _Steps:
    """One coroutine on its way."""

    __slots__ = ("_coroutine", "_done", "_failed")

    def __init__(
        self, coroutine: Coroutine[Any, Any, T], done: Callable[[T], None], failed: Callable[[Exception], None]
    ) -> None:
        self._coroutine = coroutine
        self._done = done
        self._failed = failed

    def step(self, got: Any) -> None:
        """Go on with what was waited for, up to the next Deferred that has no result yet; consumes its result."""
        try:
            failed = isinstance(got, Failure)
            waiting_for = self._coroutine.throw(got.value) if failed else self._coroutine.send(got)
        except StopIteration as end:
            self._done(end.value)
        except Exception as fault:
            self._failed(fault)
        else:
            # Twisted has no public word for "nobody has added a callback yet"; should it rename that list, everything goes by addBoth.
            if type(waiting_for) is Promise and not waiting_for.called and not getattr(waiting_for, "_callbacks", True):
                waiting_for.step = self.step
            else:
                waiting_for.addBoth(self.step)


def run_guarded(call: Callable[[], Awaitable[Any] | None], log: Logger) -> None:
    """Call something nobody waits for; a fault is logged, never raised: in one line if it may pass (``passing`` is true of it)."""
    try:
        result = call()
    except Exception:
        _tell(Failure(), log)  # type: ignore[no-untyped-call]
        return
    if inspect.isawaitable(result):
        _as_deferred(result).addErrback(_tell, log)


def _tell(failure: Failure, log: Logger) -> None:
    if getattr(failure.value, "passing", False):
        log.warn("a timed call could not be carried out: {why}", why=failure.value)
    else:
        log.failure("a timed call failed", failure=failure)


def _as_deferred(awaitable: Awaitable[T]) -> defer.Deferred[T]:
    async def wait() -> T:
        return await awaitable

    return defer.ensureDeferred(wait())
