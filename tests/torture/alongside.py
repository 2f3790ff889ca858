"""Runs the torture tools one after another beside the other tests: they take minutes, and wait for most of it, while pytest needs one processor.

Each tool is a process with a folder, ports and a server of its own; who wants to know waits for its end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
TOOLS = {
    "kills": int(os.environ.get("CSMS_KILL_CYCLES", "10")),
    "killed_steps": 6,
    "power_cuts": 0,
    "disk_faults": 0,
    "fault_proxy": 100,
    "storm": 100,
    "storm --tls": 50,
    "hostile": 3,
    "hostile --tls": 3,
    "attacks": 3,
    "bad_plugins": 3,
    "clock_jumps": 0,
    "soak": 1,
    "frames": 1500,
}
"""Each tool that is quick enough here, and a size smaller than its own short form, where that takes long."""
LONGEST_S, ENDS_S = 600, 15
Ended = subprocess.CompletedProcess[str]


class Alongside:
    """The tools of one test run."""

    def __init__(self) -> None:
        self._row = ThreadPoolExecutor(1, "torture")
        self._ends: dict[str, Future[Ended]] = {}
        self._child: subprocess.Popen[str] | None = None

    def start(self, tools: Iterable[str]) -> None:
        """Begin with the first of them."""
        self._ends = {tool: self._row.submit(self._run, tool) for tool in tools}

    def end_of(self, tool: str) -> Ended:
        """How a tool ended, once it has."""
        return self._ends[tool].result()

    def stop(self) -> None:
        """Nobody waits any more: no further tool begins, and the one that runs ends as by Ctrl-C, and its servers with it."""
        self._row.shutdown(wait=False, cancel_futures=True)
        if self._child is not None:
            self._child.send_signal(signal.SIGINT)
            try:
                self._child.wait(ENDS_S)
            except subprocess.TimeoutExpired:
                self._child.kill()

    def _run(self, tool: str) -> Ended:
        seed = os.environ.get("CSMS_TORTURE_SEED")
        name, *form = tool.split()
        command = [sys.executable, str(HERE / f"{name}.py"), *form, *(["--seed", seed] if seed else [])]
        command += ["--size", str(TOOLS[tool])] if TOOLS[tool] else []
        # In a session of its own, Ctrl-C reaches it once, by stop: a second one would interrupt its tidying up.
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self._child = child
        try:
            said, complaints = child.communicate(timeout=LONGEST_S)
        finally:
            child.kill()
        return Ended(command, child.returncode, said, complaints)
