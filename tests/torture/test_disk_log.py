"""The disk that forgets must be able to lose something, or the power cuts would show nothing."""

from __future__ import annotations

import random
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from disk_log import RECORD, Disk, Entry, Shim, entries, no_shim

WORKER = """
import socket, sqlite3, sys
here, there = socket.socketpair()
c = sqlite3.connect("work.sqlite", isolation_level=None)
c.execute("PRAGMA journal_mode = WAL")
c.execute("PRAGMA synchronous = FULL")
c.execute("CREATE TABLE t (n)")
c.execute(f"PRAGMA synchronous = {sys.argv[1]}")
for n in range(40):
    c.execute("INSERT INTO t VALUES (?)", (n,))
    here.send(f"answered {n};".encode())
"""


def write(offset: int, data: bytes) -> Entry:
    return Entry("W", 1, offset, data)


def test_what_was_synced_stays_and_what_was_not_may_be_lost(tmp_path: Path) -> None:
    seen = set()
    for seed in range(40):
        disk = Disk(random.Random(seed))
        for entry in (Entry("O", 1, 0, b"/x/f"), write(0, b"safe"), Entry("B", 1, 0, b""), write(4, b"late")):
            disk.take(entry)
        disk.take(Entry("E", 1, 0, b""))
        disk.cut(tmp_path)
        seen.add((tmp_path / "f").read_bytes())
    assert seen == {b"safe", b"safelate"}


def test_a_failed_sync_decides_for_good(tmp_path: Path) -> None:
    seen = set()
    for seed in range(40):
        disk = Disk(random.Random(seed))
        for entry in (Entry("O", 1, 0, b"/x/f"), write(0, b"lost?"), Entry("B", 1, 0, b""), Entry("F", 1, 0, b"")):
            disk.take(entry)
        for entry in (Entry("B", 1, 0, b""), Entry("E", 1, 0, b"")):
            disk.take(entry)
        disk.cut(tmp_path)
        seen.add((tmp_path / "f").read_bytes())
    assert seen == {b"", b"lost?"}


@pytest.mark.parametrize(("synchronous", "loses"), [("FULL", False), ("NORMAL", True)])
def test_answers_before_the_sync_are_found_out(tmp_path: Path, synchronous: str, loses: bool) -> None:
    if why := no_shim():
        pytest.skip(why)
    shim = Shim(tmp_path)
    shim.set(RECORD, 1)
    subprocess.run([sys.executable, "-c", WORKER, synchronous], cwd=tmp_path, env=shim.environment, check=True)
    life = list(entries(shim.record))
    lost = 0
    for seed, moment in enumerate(range(len(life) // 2, len(life), 5)):
        lost += _lost(life[:moment], random.Random(seed), tmp_path / f"cut{seed}")
    assert bool(lost) is loses


def _lost(life: list[Entry], chance: random.Random, folder: Path) -> int:
    disk, answered = Disk(chance), set[int]()
    for entry in life:
        disk.take(entry)
        if entry.kind == "S":
            answered |= {int(found) for found in re.findall(rb"answered (\d+);", entry.data)}
    folder.mkdir()
    disk.cut(folder)
    connection = sqlite3.connect(folder / "work.sqlite")
    stored = {n for (n,) in connection.execute("SELECT n FROM t")}
    connection.close()
    return len(answered - stored)
