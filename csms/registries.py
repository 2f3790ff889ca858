"""What plugins bring with them, collected under their names: actions, conditions, channels, kinds of news and questions, presets, pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from typing import Any, Protocol, TypeVar

from twisted.web.resource import IResource

from csms.model.notifications import Notification
from csms.settings import ChannelSettings

S = TypeVar("S", bound=ChannelSettings)


@dataclass(frozen=True, slots=True)
class Action:
    """Something flow rules can do: ``run(arguments)`` gives a JSON-able result; ``idempotent`` ones may be repeated after a crash.

    An idempotent action may take a second argument, the effect's id: the same one when the same effect is tried again. ``told`` says in words
    what it would do, for a dry run.
    """

    name: str
    run: Callable[..., Awaitable[Any] | Any]
    idempotent: bool = False
    arguments: Mapping[str, Any] | None = None
    told: Callable[[Mapping[str, Any]], str] | None = None


@dataclass(slots=True)
class ActionRegistry:
    """Collects actions as ``<plugin>.<name>``."""

    plugin: str
    found: dict[str, Action] = field(default_factory=dict)

    def __call__(
        self,
        name: str,
        run: Callable[..., Awaitable[Any] | Any],
        *,
        idempotent: bool = False,
        arguments: Mapping[str, Any] | None = None,
        told: Callable[[Mapping[str, Any]], str] | None = None,
    ) -> None:
        """Offer one action; ``arguments`` is a JSON Schema of what it takes, ``told`` says what it would do."""
        full = f"{self.plugin}.{name}"
        self.found[full] = Action(full, run, idempotent, arguments, told)


@dataclass(slots=True)
class ConditionRegistry:
    """Collects pure functions for expressions as ``<name>``."""

    plugin: str
    found: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def __call__(self, name: str, function: Callable[..., Any]) -> None:
        """Offer one function; it must be pure and quick."""
        self.found[name] = function


class Channel(Protocol):
    """One target of notifications."""

    async def deliver(self, notification: Notification) -> None:
        """Make one try: return once the target has it for certain, raise DeliveryFailed if not. The caller has the deadline and tries again."""

    async def close(self) -> None:
        """The channel is no longer wanted; nothing is being delivered."""


@dataclass(frozen=True, slots=True)
class ChannelKind:
    """A kind of channel that ``[notify.<name>]`` tables may name."""

    plugin: str
    name: str
    settings: type[ChannelSettings]
    open: Callable[[str, Any], Channel]


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """One channel of the site file."""

    name: str
    settings: ChannelSettings
    channel: Channel


@dataclass(slots=True)
class ChannelRegistry:
    """Collects kinds of channels."""

    plugin: str
    found: dict[str, ChannelKind] = field(default_factory=dict)

    def __call__(self, kind: str, settings: type[S], open: Callable[[str, S], Channel]) -> None:
        """Offer one kind; ``settings`` is a frozen dataclass below ChannelSettings, ``open(name, settings)`` connects to nothing yet."""
        self.found[kind] = ChannelKind(self.plugin, kind, settings, open)


@dataclass(slots=True)
class EventRegistry:
    """Collects kinds of news for flow rules as ``<plugin>.<name>``."""

    plugin: str
    found: dict[str, type] = field(default_factory=dict)

    def __call__(self, name: str, kind: type) -> None:
        """Offer one kind: a dataclass with ``station`` and ``at``, told by ``csms.tell``."""
        self.found[f"{self.plugin}.{name}"] = kind


@dataclass(frozen=True, slots=True)
class QuestionKind:
    """A question of a plugin that flow rules may answer: the dataclasses of what is asked and of what is answered."""

    name: str
    asked: type
    answered: type


@dataclass(slots=True)
class QuestionRegistry:
    """Collects questions for flow rules as ``<plugin>.<name>``."""

    plugin: str
    found: dict[str, QuestionKind] = field(default_factory=dict)

    def __call__(self, name: str, asked: type, answered: type) -> None:
        """Offer one question; it is asked by ``csms.ask(full_name, question)``."""
        full = f"{self.plugin}.{name}"
        self.found[full] = QuestionKind(full, asked, answered)


@dataclass(slots=True)
class PresetRegistry:
    """Collects folders with presets of flow rules."""

    plugin: str
    found: list[Traversable] = field(default_factory=list)

    def __call__(self, folder: Traversable) -> None:
        """Offer every ``*.toml`` of a folder, such as ``importlib.resources.files("my_package") / "presets"``."""
        self.found.append(folder)


@dataclass(slots=True)
class WebRegistry:
    """Collects Twisted web resources below ``/plugins/<plugin>/``."""

    plugin: str
    found: dict[str, IResource] = field(default_factory=dict)

    def __call__(self, path: str, resource: IResource) -> None:
        """Offer one resource; requests without the API's token never reach it."""
        self.found[f"{self.plugin}/{path}"] = resource
