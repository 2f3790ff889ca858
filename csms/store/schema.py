"""The file's schema: brought up to date at the start by peewee's numbered migrations, with a copy of the file before each upgrade.

A file that a newer csms wrote, or that is no csms database, is left untouched and refused.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from peewee import SqliteDatabase
from playhouse.migrations import Migration, Runner

from csms.store import migrations
from csms.store.connections import writing
from csms.store.faults import SchemaFault, SchemaTooNew
from csms.store.kept_tables import MessageChunk
from csms.store.statements import FIELD_TYPES

HISTORY = "schema_migration"
SCRIPTS = str(Path(migrations.__file__).parent)
COPIED_PAGES = 2000
LOG_VERSION = 2
ONE_FRAME_A_ROW = """
INSERT INTO "message_chunk" ("id", "station", "first_at", "last_at", "count", "marks", "frames")
SELECT "id", "station", "at", "at", 1,
    '0' || CASE "direction" WHEN 'in' THEN '<' ELSE '>' END || length(CAST("frame" AS BLOB)), CAST("frame" AS BLOB) FROM "message"
"""
"""From the table of version 1, which had a row for each frame."""


def upgrade(file: Path, scripts: str = SCRIPTS) -> list[str]:
    """Apply what is pending to the main file; gives the names applied. Raises SchemaTooNew, SchemaFault or sqlite3.Error."""
    known = [migration.name for migration in Migration.load_directory(scripts)]
    with_file = writing(file, "FULL")
    try:
        before = applied(with_file)
        refuse_unknown(file, before, known)
        if not before and _tables(with_file) - {HISTORY}:
            raise SchemaFault(f"{file} is a database, but not one of csms: choose another file")
        pending = [name for name in known if name not in before]
        if before and pending:
            copy(with_file, file.with_name(f"{file.name}.before-{pending[0][:4]}"), replace=True)
    finally:
        with_file.close()
    return _migrate(file, scripts) if pending else []


def _migrate(file: Path, scripts: str) -> list[str]:
    database = SqliteDatabase(str(file), field_types=FIELD_TYPES, pragmas={"journal_mode": "wal", "synchronous": 2})
    database.connect()
    try:
        return list(Runner(database, scripts, table_name=HISTORY).up())
    finally:
        database.close()


def applied(connection: sqlite3.Connection) -> list[str]:
    """The names of the migrations that a file has seen."""
    if HISTORY not in _tables(connection):
        return []
    return [name for (name,) in connection.execute(f"SELECT name FROM {HISTORY} ORDER BY name")]


def refuse_unknown(file: Path, before: list[str], known: list[str]) -> None:
    """Raise SchemaTooNew if the file has seen migrations that this code does not know."""
    unknown = sorted(set(before) - set(known))
    if unknown:
        raise SchemaTooNew(
            f"{file} was written by a newer csms (its schema has {', '.join(unknown)}, this one ends at {known[-1]}): "
            f"install that version or newer, or go back to a copy such as {file.name}.before-{unknown[0][:4]}"
        )


def prepare_log(file: Path) -> None:
    """Make the message log's file ready; it has one table, and is no evidence of anything."""
    if not file.exists():
        _begin_log(file)
    connection = writing(file, "NORMAL")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > LOG_VERSION:
            raise SchemaTooNew(f"{file} was written by a newer csms: install that version, or move the file away")
        connection.execute("BEGIN IMMEDIATE")
        schema: Any = vars(MessageChunk)["_schema"]
        for context in (schema._create_table(safe=True), *schema._create_indexes(safe=True)):
            connection.execute(*context.query())
        if version == 1:
            connection.execute(ONE_FRAME_A_ROW)
            connection.execute('DROP TABLE "message"')
        connection.execute(f"PRAGMA user_version = {LOG_VERSION}")
        connection.execute("COMMIT")
    finally:
        connection.close()


def _begin_log(file: Path) -> None:
    """A new log gives the pages of removed rows back; an older one uses them again, and keeps its size."""
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("CREATE TABLE begun (at INTEGER)")
        connection.execute("DROP TABLE begun")
    finally:
        connection.close()


def copy(source: sqlite3.Connection, target: Path, *, replace: bool) -> None:
    """A consistent copy of a live database, whole or not there at all; raises FileExistsError unless it may replace.

    The read transaction keeps one moment: without it every commit of another connection makes the copy begin again, for ever under load.
    """
    if target.exists() and not replace:
        raise FileExistsError(f"{target} exists already")
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    into = sqlite3.connect(part)
    source.execute("BEGIN")
    try:
        source.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        source.backup(into, pages=COPIED_PAGES, sleep=0)
    finally:
        source.execute("ROLLBACK")
        into.close()
    with open(part, "rb") as written:
        os.fsync(written.fileno())
    part.rename(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last through a power cut."""
    held = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
