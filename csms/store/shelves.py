"""What may be removed from the database when it is old, one ``Shelf`` for each kind; transactions, their events and bills are on none of them.

A shelf is walked by number, some hundred rows at a time, because numbers follow the time of arrival: no index, and no scan of what is young. Rows
are read and archived in a reader's thread and removed by the writer in steps that take a few milliseconds, so that no answer waits for them.
"""

from __future__ import annotations

import base64
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from csms.store.archive import Archive, Line
from csms.store.columns import micros, moment
from csms.store.connections import Readers
from csms.store.message_chunks import logged_messages
from csms.store.writer import Writer

SPAN = 400
"""Rows looked at in one step."""
LEAST_STEP, STEP_S = 20, 0.005
"""A removal is cut into pieces that take the writer about so long."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """One kind of rows: its table, the column that says how old a row is, which rows may go at all, and the rows of other tables that go with it."""

    name: str
    table: str
    at: str
    may_go: str = "1"
    parts: tuple[tuple[str, str], ...] = ()
    lines: Callable[[sqlite3.Connection, list[sqlite3.Row]], Iterable[Line]] | None = None

    def span(self, more: Iterable[str]) -> str:
        """The rows behind a number: which they are, how old, whether they may go, and more columns."""
        columns = ", ".join(f'"{name}"' for name in ("id", *more))
        return (
            f'SELECT {columns}, "{self.at}" AS since, ({self.may_go}) AS may_go FROM "{self.table}" '
            f'WHERE "id" > ? ORDER BY "id" LIMIT {SPAN}'
        )


@dataclass(slots=True)
class Walk:
    """How far a shelf has been walked: the rows up to ``after`` are done; ``over`` when the young ones are reached."""

    after: int = 0
    removed: int = 0
    over: bool = False


@dataclass(frozen=True, slots=True)
class Thinning:
    """Of rows of the same ``same`` columns the first in each stretch of time stays."""

    every: timedelta
    same: tuple[str, ...]


class Shelves:
    """The shelves of one file."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def step(
        self,
        shelf: Shelf,
        walk: Walk,
        older_than: datetime,
        *,
        archive: Archive | None,
        thinning: Thinning | None = None,
    ) -> float:
        """Look at the next rows and remove the old ones; gives the seconds the writer was busy. Without ``thinning`` all old ones go."""
        limit = micros(older_than)
        seen: tuple[int, bool, list[int]] = await self._readers.threaded(
            lambda connection: _look(connection, shelf, walk.after, limit, archive, thinning)
        )
        last, any_old, going = seen
        busy_s = await self._remove(shelf, going)
        walk.over = not any_old
        walk.after = max(walk.after, last)
        walk.removed += len(going)
        return busy_s

    async def _remove(self, shelf: Shelf, ids: list[int]) -> float:
        busy_s, step, start = 0.0, LEAST_STEP, 0
        while start < len(ids):
            some = ids[start : start + step]
            took_s = await self._writer.submit(lambda connection, some=some: _delete(connection, shelf, some))  # type: ignore[misc]
            start += len(some)
            busy_s += took_s
            step = max(LEAST_STEP, min(step * 2, int(step * STEP_S / max(took_s, 1e-6))))
        return busy_s

    async def give_back(self, pages: int) -> int:
        """Return up to so many free pages of the file to the file system; gives how many are still free. Nothing in a file without auto-vacuum."""

        def unit(connection: sqlite3.Connection) -> int:
            connection.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()
            (free,) = connection.execute("PRAGMA freelist_count").fetchone()
            (kind,) = connection.execute("PRAGMA auto_vacuum").fetchone()
            return int(free) if kind == INCREMENTAL else 0

        return await self._writer.submit(unit)


INCREMENTAL = 2


def _look(
    connection: sqlite3.Connection,
    shelf: Shelf,
    after: int,
    limit: int,
    archive: Archive | None,
    thinning: Thinning | None,
) -> tuple[int, bool, list[int]]:
    """The last number that is done with, whether any row was old, and the numbers of those that go; they are archived when this returns."""
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    rows = cursor.execute(shelf.span(thinning.same if thinning else ()), (after,)).fetchall()
    old = [row for row in rows if row["since"] is not None and row["since"] < limit]
    if not old:
        return after, False, []
    going = [row for row in old if row["may_go"]]
    if thinning is not None:
        going = _surplus(going, thinning)
    ids = [row["id"] for row in going]
    if archive is not None and ids:
        whole = cursor.execute(f'SELECT * FROM "{shelf.table}" WHERE "id" IN ({_marks(ids)}) ORDER BY "id"', ids)
        archive.add(shelf.name, (shelf.lines or _plain_lines)(connection, whole.fetchall()))
    return old[-1]["id"], True, ids


def _surplus(rows: list[sqlite3.Row], thinning: Thinning) -> list[sqlite3.Row]:
    """All but the first of each stretch."""
    stretch = thinning.every // timedelta(microseconds=1)
    seen: set[tuple[Any, ...]] = set()
    surplus = []
    for row in rows:
        key = (row["since"] // stretch, *(row[name] for name in thinning.same))
        if key in seen:
            surplus.append(row)
        seen.add(key)
    return surplus


def _delete(connection: sqlite3.Connection, shelf: Shelf, ids: list[int]) -> float:
    began = time.perf_counter()
    marks = _marks(ids)
    for table, column in shelf.parts:
        connection.execute(f'DELETE FROM "{table}" WHERE "{column}" IN ({marks})', ids)
    connection.execute(f'DELETE FROM "{shelf.table}" WHERE "id" IN ({marks})', ids)
    return time.perf_counter() - began


def _marks(ids: list[int]) -> str:
    return ", ".join("?" * len(ids))


def _plain_lines(connection: sqlite3.Connection, rows: list[sqlite3.Row]) -> Iterator[Line]:
    for row in rows:
        yield {name: _plain(name, row[name]) for name in row.keys()}  # noqa: SIM118 - the values of a Row are not its names


def _alert_lines(connection: sqlite3.Connection, rows: list[sqlite3.Row]) -> Iterator[Line]:
    """Each message with its observations."""
    for line, row in zip(_plain_lines(connection, rows), rows, strict=True):
        found = connection.execute('SELECT "data" FROM "alert" WHERE "message_id" = ? ORDER BY "id"', (row["id"],))
        yield {"at": line["received_at"], **line, "data": [data for (data,) in found]}


def _message_lines(connection: sqlite3.Connection, rows: list[sqlite3.Row]) -> Iterator[Line]:
    """Each frame of a row on a line of its own."""
    for row in rows:
        for one in logged_messages(tuple(row)):
            yield {
                "id": one.id,
                "station": one.station,
                "at": one.at.isoformat(),
                "direction": one.direction,
                "frame": one.frame,
            }


def _command_lines(connection: sqlite3.Connection, rows: list[sqlite3.Row]) -> Iterator[Line]:
    for line in _plain_lines(connection, rows):
        yield {"at": line["created_at"], **line}


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    if isinstance(value, int) and (name == "at" or name.endswith("_at")):
        return moment(value).isoformat()
    return value


MESSAGES = Shelf("messages", "message_chunk", "last_at", lines=_message_lines)
"""In the file of the message log."""
NOTICES = Shelf("notices", "notice", "at")
METER_VALUES = Shelf("meter_values", "telemetry", "at")
ALERTS = Shelf("alerts", "alert_message", "received_at", parts=(("alert", "message_id"),), lines=_alert_lines)
ALERT_GAPS = Shelf("alert_gaps", "alert_gap", "at")
COMMANDS = Shelf("commands", "command", "created_at", may_go='"closed_at" IS NOT NULL', lines=_command_lines)
PLANS = Shelf("plans", "plan_decision", "at")
SECURITY_EVENTS = Shelf("security_events", "security_event", "at")
AUDIT = Shelf("audit", "audit", "at")
