"""The one writer of a database file: a thread that commits what has gathered as one transaction and wakes the reactor once per batch.

A unit is a function of the connection. It may run twice (its batch was rolled back because another unit failed), so it has no effect but on the
database. A Deferred fires only after the commit that holds its unit.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from twisted.internet.defer import Deferred

from csms.running import Promise
from csms.store.connections import WritingConnection
from csms.store.faults import UNWELL, StoreFault, Untouched, fault_of

T = TypeVar("T")
Unit = Callable[[WritingConnection], Any]
MAX_BATCH = 500
"""A batch ends with the unit that brings it to so many messages."""
PROBE_S = 1.0


class Order(NamedTuple):
    """A unit, who waits for it, and for how many messages it writes."""

    unit: Unit
    waiting: Promise[Any]
    size: int = 1


Result = tuple[Order, Any, BaseException | None]
"""What became of an order: what its unit gave, or the fault."""


class Writer:
    """Takes units from the reactor thread, runs them in its own, in the order given."""

    def __init__(
        self,
        connect: Callable[[], WritingConnection],
        reactor: Any,
        name: str,
        committed: Callable[[int, float], None] | None = None,
    ) -> None:
        self._connect = connect
        self._reactor = reactor
        self._committed = committed
        self._orders: SimpleQueue[list[Order] | None] = SimpleQueue()
        self._gathered: list[Order] = []
        self._under_way = 0
        self._thread = threading.Thread(target=self._run, name=f"csms-{name}", daemon=True)
        self._connection: WritingConnection | None = None
        self._open = False
        self._ended: Deferred[None] = Deferred()
        self._unwell: StoreFault | None = None
        self.last_fault: StoreFault | None = None

    @property
    def healthy(self) -> bool:
        """Whether the writer runs and its last commit succeeded."""
        return self._open and self._unwell is None

    @property
    def busy(self) -> bool:
        """Whether anything waits for its commit."""
        return bool(self._gathered or self._under_way)

    def start(self) -> None:
        """Begin to take units."""
        self._open = True
        self._thread.start()

    def submit(self, unit: Callable[[WritingConnection], T], size: int = 1) -> Deferred[T]:
        """Run a unit in the next batch; the result comes after its commit, a StoreFault or what the unit raised if there is none.

        ``size``: for how many messages it writes.
        """
        waiting: Promise[T] = Promise()
        if not self._open:
            waiting.errback(StoreFault("closed"))
            return waiting
        if not self._gathered:
            self._reactor.callLater(0, self._hand_over)
        self._gathered.append(Order(unit, waiting, size))
        return waiting

    def _hand_over(self) -> None:
        """Once per turn of the reactor: what all sockets of this turn brought is one batch, and the two threads do not fight over every row."""
        gathered, self._gathered = self._gathered, []
        self._under_way += len(gathered)
        if gathered:
            self._orders.put(gathered)

    async def stop(self) -> None:
        """Take nothing more, commit what has gathered, close the file."""
        if not self._open:
            return
        self._open = False
        self._hand_over()
        self._orders.put(None)
        await self._ended
        self._thread.join()

    # In the writer's thread

    def _run(self) -> None:
        ending = False
        while not ending:
            gathered, ending = self._gather()
            for batch in _batches(gathered):
                began = time.perf_counter()
                results = self._commit(batch)
                self._reactor.callFromThread(self._fire, results, time.perf_counter() - began)
            if not gathered and self._unwell:
                self._probe()
        self._disconnect()
        self._reactor.callFromThread(self._ended.callback, None)

    def _gather(self) -> tuple[list[Order], bool]:
        """What has gathered, and whether it is the last; waits for the first, at most PROBE_S while the database is unwell."""
        batch: list[Order] = []
        try:
            orders = self._orders.get(timeout=PROBE_S if self._unwell else None)
            while orders is not None:
                batch += orders
                if len(batch) >= MAX_BATCH:
                    return batch, False
                orders = self._orders.get_nowait()
        except Empty:
            return batch, False
        return batch, True

    def _commit(self, batch: list[Order]) -> list[Result]:
        """One transaction for the batch; if a unit fails, one transaction for each."""
        try:
            connection = self._connected()
            connection.begin()
        except Exception as raised:
            fault = self._note(raised)
            return [(order, None, fault) for order in batch]
        try:
            results = [_carry_out(connection, order) for order in batch]
            connection.execute("COMMIT")
        except Exception as raised:
            return self._undo(connection, batch, raised)
        self._unwell = None
        return results

    def _undo(self, connection: WritingConnection, batch: list[Order], raised: Exception) -> list[Result]:
        try:
            connection.undo()
        except sqlite3.Error:
            self._disconnect()
        if len(batch) == 1:
            return [(batch[0], None, self._note(raised))]
        results: list[Result] = []
        for order in batch:
            results += self._commit([order])
            if self._unwell:
                break
        return results + [(order, None, self._unwell) for order in batch[len(results) :]]

    def _note(self, raised: Exception) -> BaseException:
        """What the waiting ones are told; a fault of the database itself is remembered, and a new connection made where it may help."""
        fault = fault_of(raised)
        if isinstance(fault, StoreFault):
            self.last_fault = fault
            if fault.kind in UNWELL:
                self._unwell = fault
            if fault.kind in ("io", "corrupt"):
                self._disconnect()
        return fault

    def _probe(self) -> None:
        """While the database is unwell and nobody writes: see whether it takes a write again."""
        self._commit([Order(_write_and_forget, Promise())])

    def _connected(self) -> WritingConnection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error as raised:
                self.last_fault = StoreFault("other", raised)

    # In the reactor's thread

    def _fire(self, results: list[Result], seconds: float) -> None:
        self._under_way -= len(results)
        if self._committed is not None:
            self._committed(sum(order.size for order, _, fault in results if fault is None), seconds)
        for order, value, fault in results:
            if fault is None:
                order.waiting.keep(value)
            else:
                order.waiting.fail(fault.again() if isinstance(fault, StoreFault) else fault)


def _carry_out(connection: WritingConnection, order: Order) -> Result:
    try:
        return order, order.unit(connection), None
    except Untouched as refused:
        return order, None, refused


def _batches(orders: list[Order]) -> Iterator[list[Order]]:
    """The orders, so many at a time that a commit is not too large."""
    batch: list[Order] = []
    size = 0
    for order in orders:
        batch.append(order)
        size += order.size
        if size >= MAX_BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _write_and_forget(connection: WritingConnection) -> None:
    """Takes a new page of the file and gives it back."""
    connection.execute("CREATE TABLE csms_probe (x TEXT) STRICT")
    connection.execute("DROP TABLE csms_probe")
