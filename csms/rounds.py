"""What all sockets brought in one turn of the reactor is one round: it is read first, and then its calls are answered, action by action.

Doing the same thing many times in a row is faster than doing another one each time: caches, branch prediction and CPython's specialised bytecode
hold what was done last (benchmarks/README.md). Knows no socket and no station.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

Begin = Callable[[], None]


class Round:
    """A context in which sockets are read; whatever is to begin meanwhile begins at its end, and outside of it at once."""

    log = Logger()

    def __init__(self) -> None:
        self._open = False
        self._waiting: dict[str, list[Begin]] = {}

    def add(self, action: str, begin: Begin) -> None:
        """Answering a call of this action may begin."""
        if self._open:
            self._waiting.setdefault(action, []).append(begin)
        else:
            begin()

    def __enter__(self) -> None:
        """Sockets are read from now on."""
        self._open = True

    def __exit__(self, *raised: object) -> None:
        """All sockets are read: begin, one action after the other; what one of them raises is logged, and the others begin all the same."""
        self._open = False
        waiting, self._waiting = self._waiting, {}
        for begins in waiting.values():
            for begin in begins:
                try:
                    begin()
                except Exception:
                    self.log.failure("bug: beginning to answer a station raised")
