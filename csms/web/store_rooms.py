"""What the API asks of the store, table by table; the house's store fits, and so do the fakes of the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from csms.model.authorization import IdToken, TokenRecord
from csms.model.availability import ConnectorRecord
from csms.model.billing import Bill, BillStatus, BillStep, DeliveryRecord
from csms.model.commands import CommandRecord
from csms.model.diagnostics import Upload
from csms.model.messages import LoggedMessage, MessageQuery, MessagesFound
from csms.model.monitoring import EventData
from csms.model.notifications import NotificationRecord, NotificationState
from csms.model.people import ApiKey, AuditEntry, DoneRequest, Person
from csms.model.provisioning import VariableValue
from csms.model.security import SecurityEvent
from csms.model.station import Admission, StationRecord
from csms.model.transactions import Transaction


class StationRows(Protocol):
    """The station list."""

    async def get(self, id: str) -> StationRecord | None: ...
    async def list(
        self,
        *,
        admission: Admission | None = None,
        online: bool | None = None,
        search: str = "",
        after: str = "",
        limit: int = 100,
    ) -> list[StationRecord]: ...


class ConnectorRows(Protocol):
    """The newest status of each connector."""

    async def list(self, station: str) -> list[ConnectorRecord]: ...


class TokenRows(Protocol):
    """The CSMS's own token list, in the order of the tokens' values as they are compared."""

    async def get(self, token: IdToken) -> TokenRecord | None: ...
    async def put(self, record: TokenRecord) -> None: ...
    async def delete(self, token: IdToken) -> bool: ...
    async def list(self, *, search: str = "", after: str = "", limit: int = 100) -> list[TokenRecord]: ...


class StoredEvent(Protocol):
    """One event of a transaction as it is kept; ``body`` is the station's own JSON."""

    @property
    def key(self) -> str: ...
    @property
    def seq_no(self) -> int | None: ...
    @property
    def protocol(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def type(self) -> Any: ...
    @property
    def timestamp(self) -> datetime: ...
    @property
    def received_at(self) -> datetime: ...
    @property
    def offline(self) -> bool: ...
    @property
    def authorization(self) -> str: ...
    @property
    def body(self) -> bytes: ...


class TransactionRows(Protocol):
    """Transactions and their events."""

    async def get(self, id: int) -> Transaction | None: ...
    async def of_tokens(self, tokens: Sequence[IdToken], *, after: int = 0, limit: int = 100) -> list[Transaction]: ...
    async def list(
        self, *, station: str | None = None, active: bool | None = None, after: int = 0, limit: int = 100
    ) -> list[Transaction]: ...
    async def events(self, id: int) -> Sequence[StoredEvent]: ...


class BillRows(Protocol):
    """Bills; ``get`` gives the one of a transaction that counts."""

    async def get(self, transaction: int) -> Bill | None: ...
    async def by_id(self, id: int) -> Bill | None: ...
    async def by_number(self, number: str) -> Bill | None: ...
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
    ) -> Sequence[Bill]: ...
    async def history(self, transaction: int) -> Sequence[BillStep]: ...


class DeliveryRows(Protocol):
    """The outbox of bills."""

    async def list(self, bill: int) -> Sequence[DeliveryRecord]: ...


class CommandRows(Protocol):
    """The command ledger."""

    async def get(self, id: int) -> CommandRecord | None: ...
    async def list(
        self, *, station: str | None = None, open_only: bool = False, after: int = 0, limit: int = 100
    ) -> list[CommandRecord]: ...


class MessageRows(Protocol):
    """The message log."""

    async def list(
        self, station: str, *, after: int | None = None, before: int | None = None, limit: int = 100
    ) -> Sequence[LoggedMessage]: ...
    async def search(self, query: MessageQuery, *, before: int | None = None, limit: int = 100) -> MessagesFound: ...


class StoredAlert(Protocol):
    """One observation as it is kept, with the message it came in."""

    @property
    def id(self) -> int: ...
    @property
    def station(self) -> str: ...
    @property
    def generated_at(self) -> datetime: ...
    @property
    def seq_no(self) -> int: ...
    @property
    def received_at(self) -> datetime: ...
    @property
    def alert(self) -> EventData: ...


class AlertRows(Protocol):
    """What stations reported by NotifyEvent."""

    async def list(self, *, station: str | None = None, after: int = 0, limit: int = 100) -> Sequence[StoredAlert]: ...


class VariableRows(Protocol):
    """The device model as stations reported it."""

    async def list(self, station: str) -> list[VariableValue]: ...


class PersonRows(Protocol):
    """People by name."""

    async def get(self, name: str) -> Person | None: ...
    async def delete(self, name: str, at: datetime) -> bool: ...
    async def list(self, *, after: str = "", limit: int = 100) -> list[Person]: ...


class KeyRows(Protocol):
    """Keys by number."""

    async def list(self, *, after: int = 0, limit: int = 100) -> list[ApiKey]: ...


class NotificationRows(Protocol):
    """The outbox of notifications."""

    async def get(self, id: int) -> NotificationRecord | None: ...
    async def list(
        self, *, channel: str | None = None, state: NotificationState | None = None, after: int = 0, limit: int = 100
    ) -> list[NotificationRecord]: ...
    async def counts(self) -> Mapping[tuple[str, str], int]: ...


class SecurityEventRows(Protocol):
    """What stations reported and the CSMS noticed."""

    async def list(
        self,
        *,
        station: str | None = None,
        kind: str | None = None,
        critical: bool | None = None,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
    ) -> Sequence[SecurityEvent]: ...


class SecurityRows(Protocol):
    """Which certificates stations have."""

    async def certificates(self, *, station: str | None = None) -> Sequence[Any]: ...


class UploadRows(Protocol):
    """What stations were asked to send."""

    async def get(self, id: int) -> Upload | None: ...
    async def file_of(self, id: int) -> str: ...
    async def list(self, *, station: str | None = None, after: int = 0, limit: int = 100) -> list[Upload]: ...


class StoreRoom(Protocol):
    """The repositories that the API reads, and whether the database takes writes."""

    @property
    def stations(self) -> StationRows: ...
    @property
    def availability(self) -> ConnectorRows: ...
    @property
    def tokens(self) -> TokenRows: ...
    @property
    def transactions(self) -> TransactionRows: ...
    @property
    def bills(self) -> BillRows: ...
    @property
    def deliveries(self) -> DeliveryRows: ...
    @property
    def commands(self) -> CommandRows: ...
    @property
    def messages(self) -> MessageRows: ...
    @property
    def alerts(self) -> AlertRows: ...
    @property
    def variables(self) -> VariableRows: ...
    @property
    def people(self) -> PersonRows: ...
    @property
    def keys(self) -> KeyRows: ...
    @property
    def notifications(self) -> NotificationRows: ...
    @property
    def security(self) -> SecurityRows: ...
    @property
    def security_events(self) -> SecurityEventRows: ...
    @property
    def uploads(self) -> UploadRows: ...
    @property
    def healthy(self) -> bool: ...


class AuditRows(Protocol):
    """The trail."""

    async def begin(
        self, at: datetime, caller: str, role: str, address: str, method: str, path: str, detail: str
    ) -> int: ...
    async def end(self, id: int, status: int) -> None: ...
    async def list(self, *, caller: str | None = None, before: int = 0, limit: int = 100) -> list[AuditEntry]: ...


class DoneRows(Protocol):
    """Answers by caller and Idempotency-Key."""

    async def begin(
        self, caller: str, key: str, digest: bytes, at: datetime, keep: timedelta
    ) -> DoneRequest | None: ...
    async def finish(self, caller: str, key: str, status: int, headers: str, body: bytes | None) -> None: ...
    async def drop(self, caller: str, key: str) -> None: ...
