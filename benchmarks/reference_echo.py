"""Reference: a bare Autobahn server with its defaults that sends each text frame back. Nothing is parsed, kept or checked.

python benchmarks/reference_echo.py PORT
"""

from __future__ import annotations

import sys

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol


class Echo(WebSocketServerProtocol):  # type: ignore[misc]
    """Sends back what it gets."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """One frame in, the same frame out."""
        self.sendMessage(payload, isBinary)


def main() -> None:
    """Listen until the process is ended."""
    from twisted.internet import reactor

    factory = WebSocketServerFactory(protocols=["ocpp2.0.1"])
    factory.protocol = Echo
    reactor.listenTCP(int(sys.argv[1]), factory, backlog=1024, interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main()
