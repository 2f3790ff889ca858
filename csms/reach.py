"""How the CSMS itself reaches out: every connection that it makes of its own begins here, and goes to an address that it may go to.

A name is resolved once, each of its addresses is judged, and the connection goes to one of those: no second answer of a name server, and no redirect
to another host, leads anywhere else. Addresses that an operator wrote into the site file may be private; those that stations name must be public.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from twisted.internet import defer
from twisted.internet.endpoints import HostnameEndpoint, clientFromString, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.threads import deferToThreadPool
from twisted.web.client import Agent, HTTPConnectionPool, _HTTP11ClientFactory
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from zope.interface import implementer

CONNECT_S = 10.0
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
