"""Who of the blocks wants to hear which news, in the order in which they hear them."""

from __future__ import annotations

from collections.abc import Callable

Listener = Callable[[object], None]
Wants = Callable[[type], bool]


def _always(kind: type) -> bool:
    return True


class News:
    """Gives news to those that hear their kind; what a listener raises reaches who told."""

    def __init__(self) -> None:
        self._all: list[tuple[Listener, tuple[type, ...], Wants]] = []
        self._of: dict[type, tuple[tuple[Listener, Wants], ...]] = {}

    def add(self, listener: Listener, *kinds: type, wants: Wants = _always) -> None:
        """From now on, and after all others so far, ``listener`` hears news of these kinds; of every kind if none is named.

        ``wants`` says whether it wants a kind at the moment: what it does not want it may hear all the same.
        """
        self._all.append((listener, kinds or (object,), wants))
        self._of.clear()

    def wanted(self, kind: type) -> bool:
        """Whether anybody wants news of this kind at the moment; lets hot paths skip making them."""
        return any(wants(kind) for _, wants in self._listening(kind))

    def tell(self, event: object) -> None:
        """One piece of news."""
        for listener, _ in self._listening(type(event)):
            listener(event)

    def _listening(self, kind: type) -> tuple[tuple[Listener, Wants], ...]:
        listeners = self._of.get(kind)
        if listeners is None:
            listeners = tuple((listener, wants) for listener, kinds, wants in self._all if issubclass(kind, kinds))
            self._of[kind] = listeners
        return listeners
