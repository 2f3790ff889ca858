"""Commands of csms that run for the server, in a process of their own with less right to the processor: what takes long never holds a station up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet.threads import deferToThreadPool

PROGRAM = "import os; os.nice(10); from csms.cli import main; main()"


class Ran(NamedTuple):
    """How an errand ended: the exit code (None: it took too long and was ended), and what was printed."""

    code: int | None
    output: str
    errors: str


class Busy(Exception):
    """Another errand is on its way: one at a time."""


@dataclass(slots=True)
class Errands:
    """Runs one at a time, for the site file of this server; what still runs when the server stops is ended."""

    reactor: Any
    site_file: Path | None
    folder: Path
    _running: list[subprocess.Popen[str]] = field(default_factory=list)
    _busy: bool = False
    _guarded: bool = False

    async def run(self, arguments: Sequence[str], seconds: float) -> Ran:
        """Run ``csms ARGUMENTS --site FILE`` in the site's folder, for so many seconds at most; raises Busy."""
        if self._busy:
            raise Busy("another one is on its way: try again when it has ended")
        site = ["--site", str(self.site_file.resolve())] if self.site_file else []
        command = [sys.executable, "-c", PROGRAM, *arguments, *site]
        if not self._guarded:
            self._guarded = True
            self.reactor.addSystemEventTrigger("before", "shutdown", self.stop)
        self._busy = True
        try:
            ran: Ran = await deferToThreadPool(self.reactor, self.reactor.getThreadPool(), self._ran, command, seconds)
            return ran
        finally:
            self._busy = False

    def stop(self) -> None:
        """End what runs."""
        for process in self._running:
            process.kill()

    def _ran(self, command: Sequence[str], seconds: float) -> Ran:
        """In a thread: the process from its start to its end."""
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, cwd=self.folder, text=True, encoding="utf-8", **pipes) as process:
            self._running.append(process)
            try:
                output, errors = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                return Ran(None, *process.communicate())
            finally:
                self._running.remove(process)
        return Ran(process.returncode, output, errors)
