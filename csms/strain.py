"""Stops taking new connections before the process runs out of file descriptors or memory, and goes on when there is room again.

Whoever is connected is served on; whoever is not waits in the kernel's queue and is let in later. Without this the last descriptor goes to a socket,
and the database and the plugins' files are what fails. The operator's door stays open: who else could look, and help.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

LOOK_S = 0.1
LEAST_KEPT, MOST_KEPT = 32, 256
"""Descriptors kept for files: an eighth of all, in these bounds."""
WANTED_DESCRIPTORS = 200_000
STATM = "/proc/self/statm"


class Door(Protocol):
    """A listening port."""

    def stopReading(self) -> None: ...
    def startReading(self) -> None: ...


class Strain:
    """Watches what the process has left, and holds the doors; ``max_memory`` is in bytes, 0 for no limit."""

    log = Logger(namespace="csms.strain")

    def __init__(
        self,
        clock: IReactorTime,
        *,
        max_memory: int = 0,
        descriptors: Callable[[], int] | None = None,
        limit: Callable[[], int] | None = None,
        memory: Callable[[], int] | None = None,
    ) -> None:
        self._max_memory = max_memory
        self._descriptors = descriptors or lowest_free
        self._limit = limit or descriptor_limit
        self._memory = memory or resident_bytes
        self._doors: list[Door] = []
        self._operators: list[Door] = []
        self._all_held = False
        self._looks = LoopingCall(self.look)
        self._looks.clock = clock
        self.why = ""
        """Why no new connections are taken at the moment; empty when they are."""

    def start(self, doors: Iterable[Any], operators: Iterable[Any] = ()) -> None:
        """Begin to watch, for these listening ports; those of ``operators`` are held only when half of what is kept for files is gone, too."""
        self._doors = [door for door in doors if hasattr(door, "stopReading")]
        self._operators = [door for door in operators if hasattr(door, "stopReading")]
        self._looks.start(LOOK_S, now=False)

    def stop(self) -> None:
        """Watch no more."""
        if self._looks.running:
            self._looks.stop()

    def guarded(self, factory: Any, *, operators: bool = False) -> Any:
        """The factory, which from now on asks for each connection: hundreds may come between two looks, and what is one too many is closed."""
        build = factory.buildProtocol

        def with_room(address: Any) -> Any:
            return build(address) if self._has_room(operators) else None

        factory.buildProtocol = with_room
        return factory

    def _has_room(self, operators: bool) -> bool:
        limit, used = self._limit(), self._descriptors()
        if used < limit - kept(limit):
            return True
        self.look()
        return operators and not self._all_held

    def look(self) -> None:
        """Close or open the doors as things are now."""
        limit, used = self._limit(), self._descriptors()
        why = self._short_of(limit, used)
        if bool(why) is not bool(self.why):
            _hold(self._doors, bool(why))
            if why:
                self.log.warn("no new connections are taken: {why}", why=why)
            else:
                self.log.info("new connections are taken again")
        self.why = why
        all_held = used >= limit - kept(limit) // 2
        if all_held is not self._all_held:
            _hold(self._operators, all_held)
        self._all_held = all_held

    def _short_of(self, limit: int, used: int) -> str:
        # Once closed, the doors open again with some room, so that they do not flap.
        if used >= limit - kept(limit) * (2 if self.why else 1):
            return f"{used} of {limit} file descriptors are in use"
        if not self._max_memory:
            return ""
        memory = self._memory()
        if memory > self._max_memory * (0.95 if self.why else 1.0):
            return f"{memory >> 20} MiB of memory are in use, {self._max_memory >> 20} are allowed"
        return ""


def kept(limit: int) -> int:
    """How many of so many descriptors are kept for files."""
    return min(max(limit // 8, LEAST_KEPT), MOST_KEPT)


def _hold(doors: Iterable[Door], held: bool) -> None:
    for door in doors:
        if held:
            door.stopReading()
        else:
            door.startReading()


def lowest_free() -> int:
    """The lowest descriptor that is free, which is about how many are in use: one system call, however many there are."""
    try:
        free = os.dup(2)
    except OSError:
        return descriptor_limit()
    os.close(free)
    return free


def descriptor_limit() -> int:
    """How many descriptors the process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WANTED_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


def raise_descriptor_limit() -> None:
    """Ask for as many descriptors as the system gives without being asked by its operator: the usual 1,024 are for a thousand stations."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, WANTED_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def resident_bytes() -> int:
    """The memory of the process (Linux); 0 where that cannot be known."""
    try:
        with open(STATM) as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
