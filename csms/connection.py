"""The only file of the server that imports Autobahn: a WebSocket becomes a ``Station``.

The handshake: ``GET <path>/<identity>`` with the identity percent-encoded, one of our subprotocols, and basic authentication where the station has a
password. ``csms/gate.py`` decides, and refusals are answers to the handshake; without a common subprotocol it is finished without one and the socket
is closed, as OCPP-J part 4 asks. The socket is hardened from the first byte: a header cap, one deadline for the whole handshake, message size limits
that hold for inflated data too, pings, and a peer that does not read is not written to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autobahn.twisted.util import peer2str
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet import defer
from twisted.logger import Logger

from csms import frames
from csms.blocks.sentry import address_of
from csms.gate import Admitted, Entrance, StationGate, TurnedAway, Visit
from csms.model.security import SecurityEventKind
from csms.model.station import StationConnected, StationLost, StationRef
from csms.running import run_guarded
from csms.socket_care import Brake, Limits, StationTransport
from csms.stations import Station
from csms.tls import client_certificate, why_failed

LOG = Logger(namespace="csms.connection")
"""Ours alone: the protocol's own ``log`` is Autobahn's, whose chatter is no operator's business."""
PROTOCOL_ERROR, TEXT_ONLY, POLICY, RESTART = 1002, 1003, 1008, 1012


class StationProtocol(WebSocketServerProtocol):  # type: ignore[misc]
    """One socket: handshake, then frames to and from its ``Station``."""

    gate: StationGate
    profiles: frozenset[int] = frozenset({0, 1})
    address = ""
    name = ""
    admitted: Admitted
    station: Station | None = None
    begun = False
    waited = False
    counted = False
    plain = False
    brake: Brake | None = None
    write_now: Callable[[bytes], None]
    pong: defer.Deferred[None] | None = None

    # The handshake

    def connectionMade(self) -> None:
        """A TCP or TLS connection; one of the crowd before the door until its handshake is done."""
        self.address = address_of(peer2str(self.transport))
        self.counted = self.gate.crowd.came(self)

    def begin(self) -> None:
        """Now Autobahn hears of it, and the handshake's deadline runs."""
        self.begun = True
        # Autobahn keeps itself as this Deferred's result: thousands that were cut off would stay in memory until a search for cycles finds them.
        self.is_closed.addCallback(lambda closed: None)
        super().connectionMade()
        if self.waited:
            self.transport.resumeProducing()

    def wait(self) -> None:
        """Not a byte is read before it is this connection's turn."""
        self.waited = True
        self.transport.pauseProducing()

    def cut_off(self) -> None:
        """There is no place for it."""
        self.transport.abortConnection()

    def processHandshake(self) -> None:
        """Autobahn's, with a cap on the size of the request."""
        if len(self.data) > self.gate.limits.max_header and b"\r\n\r\n" not in self.data[: self.gate.limits.max_header]:
            self.failHandshake("request header too large", 431)
            return
        super().processHandshake()

    def onConnect(self, request: ConnectionRequest) -> defer.Deferred[tuple[str | None, dict[str, str]]]:
        """Autobahn asks whether to go on."""
        return defer.Deferred.fromCoroutine(self._admitted(request))

    async def _admitted(self, request: ConnectionRequest) -> tuple[str | None, dict[str, str]]:
        visit = Visit(
            request.path,
            request.headers,
            tuple(request.protocols),
            self.peer,
            self.address,
            self.profiles,
            lambda: client_certificate(self.transport),
        )
        try:
            admitted = await Entrance(self.gate, visit).admit()
        except TurnedAway as no:
            raise ConnectionDeny(no.status, no.words) from None
        self.admitted, self.name = admitted, admitted.name
        return (admitted.dialect.protocol if admitted.dialect else None), {}

    def succeedHandshake(self, res: Any) -> None:
        """Autobahn's; a connection that was lost while it was decided is not opened any more: nothing would ever close it."""
        if self.state == self.STATE_CONNECTING:
            super().succeedHandshake(res)

    def failHandshake(self, reason: str, code: int = 400, responseHeaders: Any = None) -> None:
        """Autobahn's, with the challenge that a 401 needs."""
        if code == 401:
            responseHeaders = [*(responseHeaders or []), ("WWW-Authenticate", 'Basic realm="csms"')]
        elif code == 429:
            responseHeaders = [*(responseHeaders or []), ("Retry-After", "300")]
        super().failHandshake(reason, code, responseHeaders)

    # Open

    def onOpen(self) -> None:
        """The handshake is done."""
        self._uncount()
        # Autobahn keeps the whole request, which nobody reads any more.
        self.http_request_data = b""
        self.http_headers.clear()
        dialect, entry = self.admitted.dialect, self.admitted.entry
        if dialect is None:
            offered = ", ".join(self.websocket_protocols) or "none"
            LOG.info("{station} offers no common subprotocol ({offered}): closed", station=self.name, offered=offered)
            self._end(PROTOCOL_ERROR, "no common OCPP subprotocol")
            return
        self.plain = self.gate.limits.fast_path and self._perMessageCompress is None
        transport = self.transport
        self.write_now = transport.write_now if isinstance(transport, StationTransport) else transport.write
        brake = Brake(transport, self.gate.clock)
        self.brake = brake
        transport.registerProducer(brake, True)
        station = Station(
            StationRef(self.name, dialect.protocol, connected=True),
            dialect,
            fence=self.admitted.fence,
            peer_address=self.peer,
            write=self._write,
            drop=self._drop,
            hold=brake.hold,
            ping=self._ping,
            answer=self.gate.answer,
            tell=self.gate.tell,
            clock=self.gate.clock,
            call_timeout_s=self.gate.limits.call_timeout_s,
            round=self.gate.round,
            fast_path=self.gate.limits.fast_path,
        )
        station.profile = entry.profile
        station.enrolling = entry.enrolling
        older = self.gate.switchboard.add(station)
        if older is station:
            self._drop("a newer connection of this station is open")
            return
        self.station = station
        brake.hold(True)
        self._begin(station, older).addErrback(self._could_not_begin)

    @defer.inlineCallbacks
    def _begin(self, station: Station, older: Station | None) -> Any:
        """Read nothing before it is known whether the station booted already."""
        if older is not None:
            older.gone()
            older.drop("replaced by a newer connection")
        yield defer.ensureDeferred(self.gate.provisioning.connected(station))
        LOG.info(
            "{station} connected from {peer} with {protocol}, security profile {profile}",
            station=station.id,
            peer=self.peer,
            protocol=station.protocol,
            profile=int(station.profile),
        )
        yield defer.ensureDeferred(self.gate.security.arrived(station.id, self.address))
        self.gate.tell(StationConnected(station.ref, self.gate.now(), self.peer))
        if self.brake is not None:
            self.brake.hold(False)

    def _could_not_begin(self, failure: Any) -> None:
        LOG.error("{station} cannot be served: {why}", station=self.name, why=failure.value)
        self._drop("the CSMS cannot serve this station now")

    def dataReceived(self, data: bytes) -> None:
        """The short way for the usual case, one whole plain text frame and nothing else; all else goes Autobahn's way."""
        station = self.station
        # Only between messages: Autobahn holds no byte, no begun frame and no begun message back.
        if (
            station is not None
            and self.plain
            and self.state == self.STATE_OPEN
            and not self.data
            and self.current_frame is None
            and not self.inside_message
        ):
            payload = frames.whole_text(data, self.gate.limits.max_message)
            if payload is not None:
                self._heard(station, payload)
                return
        super().dataReceived(data)

    def _heard(self, station: Station, payload: bytes) -> None:
        gate = self.gate
        gate.logged(station.id, "in", payload)
        station.receive(payload)
        gate.seen(station)
        if self.brake is not None and self.brake.heard(gate.limits.max_rate):
            self._slowed_down(station)

    def _slowed_down(self, station: Station) -> None:
        text = f"more than {self.gate.limits.max_rate} messages a second: its socket is read more slowly"
        raise_event = self.gate.security.raise_event
        run_guarded(lambda: raise_event(SecurityEventKind.FLOOD, station.id, text, address=self.address), LOG)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """One message; OCPP-J speaks text only."""
        station = self.station
        if station is None:
            return
        if isBinary:
            self._end(TEXT_ONLY, "OCPP-J uses text frames")
            return
        self._heard(station, payload)

    def _write(self, frame: bytes) -> bool:
        """Send a text message; False where the connection is closing, whoever began it, and nothing can be sent any more."""
        if self.state != self.STATE_OPEN:
            return False
        if self.plain:
            self.write_now(frames.unmasked(frame))
        else:
            self.sendMessage(frame)
        self.gate.logged(self.name, "out", frame)
        return True

    def _drop(self, reason: str) -> None:
        self._end(RESTART if reason == SHUTDOWN else POLICY, reason)

    def _end(self, code: int, reason: str) -> None:
        """Begin the closing handshake; Autobahn's public call knows no code below 3000."""
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code=code, reasonUtf8=reason.encode()[:120], isReply=False)

    # Alive or not

    def _ping(self) -> defer.Deferred[None]:
        pong: defer.Deferred[None] = defer.Deferred()
        waiting, self.pong = self.pong, pong
        if waiting is not None and not waiting.called:
            pong.chainDeferred(waiting)
        self.sendPing(b"csms")
        return pong

    def onPong(self, payload: bytes) -> None:
        """The peer lives."""
        pong, self.pong = self.pong, None
        if pong is not None and not pong.called:
            pong.callback(None)

    # Closed

    def _uncount(self) -> None:
        if self.counted:
            self.counted = False
            self.gate.crowd.left(self)

    def connectionLost(self, reason: Any) -> None:
        """Autobahn's, if it has heard of it; a TLS handshake that failed is a matter of security."""
        if not self.begun:
            self._uncount()
            return
        found = why_failed(reason.value)
        if found is not None and self.counted:
            kind, words = found
            raise_event = self.gate.security.tls_failed
            run_guarded(lambda: raise_event(kind, words, self.address), LOG)
        super().connectionLost(reason)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """The connection ended, cleanly or not."""
        self._uncount()
        station, self.station = self.station, None
        if station is None:
            return
        station.gone()
        why = reason or ("closed by the station" if wasClean else "connection lost")
        LOG.info("{station} disconnected: {why}", station=station.id, why=why)
        removing = defer.ensureDeferred(self.gate.switchboard.remove(station))
        removing.addCallbacks(
            lambda offline: self.gate.tell(StationLost(station.ref, self.gate.now(), why)) if offline else None,
            lambda failure: LOG.error("{station}: {why}", station=station.id, why=failure.value),
        )


SHUTDOWN = "the CSMS restarts"


def station_factory(
    gate: StationGate, reactor: Any, profiles: frozenset[int] = frozenset({0, 1})
) -> WebSocketServerFactory:
    """The listening side for one port, and the security profiles it takes."""
    protocol = type("StationProtocol", (StationProtocol,), {"gate": gate, "profiles": profiles})
    factory = WebSocketServerFactory(protocols=list(gate.dialects), server="csms", reactor=reactor)
    factory.protocol = protocol
    factory.noisy = False
    limits = gate.limits
    factory.setProtocolOptions(
        failByDrop=False,
        maxMessagePayloadSize=limits.max_message,
        maxFramePayloadSize=limits.max_message,
        openHandshakeTimeout=limits.handshake_s,
        closeHandshakeTimeout=2.0,
        autoPingInterval=limits.ping_interval_s,
        autoPingTimeout=limits.ping_timeout_s,
        autoPingSize=12,
        utf8validateIncoming=True,
        webStatus=False,
        perMessageCompressionAccept=_accept_deflate(limits) if limits.compression else None,
    )
    return factory


def _accept_deflate(limits: Limits) -> Callable[[list[object]], object]:
    def accept(offers: list[object]) -> object:
        for offer in offers:
            if isinstance(offer, PerMessageDeflateOffer):
                return PerMessageDeflateOfferAccept(offer, max_message_size=limits.max_message)
        return None

    return accept
