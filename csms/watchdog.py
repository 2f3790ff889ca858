"""Names the file and line that keeps the reactor from its work: everything here runs in one thread, so one slow line makes every station wait.

The reactor beats a few times in each allowed pause; a thread watches, and when a beat is late it looks at what the reactor's thread is doing right
then. Costs some wake-ups a second and nothing per message. A place is told in the log once; how often it happened is counted.
"""

from __future__ import annotations

import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
OURS = ("csms", "csms_plugins")
BEATS = 4
"""In each allowed pause."""
MOST_PLACES = 100
ELSEWHERE = "somewhere outside of Python code"


class Watchdog:
    """Watches one reactor; ``stalled(place, seconds)`` is told, in the reactor's thread, of each stall once it is over."""

    log = Logger(namespace="csms.watchdog")

    def __init__(self, reactor: IReactorTime, limit_s: float, stalled: Callable[[str, float], None]) -> None:
        self._limit_s = limit_s
        self._stalled = stalled
        self._beat_at = 0.0
        self._seen: list[tuple[float, str]] = []
        self._told: set[str] = set()
        self._reactors_thread = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="csms-watchdog", daemon=True)
        self._beats = LoopingCall(self._beat)
        self._beats.clock = reactor

    def start(self) -> None:
        """Begin; called in the reactor's thread."""
        self._reactors_thread = threading.get_ident()
        self._beat_at = time.monotonic()
        self._beats.start(self._limit_s / BEATS, now=False)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        if self._beats.running:
            self._beats.stop()
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    def _beat(self) -> None:
        """In the reactor's thread: it is at work again."""
        now = time.monotonic()
        late_s, self._beat_at = now - self._beat_at, now
        seen, self._seen = self._seen, []
        if seen:
            self._stalled(seen[0][1], late_s)

    # In the watching thread

    def _watch(self) -> None:
        pause_s = self._limit_s / BEATS
        while not self._end.wait(pause_s):
            beat = self._beat_at
            late_s = time.monotonic() - beat
            if late_s > self._limit_s and not self._seen:
                self._look(beat, late_s)

    def _look(self, beat: float, late_s: float) -> None:
        where = place_of(sys._current_frames().get(self._reactors_thread))
        if self._beat_at != beat:
            return
        self._seen.append((beat, where))
        if where in self._told or len(self._told) >= MOST_PLACES:
            return
        self._told.add(where)
        self.log.warn(
            "the reactor has stood still for {late:.2f} s at {place}: all stations wait", late=late_s, place=where
        )


def place_of(frame: FrameType | None) -> str:
    """``file:line in function`` of the innermost line that is not a library's: a plugin's before one of the core."""
    core = ""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        package = name.partition(".")[0]
        if package == "csms":
            core = core or _said(frame)
        elif package in OURS or (name != "__main__" and not frame.f_code.co_filename.startswith((*LIBRARIES, "<"))):
            return _said(frame)
        frame = frame.f_back
    return core or ELSEWHERE


def _said(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename)}:{frame.f_lineno} in {frame.f_code.co_qualname}"
