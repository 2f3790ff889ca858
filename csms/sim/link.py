"""The WebSocket under a simulated station, and the only file of this package that imports Autobahn. It knows frames, not messages."""

from __future__ import annotations

import re
from base64 import b64encode
from io import BytesIO
from typing import Any
from urllib.parse import quote

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol, connectWS
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError, DNSLookupError, TimeoutError

from csms.sim.files import Put
from csms.sim.keyring import Keyring
from csms.sim.options import SimOptions
from csms.sim.uplink import CannotConnect, Dial, Ear, Line

HANDSHAKE_S = 10
STATUS = re.compile(r"\[(\d{3})\]|status code \"?(\d{3})")


def dialler(reactor: Any, options: SimOptions, keys: Keyring | None = None) -> Dial:
    """Opens WebSockets to ``url/station`` with the subprotocol of the options, basic auth when there is a password, deflate when wanted."""
    keys = keys or Keyring(options.password)

    def dial(ear: Ear) -> Deferred[Line]:
        opened: Deferred[Line] = Deferred()
        try:
            factory = _Factory(reactor, options, keys.password, ear, opened)
            context = _tls(factory)
        except Exception as fault:
            opened.errback(
                CannotConnect(
                    f"{options.url} is no usable address: {fault}", "give an URL as ws://HOST:9000/ocpp", final=True
                )
            )
            return opened
        connectWS(factory, contextFactory=context, timeout=HANDSHAKE_S)
        return opened

    return dial


def putter(reactor: Any) -> Put:
    """Sends files by HTTP's PUT, and checks the server's certificate."""
    from twisted.web.client import Agent, FileBodyProducer

    async def put(url: str, body: bytes) -> int:
        agent = Agent(reactor, connectTimeout=HANDSHAKE_S)  # type: ignore[no-untyped-call]
        producer = FileBodyProducer(BytesIO(body))  # type: ignore[no-untyped-call]
        answer = await agent.request(b"PUT", url.encode("ascii"), None, producer)
        return int(answer.code)

    return put


def address(options: SimOptions) -> str:
    """The URL that this station dials."""
    return f"{options.url.rstrip('/')}/{quote(options.station, safe='')}"


def _tls(factory: WebSocketClientFactory) -> Any:
    if not factory.isSecure:
        return None
    from twisted.internet.ssl import optionsForClientTLS

    return optionsForClientTLS(factory.host)


class _Factory(WebSocketClientFactory):  # type: ignore[misc]
    noisy = False

    def __init__(
        self, reactor: Any, options: SimOptions, password: str | None, ear: Ear, opened: Deferred[Line]
    ) -> None:
        headers = {}
        if password is not None:
            secret = b64encode(f"{options.station}:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {secret}"
        super().__init__(address(options), protocols=[options.protocol], headers=headers, reactor=reactor)
        self.options = options
        self.ear = ear
        self.opened: Deferred[Line] | None = opened
        self.setProtocolOptions(
            failByDrop=False,
            openHandshakeTimeout=HANDSHAKE_S,
            closeHandshakeTimeout=2,
            tcpNoDelay=True,
            maxMessagePayloadSize=1 << 20,
            perMessageCompressionOffers=[PerMessageDeflateOffer()] if options.deflate else [],
            perMessageCompressionAccept=_accept_deflate,
        )

    def buildProtocol(self, addr: Any) -> _Socket:
        """One connection."""
        socket = _Socket()
        socket.factory = self
        return socket

    def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
        """No TCP connection."""
        self.fail(_unreachable(self.options, reason.value))

    def take(self) -> Deferred[Line] | None:
        """The Deferred that waits for the line, once."""
        opened, self.opened = self.opened, None
        return opened

    def fail(self, trouble: CannotConnect) -> None:
        """There will be no line."""
        if (opened := self.take()) is not None:
            opened.errback(trouble)


class _Socket(WebSocketClientProtocol):  # type: ignore[misc]
    def onOpen(self) -> None:
        """The handshake is done; without our subprotocol there is nothing to say."""
        options = self.factory.options
        if self.websocket_protocol_in_use != options.protocol:
            why = f"the server does not speak {options.protocol}"
            self.factory.fail(CannotConnect(why, "try the other one with --protocol", final=True))
            self.sendClose(1000)
        elif (opened := self.factory.take()) is not None:
            opened.callback(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """One frame; OCPP has no binary ones."""
        if not isBinary and self.factory.opened is None:
            self.factory.ear.heard(payload)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """The line is gone, or the handshake was refused."""
        if self.factory.opened is not None:
            self.factory.fail(_refused(self.factory.options, reason or ""))
        else:
            self.factory.ear.lost(f"{code} {reason or ''}".strip())

    def send(self, frame: bytes) -> None:
        """Write one frame."""
        self.sendMessage(frame, isBinary=False)

    def close(self) -> None:
        """Close."""
        self.sendClose(1000)


def _accept_deflate(response: Any) -> Any:
    return PerMessageDeflateResponseAccept(response) if isinstance(response, PerMessageDeflateResponse) else None


def _unreachable(options: SimOptions, fault: Exception) -> CannotConnect:
    match fault:
        case ConnectionRefusedError():
            return CannotConnect(f"nobody listens at {options.url}", "is the server running? start it with: csms run")
        case DNSLookupError():
            return CannotConnect(f"there is no host of that name: {options.url}", "check --url", final=True)
        case TimeoutError():
            return CannotConnect(f"no answer from {options.url}", "check --url, the network and the firewall")
    return CannotConnect(f"{options.url}: {fault}", "check --url and the network")


def _refused(options: SimOptions, reason: str) -> CannotConnect:
    found = STATUS.search(reason)
    status = next(filter(None, found.groups()), "") if found else ""
    name = options.station
    match status:
        case "401" | "403":
            cure = f"give the station's password with --password, or approve it: csms station approve {name}"
            return CannotConnect(f"the server refused station {name} ({status})", cure, final=True)
        case "404":
            cure = f"check the path in --url (usually /ocpp), or let the station in: csms station approve {name}"
            return CannotConnect(f"the server does not know {address(options)} (404)", cure, final=True)
        case "429" | "503":
            return CannotConnect(f"the server is busy ({status})", "nothing to do; the station waits")
        case "":
            return CannotConnect(
                f"no WebSocket at {options.url}: {reason or 'closed'}", "is that a csms server? check --url"
            )
    return CannotConnect(f"the server refused the connection ({status})", "see the server's log")
