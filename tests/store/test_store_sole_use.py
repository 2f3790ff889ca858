"""Only one process has a database, and the right to it ends with the process, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from csms.store import InUse, SoleUse, Store

HOLD = "import sys, time; from csms.store import SoleUse; from pathlib import Path\n"
HOLD += "SoleUse(Path(sys.argv[1])).take(); print('held', flush=True); sys.stdin.read()"


def test_a_second_one_is_told_who_has_it(tmp_path: Path) -> None:
    file = tmp_path / "csms.sqlite"
    first, second = SoleUse(file), SoleUse(file)
    first.take()
    with pytest.raises(InUse, match=rf"process {os.getpid()}\): stop that one first \(kill {os.getpid()}\)"):
        second.take()
    first.release()
    second.take()
    second.release()


def test_a_link_to_the_database_has_the_same_lock(tmp_path: Path) -> None:
    file, link = tmp_path / "csms.sqlite", tmp_path / "link.sqlite"
    file.touch()
    link.symlink_to(file)
    first = SoleUse(file)
    first.take()
    with pytest.raises(InUse):
        SoleUse(link).take()
    first.release()


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    file = tmp_path / "csms.sqlite"
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InUse, match=f"process {other.pid}"):
            SoleUse(file).take()
        other.send_signal(signal.SIGKILL)
    ours = SoleUse(file)
    ours.take()
    ours.release()


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_refused_leaves_the_other_alone(tmp_path: Path) -> None:
    first, second = (Store(tmp_path / "csms.sqlite", reactor) for _ in range(2))
    await first.open()
    with pytest.raises(InUse):
        await second.open()
    await second.close()
    assert first.healthy
    with pytest.raises(InUse):
        await second.open()
    await first.close()
    third = Store(tmp_path / "csms.sqlite", reactor)
    await third.open()
    await third.close()
