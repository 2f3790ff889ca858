"""``ask`` and ``tell``: how the core calls plugins.

pluggy validates and introspects hook implementations; the calls are ours, because its ``firstresult`` takes a coroutine that will answer None
for an answer, and one raising implementation hides all later ones. A chain is resolved once, at start and on reload.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from csms.facade import PluginFailed

T = TypeVar("T")


@dataclass(slots=True)
class Breaker:
    """Counts a plugin's faults in a row; opens for a pause when there are too many, so that it costs nobody time."""

    clock: IReactorTime
    limit: int
    pause_s: float
    faults: int = 0
    total: int = 0
    last_fault: str = ""
    opened_until: float = 0.0
    trying: bool = False

    @property
    def open(self) -> bool:
        """Whether the plugin is passed over at the moment."""
        return self.faults >= self.limit and self.clock.seconds() < self.opened_until

    def lets_through(self) -> bool:
        """Whether the plugin may be called now; after the pause one call is let through to try, and the others wait for what becomes of it."""
        if self.faults < self.limit:
            return True
        now = self.clock.seconds()
        if now < self.opened_until:
            return False
        self.opened_until, self.trying = now + self.pause_s, True
        return True

    def good(self) -> None:
        """A call went well: the row of faults ends."""
        self.faults, self.trying = 0, False

    def bad(self, what: str) -> bool:
        """A call went wrong; False where that is no news, because the plugin is passed over already."""
        news = self.faults < self.limit or self.trying
        self.faults += 1
        self.total += 1
        self.last_fault = what
        if self.faults >= self.limit and news:
            self.opened_until, self.trying = self.clock.seconds() + self.pause_s, False
        return news


@dataclass(frozen=True, slots=True)
class Implementation:
    """One plugin's function for one hook; ``accepts`` are the argument names it declared."""

    plugin: str
    call: Callable[..., Any]
    accepts: tuple[str, ...]
    breaker: Breaker
    listens_to: tuple[type, ...] | None = None


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a hook answered, and which plugin it was."""

    value: T
    plugin: str


Answering = Coroutine[Any, Any, "Answer[Any] | None"]
"""A question that some plugin answers, or thinks about."""
Listener = tuple[Callable[..., Any], Breaker, Implementation]
"""What is needed for each piece of news stands apart: it is looked at for every plugin and every message."""


class OnFault(Protocol):
    """Told once for each fault of a plugin: its name, the hook, what happened."""

    def __call__(self, plugin: str, hook: str, what: str) -> None: ...


def _unheard(plugin: str, hook: str, what: str) -> None:
    """Nobody counts faults."""


@dataclass(slots=True)
class Hooks:
    """The resolved chains: who is asked what, in which order, with which deadline in seconds."""

    clock: IReactorTime
    timeout_s: float = 5.0
    on_fault: OnFault = _unheard
    log: Logger = field(default_factory=lambda: Logger(namespace="csms.hooks"))
    chains: Mapping[str, tuple[Implementation, ...]] = field(default_factory=dict)
    answers: Mapping[str, type] = field(default_factory=dict)
    """What each hook has to be answered with; a plugin that answers with something else has failed."""
    witness: Callable[[object], None] | None = None
    """Sees every piece of news before the plugins do: a test kit, an event stream."""
    _listeners: dict[type, tuple[Listener, ...]] = field(default_factory=dict)

    def resolve(self, chains: Mapping[str, Iterable[Implementation]]) -> None:
        """Take over new chains, all at once; calls under way finish with the old ones."""
        self.chains = {name: tuple(chain) for name, chain in chains.items() if chain}
        self._listeners = {}

    def has(self, hook: str) -> bool:
        """Whether any plugin implements this hook; lets hot paths skip the question."""
        return hook in self.chains

    async def ask(self, hook: str, **question: Any) -> Answer[Any] | None:
        """The first answer that is not None, or None; faults and deadlines pass the question on to the next plugin."""
        answering = self.asked(hook, question)
        return None if answering is None else await answering

    def asked(self, hook: str, question: Mapping[str, Any]) -> Answering | None:
        """Ask at once: what is to be awaited, or None where no plugin has an opinion, which is what mostly comes of it."""
        return self._asked(hook, question, iter(self.chains.get(hook, ())))

    def _asked(self, hook: str, question: Mapping[str, Any], chain: Iterator[Implementation]) -> Answering | None:
        size = len(question)
        for implementation in chain:
            breaker = implementation.breaker
            if breaker.faults and not breaker.lets_through():
                continue
            try:
                whole = len(implementation.accepts) == size
                value = implementation.call(**question if whole else _accepted(implementation, question))
            except Exception as fault:
                self._fault(hook, implementation, fault)
                continue
            if value is not None:
                return self._answered(hook, question, chain, implementation, value)
            if breaker.faults:
                breaker.good()
        return None

    async def _answered(
        self,
        hook: str,
        question: Mapping[str, Any],
        rest: Iterator[Implementation],
        implementation: Implementation,
        value: Any,
    ) -> Answer[Any] | None:
        """The answer that one plugin has, or thinks about; should it come to nothing, the rest of the chain is asked."""
        try:
            if inspect.isawaitable(value):
                value = await self._within(value)
            self._check(hook, value)
        except Exception as fault:
            self._fault(hook, implementation, fault)
            value = None
        else:
            if implementation.breaker.faults:
                implementation.breaker.good()
        if value is not None:
            return Answer(value, implementation.plugin)
        answering = self._asked(hook, question, rest)
        return None if answering is None else await answering

    async def consult(self, plugin: str, hook: str, timeout_s: float, question: Mapping[str, Any]) -> Any:
        """What one plugin answers within so many seconds; raises PluginFailed where it cannot say, which counts as its fault."""
        found = next((one for one in self.chains.get(hook, ()) if one.plugin == plugin), None)
        if found is None or not found.breaker.lets_through():
            raise PluginFailed(f"{plugin} is {'passed over' if found else 'not there'}")
        try:
            value = found.call(**_accepted(found, question))
            if inspect.isawaitable(value):
                value = await self._within(value, timeout_s)
            self._check(hook, value)
        except Exception as fault:
            self._fault(hook, found, fault, timeout_s)
            raise PluginFailed(f"{plugin}: {_told(fault, timeout_s)}") from None
        found.breaker.good()
        return value

    def listen(self, plugin: str, kinds: tuple[type, ...]) -> None:
        """From now on a plugin is told news of these kinds alone."""
        chain = (replace(one, listens_to=kinds) if one.plugin == plugin else one for one in self.chains["on_event"])
        self.resolve({**self.chains, "on_event": tuple(chain)})

    def answerers(self, hook: str) -> tuple[str, ...]:
        """The plugins that answer a hook, in the order in which they are asked."""
        return tuple(one.plugin for one in self.chains.get(hook, ()))

    def tell(self, event: object) -> None:
        """Give news to everyone who listens; nobody's fault reaches the caller or the other listeners."""
        if self.witness is not None:
            self.witness(event)
        for call, breaker, implementation in self._listening(type(event)):
            if breaker.faults and not breaker.lets_through():
                continue
            try:
                result = call(event=event)
            except Exception as fault:
                self._fault("on_event", implementation, fault)
                continue
            if result is not None and inspect.isawaitable(result):
                self._heed(implementation, result)
            elif breaker.faults:
                breaker.good()

    def listens(self, kind: type) -> bool:
        """Whether any plugin wants news of this kind; lets hot paths skip making them."""
        return bool(self._listening(kind))

    def wants(self, kind: type) -> bool:
        """Whether telling news of this kind would reach anybody: a plugin, or the witness."""
        return self.witness is not None or self.listens(kind)

    def _listening(self, kind: type) -> tuple[Listener, ...]:
        listeners = self._listeners.get(kind)
        if listeners is None:
            chain = self.chains.get("on_event", ())
            wanted = (one for one in chain if one.listens_to is None or issubclass(kind, one.listens_to))
            listeners = self._listeners[kind] = tuple((one.call, one.breaker, one) for one in wanted)
        return listeners

    def _check(self, hook: str, value: object) -> None:
        wanted = self.answers.get(hook)
        if value is not None and wanted is not None and not isinstance(value, wanted):
            raise TypeError(f"it answered with {type(value).__name__}, not with {wanted.__name__}")

    def _heed(self, implementation: Implementation, result: Awaitable[Any]) -> None:
        """What a listener that goes on comes to."""
        waiting = self._within(result)
        waiting.addCallbacks(
            lambda _: implementation.breaker.good(),
            lambda failure: self._fault("on_event", implementation, failure.value),
        )

    def _within(self, awaitable: Awaitable[Any], seconds: float | None = None) -> defer.Deferred[Any]:
        waiting = defer.ensureDeferred(_await(awaitable))
        if waiting.called:  # it never had to wait: no timer for it
            return waiting
        return waiting.addTimeout(self.timeout_s if seconds is None else seconds, self.clock)

    def _fault(
        self, hook: str, implementation: Implementation, fault: BaseException, timeout_s: float | None = None
    ) -> None:
        what = _told(fault, self.timeout_s if timeout_s is None else timeout_s)
        if implementation.breaker.bad(what):
            self.log.error(
                "plugin {plugin} failed in {hook}: {what}", plugin=implementation.plugin, hook=hook, what=what
            )
            if implementation.breaker.open:
                self.log.error(
                    "plugin {plugin} is passed over for {pause:g} s after {faults} faults in a row",
                    plugin=implementation.plugin,
                    pause=implementation.breaker.pause_s,
                    faults=implementation.breaker.faults,
                )
        self.on_fault(implementation.plugin, hook, what)


def _accepted(implementation: Implementation, question: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parts of a question that a plugin's function declares; pluggy has seen to it that it declares no other."""
    return {name: question[name] for name in implementation.accepts}


def _told(fault: BaseException, timeout_s: float) -> str:
    late = isinstance(fault, defer.TimeoutError)
    return f"no answer within {timeout_s:g} s" if late else f"{type(fault).__name__}: {fault}"


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable
