"""Copies while the server writes, and putting one back; what verify says of a ledger that its events do not bear out."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred

from csms.dialects import decoded
from csms.store import Store, verify
from csms.store.backup import BackupFault, backup, restore
from csms.store.recount import recount
from csms.testing import running_csms

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def notes(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM note").fetchone()[0])


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A database with two notes that nobody has open."""
    made = Store(tmp_path / "csms.sqlite", reactor)

    async def fill() -> None:
        await made.open()
        await made.notes.keep("p", "a", "1", AT)
        await made.notes.keep("p", "b", "2", AT)
        await made.close()

    pytest_twisted.blockon(ensureDeferred(fill()))
    return made.file


@pytest_twisted.ensureDeferred
async def test_a_backup_is_one_moment_and_ends_while_writes_go_on(store: Store, tmp_path: Path) -> None:
    big = "x" * 4000
    for n in range(1500):
        store.notes.keep("p", str(n), big, AT).close()
    writes = [ensureDeferred(store.notes.keep("p", str(n), big, AT)) for n in range(1500)]
    for write in writes:
        await write
    going, copied = True, tmp_path / "copy.sqlite"

    async def go_on_writing() -> None:
        n = 0
        while going:
            n += 1
            await store.notes.keep("q", str(n), big, AT)

    writing = ensureDeferred(go_on_writing())
    await store.backup(copied)
    going = False
    await writing
    assert verify(copied) == []
    assert notes(copied) >= 1500


def test_a_backup_replaces_no_file(stopped: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.sqlite"
    backup(stopped, target)
    with pytest.raises(BackupFault, match="there already"):
        backup(stopped, target)
    with pytest.raises(BackupFault, match="not there"):
        backup(tmp_path / "none.sqlite", tmp_path / "other.sqlite")


def test_restore_puts_the_backup_in_place_and_keeps_the_old_file(stopped: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.sqlite"
    backup(stopped, target)
    with closing(sqlite3.connect(stopped)) as connection:
        connection.execute("DELETE FROM note")
        connection.commit()
    kept = restore(target, stopped, AT)
    assert kept == tmp_path / "csms.sqlite.before-restore-20260301T120000Z"
    assert (notes(stopped), notes(kept), verify(stopped)) == (2, 0, [])


def test_restore_replaces_a_damaged_file(stopped: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.sqlite"
    backup(stopped, target)
    stopped.write_bytes(b"no database" * 1000)
    restore(target, stopped, AT)
    assert notes(stopped) == 2


def test_restore_refuses_a_file_that_another_process_has_open(stopped: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.sqlite"
    backup(stopped, target)
    holds = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM note').fetchall(); print(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holds, str(stopped)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(BackupFault, match="stop the server"):
            restore(target, stopped, AT)
        holder.communicate(b"\n", timeout=10)
    assert restore(target, stopped, AT) is not None


def test_restore_refuses_what_is_no_sound_backup(stopped: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.sqlite"
    backup(stopped, damaged)
    with damaged.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(8192))
    with pytest.raises(BackupFault, match="no sound backup"):
        restore(damaged, stopped, AT)
    assert notes(stopped) == 2


@pytest_twisted.ensureDeferred
async def test_verify_folds_the_events_again(tmp_path: Path) -> None:
    async with running_csms(tmp_path) as csms:
        station = await csms.station("CS1")
        for seq_no, kind in enumerate(("Started", "Updated", "Ended")):
            event = {
                "eventType": kind,
                "timestamp": f"2026-03-01T12:0{seq_no}:00Z",
                "triggerReason": "Trigger",
                "seqNo": seq_no,
                "transactionInfo": {"transactionId": "T1"},
            }
            await station.say("TransactionEvent", event)
        file = csms.house.store.file
    assert recount(file, decoded) == []
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("""UPDATE "transaction" SET "evidence" = json_set("evidence", '$.last', 'never')""")
        connection.commit()
    assert verify(file) == []
    assert recount(file, decoded) == ["transaction 1 of CS1: its events say otherwise about last"]
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("""UPDATE "transaction_event" SET "body" = x'7b7d' WHERE "seq_no" = 1""")
        connection.commit()
    assert "an event cannot be read" in recount(file, decoded)[0]
