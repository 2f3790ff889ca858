"""What a plugin is given: a narrow door to the house, and the registries it may fill.

A plugin never sees the store, a socket or the reactor; what it needs beyond this page is missing here, not behind it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.web.iweb import IAgent
from twisted.web.resource import IResource

from csms.model.authorization import IdToken, TokenRecord
from csms.model.availability import ConnectorRecord
from csms.model.billing import Bill
from csms.model.commands import CommandRecord
from csms.model.notifications import Notification
from csms.model.sites import SiteScope
from csms.model.station import StationRecord, StationRef
from csms.model.transactions import Transaction
from csms.outgoing import Fetched
from csms.settings import ChannelSettings

S = TypeVar("S", bound=ChannelSettings)


class Readers(Protocol):
    """What plugins may read; every list is a snapshot."""

    async def station(self, station: str) -> StationRecord | None: ...
    async def stations(self) -> Sequence[StationRecord]: ...
    async def connectors(self, station: str) -> Sequence[ConnectorRecord]: ...
    async def token(self, token: IdToken) -> TokenRecord | None: ...
    async def transaction(self, station: str, transaction: str) -> Transaction | None: ...
    async def active_transactions(
        self, *, station: str | None = None, token: IdToken | None = None
    ) -> Sequence[Transaction]: ...
    async def bill(self, transaction: int) -> Bill | None: ...
    async def command_of(self, origin: str) -> CommandRecord | None: ...


class Sender(Protocol):
    """Puts a command into the ledger and on the wire.

    The result comes when the station has answered (or the command failed); the effect is told later by ``CommandClosed``. It never raises for a
    station's refusal or silence: look at ``state``.
    """

    async def __call__(self, station: str, command: object, *, origin: str) -> CommandRecord: ...


class OcppWords(Protocol):
    """What OCPP says, for those who check messages before they are sent."""

    @property
    def protocols(self) -> Sequence[str]:
        """The versions that this site speaks."""

    def calls(self, protocol: str) -> frozenset[str]:
        """The actions of a version that the CSMS may send to a station."""

    def heard(self, protocol: str) -> frozenset[str]:
        """The actions of a version that a station may send."""

    def schema(self, protocol: str, action: str) -> Mapping[str, Any] | None:
        """The JSON Schema of an action's request; None where the version has no such action."""


class PluginFailed(Exception):
    """A plugin that was asked by name is not there, raised, or was late; the text says which."""


class Consult(Protocol):
    """Asks one plugin by name; None when it has no opinion, PluginFailed when it cannot say."""

    async def __call__(self, plugin: str, hook: str, timeout_s: float, **question: Any) -> Any: ...


class Notifier(Protocol):
    """Tells people something over a channel of the site file (``[notify.<name>]``).

    Durable when it returns. False: it need not be told (again), because its ``key`` (the caller's own name for this one) was taken before, the
    same text went to the channel less than ``once_s`` seconds ago, or the channel wants only graver ones. Raises NotifyFailed.
    """

    async def __call__(
        self,
        channel: str,
        text: str,
        *,
        level: str = "info",
        title: str = "",
        once_s: float | None = None,
        key: str = "",
        station: str = "",
        data: Mapping[str, object] | None = None,
    ) -> bool: ...


class Fetch(Protocol):
    """Gets a URL, or posts a body to it, within bounds of size and time; raises OutgoingFault. Redirects stay on their host."""

    async def __call__(
        self,
        url: str,
        *,
        body: bytes | None = None,
        content_type: str = "",
        max_bytes: int = 65536,
        timeout_s: float = 10.0,
    ) -> Fetched: ...


@dataclass(frozen=True, slots=True)
class Csms:
    """The facade. ``now`` is aware UTC; ``clock`` is for timers only; ``folder`` is where relative paths of the site file start.

    ``sites`` are the server's own site and then all others, ``site_of`` is that of a station (its identity); an instance of a plugin that is for
    one site has that site's ``site`` and ``timezone``. ``notify`` tells people something, ``channels`` are the kinds of the channels there are, by
    name; ``agent`` makes HTTP requests, ``fetch`` asks a public host that somebody else named (a station, a certificate), ``fetch_own`` one that
    the site file names, and ``dial`` gives the endpoint of a Twisted description such as ``tcp:host=mail.example.org:port=587``.

    ``keep`` and ``kept`` store small texts of the plugin that outlive a restart; ``take`` stores a text only if the key is new and says
    whether it was (single use, once-only). ``keep_all`` stores and forgets (None) many in one transaction; ``kept_under`` finds all whose
    keys begin alike.

    ``ask`` puts a question of the plugin's own to whoever answers it, such as flow rules. ``answerers`` are the plugins that answer a hook,
    in order, and ``consult`` asks one of them. ``listen`` names anew the kinds of news that the plugin wants.
    """

    plugin: str
    site: str
    timezone: str
    folder: Path
    clock: IReactorTime
    now: Callable[[], datetime]
    log: Logger
    send: Sender
    read: Readers
    tell: Callable[[object], None]
    connected: Callable[[], Sequence[StationRef]]
    keep: Callable[[str, str], Awaitable[None]]
    kept: Callable[[str], Awaitable[str | None]]
    keep_all: Callable[[Mapping[str, str | None]], Awaitable[None]]
    kept_under: Callable[[str], Awaitable[Mapping[str, str]]]
    take: Callable[[str, str], Awaitable[bool]]
    ask: Callable[[str, object], Awaitable[Mapping[str, Any] | None]]
    consult: Consult
    answerers: Callable[[str], Sequence[str]]
    listen: Callable[[tuple[type, ...]], None]
    ocpp: OcppWords
    actions: Callable[[], Mapping[str, Action]]
    conditions: Callable[[], Mapping[str, Callable[..., Any]]]
    events: Callable[[], Mapping[str, type]]
    questions: Callable[[], Mapping[str, QuestionKind]]
    presets: Callable[[], Sequence[Traversable]]
    notify: Notifier
    channels: Callable[[], Mapping[str, str]]
    sites: Callable[[], Sequence[SiteScope]]
    site_of: Callable[[str], SiteScope]
    agent: IAgent
    fetch: Fetch
    fetch_own: Fetch
    dial: Callable[[str], IStreamClientEndpoint]

    def later(self, seconds: float, call: Callable[[], Awaitable[Any] | None]) -> IDelayedCall:
        """Run something once, after so many seconds; faults are logged with the plugin's name."""
        return self.clock.callLater(seconds, self._guarded, call)

    def _guarded(self, call: Callable[[], Awaitable[Any] | None]) -> None:
        from csms.running import run_guarded

        run_guarded(call, self.log)


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
