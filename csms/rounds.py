"""What all sockets brought in one turn of the reactor is one round: it is read first, and then its calls are answered, action by action.

Doing the same thing many times in a row is faster than doing another one each time: caches, branch prediction and CPython's specialised bytecode
hold what was done last (benchmarks/README.md). Knows no socket and no station.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from twisted.logger import Logger


class Waiting(Protocol):
    """Whoever has something to answer."""

    def begin(self) -> None:
        """Answer it; never raises."""


W = TypeVar("W", bound=Waiting)
Serve = Callable[[str, list[W]], None]
"""Answers those that have a call of one action waiting, in the order in which the calls came."""


def one_by_one(action: str, waiting: list[W]) -> None:
    """Each begins by itself."""
    for one in waiting:
        one.begin()


class Round(Generic[W]):
    """A context in which sockets are read; whoever has a call to answer then is served at its end, and outside of it at once."""

    log = Logger()

    def __init__(self, serve: Serve[W] = one_by_one) -> None:
        self._serve = serve
        self._open = False
        self._waiting: dict[str, list[W]] = {}

    def add(self, action: str, one: W) -> None:
        """One that has a call of this action to answer."""
        if self._open:
            self._waiting.setdefault(action, []).append(one)
        else:
            self._serve(action, [one])

    def __enter__(self) -> None:
        """Sockets are read from now on."""
        self._open = True

    def __exit__(self, *raised: object) -> None:
        """All sockets are read: serve, one action after the other; what one of them raises is logged, and the others are served all the same."""
        self._open = False
        waiting, self._waiting = self._waiting, {}
        for action, those in waiting.items():
            try:
                self._serve(action, those)
            except Exception:
                self.log.failure("bug: answering the calls of a round raised")
