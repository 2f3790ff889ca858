"""The command ledger: what was ordered and what became of it."""

from __future__ import annotations

import builtins
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from csms.model.commands import CommandRecord, CommandState
from csms.store.columns import json_text, micros, moment, moment_or_none
from csms.store.connections import Readers
from csms.store.faults import NoSuchRow
from csms.store.statements import Q, compiled, insertion
from csms.store.tables import Command as Row
from csms.store.writer import Writer

FLEET = ("node", "fence", "due", "deadline", "idem")
FIELDS = [field for field in Row._meta.sorted_fields if field.name not in FLEET]
ALL = Row.select(*FIELDS)
GET = compiled(ALL.where(Row.id == Q))
NEW = compiled(insertion(Row, without=("id", *FLEET)))
OPEN = [state.value for state in CommandState if not state.final]


class CommandRows:
    """Commands by number."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def add(
        self, station: str, name: str, arguments: Mapping[str, object], origin: str, at: datetime
    ) -> CommandRecord:
        """A new command, queued."""
        state = CommandState.QUEUED.value
        row = (station, name, json_text(arguments), state, origin, micros(at), None, None, None, 0, "", None, "", "")

        def unit(connection: sqlite3.Connection) -> CommandRecord:
            return _found(connection, connection.execute(NEW, row).lastrowid)

        return await self._writer.submit(unit)

    async def update(
        self,
        id: int,
        *,
        state: CommandState | None = None,
        wire: str | None = None,
        sent_at: datetime | None = None,
        answered_at: datetime | None = None,
        closed_at: datetime | None = None,
        tries: int | None = None,
        answer: Mapping[str, object] | None = None,
        error_code: str | None = None,
        error: str | None = None,
    ) -> CommandRecord:
        """Change what is given, leave the rest; raises NoSuchRow (a LookupError) for an unknown number."""
        times = {Row.sent_at: sent_at, Row.answered_at: answered_at, Row.closed_at: closed_at}
        plain = {Row.wire: wire, Row.tries: tries, Row.error_code: error_code, Row.error: error}
        changes: dict[Any, Any] = {
            **{column: micros(at) for column, at in times.items() if at is not None},
            **{column: value for column, value in plain.items() if value is not None},
        }
        if state is not None:
            changes[Row.state] = state.value
        if answer is not None:
            changes[Row.answer] = json_text(answer)
        sql, values = Row.update(changes).where(Row.id == id).sql() if changes else ("", ())

        def unit(connection: sqlite3.Connection) -> CommandRecord:
            before = _found(connection, id)
            if not changes:
                return before
            connection.execute(sql, values)
            return _found(connection, id)

        return await self._writer.submit(unit)

    async def get(self, id: int) -> CommandRecord | None:
        """The command with this number, or None."""
        row = self._readers.one(GET, (id,))
        return None if row is None else _record(row)

    async def of(self, origin: str) -> CommandRecord | None:
        """The newest command of this origin, or None."""
        found = await self._readers.many(ALL.where(Row.origin == origin).order_by(Row.id.desc()).limit(1), _record)
        return found[0] if found else None

    async def between(
        self, station: str, since: datetime, until: datetime, limit: int = 1000
    ) -> builtins.list[CommandRecord]:
        """A station's commands that were ordered from one time to another, by number."""
        query = ALL.where(Row.station == station, Row.created_at >= micros(since), Row.created_at <= micros(until))
        return await self._readers.many(query.order_by(Row.id).limit(limit), _record)

    async def list(
        self, *, station: str | None = None, open_only: bool = False, after: int = 0, limit: int = 100
    ) -> builtins.list[CommandRecord]:
        """Commands by number, those after ``after``; ``open_only`` leaves out those in a final state."""
        query = ALL.where(Row.id > after).order_by(Row.id).limit(limit)
        if station is not None:
            query = query.where(Row.station == station)
        if open_only:
            query = query.where(Row.state.in_(OPEN))
        return await self._readers.many(query, _record)


def _found(connection: sqlite3.Connection, id: int | None) -> CommandRecord:
    row = connection.execute(GET, (id,)).fetchone()
    if row is None:
        raise NoSuchRow(f"there is no command {id}")
    return _record(row)


def _record(row: Any) -> CommandRecord:
    return CommandRecord(
        id=row[0],
        station=row[1],
        name=row[2],
        arguments=orjson.loads(row[3]),
        state=CommandState(row[4]),
        origin=row[5],
        created_at=moment(row[6]),
        sent_at=moment_or_none(row[7]),
        answered_at=moment_or_none(row[8]),
        closed_at=moment_or_none(row[9]),
        tries=row[10],
        wire=row[11],
        answer=None if row[12] is None else orjson.loads(row[12]),
        error_code=row[13],
        error=row[14],
    )
