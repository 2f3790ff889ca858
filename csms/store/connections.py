"""Connections to the database file: how they are made, and the readers; a reader never writes.

Reads of a row or a few run at once on a connection of the reactor's thread (microseconds, and WAL never makes a reader wait); lists run in a
small pool of threads, each with a connection of its own.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from csms.store.faults import StoreFault, fault_of

T = TypeVar("T")
C = TypeVar("C", bound=sqlite3.Connection)
Synchronous = Literal["FULL", "NORMAL"]
WRITER_WAITS_S = 5.0
READER_WAITS_S = 1.0
READERS = 3
CHECKPOINT_PAGES = 4000
STATEMENTS = 256


class WritingConnection(sqlite3.Connection):
    """The one connection of a process that writes a file; remembers what it needs of the file again and again.

    What is remembered is dropped when it may be untrue: after a rollback, and when somebody else has written the file.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.fences: dict[str, int] = {}
        """The newest fence of stations."""
        self.transactions: dict[tuple[str, str], Any] = {}
        """Of transactions that go on, by station and id on the wire: row and evidence (``csms.store.recording``)."""
        self._version = 0

    def begin(self) -> None:
        """Begin a transaction that writes."""
        self.execute("BEGIN IMMEDIATE")
        (version,) = self.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version = version
            self.forget()

    def undo(self) -> None:
        """Roll back, if SQLite has not done so already."""
        self.forget()
        if self.in_transaction:
            self.execute("ROLLBACK")

    def forget(self) -> None:
        """Drop all that is remembered."""
        self.fences.clear()
        self.transactions.clear()


def writing(file: Path, synchronous: Synchronous) -> WritingConnection:
    """A connection that writes; the file is made if need be, readable by its owner only. Transactions are begun by hand."""
    if not file.exists():
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    connection = _connect(file, WRITER_WAITS_S, WritingConnection)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA cache_size = -16000")
    return connection


def reading(file: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    connection = _connect(file, READER_WAITS_S, sqlite3.Connection)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _connect(file: Path, waits_s: float, kind: type[C]) -> C:
    return sqlite3.connect(
        f"{file.resolve().as_uri()}?mode=rw",
        uri=True,
        timeout=waits_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS,
        factory=kind,
    )


class ReadThread(threading.Thread):
    """Keeps no process from ending: one that dies without closing its stores must not wait for their readers for ever."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, daemon=True, **named)


class ReadPool(ThreadPool):
    """The threads of the readers."""

    threadFactory = ReadThread


class Readers:
    """The readers of one file; every fault is a StoreFault."""

    def __init__(self, file: Path, reactor: Any) -> None:
        self._file = file
        self._reactor = reactor
        self._here: sqlite3.Connection | None = None
        self._pool: ThreadPool | None = None
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self.under_way = 0
        """How many reads run in threads."""

    def open(self) -> None:
        """Connect; the file exists."""
        self._here = reading(self._file)
        self._pool = ReadPool(0, READERS, "csms-store-read")
        self._pool.start()

    def close(self) -> None:
        """Let running reads end, disconnect."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()
        here, self._here = self._here, None
        for connection in (here, *self._connections):
            if connection is not None:
                connection.close()
        self._connections.clear()

    def one(self, sql: str, values: Sequence[Any]) -> Any:
        """The first row, or None; at once."""
        if self._here is None:
            raise StoreFault("closed")
        try:
            return self._here.execute(sql, values).fetchone()
        except sqlite3.Error as raised:
            raise fault_of(raised) from raised

    def few(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """All rows of a query that has few; at once."""
        if self._here is None:
            raise StoreFault("closed")
        try:
            return self._here.execute(sql, values).fetchall()
        except sqlite3.Error as raised:
            raise fault_of(raised) from raised

    async def many(self, query: Any, made: Callable[[Any], T]) -> list[T]:
        """What a peewee query finds, each row turned into a record, in a thread."""
        sql, values = query.sql()
        return await self.found(sql, values, made)

    async def found(self, sql: str, values: Sequence[Any], made: Callable[[Any], T]) -> list[T]:
        """As ``many``, of a query that was compiled before: what is asked often should not be put into words each time."""
        return await self.threaded(lambda connection: [made(row) for row in connection.execute(sql, values)])

    async def threaded(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Run a read in a thread."""
        if self._pool is None:
            raise StoreFault("closed")
        self.under_way += 1
        try:
            return await deferToThreadPool(self._reactor, self._pool, self._read, read)
        finally:
            self.under_way -= 1

    def _read(self, read: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = reading(self._file)
                self._connections.append(connection)
            return read(connection)
        except sqlite3.Error as raised:
            raise fault_of(raised) from raised
