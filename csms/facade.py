"""What a plugin is given: a narrow door to the house.

A plugin never sees the store, a socket or the reactor; what it needs beyond this page is missing here, not behind it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.web.iweb import IAgent

from csms.errands import Ran
from csms.model.authorization import IdToken, TokenRecord
from csms.model.availability import ConnectorRecord
from csms.model.billing import Bill
from csms.model.commands import CommandRecord
from csms.model.sites import SiteScope
from csms.model.station import StationRecord, StationRef
from csms.model.transactions import Transaction
from csms.outgoing import Fetched
from csms.registries import Action, QuestionKind


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
    """Gets a URL, or posts a body to it, within bounds of size and time; raises OutgoingFault. Redirects stay on their host.

    ``authorization`` is the header of that name; it never goes over plain HTTP to another machine.
    """

    async def __call__(
        self,
        url: str,
        *,
        body: bytes | None = None,
        content_type: str = "",
        authorization: str = "",
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

    ``errand(arguments, seconds)`` runs a command of csms for this site in a process of its own, one at a time: its ``Ran``, or it raises Busy.

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
    station: Callable[[str], StationRef | None]
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
    errand: Callable[[Sequence[str], float], Awaitable[Ran]]

    def later(self, seconds: float, call: Callable[[], Awaitable[Any] | None]) -> IDelayedCall:
        """Run something once, after so many seconds; faults are logged with the plugin's name."""
        return self.clock.callLater(seconds, self._guarded, call)

    def _guarded(self, call: Callable[[], Awaitable[Any] | None]) -> None:
        from csms.running import run_guarded

        run_guarded(call, self.log)
