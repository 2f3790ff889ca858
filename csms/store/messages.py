"""The message log: every frame, in a file of its own that may lose its last half second. It is never evidence of anything billed.

Frames wait in memory and are written together; when too many wait they are dropped and counted, so that the log never harms the stations.
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from csms.store.columns import micros, moment
from csms.store.connections import Readers
from csms.store.faults import StoreFault
from csms.store.kept_tables import Message
from csms.store.statements import compiled, insertion
from csms.store.writer import Writer

Direction = Literal["in", "out"]
NEW = compiled(insertion(Message, without=("id",)))
PRUNE = 'DELETE FROM "message" WHERE "at" < ? AND "id" IN (SELECT "id" FROM "message" ORDER BY "id" LIMIT ?)'
FLUSH_S = 0.5
MOST_WAITING = 50_000
PRUNE_STEP = 2_000


@dataclass(frozen=True, slots=True)
class LoggedMessage:
    """One frame; ``direction`` is ``in`` (from the station) or ``out``."""

    id: int
    station: str
    at: datetime
    direction: str
    frame: str


class MessageRows:
    """The message log by number."""

    def __init__(self, readers: Readers, writer: Writer, reactor: Any) -> None:
        self._readers = readers
        self._writer = writer
        self._reactor = reactor
        self._waiting: list[tuple[object, ...]] = []
        self._flush_later: IDelayedCall | None = None
        self.dropped = 0
        """Frames that were not logged, because too many waited or the file took no writes."""

    def log(self, station: str, at: datetime, direction: str, frame: bytes | str) -> None:
        """Log a frame soon; never waits and never raises for the database's sake."""
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            return
        text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
        self._waiting.append((station, micros(at), direction, text))
        if self._flush_later is None:
            self._flush_later = self._reactor.callLater(FLUSH_S, self._flush_guarded)

    async def flush(self) -> None:
        """Write what waits; raises StoreFault if the file takes no writes (the frames are dropped then)."""
        if self._flush_later is not None:
            if self._flush_later.active():
                self._flush_later.cancel()
            self._flush_later = None
        rows, self._waiting = self._waiting, []
        if not rows:
            return
        try:
            await self._writer.submit(lambda connection: connection.executemany(NEW, rows).rowcount)
        except StoreFault:
            self.dropped += len(rows)
            raise

    def _flush_guarded(self) -> None:
        Deferred.fromCoroutine(self.flush()).addErrback(_forgive)

    async def list(
        self, station: str | None = None, *, after: int | None = None, before: int | None = None, limit: int = 100
    ) -> builtins.list[LoggedMessage]:
        """Frames in ascending order: the first ones after a number, or without ``after`` the newest ones, below ``before`` if given."""
        if self._writer.healthy:
            await self.flush()
        query = Message.select().limit(limit)
        if station is not None:
            query = query.where(Message.station == station)
        if before is not None:
            query = query.where(Message.id < before)
        if after is not None:
            return await self._readers.many(query.where(Message.id > after).order_by(Message.id), _message)
        newest = await self._readers.many(query.order_by(Message.id.desc()), _message)
        return newest[::-1]

    async def prune(self, older_than: datetime) -> int:
        """Delete frames logged before a time, in small steps; how many were deleted."""
        values = (micros(older_than), PRUNE_STEP)
        deleted, step = 0, PRUNE_STEP
        while step == PRUNE_STEP:
            step = await self._writer.submit(lambda connection: connection.execute(PRUNE, values).rowcount)
            deleted += step
        return deleted


def _message(row: Any) -> LoggedMessage:
    return LoggedMessage(row[0], row[1], moment(row[2]), row[3], row[4])


def _forgive(failure: Failure) -> Failure | None:
    """The frames are counted as dropped; the log may not harm anybody."""
    return None if isinstance(failure.value, StoreFault) else failure
