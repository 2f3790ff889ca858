"""The outbox: every notification until it is delivered or given up, and for a while after that."""

from __future__ import annotations

import builtins
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

import orjson
from peewee import SQL, fn

from csms.model.notifications import Notification, NotificationRecord, NotificationState
from csms.store.columns import json_text, micros, micros_or_none, moment, moment_or_none
from csms.store.connections import Readers
from csms.store.kept_tables import Outbox as Row
from csms.store.statements import Q, compiled, insertion
from csms.store.writer import Writer

Taken = Literal["queued", "known", "full"]
FIELDS = (Row.id, Row.notification, Row.state, Row.tries, Row.due, Row.closed_at, Row.error)
ALL = Row.select(*FIELDS)
GET = compiled(ALL.where(Row.id == Q))
HEAD = compiled(ALL.where(Row.channel == Q, Row.state == Q).order_by(Row.due, Row.id).limit(SQL("1")))
SAME_KEY = compiled(Row.select(Row.id).where(Row.channel == Q, Row.key == Q))
SAME_TEXT = compiled(Row.select(Row.id).where(Row.channel == Q, Row.once == Q, Row.once_until > Q).limit(SQL("1")))
WAITING = compiled(Row.select(fn.COUNT(SQL("*"))).where(Row.channel == Q, Row.state == Q))
NEW = compiled(insertion(Row, without=("id",)))
BEGUN = compiled(Row.update({Row.tries: Q, Row.due: Q}).where(Row.id == Q, Row.state == Q))
CLOSED = compiled(Row.update({Row.state: Q, Row.closed_at: Q, Row.error: Q}).where(Row.id == Q))
LATER = compiled(Row.update({Row.due: Q, Row.error: Q}).where(Row.id == Q))
AGAIN = compiled(
    Row.update({Row.state: Q, Row.tries: Q, Row.due: Q, Row.closed_at: Q}).where(Row.id == Q, Row.state == Q)
)
OLD = (Row.closed_at < Q) & (Row.once_until.is_null() | (Row.once_until < Q))
PRUNE = compiled(Row.delete().where(OLD))
WAITS = NotificationState.WAITING.value


class NotificationRows:
    """Notifications by number."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def add(
        self, new: Notification, *, key: str, once: str, once_until: datetime | None, waiting_at_most: int
    ) -> Taken:
        """Take a notification; ``known`` for a key that was taken before or a text still under its ``once``, ``full`` for a crowded channel."""
        row = (new.channel, key or None, json_text(asdict(new)), WAITS, 0, micros(new.at), None, "")
        limits = (once or None, micros_or_none(once_until))

        def unit(connection: sqlite3.Connection) -> Taken:
            if key and connection.execute(SAME_KEY, (new.channel, key)).fetchone():
                return "known"
            if once and connection.execute(SAME_TEXT, (new.channel, once, micros(new.at))).fetchone():
                return "known"
            (waiting,) = connection.execute(WAITING, (new.channel, WAITS)).fetchone()
            if waiting >= waiting_at_most:
                return "full"
            connection.execute(NEW, (*row, *limits))
            return "queued"

        return await self._writer.submit(unit)

    async def head(self, channel: str) -> NotificationRecord | None:
        """What is due first of what waits in a channel, due already or not."""
        row = self._readers.one(HEAD, (channel, WAITS))
        return None if row is None else _record(row)

    async def begun(self, id: int, tries: int, due: datetime) -> bool:
        """A try begins: counted before it is made, and due again should this process die in it. False if it waits no more."""
        row = (tries, micros(due), id, WAITS)
        return await self._writer.submit(lambda connection: connection.execute(BEGUN, row).rowcount == 1)

    async def closed(self, id: int, state: NotificationState, at: datetime, error: str = "") -> None:
        """It is delivered, or given up."""
        row = (state.value, micros(at), error, id)
        await self._writer.submit(lambda connection: connection.execute(CLOSED, row).rowcount)

    async def later(self, id: int, due: datetime, error: str) -> None:
        """The try failed; the next one is due then."""
        row = (micros(due), error, id)
        await self._writer.submit(lambda connection: connection.execute(LATER, row).rowcount)

    async def again(self, id: int, at: datetime) -> bool:
        """Let a dead one wait anew, with all its tries before it; False if it is not dead."""
        row = (WAITS, 0, micros(at), None, id, NotificationState.DEAD.value)
        return await self._writer.submit(lambda connection: connection.execute(AGAIN, row).rowcount == 1)

    async def abandon(self, channels: Collection[str], at: datetime) -> int:
        """Give up what waits for other channels than these; gives how many."""
        change = Row.update(
            {
                Row.state: NotificationState.DEAD.value,
                Row.closed_at: micros(at),
                Row.error: "there is no such channel any more",
            }
        )
        sql, values = change.where(Row.state == WAITS, Row.channel.not_in(list(channels))).sql()
        return await self._writer.submit(lambda connection: connection.execute(sql, values).rowcount)

    async def prune(self, before: datetime, at: datetime) -> None:
        """Forget what was closed before then, unless its text is still under its ``once``."""
        await self._writer.submit(lambda connection: connection.execute(PRUNE, (micros(before), micros(at))).rowcount)

    async def get(self, id: int) -> NotificationRecord | None:
        """The notification with this number, or None."""
        row = self._readers.one(GET, (id,))
        return None if row is None else _record(row)

    async def list(
        self, *, channel: str | None = None, state: NotificationState | None = None, after: int = 0, limit: int = 100
    ) -> builtins.list[NotificationRecord]:
        """The newest first; with ``after``, those with smaller numbers."""
        query = ALL.order_by(Row.id.desc()).limit(limit)
        if after:
            query = query.where(Row.id < after)
        if channel is not None:
            query = query.where(Row.channel == channel)
        if state is not None:
            query = query.where(Row.state == state.value)
        return await self._readers.many(query, _record)

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """How many there are by channel and state."""
        query = Row.select(Row.channel, Row.state, fn.COUNT(SQL("*"))).group_by(Row.channel, Row.state)
        return {(channel, state): count for channel, state, count in await self._readers.many(query, tuple)}


def _record(row: Any) -> NotificationRecord:
    told = orjson.loads(row[1])
    notification = Notification(**told | {"at": datetime.fromisoformat(told["at"])})
    return NotificationRecord(
        row[0], notification, NotificationState(row[2]), row[3], moment(row[4]), moment_or_none(row[5]), row[6]
    )
