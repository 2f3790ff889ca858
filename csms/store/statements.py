"""From peewee to sqlite3: the class of all tables, and the way from a peewee query to the SQL text that runs.

Models describe and compile; no row object ever leaves the store. Columns have no defaults: who writes a row says all of it.
"""

from __future__ import annotations

from typing import Any

from peewee import SQL, Model, SqliteDatabase

FIELD_TYPES = {"BIGINT": "INTEGER"}
"""STRICT tables of SQLite know one word for whole numbers, and it has 64 bits."""
COMPILER = SqliteDatabase(None, field_types=FIELD_TYPES)
"""Never connected: it knows the dialect that statements are compiled for."""
Q = SQL("?")
"""The place of a value that is given when the statement runs."""
ONE = SQL("1")
NOTHING = SQL("''")


class Row(Model):
    """What all tables have in common."""

    class Meta:
        database = COMPILER
        legacy_table_names = False
        strict_tables = True


def compiled(query: Any) -> str:
    """The SQL text of a peewee query whose values are all ``Q``; anything else in it is a mistake."""
    sql, values = query.sql()
    if values:
        raise ValueError(f"values stand in a statement that is compiled once: {values}")
    return str(sql)


def turn(due: Any) -> Any:
    """Whether the turn of a row has come: given now, and the latest time for which anything can wait. What is due after that was written while the
    wall clock was wrong, and waits no more."""
    return (due <= Q) | (due > Q)


def insertion(table: type[Row], *, without: tuple[str, ...] = ()) -> Any:
    """An insert of a whole row, its values given in the order of the model's fields; ``without`` names those SQLite makes."""
    fields = [field for field in table._meta.sorted_fields if field.name not in without]
    return table.insert(dict.fromkeys(fields, Q))


def once(table: type[Row], *key: Any, without: tuple[str, ...] = ()) -> str:
    """The SQL of an insertion that does nothing where the key exists already; any other fault of the row is still a fault."""
    return compiled(insertion(table, without=without).on_conflict(action="nothing", conflict_target=list(key)))


def upsert(table: type[Row], *key: Any) -> str:
    """The SQL of an insertion of a whole row that replaces every other column where the key exists already."""
    names = {field.name for field in key}
    rest = [field for field in table._meta.sorted_fields if field.name not in names]
    return compiled(insertion(table).on_conflict(conflict_target=list(key), preserve=rest))
