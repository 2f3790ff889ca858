"""Who of the blocks wants to hear which news, in the order in which they hear them."""

from __future__ import annotations

from collections.abc import Callable

Listener = Callable[[object], None]


class News:
    """Gives news to those that hear their kind; what a listener raises reaches who told."""

    def __init__(self) -> None:
        self._all: list[tuple[Listener, tuple[type, ...]]] = []
        self._of: dict[type, tuple[Listener, ...]] = {}

    def add(self, listener: Listener, *kinds: type) -> None:
        """From now on, and after all others so far, ``listener`` hears news of these kinds; of every kind if none is named."""
        self._all.append((listener, kinds or (object,)))
        self._of.clear()

    def tell(self, event: object) -> None:
        """One piece of news."""
        kind = type(event)
        listeners = self._of.get(kind)
        if listeners is None:
            listeners = tuple(listener for listener, kinds in self._all if issubclass(kind, kinds))
            self._of[kind] = listeners
        for listener in listeners:
            listener(event)
