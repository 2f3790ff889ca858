"""Connections of the HTTP listeners (the API, uploads) within limits: how many there are, and how long each may take to send a request.

Twisted's own idle timeout begins anew with every byte. These limits do not: who sends drop by drop is cut off, and who takes too many connections.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from csms.socket_care import network_of

HEAD_S = 10.0
"""How long the headers of a connection's first request may take, TLS included."""


class GuestChannel(HTTPChannel):
    """One connection; its ``site`` has the ``crowd`` that it is one of."""

    _deadline: IDelayedCall | None = None
    _counted = False
    _waited = False
    address = ""

    def connectionMade(self) -> None:
        """One more guest, or one too many."""
        super().connectionMade()  # type: ignore[no-untyped-call]
        self.address = network_of(str(getattr(self.getPeer(), "host", "")))  # type: ignore[no-untyped-call]
        self._counted = self.site.crowd.came(self)  # type: ignore[attr-defined]

    def begin(self) -> None:
        """There is a place: the headers may come."""
        if self._waited:
            transport: Any = self.transport
            transport.resumeProducing()
        self.within(HEAD_S, self.cut_off)

    def wait(self) -> None:
        """There is none now: nothing is read before there is."""
        self._waited = True
        transport: Any = self.transport
        transport.pauseProducing()

    def head_is_read(self) -> None:
        """The headers are here; a body may follow."""
        self.in_no_hurry()

    def within(self, seconds: float, late: Callable[[], None]) -> None:
        """From now on ``late`` is called after so many seconds, in place of what was said before."""
        self.in_no_hurry()
        self._deadline = self.callLater(seconds, late)  # type: ignore[no-untyped-call]

    def in_no_hurry(self) -> None:
        """Nothing has to come now."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def cut_off(self) -> None:
        """End the connection at once."""
        transport: Any = self.transport
        transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """One guest less."""
        self.in_no_hurry()
        if self._counted:
            self._counted = False
            self.site.crowd.left(self)  # type: ignore[attr-defined]
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
