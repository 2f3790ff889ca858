"""A reactor inside the reactor, for the sockets of stations: one epoll object that holds them all, and is itself one reader of the real reactor.

Twisted copies a logging context for every event of every socket and looks again at what rarely happens; together that is a fifth of what a short
message costs (benchmarks/README.md). Everything but the waiting is Twisted's own; time and threads are the real reactor's. Knows no WebSocket.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.epollreactor import EPOLLIN, EPollReactor
from twisted.internet.tcp import Port
from twisted.logger import Logger

from csms.rounds import Round
from csms.socket_care import StationTransport

LOG = Logger(namespace="csms.sockets")


class StationPort(Port):
    """Accepts connections that can write at once."""

    transport = StationTransport


class StationReactor(EPollReactor):
    """Waits for many sockets on behalf of a running reactor."""

    def __init__(self, outer: Any, round: Round[Any]) -> None:
        self._outer = outer
        self._round = round
        super().__init__()  # type: ignore[no-untyped-call]
        outer.addReader(self)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """Listen here; TLS comes this way too."""
        listening = StationPort(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def callLater(self, *call: Any, **named: Any) -> Any:
        """The real reactor's."""
        return self._outer.callLater(*call, **named)

    def callFromThread(self, *call: Any, **named: Any) -> None:
        """The real reactor's."""
        self._outer.callFromThread(*call, **named)

    def seconds(self) -> float:
        """The real reactor's."""
        return float(self._outer.seconds())

    # A reader of the real reactor

    def fileno(self) -> int:
        """Readable when any of the sockets is ready."""
        return int(self._poller.fileno())

    def logPrefix(self) -> str:
        """For Twisted's own log."""
        return "stations"

    def doRead(self) -> None:
        """Serve every socket that is ready, as one round; what one of them raises ends that one, and the others never hear of it.

        First what has come is taken from all of them, then each gets what is its own: the kernel's work and ours, each in one go.
        """
        sockets = self._selectables
        came: list[tuple[int, StationTransport, bytes]] = []
        for fd, event in self._poller.poll(0, len(sockets)):
            socket = sockets.get(fd)
            if socket is None:
                continue
            try:
                if event != EPOLLIN:
                    self._doReadOrWrite(socket, fd, event)  # type: ignore[no-untyped-call]
                elif type(socket) is StationTransport and (data := socket.taken()):
                    came.append((fd, socket, data))
                elif over := socket.doRead():
                    self._disconnectSelectable(socket, over, True)  # type: ignore[no-untyped-call]
            except Exception as fault:
                self._failed(fd, socket, fault)
        with self._round:
            for fd, socket, data in came:
                try:
                    socket.hand_on(data)
                except Exception as fault:
                    self._failed(fd, socket, fault)

    def _failed(self, fd: int, socket: Any, fault: Exception) -> None:
        """End the connection of a socket that raised, unless its end is what raised."""
        LOG.failure("bug: serving a station's socket failed")
        if self._selectables.get(fd) is not socket:
            return
        try:
            self._disconnectSelectable(socket, fault, True)  # type: ignore[no-untyped-call]
        except Exception:
            LOG.failure("bug: the end of a station's connection failed")

    def connectionLost(self, reason: Any) -> None:
        """The real reactor ends."""
        self.disconnectAll()
