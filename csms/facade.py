"""What a plugin is given: a narrow door to the house, and the registries it may fill.

A plugin never sees the store, a socket or the reactor; what it needs beyond this page is missing here, not behind it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.web.resource import IResource

from csms.model.authorization import IdToken, TokenRecord
from csms.model.availability import ConnectorRecord
from csms.model.billing import Bill
from csms.model.commands import CommandRecord
from csms.model.station import StationRecord, StationRef
from csms.model.transactions import Transaction


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


class Sender(Protocol):
    """Puts a command into the ledger and on the wire.

    The result comes when the station has answered (or the command failed); the effect is told later by ``CommandClosed``. It never raises for a
    station's refusal or silence: look at ``state``.
    """

    async def __call__(self, station: str, command: object, *, origin: str) -> CommandRecord: ...


@dataclass(frozen=True, slots=True)
class Csms:
    """The facade. ``now`` is aware UTC; ``clock`` is for timers only; ``folder`` is where relative paths of the site file start.

    ``keep`` and ``kept`` store small texts of the plugin that outlive a restart; ``take`` stores a text only if the key is new and says
    whether it was (single use, once-only).
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
    take: Callable[[str, str], Awaitable[bool]]
    actions: Callable[[], Mapping[str, Action]]
    conditions: Callable[[], Mapping[str, Callable[..., Any]]]

    def later(self, seconds: float, call: Callable[[], Awaitable[Any] | None]) -> IDelayedCall:
        """Run something once, after so many seconds; faults are logged with the plugin's name."""
        return self.clock.callLater(seconds, self._guarded, call)

    def _guarded(self, call: Callable[[], Awaitable[Any] | None]) -> None:
        from csms.running import run_guarded

        run_guarded(call, self.log)


@dataclass(frozen=True, slots=True)
class Action:
    """Something flow rules can do: ``run(arguments)`` gives a JSON-able result; ``idempotent`` ones may be repeated after a crash."""

    name: str
    run: Callable[[Mapping[str, Any]], Awaitable[Any] | Any]
    idempotent: bool = False
    arguments: Mapping[str, Any] | None = None


@dataclass(slots=True)
class ActionRegistry:
    """Collects actions as ``<plugin>.<name>``."""

    plugin: str
    found: dict[str, Action] = field(default_factory=dict)

    def __call__(
        self,
        name: str,
        run: Callable[[Mapping[str, Any]], Awaitable[Any] | Any],
        *,
        idempotent: bool = False,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        """Offer one action; ``arguments`` is a JSON Schema of what it takes."""
        full = f"{self.plugin}.{name}"
        self.found[full] = Action(full, run, idempotent, arguments)


@dataclass(slots=True)
class ConditionRegistry:
    """Collects pure functions for expressions as ``<name>``."""

    plugin: str
    found: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def __call__(self, name: str, function: Callable[..., Any]) -> None:
        """Offer one function; it must be pure and quick."""
        self.found[name] = function


@dataclass(slots=True)
class WebRegistry:
    """Collects Twisted web resources below ``/plugins/<plugin>/``."""

    plugin: str
    found: dict[str, IResource] = field(default_factory=dict)

    def __call__(self, path: str, resource: IResource) -> None:
        """Offer one resource; requests without the API's token never reach it."""
        self.found[f"{self.plugin}/{path}"] = resource
