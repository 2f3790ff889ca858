"""A server that kills itself with SIGKILL at one point of its work.

Points are passed before and after each commit of the database, each frame to a station, and each delivery of a bill to a backend; they are counted by
name. The file ``kill-at`` in the server's folder names one ("commit before 7") and is taken away at the start; without it the process lives. What was
passed stands in the file ``passed``, one line each. What came late is billed at once, where it would wait for the next sweep.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from forked_server import ForkedServer, serve

import csms.blocks.billing
import csms.connection
import csms.hooks
import csms.store.connections as connections

KILL_AT, PASSED = "kill-at", "passed"


class Points:
    """Counts what is passed, in all threads, and ends the process at one of them."""

    def __init__(self, folder: Path) -> None:
        file = folder / KILL_AT
        self._end = file.read_text() if file.exists() else ""
        file.unlink(missing_ok=True)
        self._passed = (folder / PASSED).open("w", buffering=1)
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def passed(self, name: str) -> None:
        """One more of this name."""
        with self._lock:
            self._counts[name] += 1
            point = f"{name} {self._counts[name]}"
            self._passed.write(f"{point}\n")
            if point == self._end:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The function with a point before and one after it."""

        def passing(*given: Any, **named: Any) -> Any:
            self.passed(f"{name} before")
            result = call(*given, **named)
            self.passed(f"{name} after")
            return result

        return passing


def set_points(points: Points) -> None:
    """Put the points where the work is done."""

    class Connection(connections.WritingConnection):
        """A point before and after each COMMIT, but for those of the log of messages."""

        def __init__(self, file: str, *given: Any, **named: Any) -> None:
            super().__init__(file, *given, **named)
            self.execute_commit = super().execute if "messages" in file else points.around("commit", super().execute)

        def execute(self, sql: str, *given: Any) -> Any:
            return self.execute_commit(sql) if sql == "COMMIT" else super().execute(sql, *given)

    async def consult(hooks: Any, plugin: str, hook: str, *given: Any) -> Any:
        if hook != "deliver_bill":
            return await asked(hooks, plugin, hook, *given)
        points.passed("delivery before")
        answer = await asked(hooks, plugin, hook, *given)
        points.passed("delivery after")
        return answer

    csms.blocks.billing.SWEEP_S = 0.2
    asked = csms.hooks.Hooks.consult
    connections.WritingConnection = Connection  # type: ignore[misc]
    csms.hooks.Hooks.consult = consult  # type: ignore[method-assign]
    station = csms.connection.StationProtocol
    station._write = points.around("frame", station._write)  # type: ignore[method-assign]


def serve_to_a_point(folder: str, words: Sequence[str], log: str) -> None:
    """Become the server, in the child, with its points."""
    set_points(Points(Path(folder)))
    serve(folder, words, log)


class MortalServer(ForkedServer):
    """A server that ends itself at the point that the file ``kill-at`` names."""

    BECOME = staticmethod(serve_to_a_point)
