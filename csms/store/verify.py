"""Checks a database file without changing it: for ``csms db verify``."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from playhouse.migrations import Migration

from csms.store.connections import reading
from csms.store.faults import SchemaTooNew, fault_of
from csms.store.schema import SCRIPTS, applied, refuse_unknown

COUNTS = """
    SELECT t."id", t."station", t."revision",
        (SELECT COUNT(*) FROM "transaction_event" e WHERE e."transaction_id" = t."id"),
        CASE WHEN json_valid(t."evidence") THEN COALESCE(json_extract(t."evidence", '$.events'), 0) ELSE -1 END,
        t."billed_revision"
    FROM "transaction" t
"""
BILLS = """
    SELECT b."transaction_id", b."revision", t."revision"
    FROM "bill" b JOIN "transaction" t ON t."id" = b."transaction_id"
    WHERE b."revision" > t."revision" OR b."station" <> t."station"
"""
SERIES = """
    SELECT b."series", COUNT(*), MAX(b."serial"), COALESCE(MAX(s."last"), 0)
    FROM "bill" b LEFT JOIN "bill_series" s ON s."series" = b."series" WHERE b."series" IS NOT NULL GROUP BY b."series"
    HAVING COUNT(*) <> MAX(b."serial") OR MAX(b."serial") > COALESCE(MAX(s."last"), MAX(b."serial"))
"""


def verify(file: Path | str) -> list[str]:
    """What is wrong with a database, in plain words; an empty list when it is well."""
    return _looked_at(Path(file), lambda path, one: _schema_problems(path, one) or list(_content_problems(one)))


def damage(file: Path) -> list[str]:
    """As ``verify``, but an older schema is no fault: it is brought up to date at the next start."""
    return _looked_at(file, lambda path, one: _strangeness(path, one) or list(_file_problems(one)))


def _looked_at(path: Path, look: Callable[[Path, sqlite3.Connection], list[str]]) -> list[str]:
    if not path.is_file():
        return [f"{path} is no file" if path.exists() else f"{path} is not there"]
    try:
        connection = reading(path)
        try:
            return look(path, connection)
        finally:
            connection.close()
    except sqlite3.Error as raised:
        return [f"{path}: {fault_of(raised)}"]


def _strangeness(path: Path, connection: sqlite3.Connection) -> list[str]:
    """Why this is no database of this csms."""
    known = [migration.name for migration in Migration.load_directory(SCRIPTS)]
    seen = applied(connection)
    if not seen:
        return [f"{path}: no migration has been applied: this is no csms database"]
    try:
        refuse_unknown(path, seen, known)
    except SchemaTooNew as newer:
        return [str(newer)]
    return []


def _schema_problems(path: Path, connection: sqlite3.Connection) -> list[str]:
    if strange := _strangeness(path, connection):
        return strange
    seen = applied(connection)
    missing = [migration.name for migration in Migration.load_directory(SCRIPTS) if migration.name not in seen]
    return [f"the schema is old: {', '.join(missing)} will be applied at the next start"] if missing else []


def _file_problems(connection: sqlite3.Connection) -> Iterator[str]:
    for (said,) in connection.execute("PRAGMA integrity_check"):
        if said != "ok":
            yield str(said)
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"table {table} row {row} refers to nothing in {parent}"


def _content_problems(connection: sqlite3.Connection) -> Iterator[str]:
    yield from _file_problems(connection)
    for id, station, revision, events, absorbed, billed in connection.execute(COUNTS):
        if not revision == events == absorbed:
            yield f"transaction {id} of {station}: {events} events are kept, {revision} counted, {absorbed} in its state"
        if billed > revision:
            yield f"transaction {id} of {station}: billed up to event {billed} of {revision}"
    for id, revision, known in connection.execute(BILLS):
        yield f"the bill of transaction {id} is of event {revision}; it has {known}"
    for series, count, last, _ in connection.execute(SERIES):
        yield f"series {series} has {count} bills, and its last number is {last}: numbers are missing"
