"""Copies of the main file: made while a server works, checked, and put back in the place of a damaged one.

A copy is one moment of the database: it holds a read transaction, so that no write makes it begin again, and it makes no writer wait.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from csms.store.connections import reading, writing
from csms.store.faults import fault_of
from csms.store.schema import copy, sync_folder
from csms.store.sole_use import InUse, SoleUse
from csms.store.verify import damage

LOCKED_BYTES, LOCKED_FROM = 510, 0x4000_0002
"""Where SQLite keeps its locks on a file: whoever has it open in WAL mode holds these bytes."""


class BackupFault(Exception):
    """A copy could not be made or put back; the text says why and what to do. Nothing was changed."""


def backup(file: Path, target: Path) -> None:
    """Copy the database to a new file; raises BackupFault."""
    if not file.is_file():
        raise BackupFault(f"{file} is not there")
    try:
        with closing(reading(file)) as connection:
            copy(connection, target, replace=False)
    except FileExistsError:
        raise BackupFault(f"{target} is there already: a backup never replaces a file") from None
    except (OSError, sqlite3.Error) as raised:
        raise BackupFault(f"{target} cannot be written: {fault_of(raised)}") from raised


def restore(source: Path, file: Path, at: datetime) -> Path | None:
    """Put a backup in the place of the database; gives where the old file is kept, None if there was none. Raises BackupFault."""
    problems = damage(source)
    if problems:
        raise BackupFault(f"{source} is no sound backup: {'; '.join(problems[:3])}")
    if file.exists() and file.samefile(source):
        raise BackupFault(f"{source} is the database itself")
    part = file.with_name(f"{file.name}.restored")
    try:
        with SoleUse(file), _unused(file), closing(reading(source)) as connection:
            copy(connection, part, replace=True)
            kept = _set_aside(file, at)
            part.rename(file)
            sync_folder(file.parent)
    except InUse as taken:
        raise BackupFault(str(taken)) from None
    except (OSError, sqlite3.Error) as raised:
        raise BackupFault(f"{file} cannot be written: {fault_of(raised)}") from raised
    return kept


@contextmanager
def _unused(file: Path) -> Iterator[None]:
    """Hold SQLite's own lock on the file; raises BackupFault while somebody else has it open."""
    if not file.exists():
        yield
        return
    _fold(file)
    with file.open("r+b") as held:
        try:
            fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB, LOCKED_BYTES, LOCKED_FROM)
        except OSError:
            raise BackupFault(f"{file} is in use: stop the server first") from None
        yield


def _fold(file: Path) -> None:
    """Bring what a crash left in the write-ahead log into the file, where that is possible; a damaged file is kept as it is."""
    with suppress(sqlite3.Error), closing(writing(file, "FULL")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _set_aside(file: Path, at: datetime) -> Path | None:
    """Give the old file, with its write-ahead log, another name."""
    if not file.exists():
        return None
    kept = file.with_name(f"{file.name}.before-restore-{at:%Y%m%dT%H%M%SZ}")
    if kept.exists():
        raise FileExistsError(f"{kept} is there already")
    os.rename(file, kept)
    for ending in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.rename(f"{file}{ending}", f"{kept}{ending}")
    return kept
