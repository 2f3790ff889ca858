"""A whole house of fakes for the API: rows in dicts, stations that answer as told, a clock that stands still."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from twisted.internet import defer, task
from twisted.web.resource import IResource

from csms.config import Site, SiteFileError
from csms.model.authorization import IdToken, TokenRecord
from csms.model.availability import ConnectorRecord
from csms.model.billing import Bill, BillChange, BillStatus, BillStep, DeliveryRecord
from csms.model.commands import CommandRecord, CommandState
from csms.model.diagnostics import Upload
from csms.model.explanation import Chapter, Explanation, Step
from csms.model.messages import FoundMessage, LoggedMessage, MessageKind, MessageQuery, MessagesFound
from csms.model.metering import MeterValue, SampledValue
from csms.model.monitoring import EventData
from csms.model.notifications import Notification, NotificationRecord, NotificationState, NotifyFailed
from csms.model.people import ApiKey, AuditEntry, Caller, DoneRequest, Person, Role, TooManyTries
from csms.model.provisioning import VariableValue
from csms.model.reloading import SiteReloaded
from csms.model.security import SecurityEvent
from csms.model.station import Admission, StationRecord
from csms.model.transactions import EventType, Transaction
from csms.store import KeptCertificate
from csms.web import Metrics, Rooms

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TOKEN = "a-token-of-the-api-0123456789"
GENERATED = "generated-password-000000000"


class FakeStations:
    """The station list."""

    def __init__(self) -> None:
        self.rows: dict[str, StationRecord] = {}
        self.fault: Exception | None = None

    async def get(self, id: str) -> StationRecord | None:
        if self.fault:
            raise self.fault
        return self.rows.get(id)

    async def list(
        self,
        *,
        admission: Admission | None = None,
        online: bool | None = None,
        search: str = "",
        after: str = "",
        limit: int = 100,
    ) -> list[StationRecord]:
        found = [
            row
            for id, row in sorted(self.rows.items())
            if id > after
            and (admission is None or row.admission is admission)
            and (online is None or row.online is online)
            and search in f"{id} {row.vendor} {row.model}"
        ]
        return found[:limit]


class FakeConnectors:
    """Connector statuses."""

    def __init__(self) -> None:
        self.rows: list[ConnectorRecord] = []

    async def list(self, station: str) -> list[ConnectorRecord]:
        return [row for row in self.rows if row.station == station]


class FakeTokens:
    """The token list."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], TokenRecord] = {}

    async def get(self, token: IdToken) -> TokenRecord | None:
        return self.rows.get((token.key, token.type))

    async def put(self, record: TokenRecord) -> None:
        self.rows[record.id_token.key, record.id_token.type] = record

    async def delete(self, token: IdToken) -> bool:
        return self.rows.pop((token.key, token.type), None) is not None

    async def list(self, *, search: str = "", after: str = "", limit: int = 100) -> list[TokenRecord]:
        found = [row for (key, _), row in sorted(self.rows.items()) if key > after and search in f"{key} {row.note}"]
        return found[:limit]


@dataclass(frozen=True)
class FakeEvent:
    """A stored transaction event."""

    key: str
    seq_no: int | None
    protocol: str
    action: str
    type: EventType
    timestamp: datetime
    received_at: datetime
    offline: bool
    authorization: str
    body: bytes


class FakeTransactions:
    """Transactions, newest first, and their events."""

    def __init__(self) -> None:
        self.rows: dict[int, Transaction] = {}
        self.kept: dict[int, list[FakeEvent]] = {}

    async def get(self, id: int) -> Transaction | None:
        return self.rows.get(id)

    async def list(
        self, *, station: str | None = None, active: bool | None = None, after: int = 0, limit: int = 100
    ) -> list[Transaction]:
        found = [
            row
            for id, row in sorted(self.rows.items(), reverse=True)
            if (not after or id < after)
            and (station is None or row.station == station)
            and (active is None or (row.ended_at is None) is active)
        ]
        return found[:limit]

    async def of_tokens(self, tokens: Sequence[IdToken], *, after: int = 0, limit: int = 100) -> list[Transaction]:
        return [row for row in await self.list(after=after, limit=limit) if row.id_token in tokens]

    async def events(self, id: int) -> Sequence[FakeEvent]:
        return self.kept.get(id, [])


class FakeBills:
    """Bills by transaction, one of each; ids are the transactions' unless a bill has its own."""

    def __init__(self) -> None:
        self.rows: dict[int, Bill] = {}
        self.steps: list[BillStep] = []
        self.spans: list[tuple[datetime | None, datetime | None]] = []

    async def get(self, transaction: int) -> Bill | None:
        return self.rows.get(transaction)

    async def by_id(self, id: int) -> Bill | None:
        return next((row for row in self.rows.values() if row.id == id), None)

    async def by_number(self, number: str) -> Bill | None:
        return next((row for row in self.rows.values() if row.number == number), None)

    async def list(
        self,
        *,
        station: str | None = None,
        transaction: int | None = None,
        status: BillStatus | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[Bill]:
        self.spans.append((since, until))
        found = [
            row
            for row in sorted(self.rows.values(), key=lambda row: -row.id)
            if station in (None, row.station)
            and transaction in (None, row.transaction)
            and status in (None, row.status)
            and (not after or row.id < after)
        ]
        return found[:limit]

    async def history(self, transaction: int) -> list[BillStep]:
        return self.steps


class FakeDeliveries:
    """The outbox."""

    def __init__(self) -> None:
        self.rows: list[DeliveryRecord] = []

    async def list(self, bill: int) -> list[DeliveryRecord]:
        return [row for row in self.rows if row.bill == bill]


class FakeDecisions:
    """What people decide about bills and deliveries: written down, and answered as told."""

    def __init__(self) -> None:
        self.made: list[tuple[Any, ...]] = []
        self.written: list[Bill] = []
        self.fault: Exception | None = None

    async def release(self, id: int, *, by: str, reason: str, change: BillChange) -> Sequence[Bill]:
        return self._made("release", id, by, reason, change)

    async def write_off(self, id: int, *, by: str, reason: str) -> Sequence[Bill]:
        return self._made("write_off", id, by, reason, None)

    async def correct(self, id: int, *, by: str, reason: str, change: BillChange) -> Sequence[Bill]:
        return self._made("correct", id, by, reason, change)

    async def cancel(self, id: int, *, by: str, reason: str) -> Sequence[Bill]:
        return self._made("cancel", id, by, reason, None)

    def _made(self, *decision: Any) -> Sequence[Bill]:
        self.made.append(decision)
        if self.fault:
            raise self.fault
        return self.written

    async def again(self, bill: int) -> int:
        self.made.append(("again", bill))
        return 2


class FakeLedger:
    """The command ledger."""

    def __init__(self) -> None:
        self.rows: dict[int, CommandRecord] = {}

    async def get(self, id: int) -> CommandRecord | None:
        return self.rows.get(id)

    async def list(
        self, *, station: str | None = None, open_only: bool = False, after: int = 0, limit: int = 100
    ) -> list[CommandRecord]:
        found = [
            row
            for id, row in sorted(self.rows.items())
            if id > after and (station is None or row.station == station) and not (open_only and row.state.final)
        ]
        return found[:limit]


class FakeMessages:
    """The message log."""

    def __init__(self) -> None:
        self.rows: list[LoggedMessage] = []
        self.asked: list[MessageQuery] = []

    async def list(
        self, station: str, *, after: int | None = None, before: int | None = None, limit: int = 100
    ) -> Sequence[LoggedMessage]:
        found = [
            row
            for row in self.rows
            if row.station == station and (after is None or row.id > after) and (before is None or row.id < before)
        ]
        return found[:limit] if after is not None else found[-limit:]

    async def search(self, query: MessageQuery, *, before: int | None = None, limit: int = 100) -> MessagesFound:
        """Looks at two frames for each question, whatever is looked for; the stations are."""
        self.asked.append(query)
        below = [row for row in reversed(self.rows) if before is None or row.id < before]
        looked = below[: min(limit, 2)]
        found = [
            FoundMessage(row, MessageKind.OTHER)
            for row in looked
            if row.station in query.stations or not query.stations
        ]
        over = len(looked) == len(below)
        return MessagesFound(tuple(found), None if over else looked[-1].id, looked[-1].at if looked else None)


@dataclass(frozen=True)
class FakeAlert:
    """A stored observation."""

    id: int
    station: str
    generated_at: datetime
    seq_no: int
    received_at: datetime
    alert: EventData


class FakeAlerts:
    """Alerts."""

    def __init__(self) -> None:
        self.rows: list[FakeAlert] = []

    async def list(self, *, station: str | None = None, after: int = 0, limit: int = 100) -> Sequence[FakeAlert]:
        return [row for row in self.rows if row.id > after and station in (None, row.station)][:limit]


class FakeByStation:
    """Rows of one station."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Any]] = {}

    async def list(self, station: str) -> list[Any]:
        return self.rows.get(station, [])


class FakeOutbox:
    """Notifications, newest first."""

    def __init__(self) -> None:
        self.rows: dict[int, NotificationRecord] = {}

    async def get(self, id: int) -> NotificationRecord | None:
        return self.rows.get(id)

    async def list(
        self, *, channel: str | None = None, state: NotificationState | None = None, after: int = 0, limit: int = 100
    ) -> list[NotificationRecord]:
        found = [
            row
            for id, row in sorted(self.rows.items(), reverse=True)
            if (not after or id < after) and channel in (None, row.notification.channel) and state in (None, row.state)
        ]
        return found[:limit]

    async def counts(self) -> Mapping[tuple[str, str], int]:
        return Counter((row.notification.channel, row.state.value) for row in self.rows.values())


class FakeNotifications:
    """One channel, ``ops``."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self.taken = True

    def channels(self) -> Mapping[str, str]:
        return {"ops": "webhook"}

    async def notify(
        self, channel: str, text: str, *, level: str = "info", title: str = "", station: str = "", origin: str = ""
    ) -> bool:
        if channel != "ops":
            raise NotifyFailed(f"there is no channel called {channel}")
        if self.taken:
            id = len(self._store.notifications.rows) + 1
            told = Notification(f"msg_{id}", NOW, channel, text, level, title, "main", station, origin)
            self._store.notifications.rows[id] = NotificationRecord(id, told, NotificationState.WAITING, 0, NOW)
        return self.taken

    async def retry(self, id: int) -> bool:
        row = self._store.notifications.rows[id]
        self._store.notifications.rows[id] = replace(row, state=NotificationState.WAITING)
        return row.state is NotificationState.DEAD


class FakeSecurityEvents:
    """Security events by number."""

    def __init__(self) -> None:
        self.rows: list[SecurityEvent] = []

    async def list(
        self,
        *,
        station: str | None = None,
        kind: str | None = None,
        critical: bool | None = None,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
    ) -> list[SecurityEvent]:
        rows = [
            row
            for row in self.rows
            if row.id > after
            and (before is None or row.id < before)
            and station in (None, row.station)
            and kind in (None, row.kind)
            and critical in (None, row.critical)
        ]
        return (rows if before is None else rows[::-1])[:limit]


@dataclass
class FakeSecurity:
    """Certificates of stations."""

    rows: list[KeptCertificate] = field(default_factory=list)

    async def certificates(self, *, station: str | None = None) -> list[KeptCertificate]:
        return [row for row in self.rows if station in (None, row.station)]


class FakeUploads:
    """Files that stations left, and what became of them."""

    def __init__(self) -> None:
        self.rows: dict[int, Upload] = {}
        self.names: dict[int, str] = {}
        self.folder = Path()

    async def get(self, id: int) -> Upload | None:
        return self.rows.get(id)

    async def file_of(self, id: int) -> str:
        return self.names.get(id, "")

    async def list(self, *, station: str | None = None, after: int = 0, limit: int = 100) -> list[Upload]:
        rows = (row for id, row in sorted(self.rows.items()) if id > after and station in (None, row.station))
        return [*rows][:limit]

    def file(self, name: str) -> Path:
        return self.folder / name

    async def remove(self, id: int) -> bool:
        self.names.pop(id, None)
        return self.rows.pop(id, None) is not None


@dataclass
class FakeStore:
    """All repositories."""

    stations: FakeStations = field(default_factory=FakeStations)
    availability: FakeConnectors = field(default_factory=FakeConnectors)
    tokens: FakeTokens = field(default_factory=FakeTokens)
    transactions: FakeTransactions = field(default_factory=FakeTransactions)
    bills: FakeBills = field(default_factory=FakeBills)
    deliveries: FakeDeliveries = field(default_factory=FakeDeliveries)
    commands: FakeLedger = field(default_factory=FakeLedger)
    messages: FakeMessages = field(default_factory=FakeMessages)
    alerts: FakeAlerts = field(default_factory=FakeAlerts)
    variables: FakeByStation = field(default_factory=FakeByStation)
    people: FakePeople = field(default_factory=lambda: FakePeople())
    keys: FakeKeys = field(default_factory=lambda: FakeKeys())
    notifications: FakeOutbox = field(default_factory=FakeOutbox)
    uploads: FakeUploads = field(default_factory=FakeUploads)
    security: FakeSecurity = field(default_factory=FakeSecurity)
    security_events: FakeSecurityEvents = field(default_factory=FakeSecurityEvents)
    healthy: bool = True


class FakeProvisioning:
    """Changes stations in the fake store, and remembers what was asked."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self.passwords: dict[str, str | None] = {}

    async def provision(
        self,
        id: str,
        *,
        approved: bool | None = None,
        blocked: bool | None = None,
        password: str | None = None,
        heartbeat_interval_s: int | None = None,
        security_profile: int | None = None,
    ) -> StationRecord:
        row = self._store.stations.rows.get(id) or StationRecord(id, Admission.APPROVED, created_at=NOW)
        admission = Admission.BLOCKED if blocked else Admission.PENDING if approved is False else Admission.APPROVED
        row = replace(
            row,
            admission=row.admission if (approved, blocked) == (None, None) else admission,
            has_password=row.has_password or password is not None,
            heartbeat_interval_s=heartbeat_interval_s or row.heartbeat_interval_s,
        )
        self._store.stations.rows[id] = row
        self.passwords[id] = password
        return row

    async def remove(self, id: str) -> bool:
        return self._store.stations.rows.pop(id, None) is not None

    def generate_password(self) -> str:
        return GENERATED


class FakeCommands:
    """Writes commands down; their end comes when a test says so."""

    def __init__(self, store: FakeStore, clock: task.Clock) -> None:
        self._store = store
        self._clock = clock
        self.given: list[object] = []
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.first_state = CommandState.QUEUED
        self.answer: defer.Deferred[CommandRecord] = defer.Deferred()
        self._waiters: dict[int, defer.Deferred[CommandRecord | None]] = {}

    async def submit(self, station: str, command: object, *, origin: str) -> CommandRecord:
        self.given.append(command)
        id = len(self._store.commands.rows) + 1
        row = CommandRecord(id, station, type(command).__name__, {}, self.first_state, origin, NOW)
        self._store.commands.rows[id] = row
        return row

    async def finished(self, id: int, seconds: float) -> CommandRecord | None:
        waiter = self._waiters[id] = defer.Deferred()
        try:
            return await waiter.addTimeout(seconds, self._clock)
        except defer.TimeoutError:
            return self._store.commands.rows.get(id)

    async def call(self, station: str, action: str, payload: dict[str, Any], *, origin: str) -> CommandRecord:
        self.calls.append((station, action, payload))
        return await self.answer

    def finish(self, id: int, state: CommandState) -> None:
        """The command comes to its end."""
        row = self._store.commands.rows[id] = replace(self._store.commands.rows[id], state=state, closed_at=NOW)
        self._waiters.pop(id).callback(row)

    def answered(self, state: CommandState, **facts: Any) -> None:
        """The raw call that waits, or comes next, ends like this."""
        self.answer.callback(CommandRecord(7, "CS1", "RawCall", {}, state, "api", NOW, **facts))


@dataclass(frozen=True)
class FakeStation:
    """A connected station."""

    protocol: str = "ocpp2.0.1"


class FakeSwitchboard:
    """Who is connected."""

    def __init__(self) -> None:
        self.rows: dict[str, FakeStation] = {}

    def station(self, id: str) -> FakeStation | None:
        return self.rows.get(id)

    @property
    def count(self) -> int:
        return len(self.rows)


class FakePlugins:
    """A report and web resources."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.web: dict[str, IResource] = {}

    def report(self) -> list[dict[str, Any]]:
        return self.rows


class FakePeople:
    """Callers by token; a password is right if it is ``right``."""

    def __init__(self) -> None:
        self.callers: dict[str, Caller] = {TOKEN: Caller("site token", Role.ADMIN)}
        self.rows: dict[str, Person] = {}
        self.revoked: list[int] = []
        self.wait_s = 0.0
        self.made: list[tuple[Any, ...]] = []

    async def caller(self, bearer: str) -> Caller | None:
        return self.callers.get(bearer.strip())

    async def make_key(
        self, name: str, role: Role, sites: tuple[str, ...], expires: datetime | None, *, by: str
    ) -> tuple[str, ApiKey]:
        self.made.append((name, role, sites, expires, by))
        return "csms_secret", ApiKey(7, name, role, sites, None, NOW, by, expires)

    async def revoke(self, key: int) -> bool:
        self.revoked.append(key)
        return key < 100

    async def log_in(self, name: str, password: str, address: str) -> tuple[str, ApiKey] | None:
        if self.wait_s:
            raise TooManyTries(self.wait_s)
        if password != "right":
            return None
        return "csms_session", ApiKey(8, "session", Role.VIEWER, (), name, NOW, name, NOW)

    async def put_person(self, person: Person, password: str | None) -> None:
        self.rows[person.name] = replace(person, created_at=NOW)

    async def change_password(self, caller: Caller, old: str, new: str, address: str) -> bool:
        return old == "right"

    async def get(self, name: str) -> Person | None:
        return self.rows.get(name)

    async def delete(self, name: str, at: datetime) -> bool:
        return self.rows.pop(name, None) is not None

    async def list(self, *, after: str = "", limit: int = 100) -> list[Person]:
        return [person for name, person in sorted(self.rows.items()) if name > after][:limit]


class FakeKeys:
    """Keys by number."""

    def __init__(self) -> None:
        self.rows: list[ApiKey] = []

    async def list(self, *, after: int = 0, limit: int = 100) -> list[ApiKey]:
        return [key for key in self.rows if key.id > after][:limit]


class FakeAudit:
    """The trail."""

    def __init__(self) -> None:
        self.rows: list[AuditEntry] = []

    async def begin(
        self, at: datetime, caller: str, role: str, address: str, method: str, path: str, detail: str
    ) -> int:
        self.rows.append(AuditEntry(len(self.rows) + 1, at, caller, role, address, method, path, None, detail))
        return len(self.rows)

    async def end(self, id: int, status: int) -> None:
        self.rows[id - 1] = replace(self.rows[id - 1], status=status)

    async def list(self, *, caller: str | None = None, before: int = 0, limit: int = 100) -> list[AuditEntry]:
        found = [one for one in reversed(self.rows) if caller in (None, one.caller) and (not before or one.id < before)]
        return found[:limit]


class FakeDone:
    """Answers by caller and key."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], DoneRequest] = {}

    async def begin(self, caller: str, key: str, digest: bytes, at: datetime, keep: timedelta) -> DoneRequest | None:
        known = self.rows.get((caller, key))
        self.rows.setdefault((caller, key), DoneRequest(digest, at))
        return known

    async def finish(self, caller: str, key: str, status: int, headers: str, body: bytes | None) -> None:
        self.rows[caller, key] = replace(self.rows[caller, key], status=status, headers=headers, body=body)

    async def drop(self, caller: str, key: str) -> None:
        del self.rows[caller, key]


def fake_readings(event: FakeEvent) -> list[MeterValue]:
    """One reading whose value is the event's seqNo; a body that is no event raises."""
    if event.body == b'{"no":"event"}':
        raise ValueError("no event")
    return [MeterValue(event.timestamp, (SampledValue(Decimal(event.seq_no or 0)),))]


class FakeHouse:
    """The fakes, each by name, and the ``Rooms`` made of them."""

    def __init__(self) -> None:
        self.clock = task.Clock()
        self.people = FakePeople()
        self.audit = FakeAudit()
        self.done = FakeDone()
        self.store = FakeStore(people=self.people)
        self.provisioning = FakeProvisioning(self.store)
        self.commands = FakeCommands(self.store, self.clock)
        self.notifications = FakeNotifications(self.store)
        self.switchboard = FakeSwitchboard()
        self.plugins = FakePlugins()
        self.metrics = Metrics()
        self.decisions = FakeDecisions()
        self.reloaded: SiteReloaded | SiteFileError = SiteReloaded(
            NOW, ("stations.unknown: changed",), ("server.listen: changed",)
        )
        self.rooms = Rooms(
            site=Site(),
            store=self.store,
            people=self.people,
            audit=self.audit,
            done_requests=self.done,
            site_of=lambda station: station.partition("-")[0],
            stations=self.provisioning,
            commands=self.commands,
            notifications=self.notifications,
            reload=self.reload,
            switchboard=self.switchboard,
            bills=self.decisions,
            deliveries=self.decisions,
            uploads=self.store.uploads,
            readings=fake_readings,
            explain=self.explain,
            plugins=self.plugins,
            metrics=self.metrics,
            now=lambda: NOW,
            clock=self.clock,
        )

    async def explain(self, transaction: Transaction) -> Explanation:
        """A story of one step."""
        step = Step(NOW, Chapter.EVENT, "Started", ("online",), event="0")
        wire_id, state = transaction.station_transaction, ("complete: charge",)
        return Explanation(
            transaction.id, transaction.station, wire_id, transaction.completeness, state, ("no end",), (step,)
        )

    async def reload(self) -> SiteReloaded:
        """What a test has put here."""
        if isinstance(self.reloaded, SiteFileError):
            raise self.reloaded
        return self.reloaded

    def station(self, id: str = "CS1", *, protocol: str = "", **facts: Any) -> StationRecord:
        """Put a station into the list; connected if it speaks a protocol."""
        row = StationRecord(id, facts.pop("admission", Admission.APPROVED), created_at=NOW, **facts)
        self.store.stations.rows[id] = row
        if protocol:
            self.switchboard.rows[id] = FakeStation(protocol)
        return row

    def caller(self, role: Role, *, sites: tuple[str, ...] = (), **facts: Any) -> str:
        """Let somebody of this role in; their token."""
        token = f"token-of-{role}-{len(self.people.callers)}"
        self.people.callers[token] = Caller(facts.pop("name", f"some {role}"), role, sites, **facts)
        return token

    def variables(self, station: str, *values: VariableValue) -> None:
        """Put variables of a station."""
        self.store.variables.rows[station] = list(values)
