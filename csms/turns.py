"""One at a time, in the order of asking; however many wait and however fast they are done, the stack stays flat."""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred, succeed


class Turns:
    """Gives out one turn at a time; who has taken it gives it on."""

    __slots__ = ("_giving", "_queue", "_taken")

    def __init__(self) -> None:
        self._queue: deque[Deferred[None]] | None = None
        """Made when somebody waits: there is one of these for every station."""
        self._taken = False
        self._giving = False

    def __len__(self) -> int:
        """How many wait."""
        return len(self._queue or ())

    def take(self) -> Deferred[None]:
        """Fires when it is the caller's turn."""
        if not self._taken:
            self._taken = True
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        if self._queue is None:
            self._queue = deque()
        self._queue.append(waiting)
        return waiting

    def give(self) -> None:
        """The turn is over. Whoever is next may end its own before this returns: that is seen here, not further down."""
        self._taken = False
        if self._giving:
            return
        self._giving = True
        try:
            while self._queue and not self._taken:
                self._taken = True
                self._queue.popleft().callback(None)
        finally:
            self._giving = False
