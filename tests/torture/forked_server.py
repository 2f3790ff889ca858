"""A server that starts without the second that Python needs to import it: forked from a process that has imported everything and runs nothing.

Each start is a process of its own all the same, with its own reactor, files and sockets, and ends by the signals that any other gets.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess

from server_process import PLUGINS, ServerProcess

IMPORTED = (
    "csms.tap",
    "csms.plugin_finding",
    "csms.station_reactor",
    "playhouse.migrate",
    "twisted.scripts.twistd",
    "twisted.application.app",
    "twisted.internet.epollreactor",
    *(f"csms_plugins.{name}" for name in PLUGINS),
    *("encodings.utf_8_sig", "twisted.cred.strcred", "twisted.trial.itrial", "twisted.words.iwords"),
    *("forked_server", "kill_stations", "kill_verdict"),
    "frozen",
)
"""What the server needs; what the tools have, for a child imports the program that started it; and last what keeps all of it."""
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(list(IMPORTED))


def open_forge() -> None:
    """Start the process that forks, once. It has no other way to know where the modules of the tools are."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    try:
        forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


def serve(folder: str, words: Sequence[str], log: str) -> None:
    """Become the server, in the child."""
    written = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(written, 1)
    os.dup2(written, 2)
    os.chdir(folder)
    sys.argv[:] = list(words)
    from twisted.scripts.twistd import run

    run()


class Forked:
    """A child as ``ServerProcess`` knows processes."""

    def __init__(self, child: ForkServerProcess) -> None:
        self._child = child
        assert child.pid is not None
        self.pid = child.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, minus the signal that ended it; None while it runs."""
        return self._child.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self._child.exitcode

    def wait(self, seconds: float | None = None) -> int | None:
        """The exit code once it has ended; raises TimeoutExpired."""
        self._child.join(seconds)
        if self._child.exitcode is None:
            raise subprocess.TimeoutExpired("csms", seconds or 0.0)
        return self._child.exitcode

    def send_signal(self, number: int) -> None:
        """As kill(2), unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self._child.kill()


class ForkedServer(ServerProcess):
    """A ``ServerProcess`` whose starts are forks; ``BECOME`` is what a child does."""

    BECOME = staticmethod(serve)

    def start(self) -> None:
        """Start the process and return at once."""
        open_forge()
        child = FORKS.Process(target=self.BECOME, args=(str(self.folder), self._starter, str(self.log_file)))
        child.start()
        self._process = Forked(child)  # type: ignore[assignment]
