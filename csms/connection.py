"""The only file of the server that imports Autobahn: a WebSocket becomes a ``Station``.

The handshake: ``GET <path>/<identity>`` with the identity percent-encoded, one of our subprotocols, and basic authentication where the station has a
password. Refusals happen in the handshake with 404 or 401; without a common subprotocol the handshake is finished without one and the socket is
closed, as OCPP-J part 4 asks. The socket is hardened from the first byte: a header cap, one deadline for the whole handshake, message size limits
that hold for inflated data too, pings, and a peer that does not read is not written to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet import defer, task
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from csms import frames
from csms.blocks.provisioning import Provisioning
from csms.blocks.security import Entry, Proof, Security, refused
from csms.blocks.sentry import address_of
from csms.hooks import Hooks
from csms.model.security import SecurityEventKind
from csms.model.station import Handshake, StationConnected, StationLost, StationRef
from csms.ocpp.dialect import Dialect
from csms.refusals import Refusal
from csms.running import run_guarded
from csms.socket_care import Brake, Limits, RefusedIdentity, StationTransport, basic_credentials, identity
from csms.stations import Answerer, Station
from csms.switchboard import Switchboard
from csms.tls import client_certificate, why_failed

LOG = Logger(namespace="csms.connection")
"""Ours alone: the protocol's own ``log`` is Autobahn's, whose chatter is no operator's business."""
PROTOCOL_ERROR, TEXT_ONLY, POLICY, RESTART = 1002, 1003, 1008, 1012
OLD_SOCKET_PING_S = 2.0
"""How long an older connection of the same station has to answer a ping before the new one replaces it."""


@dataclass(slots=True)
class StationGate:
    """Everything a socket needs from the house."""

    path: str
    dialects: Mapping[str, Dialect]
    limits: Limits
    hooks: Hooks
    security: Security
    provisioning: Provisioning
    switchboard: Switchboard
    answer: Answerer
    tell: Callable[[object], None]
    seen: Callable[[Station], None]
    logged: Callable[[str, str, str | bytes], None]
    now: Callable[[], Any]
    clock: IReactorTime
    opening: int = 0
    opening_by: Counter[str] = field(default_factory=Counter)

    def choose(self, offered: tuple[str, ...]) -> Dialect | None:
        """The first of our dialects, in our order, that the station offers."""
        return next((dialect for name, dialect in self.dialects.items() if name in offered), None)


class StationProtocol(WebSocketServerProtocol):  # type: ignore[misc]
    """One socket: handshake, then frames to and from its ``Station``."""

    gate: StationGate
    profiles: frozenset[int] = frozenset({0, 1})
    entry = Entry()
    address = ""
    station: Station | None = None
    fence = 0
    name = ""
    dialect: Dialect | None = None
    counted = False
    plain = False
    brake: Brake | None = None
    write_now: Callable[[bytes], None]
    pong: defer.Deferred[None] | None = None

    # The handshake

    def connectionMade(self) -> None:
        """A TCP or TLS connection; counts as unauthenticated until the handshake is done."""
        super().connectionMade()
        gate, self.address = self.gate, address_of(self.peer)
        gate.opening += 1
        gate.opening_by[self.address] += 1
        self.counted = True
        crowd = gate.opening_by[self.address] > gate.limits.max_unauthenticated_per_address
        if crowd or gate.opening > gate.limits.max_unauthenticated:
            LOG.warn("too many connections without a handshake: {peer} is cut off", peer=self.peer)
            self.transport.abortConnection()

    def processHandshake(self) -> None:
        """Autobahn's, with a cap on the size of the request."""
        if len(self.data) > self.gate.limits.max_header and b"\r\n\r\n" not in self.data[: self.gate.limits.max_header]:
            self.failHandshake("request header too large", 431)
            return
        super().processHandshake()

    async def _connect(self, request: ConnectionRequest) -> tuple[str | None, dict[str, str]]:
        if "origin" in request.headers and not self.gate.limits.browsers:
            await self._refuse(refused(Refusal.BROWSER))
        try:
            self.name = identity(request.path, self.gate.path)
        except RefusedIdentity as no:
            await self._refuse(refused(Refusal.IDENTITY, str(no)))
        credentials = basic_credentials(request.headers)
        if credentials is not None and credentials[0] != self.name:
            await self._refuse(refused(Refusal.USER))
        handshake = Handshake(
            self.name, self.peer, tuple(request.protocols), credentials is not None, max(self.profiles) >= 2
        )
        password = credentials[1] if credentials else None
        certificate = client_certificate(self.transport) if handshake.tls else None
        entry = await self.gate.security.admit(handshake, Proof(self.profiles, password, certificate))
        if not entry.admit:
            await self._refuse(entry)
        self.entry = entry
        self.dialect = self.gate.choose(handshake.protocols)
        if self.dialect is None:
            return None, {}
        if not await self._older_gives_way():
            await self._refuse(refused(Refusal.DUPLICATE))
        self.fence = await self.gate.switchboard.fence(self.name)
        return self.dialect.protocol, {}

    def onConnect(self, request: ConnectionRequest) -> defer.Deferred[tuple[str | None, dict[str, str]]]:
        """Autobahn asks whether to go on."""
        return defer.Deferred.fromCoroutine(self._admitted(request))

    async def _admitted(self, request: ConnectionRequest) -> tuple[str | None, dict[str, str]]:
        """As ``_connect``; a fault of ours is told to us, and the station may come back later."""
        try:
            return await self._connect(request)
        except ConnectionDeny:
            raise
        except Exception as fault:
            if getattr(fault, "passing", False):
                LOG.warn(
                    "{station!r} from {peer} has to come back later: {why}",
                    station=self.name,
                    peer=self.peer,
                    why=fault,
                )
            else:
                LOG.failure("bug: the handshake of {station!r} raised", station=self.name)
            raise ConnectionDeny(503, "Try again later") from None

    async def _refuse(self, entry: Entry) -> NoReturn:
        """Tell the log why, the peer as little as possible; an answer that costs too little to guess at waits."""
        refusal, security = entry.refusal or Refusal.UNKNOWN, self.gate.security
        station = self.name or self.http_request_path[:100]
        LOG.info(
            "refused {station!r} from {peer}: {code}: {reason}; {cure}",
            station=station,
            peer=self.peer,
            code=refusal.word,
            reason=entry.reason,
            cure=refusal.cure,
        )
        if refusal not in (Refusal.IDENTITY, Refusal.DUPLICATE, Refusal.PLUGIN, Refusal.BROWSER):
            entry = await security.turned_away(entry, self.name, self.address)
        if entry.wait_s:
            await task.deferLater(self.gate.clock, entry.wait_s)
        raise ConnectionDeny(entry.status, refusal.public if entry.status == refusal.status else "Refused")

    def failHandshake(self, reason: str, code: int = 400, responseHeaders: Any = None) -> None:
        """Autobahn's, with the challenge that a 401 needs."""
        if code == 401:
            responseHeaders = [*(responseHeaders or []), ("WWW-Authenticate", 'Basic realm="csms"')]
        elif code == 429:
            responseHeaders = [*(responseHeaders or []), ("Retry-After", "300")]
        super().failHandshake(reason, code, responseHeaders)

    async def _older_gives_way(self) -> bool:
        """A dead connection is replaced; one that lives stays for profiles 0 and 1, where a hijacker may come with a stolen password or none."""
        asked: Station | None = None
        while (older := self.gate.switchboard.station(self.name)) is not None and older is not asked:
            asked = older
            if not await older.alive(OLD_SOCKET_PING_S):
                continue
            wins = self.entry.profile.tls
            text = (
                f"a second connection from {self.address}, while the one from {older.peer_address} is alive: "
                f"the {'newest' if wins else 'older'} stays"
            )
            kind = SecurityEventKind.DUPLICATE_IDENTITY
            await self.gate.security.raise_event(kind, self.name, text, address=self.address)
            if not wins:
                return False
        return True

    # Open

    def onOpen(self) -> None:
        """The handshake is done."""
        self._uncount()
        if self.dialect is None:
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
            StationRef(self.name, self.dialect.protocol, connected=True),
            self.dialect,
            fence=self.fence,
            peer_address=self.peer,
            write=self._write,
            drop=self._drop,
            hold=brake.hold,
            ping=self._ping,
            answer=self.gate.answer,
            tell=self.gate.tell,
            clock=self.gate.clock,
            call_timeout_s=self.gate.limits.call_timeout_s,
        )
        station.profile = self.entry.profile
        station.enrolling = self.entry.enrolling
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
            gate = self.gate
            gate.opening -= 1
            gate.opening_by[self.address] -= 1
            if not gate.opening_by[self.address]:
                del gate.opening_by[self.address]

    def connectionLost(self, reason: Any) -> None:
        """Autobahn's; a TLS handshake that failed is a matter of security."""
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
