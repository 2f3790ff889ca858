"""Places where stations may leave a file, and the files they left."""

from __future__ import annotations

import builtins
import sqlite3
from datetime import datetime
from typing import Any

from peewee import fn

from csms.model.diagnostics import Upload
from csms.store.columns import micros, moment, moment_or_none
from csms.store.connections import Readers
from csms.store.security_tables import UploadRow as Row
from csms.store.statements import Q, compiled, insertion
from csms.store.writer import Writer

NEW = compiled(insertion(Row, without=("id",)))
RECEIVED = compiled(Row.update({Row.ended_at: Q, Row.file: Q, Row.size: Q}).where(Row.id == Q))
ONE = compiled(Row.select().where(Row.id == Q))
REMOVE = compiled(Row.delete().where(Row.id == Q))


class UploadRows:
    """Uploads by number."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def offer(
        self, station: str, kind: str, request_id: int, key: str, created_at: datetime, expires_at: datetime
    ) -> Upload:
        """Remember a place before anybody is told of it."""
        row = (station, kind, key, micros(created_at), micros(expires_at), None, None, "", 0, request_id)

        def unit(connection: sqlite3.Connection) -> int:
            return int(connection.execute(NEW, row).lastrowid or 0)

        id = await self._writer.submit(unit)
        return Upload(id, station, kind, request_id, created_at, expires_at)

    async def received(self, id: int, file: str, size: int, at: datetime) -> Upload:
        """A whole file is there."""

        def unit(connection: sqlite3.Connection) -> Any:
            connection.execute(RECEIVED, (micros(at), file, size, id))
            return connection.execute(ONE, (id,)).fetchone()

        return _upload(await self._writer.submit(unit))

    async def get(self, id: int) -> Upload | None:
        """An upload, or None."""
        row = self._readers.one(ONE, (id,))
        return None if row is None else _upload(row)

    async def file_of(self, id: int) -> str:
        """The name of an upload's file in the folder; empty where there is none."""
        row = self._readers.one(ONE, (id,))
        return "" if row is None else str(row[FILE])

    async def list(self, *, station: str | None = None, after: int = 0, limit: int = 100) -> builtins.list[Upload]:
        """Uploads by number, those after ``after``."""
        query = Row.select().where(Row.id > after).order_by(Row.id).limit(limit)
        if station is not None:
            query = query.where(Row.station == station)
        return await self._readers.many(query, _upload)

    async def open(self, now: datetime) -> builtins.list[tuple[str, Upload]]:
        """Places that still may be used, with the hashes of their words."""
        query = Row.select().where(Row.ended_at.is_null(), Row.expires_at > micros(now))
        return await self._readers.many(query, lambda row: (str(row[KEY]), _upload(row)))

    async def files(self) -> frozenset[str]:
        """The names of all files."""
        query = Row.select(Row.file).where(Row.file != "")
        return frozenset(await self._readers.many(query, lambda row: str(row[0])))

    async def used(self) -> dict[str, int]:
        """The bytes that files of each station have."""
        query = Row.select(Row.station, fn.SUM(Row.size)).where(Row.file != "").group_by(Row.station)
        return dict(await self._readers.many(query, lambda row: (str(row[0]), int(row[1]))))

    async def outdated(self, now: datetime, kept_since: datetime | None) -> builtins.list[int]:
        """Numbers of places that nobody used in time, and of files that came before ``kept_since``."""
        gone = Row.ended_at.is_null() & (Row.expires_at <= micros(now))
        if kept_since is not None:
            gone |= Row.ended_at <= micros(kept_since)
        return await self._readers.many(Row.select(Row.id).where(gone).limit(1000), lambda row: int(row[0]))

    async def remove(self, id: int) -> tuple[Upload, str] | None:
        """Forget an upload; gives it and its file's name, or None."""

        def unit(connection: sqlite3.Connection) -> Any:
            row = connection.execute(ONE, (id,)).fetchone()
            connection.execute(REMOVE, (id,))
            return row

        row = await self._writer.submit(unit)
        return None if row is None else (_upload(row), str(row[FILE]))


KEY, FILE = 3, 8


def _upload(row: Any) -> Upload:
    return Upload(row[0], row[1], row[2], row[10], moment(row[4]), moment(row[5]), moment_or_none(row[7]), row[9])
