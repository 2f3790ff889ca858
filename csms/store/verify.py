"""Checks a database file without changing it: for ``csms db verify``."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from csms.store.connections import reading
from csms.store.schema import applied

COUNTS = """
    SELECT t."id", t."station", t."revision", COUNT(e."transaction_id")
    FROM "transaction" t LEFT JOIN "transaction_event" e ON e."transaction_id" = t."id"
    GROUP BY t."id" HAVING t."revision" <> COUNT(e."transaction_id")
"""


def verify(file: Path) -> list[str]:
    """What is wrong with a database, in plain words; an empty list when it is well."""
    if not file.is_file():
        return [f"{file} is not there"]
    try:
        connection = reading(file)
        try:
            return _problems(connection)
        finally:
            connection.close()
    except sqlite3.DatabaseError as fault:
        return [f"{file} cannot be read: {fault}"]


def _problems(connection: sqlite3.Connection) -> list[str]:
    found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
    found += [
        f"table {row[0]} row {row[1]} refers to nothing in {row[2]}"
        for row in connection.execute("PRAGMA foreign_key_check")
    ]
    if not applied(connection):
        return [*found, "no migration has been applied: this is no csms database"]
    found += [
        f"transaction {id} of {station}: state of {revision} events, {events} are kept"
        for id, station, revision, events in connection.execute(COUNTS)
    ]
    return found
