"""``ask`` and ``tell``: order, deadlines, breakers, and that nobody's fault is another's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import defer
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from csms.hooks import Answer, Breaker, Hooks, Implementation


def one(clock: Clock, name: str, call: Callable[..., Any], *accepts: str, listens_to: Any = None) -> Implementation:
    return Implementation(name, call, accepts or ("question",), Breaker(clock, 3, 60.0), listens_to)


def asked(hooks: Hooks) -> defer.Deferred[Answer[Any] | None]:
    return defer.ensureDeferred(hooks.ask("authorize", question="may I?"))


def broken(question: str) -> None:
    raise RuntimeError("no")


def test_the_first_answer_that_is_not_none_wins_in_order() -> None:
    clock, hooks = Clock(), Hooks(Clock())
    hooks.resolve({"authorize": [one(clock, "a", lambda question: None), one(clock, "b", lambda question: "yes")]})
    assert asked(hooks).result == Answer("yes", "b")


def test_a_plugin_that_raises_is_counted_and_passed_over() -> None:
    clock, faults = Clock(), []
    hooks = Hooks(clock, on_fault=lambda plugin, hook, what: faults.append((plugin, hook, what)))
    hooks.resolve({"authorize": [one(clock, "bad", broken), one(clock, "b", lambda question: "yes")]})
    assert asked(hooks).result == Answer("yes", "b")
    assert faults == [("bad", "authorize", "RuntimeError: no")]


def test_a_plugin_that_hangs_is_passed_over_at_its_deadline() -> None:
    clock = Clock()
    hooks = Hooks(clock, timeout_s=5.0)

    async def hang(question: str) -> str:
        await defer.Deferred()
        return "never"

    hooks.resolve({"authorize": [one(clock, "slow", hang), one(clock, "b", lambda question: "yes")]})
    answer = asked(hooks)
    assert not answer.called
    clock.advance(5.1)
    assert answer.result == Answer("yes", "b")


def test_a_coroutine_that_answers_none_late_is_no_answer() -> None:
    clock, waiting = Clock(), defer.Deferred[None]()
    hooks = Hooks(clock)

    async def later(question: str) -> None:
        await waiting

    hooks.resolve({"authorize": [one(clock, "late", later), one(clock, "b", lambda question: "yes")]})
    answer = asked(hooks)
    assert not answer.called
    waiting.callback(None)
    assert answer.result == Answer("yes", "b")


def test_a_breaker_opens_after_faults_in_a_row_and_lets_one_try_after_the_pause() -> None:
    clock, calls = Clock(), []

    def faulty(question: str) -> None:
        calls.append(question)
        raise RuntimeError("no")

    hooks = Hooks(clock)
    hooks.resolve({"authorize": [one(clock, "bad", faulty)]})
    for _ in range(10):
        assert asked(hooks).result is None
    assert len(calls) == 3
    clock.advance(61)
    assert asked(hooks).result is None
    assert len(calls) == 4


def test_news_reach_everyone_whatever_the_others_do() -> None:
    clock, heard = Clock(), []
    hooks = Hooks(clock)

    def raises(event: object) -> None:
        raise RuntimeError("no")

    hooks.resolve(
        {
            "on_event": [
                one(clock, "bad", raises, "event"),
                one(clock, "good", lambda event: heard.append(event), "event"),
            ]
        }
    )
    hooks.tell("news")
    assert heard == ["news"]


def test_a_plugin_hears_only_the_kinds_it_wants() -> None:
    clock, heard = Clock(), []
    hooks = Hooks(clock)
    hooks.resolve({"on_event": [one(clock, "a", lambda event: heard.append(event), "event", listens_to=(int,))]})
    hooks.tell("text")
    hooks.tell(7)
    assert heard == [7]
    assert (hooks.listens(int), hooks.listens(str)) == (True, False)


def test_an_answer_of_another_kind_is_a_fault_and_the_next_plugin_is_asked() -> None:
    clock = Clock()
    hooks = Hooks(clock, answers={"authorize": str})
    liar = one(clock, "liar", lambda question: 7)
    hooks.resolve({"authorize": [liar, one(clock, "b", lambda question: "yes")]})
    assert asked(hooks).result == Answer("yes", "b")
    assert liar.breaker.last_fault == "TypeError: it answered with int, not with str"


def test_after_the_pause_one_call_tries_and_the_others_wait() -> None:
    clock = Clock()
    hooks = Hooks(clock)
    calls: list[defer.Deferred[str]] = []

    async def slow(question: str) -> str:
        calls.append(defer.Deferred())
        return await calls[-1]

    plugin = one(clock, "a", slow)
    hooks.resolve({"authorize": [plugin]})
    for _ in range(plugin.breaker.limit):
        asked(hooks)
        calls[-1].errback(ValueError("no"))
    began = len(calls)
    asked(hooks)
    assert len(calls) == began
    clock.advance(plugin.breaker.pause_s)
    first, second = asked(hooks), asked(hooks)
    assert (len(calls), second.result) == (began + 1, None)
    calls[-1].callback("yes")
    assert first.result == Answer("yes", "a")
    asked(hooks)
    assert len(calls) == began + 2


def test_calls_that_began_before_a_plugin_was_passed_over_fail_in_silence() -> None:
    clock = Clock()
    hooks = Hooks(clock, timeout_s=1.0)
    plugin = one(clock, "a", lambda question: defer.Deferred())
    hooks.resolve({"authorize": [plugin]})
    with capturedLogs() as lines:
        for _ in range(50):
            asked(hooks)
        clock.advance(1.0)
    assert plugin.breaker.total == 50
    assert len(lines) == plugin.breaker.limit + 1
