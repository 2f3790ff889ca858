"""A client's side of a station's socket, in bytes, over a transport in memory."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport

from csms.connection import station_factory
from csms.gate import StationGate
from csms.testing import TestCsms

KEY = "x3JJHMbDL1EzLkh9GBhXDw=="


class Socket:
    """A client's side in bytes."""

    def __init__(
        self, csms: TestCsms, profiles: frozenset[int] = frozenset({0, 1}), *, gate: StationGate | None = None
    ) -> None:
        self.csms = csms
        self.aborted = False
        factory = station_factory(gate or csms.house.gate(), csms.clock, profiles)
        factory._batched_timer = FakeTimer(csms.clock)
        self.protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.9", 1234))
        self.transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.9", 1234))
        self.transport.abortConnection = self._abort
        self.transport.loseConnection = lambda *_: None
        self.transport.unregisterProducer = lambda: None
        self.protocol.makeConnection(self.transport)

    def _abort(self) -> None:
        self.aborted = True

    def ask_for(
        self,
        path: str,
        *,
        protocols: str | None = "ocpp2.0.1",
        password: str | bytes | None = None,
        user: str | None = None,
        headers: tuple[str, ...] = (),
    ) -> None:
        """Send a handshake."""
        lines = [f"GET {path} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13"]
        if protocols is not None:
            lines.append(f"Sec-WebSocket-Protocol: {protocols}")
        if password is not None:
            user = user or path.rpartition("/")[2]
            secret = password.encode() if isinstance(password, str) else password
            lines.append("Authorization: Basic " + base64.b64encode(user.encode() + b":" + secret).decode())
        lines += headers
        self.protocol.dataReceived(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def ask(self, path: str, **given: Any) -> str:
        """The head of the answer to a handshake."""
        self.ask_for(path, **given)
        await self.csms.settle(lambda: b"\r\n\r\n" in self.transport.value())
        return self.transport.value().decode("latin-1")

    def send(self, text: str) -> None:
        payload = text.encode()
        head = (
            bytes((0x81, 0x80 | len(payload))) if len(payload) < 126 else struct.pack("!BBH", 0x81, 0xFE, len(payload))
        )
        self.protocol.dataReceived(head + b"\0\0\0\0" + payload)

    def close(self) -> None:
        from twisted.internet.error import ConnectionDone
        from twisted.python.failure import Failure

        self.protocol.connectionLost(Failure(ConnectionDone()))


class FakeTimer:
    """Autobahn's timers on the clock of the test."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock

    def call_later(self, seconds: float, call: Callable[[], None]) -> Any:
        return self._clock.callLater(seconds, call)
