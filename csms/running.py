"""Running coroutines on Twisted: at once where nothing waits, as a Deferred where something does."""

from __future__ import annotations

import inspect
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar

from twisted.internet import defer
from twisted.logger import Logger

T = TypeVar("T")


def run_now(coroutine: Coroutine[Any, Any, T], done: Callable[[T], None], failed: Callable[[Exception], None]) -> None:
    """Run a coroutine; call ``done`` or ``failed`` when it ends, which is before this returns if it never had to wait.

    Saves the Deferred and its callbacks for the many messages that are answered without waiting (benchmarks/README.md).
    """
    try:
        waiting_for = coroutine.send(None)
    except StopIteration as end:
        done(end.value)
    except Exception as fault:
        failed(fault)
    else:
        rest = defer.Deferred.fromCoroutine(_rest(coroutine, waiting_for))
        rest.addCallbacks(done, lambda failure: failed(failure.value))


@types.coroutine
def _rest(coroutine: Coroutine[Any, Any, T], waiting_for: Any) -> Generator[Any, Any, T]:
    while True:
        try:
            try:
                got = yield waiting_for
            except BaseException as fault:
                waiting_for = coroutine.throw(fault)
            else:
                waiting_for = coroutine.send(got)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def run_guarded(call: Callable[[], Awaitable[Any] | None], log: Logger) -> None:
    """Call something nobody waits for; a fault is logged, never raised."""
    try:
        result = call()
    except Exception:
        log.failure("a timed call failed")
        return
    if inspect.isawaitable(result):
        _as_deferred(result).addErrback(lambda failure: log.failure("a timed call failed", failure=failure))


def _as_deferred(awaitable: Awaitable[T]) -> defer.Deferred[T]:
    async def wait() -> T:
        return await awaitable

    return defer.ensureDeferred(wait())
