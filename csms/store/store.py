"""The store as one piece: two files, a writer for each, the readers, and the repositories on top of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThreadPool

from csms.store.authorization import TokenRows
from csms.store.availability import ConnectorRows
from csms.store.billing import BillRows
from csms.store.commands import CommandRows
from csms.store.connections import Readers, writing
from csms.store.decisions import DecisionRows
from csms.store.deliveries import DeliveryRows
from csms.store.faults import StoreFault, fault_of
from csms.store.healing import HealingRows
from csms.store.keepsakes import NoteRows, NoticeRows, TelemetryRows
from csms.store.messages import MessageRows
from csms.store.monitoring import AlertRows
from csms.store.notifications import NotificationRows
from csms.store.people import AuditRows, DoneRows, KeyRows, PersonRows
from csms.store.plans import PlanRows
from csms.store.presence import PresenceRows
from csms.store.provisioning import VariableRows
from csms.store.schema import copy, prepare_log, upgrade
from csms.store.security import SecurityEventRows, SecurityRows
from csms.store.shelves import Shelves
from csms.store.sole_use import SoleUse
from csms.store.stations import StationRows
from csms.store.transactions import TransactionRows
from csms.store.uploads import UploadRows
from csms.store.writer import Writer


def log_beside(file: Path) -> Path:
    """Where the message log of a database is unless somebody says otherwise."""
    return file.with_name(f"{file.stem}-messages{file.suffix}")


class Store:
    """The database of one node. ``committed(writes, seconds)`` is told of each batch of the main file, in the reactor's thread."""

    READERS: type[Readers] = Readers
    WRITER: type[Writer] = Writer

    def __init__(
        self,
        file: Path | str,
        reactor: Any,
        *,
        node: str = "local",
        messages_file: Path | None = None,
        committed: Callable[[int, float], None] | None = None,
    ) -> None:
        self.file = Path(file)
        self.messages_file = messages_file or log_beside(self.file)
        self._reactor = reactor
        self._sole_use = SoleUse(self.file)
        self._readers = self.READERS(self.file, reactor)
        self._log_readers = self.READERS(self.messages_file, reactor)
        self._writer = self.WRITER(lambda: writing(self.file, "FULL"), reactor, "store-write", committed)
        self._log_writer = self.WRITER(lambda: writing(self.messages_file, "NORMAL"), reactor, "log-write")
        rows = (self._readers, self._writer)
        self.stations = StationRows(*rows)
        self.presence = PresenceRows(*rows, node)
        self.availability = ConnectorRows(*rows)
        self.tokens = TokenRows(*rows)
        self.transactions = TransactionRows(*rows)
        self.healing = HealingRows(*rows)
        self.decisions = DecisionRows(*rows)
        self.alerts = AlertRows(*rows)
        self.commands = CommandRows(*rows)
        self.plans = PlanRows(*rows)
        self.bills = BillRows(*rows)
        self.deliveries = DeliveryRows(*rows)
        self.telemetry = TelemetryRows(*rows)
        self.variables = VariableRows(*rows)
        self.notices = NoticeRows(*rows)
        self.notes = NoteRows(*rows)
        self.people = PersonRows(*rows)
        self.keys = KeyRows(*rows)
        self.audit = AuditRows(*rows)
        self.done_requests = DoneRows(*rows)
        self.notifications = NotificationRows(*rows)
        self.security = SecurityRows(*rows)
        self.security_events = SecurityEventRows(*rows)
        self.uploads = UploadRows(*rows)
        self.messages = MessageRows(self._log_readers, self._log_writer, reactor)
        self.shelves = Shelves(*rows)
        self.log_shelves = Shelves(self._log_readers, self._log_writer)

    async def open(self) -> None:
        """Bring the files up to date and start; nobody is connected to this node yet. Raises StoreFault or SchemaFault (InUse is one)."""
        await self._in_a_thread(self._prepare)
        self._readers.open()
        self._log_readers.open()
        self._writer.start()
        self._log_writer.start()
        await self.presence.leave()

    async def _in_a_thread(self, work: Callable[[], None]) -> None:
        await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)

    def _prepare(self) -> None:
        self._sole_use.take()
        try:
            upgrade(self.file)
            prepare_log(self.messages_file)
        except Exception as raised:
            self._sole_use.release()
            raise fault_of(raised) from raised

    async def close(self) -> None:
        """Commit what has gathered, then close the files; the write-ahead log is folded into the main file."""
        try:
            await self.messages.flush()
        except StoreFault:
            pass
        try:
            await self._log_writer.stop()
            self._readers.close()
            self._log_readers.close()
            await self._writer.stop()
        finally:
            self._sole_use.release()

    async def backup(self, target: Path) -> None:
        """A consistent copy of the main file while everything goes on; raises FileExistsError."""
        await self._readers.threaded(lambda connection: copy(connection, target, replace=False))

    @property
    def busy(self) -> bool:
        """Whether anything is being read or written."""
        return self._writer.busy or bool(self._readers.under_way)

    @property
    def healthy(self) -> bool:
        """Whether the main file is open and took the last write."""
        return self._writer.healthy

    @property
    def last_fault(self) -> StoreFault | None:
        """The last fault of the main file, kept after it is well again."""
        return self._writer.last_fault
