"""Reference: a bare Autobahn server with its defaults that sends each text frame back. Nothing is parsed, kept or checked.

python benchmarks/reference_echo.py PORT [FOLDER with key.pem and cert.pem]
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

    if len(sys.argv) > 2:
        from twisted.internet.ssl import DefaultOpenSSLContextFactory

        tls = DefaultOpenSSLContextFactory(f"{sys.argv[2]}/key.pem", f"{sys.argv[2]}/cert.pem")
    factory = WebSocketServerFactory(protocols=["ocpp2.0.1"])
    factory.protocol = Echo
    if len(sys.argv) > 2:
        reactor.listenSSL(int(sys.argv[1]), factory, tls, backlog=1024, interface="127.0.0.1")
    else:
        reactor.listenTCP(int(sys.argv[1]), factory, backlog=1024, interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main()
