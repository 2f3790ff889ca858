"""What is only kept: meter values outside transactions, messages without policy, and plugins' small texts."""

from __future__ import annotations

import builtins
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred

from csms.store.columns import digest, micros, moment
from csms.store.connections import Readers, WritingConnection
from csms.store.kept_tables import Note, Notice, Telemetry
from csms.store.presence import outdated, refuse_older
from csms.store.statements import Q, compiled, insertion, once, upsert
from csms.store.writer import Writer

NEW_TELEMETRY = once(Telemetry, Telemetry.station, Telemetry.digest, without=("id",))
TELEMETRY = Telemetry.select(Telemetry.id, Telemetry.station, Telemetry.evse, Telemetry.at, Telemetry.body)
NEW_NOTICE = compiled(insertion(Notice, without=("id",)))
KEEP = upsert(Note, Note.plugin, Note.key)
TAKE = once(Note, Note.plugin, Note.key)
FORGET = compiled(Note.delete().where(Note.plugin == Q, Note.key == Q))
UNDER = Note.select(Note.key, Note.value)
KEPT = compiled(Note.select(Note.value).where(Note.plugin == Q, Note.key == Q))


ValuesRow = tuple[str, int, int, bytes, bytes]
ToldValues = tuple[str, int, int, bytes, datetime]
"""A station, the fence of the connection by which it told them, their EVSE, the station's own JSON, and when it came."""


@dataclass(frozen=True, slots=True)
class StoredTelemetry:
    """Meter values outside a transaction; ``body`` is the station's own JSON."""

    id: int
    station: str
    evse: int
    at: datetime
    body: bytes


@dataclass(frozen=True, slots=True)
class StoredNotice:
    """A message without policy; ``kind`` is its 2.x action, ``body`` the station's own JSON."""

    id: int
    station: str
    kind: str
    at: datetime
    body: bytes


class TelemetryRows:
    """Meter values that are never billed."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def record(self, station: str, fence: int, evse: int, body: bytes, at: datetime) -> bool:
        """Keep a message; False for one of the same content as another."""
        row = _values_row(station, evse, body, at)

        def unit(connection: WritingConnection) -> bool:
            refuse_older(connection, station, fence)
            return connection.execute(NEW_TELEMETRY, row).rowcount == 1

        return await self._writer.submit(unit)

    def record_all(self, told: Sequence[ToldValues]) -> Deferred[builtins.list[bool | None]]:
        """As ``record``, all in one go; None and nothing done for a station that has a newer connection than that which told it."""
        rows = [(fence, _values_row(station, evse, body, at)) for station, fence, evse, body, at in told]

        def unit(connection: WritingConnection) -> builtins.list[bool | None]:
            return [
                None if outdated(connection, row[0], fence) else connection.execute(NEW_TELEMETRY, row).rowcount == 1
                for fence, row in rows
            ]

        return self._writer.submit(unit, len(rows))

    async def list(self, station: str, after: int = 0, limit: int = 100) -> builtins.list[StoredTelemetry]:
        """A station's messages by number, those after ``after``."""
        query = TELEMETRY.where(Telemetry.station == station, Telemetry.id > after).order_by(Telemetry.id)
        return await self._readers.many(query.limit(limit), _telemetry)


class NoticeRows:
    """Messages without policy."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def record(self, station: str, fence: int, kind: str, body: bytes, at: datetime) -> None:
        """Keep a message; it has no natural key, so a repeat is kept too."""
        row = (station, kind, micros(at), body)

        def unit(connection: WritingConnection) -> None:
            refuse_older(connection, station, fence)
            connection.execute(NEW_NOTICE, row)

        await self._writer.submit(unit)

    async def list(
        self, station: str | None = None, kind: str | None = None, after: int = 0, limit: int = 100
    ) -> builtins.list[StoredNotice]:
        """Messages by number, those after ``after``."""
        query = Notice.select().where(Notice.id > after).order_by(Notice.id).limit(limit)
        if station is not None:
            query = query.where(Notice.station == station)
        if kind is not None:
            query = query.where(Notice.kind == kind)
        return await self._readers.many(query, _notice)


class NoteRows:
    """Small texts of plugins, by plugin and key."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def keep(self, plugin: str, key: str, value: str, at: datetime) -> None:
        """Keep a text in place of any other."""
        row = (plugin, key, value, micros(at))
        await self._writer.submit(lambda connection: connection.execute(KEEP, row).rowcount)

    async def kept(self, plugin: str, key: str) -> str | None:
        """The text, or None."""
        row = self._readers.one(KEPT, (plugin, key))
        return None if row is None else str(row[0])

    async def keep_all(self, plugin: str, texts: Mapping[str, str | None], at: datetime) -> None:
        """Keep many texts, or forget those that are None, in one transaction."""
        kept = [(plugin, key, value, micros(at)) for key, value in texts.items() if value is not None]
        forgotten = [(plugin, key) for key, value in texts.items() if value is None]

        def unit(connection: sqlite3.Connection) -> None:
            connection.executemany(KEEP, kept)
            connection.executemany(FORGET, forgotten)

        await self._writer.submit(unit)

    async def kept_under(self, plugin: str, prefix: str) -> dict[str, str]:
        """All texts whose keys begin so, in the order of their keys."""
        query = UNDER.where(Note.plugin == plugin, Note.key >= prefix, Note.key < prefix + chr(0x10FFFF))
        return dict(await self._readers.many(query.order_by(Note.key), tuple))

    async def take(self, plugin: str, key: str, value: str, at: datetime) -> bool:
        """Keep a text only if the key is new, and say whether it was."""
        row = (plugin, key, value, micros(at))
        return await self._writer.submit(lambda connection: connection.execute(TAKE, row).rowcount == 1)


def _values_row(station: str, evse: int, body: bytes, at: datetime) -> ValuesRow:
    return station, evse, micros(at), digest(body), body


def _telemetry(row: Any) -> StoredTelemetry:
    return StoredTelemetry(row[0], row[1], row[2], moment(row[3]), row[4])


def _notice(row: Any) -> StoredNotice:
    return StoredNotice(row[0], row[1], row[2], moment(row[3]), row[4])
