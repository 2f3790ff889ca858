"""A house for one plugin: the real facade over plain lists and dicts, a clock that only moves when told, and no sleeping."""

from __future__ import annotations

import io
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from twisted.internet import defer
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, Logger, formatEvent
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET
from twisted.web.test.requesthelper import DummyRequest
from zope.interface import implementer

from csms.api import (
    Action,
    Bill,
    Busy,
    CommandRecord,
    CommandState,
    ConnectorRecord,
    Csms,
    Fetched,
    IdToken,
    NotifyFailed,
    OutgoingFault,
    PluginFailed,
    QuestionKind,
    Ran,
    SiteScope,
    StationRecord,
    StationRef,
    TokenRecord,
    Transaction,
)
from csms.facades import Words

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
STATION = StationRef("CS1", "ocpp2.0.1", "ACME", "One", "1.0", connected=True)
OLD_STATION = StationRef("CS6", "ocpp1.6", "ACME", "Six", "1.0", connected=True)


@dataclass
class FakeReaders:
    """What the plugin may read, as lists a test fills."""

    tokens: list[TokenRecord] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    records: list[StationRecord] = field(default_factory=list)
    places: list[ConnectorRecord] = field(default_factory=list)
    commands: dict[str, CommandRecord] = field(default_factory=dict)

    async def station(self, station: str) -> StationRecord | None:
        return None

    async def stations(self) -> Sequence[StationRecord]:
        return self.records

    async def connectors(self, station: str) -> Sequence[ConnectorRecord]:
        return [one for one in self.places if one.station == station]

    async def token(self, token: IdToken) -> TokenRecord | None:
        same = (one for one in self.tokens if (one.id_token.key, one.id_token.type) == (token.key, token.type))
        return next(same, None)

    async def transaction(self, station: str, transaction: str) -> Transaction | None:
        same = (one for one in self.transactions if (one.station, one.station_transaction) == (station, transaction))
        return next(same, None)

    async def active_transactions(
        self, *, station: str | None = None, token: IdToken | None = None
    ) -> Sequence[Transaction]:
        return [
            one
            for one in self.transactions
            if one.ended_at is None
            and station in (None, one.station)
            and (token is None or (one.id_token is not None and one.id_token.key == token.key))
        ]

    async def bill(self, transaction: int) -> Bill | None:
        return None

    async def command_of(self, origin: str) -> CommandRecord | None:
        return self.commands.get(origin)


@implementer(ILogObserver)
@dataclass
class FakeObserver:
    """Keeps what is logged, as level and text."""

    logged: list[tuple[str, str]]

    def __call__(self, event: Mapping[str, Any]) -> None:
        self.logged.append((event["log_level"].name, formatEvent(dict(event))))


class FakeCsms:
    """Makes the facade for one plugin and remembers what the plugin did with it."""

    def __init__(
        self,
        folder: Path,
        plugin: str = "plugin",
        timezone: str = "Europe/Berlin",
        *,
        agent: Any = None,
        dial: Any = None,
        read: FakeReaders | None = None,
    ) -> None:
        self.clock = Clock()
        self.read = read or FakeReaders()
        self.dead = False
        self.sent: list[tuple[str, object, str]] = []
        self.states: list[CommandState] = []
        self.told: list[object] = []
        self.notes: dict[str, str] = {}
        self.logged: list[tuple[str, str]] = []
        self.actions: dict[str, Action] = {}
        self.conditions: dict[str, Callable[..., Any]] = {}
        self.online: list[StationRef] = [STATION, OLD_STATION]
        self.events: dict[str, type] = {}
        self.questions: dict[str, QuestionKind] = {}
        self.presets: list[Path] = []
        self.listened: tuple[type, ...] | None = None
        self.answers: dict[str, Callable[..., Any]] = {}
        self.notified: list[dict[str, Any]] = []
        self.fetched: list[tuple[str, bytes | None]] = []
        self.web: list[Fetched] = []
        self.errands: list[list[str]] = []
        self.ran: list[Ran | Busy] = []
        self.channels: dict[str, str] = {"log": "log"}
        self.site = SiteScope("depot", timezone=timezone)
        self.other_sites: list[SiteScope] = []
        self.on_keep: Callable[[Mapping[str, str | None]], Awaitable[None]] = self._keep_all
        self.on_tell: Callable[[object], None] = self.told.append
        self.csms = Csms(
            plugin=plugin,
            site="depot",
            timezone=timezone,
            folder=folder,
            clock=self.clock,
            now=lambda: NOON + timedelta(seconds=self.clock.seconds()),
            log=Logger(namespace="test", observer=FakeObserver(self.logged)),
            send=self._send,
            read=self.read,
            tell=lambda event: self.on_tell(event),
            connected=lambda: tuple(self.online),
            station=lambda id: next((one for one in self.online if one.id == id), None),
            keep=self._keep,
            kept=self._kept,
            keep_all=lambda texts: self.on_keep(texts),
            kept_under=self._kept_under,
            take=self._take,
            ask=self._ask,
            consult=self._consult,
            answerers=lambda hook: tuple(self.answers),
            listen=self._listen,
            ocpp=Words(("ocpp2.0.1", "ocpp1.6")),
            actions=lambda: self.actions,
            conditions=lambda: self.conditions,
            events=lambda: self.events,
            questions=lambda: self.questions,
            presets=lambda: self.presets,
            notify=self._notify,
            channels=lambda: self.channels,
            sites=lambda: (self.site, *self.other_sites),
            site_of=lambda station: next((one for one in self.other_sites if one.has(station)), self.site),
            agent=agent,
            fetch=self._fetch,
            fetch_own=self._fetch,
            dial=dial,
            errand=self._errand,
        )

    async def _send(self, station: str, command: object, *, origin: str) -> CommandRecord:
        self._alive()
        self.sent.append((station, command, origin))
        state = self.states.pop(0) if self.states else CommandState.EFFECTIVE
        record = CommandRecord(len(self.sent), station, type(command).__name__, {}, state, origin, NOON)
        record = replace(record, error="not now") if state is CommandState.REJECTED else record
        self.read.commands[origin] = record
        return record

    async def _errand(self, arguments: Sequence[str], seconds: float) -> Ran:
        self.errands.append(list(arguments))
        match self.ran.pop(0):
            case Ran() as ran:
                return ran
            case Busy() as busy:
                raise busy

    async def _fetch(self, url: str, *, body: bytes | None = None, content_type: str = "", **limits: Any) -> Fetched:
        self.fetched.append((url, body))
        if not self.web:
            raise OutgoingFault(f"{url} was not to be asked")
        return self.web.pop(0)

    async def _notify(self, channel: str, text: str, **more: Any) -> bool:
        self._alive()
        if channel not in self.channels:
            raise NotifyFailed(f"there is no channel called {channel}")
        self.notified.append({"channel": channel, "text": text, **more})
        return True

    async def _keep(self, key: str, value: str) -> None:
        self.notes[key] = value

    async def _kept(self, key: str) -> str | None:
        return self.notes.get(key)

    def _alive(self) -> None:
        """A process that was killed does nothing more."""
        if self.dead:
            raise RuntimeError("the process was killed")

    async def _keep_all(self, texts: Mapping[str, str | None]) -> None:
        self._alive()
        for key, value in texts.items():
            if value is None:
                self.notes.pop(key, None)
            else:
                self.notes[key] = value

    async def _kept_under(self, prefix: str) -> Mapping[str, str]:
        return {key: value for key, value in sorted(self.notes.items()) if key.startswith(prefix)}

    async def _ask(self, name: str, question: object) -> Mapping[str, Any] | None:
        return None

    async def _consult(self, plugin: str, hook: str, timeout_s: float, **question: Any) -> Any:
        if plugin not in self.answers:
            raise PluginFailed(f"{plugin} is not there")
        return self.answers[plugin](**question)

    def _listen(self, kinds: tuple[type, ...]) -> None:
        self.listened = kinds

    async def _take(self, key: str, value: str) -> bool:
        if key in self.notes:
            return False
        self.notes[key] = value
        return True

    def restarted(self, away_s: float = 0.0) -> FakeCsms:
        """The house after its process ended: the same database, ledger and wall clock, new timers."""
        again = FakeCsms(self.csms.folder, self.csms.plugin, self.csms.timezone, read=self.read)
        again.clock.advance(self.clock.seconds() + away_s)
        again.notes, again.actions, again.conditions = self.notes, self.actions, self.conditions
        again.sent, again.online, again.notified, again.channels = self.sent, self.online, self.notified, self.channels
        return again

    def settle(self, seconds: float = 0.0) -> None:
        """Let so many seconds pass, then everything that was put off to "right after"."""
        self.clock.advance(seconds)
        for _ in range(20):
            self.clock.advance(0)

    def said(self, level: str) -> list[str]:
        """What was logged at a level."""
        return [text for one, text in self.logged if one == level]


def result(awaitable: Any) -> Any:
    """What an awaitable gives at once; fails the test when it would have to wait."""
    if not isinstance(awaitable, Awaitable):
        return awaitable

    async def wait() -> Any:
        return await awaitable

    found: list[Any] = []
    defer.ensureDeferred(wait()).addBoth(found.append)
    assert found, "nothing came of it yet"
    if isinstance(found[0], Failure):
        found[0].raiseException()
    return found[0]


def ask(
    resource: IResource, method: str = "GET", body: object = b"", path: str = ""
) -> tuple[int, Mapping[str, Any], Any]:
    """One request to a plugin's resource: status, JSON, and the request itself."""
    request: Any = DummyRequest([path.encode()])
    request.method = method.encode()
    request.content = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    answer: Any = resource.render(request)  # type: ignore[no-untyped-call]
    text = b"".join(request.written) if answer == NOT_DONE_YET else answer
    return request.responseCode or 200, json.loads(text), request
