"""The message log: every frame, in a file of its own that may lose its last half second. It is never evidence of anything billed.

Frames wait in memory and are written together, those of one station as one row; when too many wait they are dropped and counted, so that the log
never harms the stations. Stations are in groups, written one after the other: all in one go would hold up everybody's answers twice a second.
"""

from __future__ import annotations

import builtins
import sqlite3
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from csms.model.messages import LoggedMessage, MessageQuery, MessagesFound
from csms.store.columns import micros
from csms.store.connections import Readers
from csms.store.faults import StoreFault
from csms.store.kept_tables import MessageChunk
from csms.store.message_chunks import SIGNS, Chunk, Clean, Waiting, logged_messages, packed
from csms.store.message_search import searched
from csms.store.statements import compiled, insertion
from csms.store.writer import Writer

NEW = compiled(insertion(MessageChunk))
NEXT_ID = 'SELECT COALESCE(MAX("id" + "count"), 1) FROM (SELECT "id", "count" FROM "message_chunk" ORDER BY "id" DESC LIMIT 1)'
FLUSH_S = 0.5
GROUPS = 8
"""Each group's frames are written every FLUSH_S, and between those of two groups some answers leave."""
MOST_WAITING = 50_000
MOST_WAITING_BYTES = 64 * 2**20
LONGEST_CHUNK = 100
"""Frames in one row: a reader that wants one frame reads them all."""
LAST_ID = 2**63 - 1


class MessageRows:
    """The message log by number. Numbers grow with time for each station; those of different stations only from one half second to the next."""

    def __init__(self, readers: Readers, writer: Writer, reactor: Any) -> None:
        self._readers = readers
        self._writer = writer
        self._reactor = reactor
        self._groups: list[dict[str, list[Waiting]]] = [{} for _ in range(GROUPS)]
        self._turn = 0
        self._frames = 0
        self._bytes = 0
        self._flush_later: IDelayedCall | None = None
        self.clean: Clean = list
        """Takes secrets out of frames before they are written; whoever builds the house says how."""
        self.dropped = 0
        """Frames that were not logged, because too many waited or the file took no writes."""

    def log(self, station: str, at: datetime, direction: str, frame: bytes | str) -> None:
        """Log a frame soon; never waits and never raises for the database's sake."""
        if self._frames >= MOST_WAITING or self._bytes >= MOST_WAITING_BYTES:
            self.dropped += 1
            return
        raw = frame.encode() if isinstance(frame, str) else frame
        self._frames += 1
        self._bytes += len(raw)
        group = self._groups[hash(station) % GROUPS]
        waiting = group.get(station)
        if waiting is None:
            waiting = group[station] = []
        waiting.append((micros(at), SIGNS[direction], raw))
        if self._flush_later is None:
            self._flush_later = self._reactor.callLater(FLUSH_S / GROUPS, self._next_group)

    async def flush(self) -> None:
        """Write what waits; raises StoreFault if the file takes no writes (the frames are dropped then)."""
        if self._flush_later is not None:
            if self._flush_later.active():
                self._flush_later.cancel()
            self._flush_later = None
        groups = [self._taken(number) for number in range(GROUPS)]
        stations = [one for group in groups for one in group.items()]
        await self._written(dict(sorted(stations, key=lambda one: one[1][0][0])))

    def _next_group(self) -> None:
        self._flush_later = None
        waiting = self._taken(self._turn)
        self._turn = (self._turn + 1) % GROUPS
        Deferred.fromCoroutine(self._written(waiting)).addErrback(_forgive)
        if self._frames:
            self._flush_later = self._reactor.callLater(FLUSH_S / GROUPS, self._next_group)

    def _taken(self, number: int) -> dict[str, list[Waiting]]:
        """The frames of a group, which wait no longer."""
        taken, self._groups[number] = self._groups[number], {}
        for frames in taken.values():
            self._frames -= len(frames)
            self._bytes -= sum([len(one[2]) for one in frames])
        return taken

    async def _written(self, taken: dict[str, list[Waiting]]) -> None:
        if not taken:
            return
        try:
            await self._writer.submit(lambda connection: _write(connection, taken, self.clean))
        except StoreFault:
            self.dropped += sum(map(len, taken.values()))
            raise

    async def list(
        self, station: str | None = None, *, after: int | None = None, before: int | None = None, limit: int = 100
    ) -> builtins.list[LoggedMessage]:
        """Frames in ascending order: the first ones after a number, or without ``after`` the newest ones, below ``before`` if given."""
        if self._writer.healthy:
            await self.flush()
        # The first frame that is wanted may stand in the middle of a row.
        lowest, highest = (-1 if after is None else after), (LAST_ID if before is None else before)
        query = MessageChunk.select().where(MessageChunk.id > lowest - LONGEST_CHUNK, MessageChunk.id < highest)
        if station is not None:
            query = query.where(MessageChunk.station == station)
        sql, values = query.order_by(MessageChunk.id if after is not None else MessageChunk.id.desc()).sql()

        def read(connection: sqlite3.Connection) -> builtins.list[LoggedMessage]:
            found: builtins.list[LoggedMessage] = []
            for row in connection.execute(sql, values):
                chunk = [one for one in logged_messages(row) if lowest < one.id < highest]
                found = found + chunk if after is not None else chunk + found
                if len(found) >= limit:
                    break
            return found[:limit] if after is not None else found[-limit:]

        return await self._readers.threaded(read)

    async def search(self, query: MessageQuery, *, before: int | None = None, limit: int = 100) -> MessagesFound:
        """Frames that fit, the newest first, below a number if given: as many as are found in a part of a second, and how far that came."""
        if self._writer.healthy:
            await self.flush()
        return await searched(self._readers, query, LAST_ID if before is None else before, limit)


def _write(connection: sqlite3.Connection, waiting: dict[str, list[Waiting]], clean: Clean) -> None:
    (id,) = connection.execute(NEXT_ID).fetchone()
    rows: list[Chunk] = []
    for station, frames in waiting.items():
        for start in range(0, len(frames), LONGEST_CHUNK):
            rows.append(packed(id, station, frames[start : start + LONGEST_CHUNK], clean))
            id += rows[-1][4]
    connection.executemany(NEW, rows)


def _forgive(failure: Failure) -> Failure | None:
    """The frames are counted as dropped; the log may not harm anybody."""
    return None if isinstance(failure.value, StoreFault) else failure
