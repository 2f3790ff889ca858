"""A store that does everything at once, in the thread that asks: for rehearsals and tests on a clock that stands still. Nothing in it is durable."""

from __future__ import annotations

import atexit
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from csms.model.messages import LoggedMessage
from csms.running import Promise
from csms.store.connections import Readers, WritingConnection, reading, writing
from csms.store.faults import StoreFault, fault_of
from csms.store.messages import LAST_ID, MessageRows
from csms.store.schema import upgrade
from csms.store.store import Store
from csms.store.writer import Order, Writer

T = TypeVar("T")


class InlineReaders(Readers):
    """Readers without threads."""

    def open(self) -> None:
        """Connect; the file exists."""
        self._here = reading(self._file)

    async def threaded(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Run a read, at once."""
        if self._here is None:
            raise StoreFault("closed")
        return read(self._here)


class InlineWriter(Writer):
    """A writer without a thread; each unit is a transaction of its own."""

    def start(self) -> None:
        """Begin to take units."""
        self._open = True
        connection = self._connected()
        connection.execute("PRAGMA synchronous = OFF")

    def submit(self, unit: Callable[[WritingConnection], T], size: int = 1) -> Deferred[T]:
        """Run a unit, at once."""
        waiting: Promise[T] = Promise()
        if not self._open:
            waiting.errback(StoreFault("closed"))
            return waiting
        self._under_way += 1
        self._fire(self._commit([Order(unit, waiting, size)]), 0.0)
        return waiting

    async def stop(self) -> None:
        """Take nothing more, close the file."""
        if self._open:
            self._open = False
            self._disconnect()


class InlineStore(Store):
    """A store in a folder of its own, which goes when it is closed or forgotten, at the latest when the process ends."""

    READERS = InlineReaders
    WRITER = InlineWriter

    def __init__(self, reactor: Any) -> None:
        folder = tempfile.mkdtemp(prefix="csms-rehearsal-")
        self._removed = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        super().__init__(Path(folder) / "csms.sqlite", reactor)

    async def _in_a_thread(self, work: Callable[[], None]) -> None:
        shutil.copyfile(_empty(), self.file)
        work()

    async def close(self) -> None:
        """Close the files and delete them."""
        await super().close()
        self._removed()


def frames_of(file: Path) -> list[LoggedMessage]:
    """Every frame of a message log, in the order of time; raises StoreFault for a file that is none."""
    clock = Clock()
    readers = InlineReaders(file, clock)
    try:
        readers.open()
        rows = MessageRows(readers, InlineWriter(lambda: writing(file, "NORMAL"), clock, "unused"), clock)
        found: list[LoggedMessage] = []
        outcome: list[object] = []
        Deferred.fromCoroutine(rows.list(after=-1, limit=LAST_ID)).addCallback(found.extend).addErrback(outcome.append)
        if outcome and isinstance(outcome[0], Failure):
            outcome[0].raiseException()
    except sqlite3.Error as raised:
        raise fault_of(raised) from raised
    finally:
        readers.close()
    return sorted(found, key=lambda one: (one.at, one.id))


@cache
def _empty() -> Path:
    """An empty database of the newest schema, made once for each process."""
    folder = tempfile.mkdtemp(prefix="csms-empty-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = Path(folder) / "csms.sqlite"
    upgrade(file)
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return file
