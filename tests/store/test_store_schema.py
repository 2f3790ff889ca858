"""Migrations, copies before an upgrade, refusal of newer files, backup and verification."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_twisted
from peewee import SqliteDatabase
from twisted.internet import reactor

from csms.model.transactions import EventType, TransactionEvent
from csms.store import SchemaFault, SchemaTooNew, Store, verify
from csms.store.bill_tables import BILL_TABLES
from csms.store.schema import SCRIPTS, upgrade
from csms.store.statements import FIELD_TYPES
from csms.store.tables import TABLES

ALL_TABLES = (*TABLES, *BILL_TABLES)
SHIPPED = sorted(script.stem for script in Path(SCRIPTS).glob("[0-9]*.py"))
T0 = datetime(2026, 3, 1, tzinfo=UTC)
SCHEMA = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' AND tbl_name <> 'schema_migration' ORDER BY name"
COLUMNS = 'SELECT name, type, "notnull", pk FROM pragma_table_info(?) ORDER BY cid'
NEXT = """
def up(migrator, db):
    db.execute_sql('CREATE TABLE "novelty" ("x" TEXT) STRICT')
"""


def schema(file: Path) -> list[tuple[object, ...]]:
    """Indexes as they were made, tables by their columns: a column that came later stands in other words in the table's text."""
    with sqlite3.connect(file) as connection:
        return [
            (name, "STRICT" in sql, *connection.execute(COLUMNS, (name,))) if "TABLE" in sql else (name, sql)
            for name, sql in connection.execute(SCHEMA)
        ]


@pytest.fixture
def newer_scripts(tmp_path: Path) -> str:
    """The scripts of a version to come."""
    folder = tmp_path / "migrations"
    shutil.copytree(SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "0999_novelty.py").write_text(NEXT)
    return str(folder)


def test_the_migrations_make_the_tables_of_the_models(tmp_path: Path) -> None:
    migrated, made = tmp_path / "migrated.sqlite", tmp_path / "made.sqlite"
    assert upgrade(migrated) == SHIPPED
    assert upgrade(migrated) == []
    database = SqliteDatabase(str(made), field_types=FIELD_TYPES)
    with database.bind_ctx(ALL_TABLES, bind_refs=False, bind_backrefs=False):
        database.create_tables(ALL_TABLES, safe=False)
    database.close()
    assert schema(migrated) == schema(made)
    assert all(facts[1] for facts in schema(migrated) if len(facts) > 2), "every table is STRICT"


def test_a_file_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    shutil.copy(Path(SCRIPTS) / f"{SHIPPED[0]}.py", first)
    file, new = tmp_path / "csms.sqlite", tmp_path / "new.sqlite"
    assert upgrade(file, str(first)) == ["0001_foundation"]
    assert upgrade(file) == SHIPPED[1:]
    upgrade(new)
    assert schema(file) == schema(new)


def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    upgrade(tmp_path / "csms.sqlite")
    assert stat.S_IMODE((tmp_path / "csms.sqlite").stat().st_mode) == 0o600


def test_a_copy_is_made_before_an_upgrade_and_not_before_the_first(tmp_path: Path, newer_scripts: str) -> None:
    file, before = tmp_path / "csms.sqlite", tmp_path / "csms.sqlite.before-0999"
    upgrade(file)
    assert list(tmp_path.glob("*.before-*")) == []
    old = schema(file)
    assert upgrade(file, newer_scripts) == ["0999_novelty"]
    assert schema(before) == old
    assert any(facts[0] == "novelty" for facts in schema(file))
    assert stat.S_IMODE(before.stat().st_mode) == 0o600
    assert upgrade(file, newer_scripts) == []


def test_an_upgrade_that_fails_changes_nothing_and_can_be_tried_again(tmp_path: Path, newer_scripts: str) -> None:
    file, script = tmp_path / "csms.sqlite", Path(newer_scripts) / "0999_novelty.py"
    upgrade(file)
    old = schema(file)
    script.write_text(NEXT + "    raise RuntimeError('half way')\n")
    with pytest.raises(RuntimeError):
        upgrade(file, newer_scripts)
    assert schema(file) == old
    script.write_text(NEXT)
    assert upgrade(file, newer_scripts) == ["0999_novelty"]


def test_a_first_start_that_was_cut_short_can_be_repeated(tmp_path: Path) -> None:
    file = tmp_path / "csms.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute(
            'CREATE TABLE "schema_migration" ("id" INTEGER NOT NULL PRIMARY KEY, "name" TEXT, "applied" DATETIME)'
        )
    assert upgrade(file) == SHIPPED


@pytest_twisted.ensureDeferred
async def test_a_newer_file_is_refused_and_left_untouched(tmp_path: Path, newer_scripts: str) -> None:
    file = tmp_path / "csms.sqlite"
    upgrade(file, newer_scripts)
    before = file.read_bytes()
    with pytest.raises(SchemaTooNew, match=rf"0999_novelty.*{SHIPPED[-1]}"):
        await Store(file, reactor).open()
    assert file.read_bytes() == before
    (problem,) = verify(file)
    assert "newer csms" in problem


@pytest_twisted.ensureDeferred
async def test_a_newer_message_log_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "csms-messages.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(SchemaTooNew):
        await Store(tmp_path / "csms.sqlite", reactor).open()


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "csms.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    with pytest.raises(SchemaFault, match="not one of csms"):
        upgrade(file)
    assert verify(file) == [f"{file}: no migration has been applied: this is no csms database"]


@pytest_twisted.ensureDeferred
async def test_a_backup_of_the_running_store_is_whole(store: Store, tmp_path: Path) -> None:
    await store.stations.put("CP1", T0)
    target = tmp_path / "copy.sqlite"
    await store.backup(target)
    assert verify(target) == []
    with sqlite3.connect(target) as connection:
        assert connection.execute("SELECT id FROM station").fetchall() == [("CP1",)]
    with pytest.raises(FileExistsError):
        await store.backup(target)


@pytest_twisted.ensureDeferred
async def test_verify_tells_lost_events_and_bills_of_nothing(store: Store) -> None:
    for key in ("0", "1"):
        event = TransactionEvent("tx", EventType.STARTED, T0, "Authorized", key, seq_no=int(key))
        await store.transactions.record("CP1", 0, "ocpp2.0.1", "TransactionEvent", event, b"{}", T0)
    assert verify(store.file) == []
    with sqlite3.connect(store.file) as connection:
        connection.execute("DELETE FROM transaction_event WHERE key = '0'")
        connection.execute('UPDATE "transaction" SET billed_revision = 7')
        connection.execute(
            "INSERT INTO bill (transaction_id, station, kind, status, series, serial, number, reason, by, by_hand, currency, total, tariff, note,"
            " lines, taxes, taxes_included, rounding, issued_at, revision)"
            " VALUES (77, 'CP1', 'bill', 'final', 'A', 2, 'A-2', '', '', 0, 'EUR', '1', '', '', '[]', '[]', 1, '0', 0, 1)"
        )
    problems = verify(store.file)
    assert len(problems) == 4
    assert "row 1 refers to nothing in transaction" in problems[0]
    assert "1 events are kept, 2 counted, 2 in its state" in problems[1]
    assert "billed up to event 7 of 2" in problems[2]
    assert problems[3] == "series A has 1 bills, and its last number is 2: numbers are missing"


def test_verify_of_no_file_and_of_no_database(tmp_path: Path) -> None:
    assert verify(tmp_path / "none.sqlite") == [f"{tmp_path / 'none.sqlite'} is not there"]
    (tmp_path / "letter").write_bytes(b"dear friend, " * 500)
    (problem,) = verify(tmp_path / "letter")
    assert "damaged" in problem


@pytest_twisted.ensureDeferred
async def test_bills_of_the_first_schema_get_numbers_and_keep_what_they_say(tmp_path: Path) -> None:
    file, old = tmp_path / "csms.sqlite", tmp_path / "old"
    old.mkdir()
    shutil.copy(Path(SCRIPTS) / "0001_foundation.py", old)
    upgrade(file, str(old))
    line = '[{"text":"Energy","quantity":"5","unit":"kWh","unit_price":"0.45","amount":"2.25"}]'
    with sqlite3.connect(file) as connection:
        for number, status in ((1, "final"), (2, "provisional"), (3, "final")):
            connection.execute(
                """INSERT INTO "transaction" (id, station, wire_id, authorization, active, revision, billed_revision, evidence)
                VALUES (?, 'CP1', ?, '', 0, 0, 0, '{}')""",
                (number, str(number)),
            )
            connection.execute(
                "INSERT INTO bill (transaction_id, station, status, currency, total, tariff, note, lines, energy_wh, issued_at, revision)"
                " VALUES (?, 'CP1', ?, 'EUR', '2.25', 'standard', '', ?, '5000', 7, 0)",
                (number, status, line),
            )
    store = Store(file, reactor)
    await store.open()
    bills = await store.bills.list()
    assert [(one.transaction, one.status.value, one.number) for one in reversed(bills)] == [
        (1, "final", "old-000001"),
        (2, "provisional", ""),
        (3, "final", "old-000002"),
    ]
    assert (bills[0].price.total, bills[0].price.lines[0].amount, bills[0].energy_wh) == (
        Decimal("2.25"),
        Decimal("2.25"),
        5000,
    )
    assert verify(file) == []
    await store.close()
