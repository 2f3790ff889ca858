"""What keeps one station's socket in bounds, and what its handshake says; knows transports, no WebSocket library and no policy."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.tcp import Server
from zope.interface import implementer

MAX_ID = 48
RATE_OVER_S = 10.0
"""Over how long the rate of messages is measured."""
STALLED_S = 30.0
"""How long a peer may leave its receive window closed before the connection is cut."""


def network_of(host: str) -> str:
    """Whom an address is counted as: itself, or of IPv6 its /64 network, for one customer has a whole one."""
    if ":" not in host:
        return host
    try:
        return str(ip_network(f"{host.strip('[]').partition('%')[0]}/64", strict=False))
    except ValueError:
        return host


class RefusedIdentity(ValueError):
    """The last part of the URL is no station identity; the text says why."""


def identity(path: str, prefix: str) -> str:
    """The station's identity from the request path; raises RefusedIdentity."""
    start = prefix.rstrip("/") + "/"
    if not path.startswith(start):
        raise RefusedIdentity(f"stations connect below {start}")
    encoded = path[len(start) :]
    try:
        name = unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise RefusedIdentity("the identity is not UTF-8") from None
    if not name or "/" in name:
        raise RefusedIdentity("the identity is one path segment")
    if len(name) > MAX_ID:
        raise RefusedIdentity(f"the identity has {len(name)} characters, {MAX_ID} are allowed")
    if ":" in name:
        raise RefusedIdentity("the identity has a colon")
    if not name.isprintable():
        raise RefusedIdentity("the identity has a character that cannot be printed")
    return name


def basic_credentials(headers: Mapping[str, str]) -> tuple[str, bytes] | None:
    """User and password of HTTP basic authentication, or None where there is none; a password may be any bytes."""
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        raw = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = raw.partition(b":")
    return (user.decode("utf-8", "replace"), password) if colon else None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one socket may cost; sizes in bytes, times in seconds."""

    max_message: int = 262144
    max_header: int = 16384
    handshake_s: float = 5.0
    ping_interval_s: float = 30.0
    ping_timeout_s: float = 10.0
    call_timeout_s: float = 30.0
    max_unauthenticated: int = 1000
    max_unauthenticated_per_address: int = 100
    max_waiting: int = 10_000
    """Connections beyond those two limits that wait, unread, for their handshake to begin."""
    max_rate: int = 100
    """Messages of one station in a second, over ten seconds; what is more waits in the socket."""
    compression: bool = True
    browsers: bool = False
    fast_path: bool = True
    """Off only to measure what it brings."""


@implementer(IPushProducer)
class Brake:
    """Stops reading from a peer that does not read, and cuts the connection when that lasts."""

    def __init__(self, transport: Any, clock: IReactorTime) -> None:
        self._transport = transport
        self._clock = clock
        self._cut: IDelayedCall | None = None
        self._full = False
        self._held = False
        self._flood = False
        self._calming: IDelayedCall | None = None
        self._heard = 0
        self._since = clock.seconds()

    def heard(self, max_rate: int) -> bool:
        """One more message; reading stops where there are too many, until their rate is within bounds. True when that begins."""
        self._heard += 1
        if self._heard <= max_rate * RATE_OVER_S:
            return False
        now = self._clock.seconds()
        wait = self._since + RATE_OVER_S - now
        self._heard, self._since = 0, max(now, self._since + RATE_OVER_S)
        if wait <= 0 or self._flood:
            return False
        self._flood = True
        self._set()
        self._calming = self._clock.callLater(wait, self._calm)
        return True

    def _calm(self) -> None:
        self._flood = False
        self._set()

    def pauseProducing(self) -> None:
        """64 KiB wait to be sent."""
        self._full = True
        self._cut = self._clock.callLater(STALLED_S, self._transport.abortConnection)
        self._set()

    def resumeProducing(self) -> None:
        """They are gone."""
        self._full = False
        self._release()
        self._set()

    def stopProducing(self) -> None:
        """The connection ends."""
        self._release()
        if self._calming is not None and self._calming.active():
            self._calming.cancel()

    def hold(self, held: bool) -> None:
        """The station's inbox is full, or no longer."""
        self._held = held
        self._set()

    def _set(self) -> None:
        if self._full or self._held or self._flood:
            self._transport.pauseProducing()
        else:
            self._transport.resumeProducing()

    def _release(self) -> None:
        if self._cut is not None and self._cut.active():
            self._cut.cancel()
        self._cut = None


class StationTransport(Server):
    """A TCP connection that can write at once, and is read in small pieces: what one read brings is handled before anybody else's turn comes."""

    bufferSize = 4096

    def taken(self) -> bytes:
        """What has come and is now out of the socket, for ``hand_on``; empty where there is none, or nothing can come any more."""
        try:
            return self.socket.recv(self.bufferSize)
        except OSError:
            return b""

    def hand_on(self, data: bytes) -> None:
        """Give the protocol what was taken, unless the connection was closed meanwhile."""
        if self.connected and not self.disconnecting:
            self.protocol.dataReceived(data)

    def write_now(self, data: bytes) -> None:
        """Write without waiting for the reactor's next turn, where nothing waits to be sent; all else goes the usual way, in order.

        Saves two system calls and a turn for each answer.
        """
        sent = 0
        if self.connected and not (self.dataBuffer or self._tempDataBuffer or self.disconnecting):
            try:
                sent = self.socket.send(data)
            except OSError:
                # The buffer is full or the connection lost: Twisted finds out which, and says so.
                sent = 0
        if sent < len(data):
            self.write(data[sent:])  # type: ignore[no-untyped-call]
