"""Coroutines that wait for a promise go on at once; whoever waits in another way gets the same; news reaches those that hear its kind."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest
from twisted.internet import defer

from csms.running import Promise, run_now


class Outcome:
    """What became of a coroutine."""

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.done: list[Any] = []
        self.failed: list[Exception] = []

        async def wait() -> Any:
            return await awaitable

        run_now(wait(), self.done.append, self.failed.append)


def test_a_promise_resumes_the_coroutine_that_waits() -> None:
    promise: Promise[str] = Promise()
    outcome = Outcome(promise)
    assert outcome.done == []
    promise.keep("kept")
    assert (outcome.done, outcome.failed) == (["kept"], [])


def test_a_promise_that_was_kept_before_has_its_value() -> None:
    promise: Promise[str] = Promise()
    promise.keep("kept")
    assert Outcome(promise).done == ["kept"]


def test_a_promise_that_fails_raises_where_it_is_waited_for() -> None:
    promise: Promise[str] = Promise()
    outcome, fault = Outcome(promise), ValueError("no")
    promise.fail(fault)
    assert (outcome.done, outcome.failed) == ([], [fault])


def test_callbacks_that_were_added_first_see_the_value_before_the_coroutine() -> None:
    promise: Promise[int] = Promise()
    promise.addCallback(lambda value: value + 1)
    outcome = Outcome(promise)
    promise.keep(1)
    assert outcome.done == [2]


def test_a_promise_is_a_deferred_for_everybody_else() -> None:
    kept: Promise[int] = Promise()
    failed: Promise[int] = Promise()
    seen: list[Any] = []
    kept.addCallback(seen.append)
    failed.addErrback(lambda failure: seen.append(failure.value.args))
    kept.keep(1)
    failed.fail(ValueError("no"))
    assert seen == [1, ("no",)]
    with pytest.raises(defer.AlreadyCalledError):
        kept.keep(2)


def test_what_a_coroutines_end_raises_reaches_nobody_who_keeps_promises() -> None:
    promise: Promise[int] = Promise()

    async def wait() -> int:
        return await promise

    def broken(value: int) -> None:
        raise RuntimeError(value)

    run_now(wait(), broken, lambda fault: None)
    promise.keep(1)
