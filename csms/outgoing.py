"""How the CSMS itself reaches out: every connection that it makes of its own begins here, and goes to an address that it may go to.

A name is resolved once, each of its addresses is judged, and the connection goes to one of those: no second answer of a name server, and no redirect
to another host, leads anywhere else. Addresses that an operator wrote into the site file may be private; those that stations name must be public.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from twisted.internet import defer
from twisted.internet.endpoints import HostnameEndpoint, clientFromString, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone, _HTTP11ClientFactory
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

CONNECT_S = 10.0
REDIRECTS = 3
METADATA = frozenset({"169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192"})
"""Where clouds tell a machine its secrets."""
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class OutgoingFault(Exception):
    """A request that was not made, or whose answer will not do; the text says why."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Which addresses may be dialled: those of ``allowed``, and public ones; ``private`` ones too where an operator named the host."""

    allowed: tuple[Network, ...] = ()
    private: bool = False

    @classmethod
    def allowing(cls, networks: Iterable[str], *, private: bool = False) -> Reach:
        """With networks as the site file writes them."""
        return cls(tuple(ipaddress.ip_network(one) for one in networks), private)

    def fault(self, address: str) -> str:
        """Why an address may not be dialled, or an empty text."""
        ip = ipaddress.ip_address(address.partition("%")[0])
        ip = _inner(ip)
        if any(ip.version == network.version and ip in network for network in self.allowed):
            return ""
        if str(ip) in METADATA or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
            return f"{ip} is no address to send anything to"
        if not self.private and not ip.is_global:
            return f"{ip} is a private address; [outgoing] allow in the site file would let it be dialled"
        return ""


def _inner(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address of version 4 to which one of version 6 leads through a translator, or the address itself."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in NAT64:
        return ipaddress.IPv4Address(ip.packed[-4:])
    return ip.ipv4_mapped or ip.sixtofour or ip


class QuietFactory(_HTTP11ClientFactory):
    """As Twisted's, without two lines in the log for each request."""

    noisy = False


@implementer(IStreamClientEndpoint)
class GuardedEndpoint:
    """Resolves once, judges every address, and connects to the first."""

    def __init__(self, reactor: Any, host: str, port: int, reach: Reach, *, tls: bool) -> None:
        self._reactor, self._host, self._port, self._reach, self._tls = reactor, host, port, reach, tls

    def connect(self, protocolFactory: Any) -> defer.Deferred[Any]:
        """A connection; fails with OutgoingFault."""
        return defer.Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: Any) -> Any:
        addresses = await self._addresses()
        for address in addresses:
            fault = self._reach.fault(address)
            if fault:
                raise OutgoingFault(f"{self._host}: {fault}")
        endpoint: Any = HostnameEndpoint(self._reactor, addresses[0], self._port, timeout=CONNECT_S)
        if self._tls:
            endpoint = wrapClientTLS(optionsForClientTLS(self._host), endpoint)
        return await endpoint.connect(factory)

    async def _addresses(self) -> list[str]:
        try:
            return [str(ipaddress.ip_address(self._host))]
        except ValueError:
            pass
        pool = self._reactor.getThreadPool()
        try:
            found = await deferToThreadPool(
                self._reactor, pool, socket.getaddrinfo, self._host, self._port, 0, socket.SOCK_STREAM
            )
        except OSError as fault:
            raise OutgoingFault(f"there is no host called {self._host}: {fault.strerror or fault}") from None
        return list(dict.fromkeys(str(one[4][0]) for one in found))


@implementer(IAgentEndpointFactory)
class GuardedEndpoints:
    """An endpoint for each URI of an agent."""

    def __init__(self, reactor: Any, reach: Reach) -> None:
        self._reactor, self._reach = reactor, reach

    def endpointForURI(self, uri: Any) -> GuardedEndpoint:
        """Where a request goes."""
        tls = uri.scheme == b"https"
        return GuardedEndpoint(self._reactor, uri.host.decode("ascii"), uri.port, self._reach, tls=tls)


def http_agent(reactor: Any, reach: Reach | None = None) -> IAgent:
    """An agent that checks certificates and follows no redirects; without a reach, for addresses that the operator named."""
    pool = HTTPConnectionPool(reactor, persistent=False)  # type: ignore[no-untyped-call]
    pool._factory = QuietFactory
    endpoints = GuardedEndpoints(reactor, reach or Reach(private=True))
    agent: IAgent = Agent.usingEndpointFactory(reactor, endpoints, pool=pool)  # type: ignore[no-untyped-call]
    return agent


def dialled(reactor: Any, description: str) -> IStreamClientEndpoint:
    """The endpoint of a description such as ``tcp:host=mail.example.org:port=587``."""
    endpoint: IStreamClientEndpoint = clientFromString(reactor, description)  # type: ignore[no-untyped-call]
    return endpoint


@dataclass(frozen=True, slots=True)
class Fetched:
    """An HTTP answer: status, headers in small letters, body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Fetcher:
    """Asks hosts that somebody else named, within bounds."""

    def __init__(self, clock: Any, agent: IAgent) -> None:
        self._clock = clock
        self._agent = agent

    async def __call__(
        self,
        url: str,
        *,
        body: bytes | None = None,
        content_type: str = "",
        authorization: str = "",
        max_bytes: int = 65536,
        timeout_s: float = 10.0,
    ) -> Fetched:
        """The answer to a GET, or to a POST of a body; raises OutgoingFault, also for one that is too long or too late."""
        headers = {"user-agent": "csms", "content-type": content_type, "authorization": authorization}
        told = Headers({name: [text] for name, text in headers.items() if text})
        if authorization and not _is_private(url):
            raise OutgoingFault(f"{_shown(url)} is no https: a password is not sent in the clear")
        work = defer.Deferred.fromCoroutine(self._fetch(url, body, told, max_bytes))

        def late(result: object, seconds: float) -> Failure:
            return Failure(  # type: ignore[no-untyped-call]
                OutgoingFault(f"no whole answer from {_shown(url)} within {seconds:g} s")
            )

        try:
            return await work.addTimeout(timeout_s, self._clock, onTimeoutCancel=late)
        except OutgoingFault:
            raise
        except Exception as fault:
            raise OutgoingFault(f"{_shown(url)}: {_reason(fault)}") from None

    async def _fetch(self, url: str, body: bytes | None, headers: Headers, max_bytes: int) -> Fetched:
        for _ in range(REDIRECTS + 1):
            check_url(url)
            found = await self._once(url, body, headers, max_bytes)
            target = found.headers.get("location", "")
            if body is not None or found.status not in (301, 302, 303, 307, 308) or not target:
                return found
            onward = urljoin(url, target)
            if _place(onward) != _place(url):
                raise OutgoingFault(f"{_shown(url)} leads to another host, {_shown(onward)}")
            url = onward
        raise OutgoingFault(f"{_shown(url)} leads in circles")

    async def _once(self, url: str, body: bytes | None, headers: Headers, max_bytes: int) -> Fetched:
        method, producer = (b"GET", None) if body is None else (b"POST", _Bytes(body))
        response = await self._agent.request(method, url.encode("ascii"), headers, producer)
        reading = _Reading(max_bytes)
        response.deliverBody(reading)  # type: ignore[no-untyped-call]
        told = {
            name.decode("latin-1").lower(): values[0].decode("latin-1")
            for name, values in response.headers.getAllRawHeaders()
        }
        return Fetched(response.code, told, await reading.done)


def check_url(url: str) -> None:
    """Raise OutgoingFault for anything but a plain http or https URL."""
    try:
        parts = urlsplit(url)
        port_is_well = parts.port is None or 0 < parts.port < 65536
    except ValueError:
        raise OutgoingFault("the address is no URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or not port_is_well:
        raise OutgoingFault("the address is no http or https URL")
    if parts.username is not None or not url.isprintable() or " " in url:
        raise OutgoingFault("the address has a user name or a blank in it")


def _is_private(url: str) -> bool:
    """Whether nobody on the way reads along: TLS, or this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")


def _place(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _shown(url: str) -> str:
    """A URL without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}"[:200]


def _reason(fault: Exception) -> str:
    reasons = getattr(fault, "reasons", None)
    if reasons:
        fault = reasons[0].value
    return str(fault)[:200] or type(fault).__name__


class _Reading(Protocol):
    """A body, up to so many bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._parts: list[bytes] = []
        self._size = 0
        self.done: defer.Deferred[bytes] = defer.Deferred(lambda _: self._cut())

    def _cut(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """A part of it."""
        self._size += len(data)
        if self._size > self._most:
            if not self.done.called:
                self.done.errback(OutgoingFault(f"the answer is longer than {self._most} bytes"))
            self._cut()
            return
        self._parts.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end of it, or of the connection."""
        if self.done.called:
            return
        if isinstance(reason.value, ResponseDone | PotentialDataLoss):
            self.done.callback(b"".join(self._parts))
        else:
            self.done.errback(OutgoingFault("the connection was lost in the middle of the answer"))


@implementer(IBodyProducer)
class _Bytes:
    """A body that is there already."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: Any) -> defer.Deferred[None]:
        """Write it."""
        consumer.write(self._body)
        return defer.succeed(None)

    def pauseProducing(self) -> None:
        """It is written at once."""

    def resumeProducing(self) -> None:
        """It is written at once."""

    def stopProducing(self) -> None:
        """It is written at once."""
