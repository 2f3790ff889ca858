"""Keeps a line to the CSMS: dials, and after a loss or a failure dials again after a growing pause with jitter. Knows no messages."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
STEADY_S = 10.0
"""A line that lived this long was a good one: the next pause is short again."""


class CannotConnect(Exception):
    """No line: ``cure`` says what the operator can do; ``final`` says that trying again without it is in vain."""

    def __init__(self, why: str, cure: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.cure = cure
        self.final = final


class Line(Protocol):
    """An open connection to the CSMS."""

    def send(self, frame: bytes) -> None:
        """Write one frame."""

    def close(self) -> None:
        """Close; the loss is told as for any other loss."""


class Ear(Protocol):
    """What a line tells."""

    def heard(self, frame: str | bytes) -> None:
        """One frame came in."""

    def lost(self, why: str) -> None:
        """The line is gone; told once."""


Dial = Callable[[Ear], Deferred[Line]]
"""Opens a line that tells the given ear; fails with CannotConnect."""


class Owner(Protocol):
    """Who uses the line."""

    def came_up(self, line: Line) -> None:
        """A new line is open."""

    def heard(self, frame: str | bytes) -> None:
        """One frame came in."""

    def went_down(self, why: str) -> None:
        """The line is gone."""

    def cannot_connect(self, trouble: CannotConnect, pause_s: float) -> None:
        """Dialling failed; the next try is after ``pause_s`` seconds."""


class Uplink:
    """One line at a time, as long as ``start`` and not ``stop`` was said last."""

    log = Logger()

    def __init__(self, dial: Dial, *, owner: Owner, clock: IReactorTime, random: Random) -> None:
        self._dial = dial
        self._owner = owner
        self._clock = clock
        self._random = random
        self._line: Line | None = None
        self._wanted = False
        self._failures = 0
        self._up_at = 0.0
        self._next_pause_s: float | None = None
        self._timer: IDelayedCall | None = None
        self._on_down: Deferred[None] | None = None

    def start(self) -> None:
        """Dial now."""
        self._wanted = True
        self._call()

    def stop(self) -> Deferred[None]:
        """Close, and dial no more; fires when the line is gone."""
        self._wanted = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        done: Deferred[None] = Deferred()
        if self._line is None:
            done.callback(None)
        else:
            self._on_down = done
            self._line.close()
        return done

    def reboot(self, pause_s: float) -> None:
        """Close, and dial again after a pause of this length."""
        self._next_pause_s = pause_s
        if self._line is not None:
            self._line.close()

    def _call(self) -> None:
        try:
            dialling = self._dial(_Ear(self))
        except Exception as fault:
            self.log.failure("dialling failed")
            self._failed(
                CannotConnect(f"{type(fault).__name__}: {fault}", "this is a fault of the simulator", final=True)
            )
            return
        dialling.addCallbacks(self._up, lambda failure: self._failed(failure.value))

    def _up(self, line: Line) -> None:
        self._line, self._up_at = line, self._clock.seconds()
        if self._wanted:
            self._owner.came_up(line)
        else:
            line.close()

    def _failed(self, fault: Any) -> None:
        trouble = (
            fault if isinstance(fault, CannotConnect) else CannotConnect(str(fault), "check the URL and the network")
        )
        if self._wanted:
            pause_s = self._pause_s()
            self._timer = self._clock.callLater(pause_s, self._call)
            self._owner.cannot_connect(trouble, pause_s)

    def _pause_s(self) -> float:
        if self._next_pause_s is not None:
            pause_s, self._next_pause_s = self._next_pause_s, None
            return pause_s
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures, 16))
        self._failures += 1
        return longest * (0.5 + self._random.random() / 2)

    def _heard(self, frame: str | bytes) -> None:
        if self._wanted:
            self._owner.heard(frame)

    def _down(self, why: str) -> None:
        if self._line is None:
            return
        self._line = None
        if self._clock.seconds() - self._up_at >= STEADY_S:
            self._failures = 0
        self._owner.went_down(why)
        if self._on_down is not None:
            self._on_down.callback(None)
        elif self._wanted:
            self._timer = self._clock.callLater(self._pause_s(), self._call)


class _Ear:
    """One line's ear, so that an old line cannot speak for a new one."""

    def __init__(self, uplink: Uplink) -> None:
        self._uplink = uplink
        self._deaf = False

    def heard(self, frame: str | bytes) -> None:
        if not self._deaf:
            self._uplink._heard(frame)

    def lost(self, why: str) -> None:
        if not self._deaf:
            self._deaf = True
            self._uplink._down(why)
