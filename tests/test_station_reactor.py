"""Sockets in the stations' own reactor behave like Twisted's: order, ends, faults, TLS, and the end of the reactor around it."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import defer, task
from twisted.internet.endpoints import (
    HostnameEndpoint,
    clientFromString,
    connectProtocol,
    serverFromString,
    wrapClientTLS,
)
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.logger import globalLogPublisher

epollreactor = pytest.importorskip(
    "twisted.internet.epollreactor", reason="this system has no epoll", exc_type=ImportError
)

# ruff: noqa: E402 - where there is no epoll, there is none of what follows
from csms.authority import Authority, write_pair
from csms.rounds import Round
from csms.station_reactor import StationReactor
from csms.tls import Contexts, TlsFiles, wrapped


class Side(Protocol):
    """One end: what it heard, how it ended, and what it does when something comes."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.ended: defer.Deferred[Any] = defer.Deferred()
        self.on_data: Callable[[bytes], None] = lambda data: None
        self.on_open: Callable[[], None] = lambda: None

    def connectionMade(self) -> None:
        self.on_open()

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        self.on_data(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.ended.callback(reason.type)


@pytest.fixture
def inner() -> Iterator[StationReactor]:
    from twisted.internet import reactor

    made = StationReactor(reactor, Round())
    yield made
    reactor.removeReader(made)
    made.disconnectAll()


async def joined(inner: Any, server: Side) -> tuple[Side, Any]:
    """A client that is connected to a server side, and the port."""
    from twisted.internet import reactor

    factory = Factory.forProtocol(Side)
    factory.buildProtocol = lambda address: server
    factory.noisy = False
    port = await serverFromString(inner, "tcp:0:interface=127.0.0.1").listen(factory)
    client = await connectProtocol(clientFromString(reactor, f"tcp:127.0.0.1:{port.getHost().port}"), Side())
    return client, port


async def until(done: Callable[[], object]) -> None:
    """Let the reactor turn until something holds."""
    from twisted.internet import reactor

    for _ in range(20_000):
        if done():
            return
        await task.deferLater(reactor, 0)
    raise AssertionError("it never came")


@pytest_twisted.ensureDeferred
async def test_answers_written_at_once_keep_their_order_when_the_peer_reads_slowly(inner: StationReactor) -> None:
    pieces = [b"%04d" % number * 250 for number in range(3000)]
    server = Side()
    server.on_open = lambda: [server.transport.write_now(piece) for piece in pieces]  # type: ignore[func-returns-value]
    client, port = await joined(inner, server)
    await until(lambda: len(client.heard) == 3000 * 1000)
    assert bytes(client.heard) == b"".join(pieces)
    client.transport.loseConnection()
    assert await server.ended is ConnectionDone
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_what_comes_in_one_piece_is_handed_on_in_small_ones(inner: StationReactor) -> None:
    """Thousands of short messages that are sent at once do not keep the others waiting until the last is answered."""
    sizes: list[int] = []
    server = Side()
    server.on_data = lambda data: sizes.append(len(data))
    client, port = await joined(inner, server)
    client.transport.write(b"x" * 200_000)
    await until(lambda: len(server.heard) == 200_000)
    assert max(sizes) <= 4096
    client.transport.loseConnection()
    await server.ended
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_protocol_that_raises_loses_its_own_connection_only(inner: StationReactor) -> None:
    faults: list[Any] = []
    globalLogPublisher.addObserver(faults.append)
    bad, good = Side(), Side()
    bad.on_data = lambda data: 1 / 0  # type: ignore[return-value]
    (one, first), (other, second) = await joined(inner, bad), await joined(inner, good)
    one.transport.write(b"x")
    await one.ended
    assert await bad.ended is ZeroDivisionError
    other.transport.write(b"y")
    await until(lambda: good.heard == b"y")
    globalLogPublisher.removeObserver(faults.append)
    assert any("bug" in str(fault.get("log_format")) for fault in faults)
    other.transport.loseConnection()
    await good.ended
    for port in (first, second):
        await port.stopListening()


@pytest.mark.parametrize("how", ["closes", "is reset", "fails in reading"])
@pytest_twisted.ensureDeferred
async def test_a_protocol_that_raises_when_it_is_told_of_its_end_harms_no_other(
    inner: StationReactor, how: str
) -> None:
    bad, good = Side(), Side()
    (one, first), (other, second) = await joined(inner, bad), await joined(inner, good)
    await until(lambda: bad.transport is not None and good.transport is not None)
    told: list[int] = []
    bad.connectionLost = lambda reason=None: told.append(1 // 0)  # type: ignore[method-assign,assignment]
    if how == "fails in reading":
        bad.on_data = lambda data: 1 / 0  # type: ignore[return-value]
        one.transport.write(b"x")
    elif how == "closes":
        one.transport.loseConnection()
    else:
        one.transport.abortConnection()
    await one.ended
    for piece in (b"a", b"b"):
        other.transport.write(piece)
        await until(lambda piece=piece: good.heard.endswith(piece))  # type: ignore[misc]
    other.transport.loseConnection()
    await good.ended
    for port in (first, second):
        await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_connection_that_was_cut_is_lost_and_a_paused_one_reads_later(inner: StationReactor) -> None:
    server = Side()
    client, port = await joined(inner, server)
    await until(lambda: server.transport is not None)
    server.transport.pauseProducing()
    client.transport.write(b"z")
    for _ in range(20):
        await until(lambda: True)
    assert not server.heard
    server.transport.resumeProducing()
    await until(lambda: server.heard == b"z")
    client.transport.abortConnection()
    assert await server.ended in (ConnectionLost, ConnectionDone)
    server.transport.write_now(b"to nobody")
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_the_end_of_the_reactor_around_it_ends_every_connection(inner: StationReactor) -> None:
    server = Side()
    client, _ = await joined(inner, server)
    await until(lambda: server.transport is not None)
    inner.connectionLost(None)
    await server.ended
    await client.ended


@pytest_twisted.ensureDeferred
async def test_tls_comes_this_way_too_in_order_and_to_its_end(inner: StationReactor, tmp_path: Path) -> None:
    from twisted.internet import reactor

    authority = Authority.in_folder(tmp_path, "Example")
    pair = write_pair(tmp_path, "server", *authority.server("127.0.0.1", "ecdsa", 30))
    server = Side()
    server.on_data = lambda data: server.transport.write(data)
    factory = Factory.forProtocol(Side)
    factory.buildProtocol = lambda address: server
    contexts = Contexts(TlsFiles((pair,), None, "ocpp"), frozenset({2}))
    port = inner.listenTCP(0, wrapped(factory, contexts, inner), interface="127.0.0.1")
    trust = trustRootFromCertificates([Certificate.loadPEM(authority.pem.encode())])
    dialled = wrapClientTLS(
        optionsForClientTLS("127.0.0.1", trustRoot=trust), HostnameEndpoint(reactor, "127.0.0.1", port.getHost().port)
    )
    client = await connectProtocol(dialled, Side())
    pieces = [b"%04d" % number * 250 for number in range(2000)]
    for piece in pieces:
        client.transport.write(piece)
    await until(lambda: len(client.heard) == 2000 * 1000)
    assert bytes(client.heard) == b"".join(pieces)
    client.transport.loseConnection()
    assert await server.ended is ConnectionDone
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_time_is_the_real_reactors_and_a_call_that_is_due_comes_while_sockets_are_busy(
    inner: StationReactor,
) -> None:
    from twisted.internet import reactor

    server = Side()
    server.on_data = lambda data: server.transport.write(data)
    client, port = await joined(inner, server)
    client.on_data = lambda data: client.transport.write(data)
    client.transport.write(b"to and fro")
    told: defer.Deferred[str] = defer.Deferred()
    call = inner.callLater(0.02, told.callback, "due")
    assert call in reactor.getDelayedCalls()  # type: ignore[attr-defined]
    assert not inner.getDelayedCalls()
    assert await told == "due"
    client.on_data = lambda data: None
    client.transport.loseConnection()
    await server.ended
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_without_descriptors_nobody_new_comes_in_and_those_inside_go_on(inner: StationReactor) -> None:
    """The rest of the descriptors is taken, so that accept() fails as it does at the limit of a busy server."""
    from twisted.internet import reactor

    server = Side()
    client, port = await joined(inner, server)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 3, hard))
    taken = []
    try:
        waiting = socket.socket()
        waiting.setblocking(False)
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        with suppress(BlockingIOError):
            waiting.connect(("127.0.0.1", port.getHost().port))
        for _ in range(20):
            await until(lambda: True)
        client.transport.write(b"still here")
        await until(lambda: server.heard == b"still here")
    finally:
        for one in taken:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    waiting.close()
    late = Side()
    port.factory.buildProtocol = lambda address: late
    another = await connectProtocol(clientFromString(reactor, f"tcp:127.0.0.1:{port.getHost().port}"), Side())
    another.transport.write(b"room again")
    await until(lambda: late.heard == b"room again")
    for one_of in (client, another):
        one_of.transport.loseConnection()
    await server.ended
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_all_that_came_is_read_before_anything_is_answered() -> None:
    from twisted.internet import reactor

    told: list[str] = []
    round: Round[Any] = Round(lambda action, names: told.extend(f"{name} answered" for name in names))
    inner = StationReactor(reactor, round)
    sides = []
    for name in "AB":
        side = Side()
        side.on_data = lambda data, name=name: (  # type: ignore[misc]
            told.append(f"{name} read"),
            round.add("Heartbeat", name),
        )
        sides.append((side, *await joined(inner, side)))
    for _, client, _ in sides:
        client.transport.write(b"x")
        # Both wait in their sockets before this turn of the reactor ends.
        client.transport.doWrite()
    await until(lambda: len(told) == 4)
    assert [what.partition(" ")[2] for what in told] == ["read", "read", "answered", "answered"]
    for side, client, port in sides:
        client.transport.loseConnection()
        await side.ended
        await port.stopListening()
    reactor.removeReader(inner)
    inner.disconnectAll()


@pytest_twisted.ensureDeferred
async def test_what_was_taken_for_a_connection_that_another_one_closed_is_not_handed_on(inner: StationReactor) -> None:
    one, two = Side(), Side()
    one.on_data = lambda data: two.transport.loseConnection()
    two.on_data = lambda data: one.transport.loseConnection()
    (first, port), (second, other) = await joined(inner, one), await joined(inner, two)
    for client in (first, second):
        client.transport.write(b"x")
        client.transport.doWrite()
    await until(lambda: one.ended.called or two.ended.called)
    assert sorted((bytes(one.heard), bytes(two.heard))) == [b"", b"x"]
    for client in (first, second):
        client.transport.loseConnection()
    await defer.DeferredList([one.ended, two.ended])
    for each in (port, other):
        await each.stopListening()


SERVES = """
import sys
from twisted.internet import {kind}
{kind}.install()
from twisted.internet import reactor, protocol
from csms.rounds import Round
from csms.station_sockets import for_stations

class Echo(protocol.Protocol):
    def dataReceived(self, data):
        self.transport.write(data)

class Asks(protocol.Protocol):
    def connectionMade(self):
        self.transport.write(b"hello")
    def dataReceived(self, data):
        print("nested" if inner is not reactor else "plain", data.decode(), flush=True)
        reactor.callLater(0, {end})
    def connectionLost(self, reason):
        print("lost", flush=True)

inner = for_stations(reactor, Round())
port = inner.listenTCP(0, protocol.Factory.forProtocol(Echo), interface="127.0.0.1")
protocol.ClientCreator(reactor, Asks).connectTCP("127.0.0.1", port.getHost().port)
reactor.callLater(20, reactor.stop)
reactor.run()
print("ended", flush=True)
"""


@pytest.mark.parametrize(
    ("kind", "end", "said"),
    [
        ("epollreactor", "reactor.stop", "nested"),
        ("epollreactor", "lambda: __import__('os').kill(__import__('os').getpid(), 15)", "nested"),
        ("pollreactor", "reactor.stop", "plain"),
        ("selectreactor", "reactor.stop", "plain"),
        ("asyncioreactor", "reactor.stop", "plain"),
    ],
    ids=["epoll", "epoll, SIGTERM", "poll", "select", "asyncio"],
)
def test_stations_are_served_in_every_reactor_and_it_ends(kind: str, end: str, said: str) -> None:
    script = SERVES.format(kind=kind, end=end)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stdout.splitlines() == [f"{said} hello", "lost", "ended"], ran.stderr
    assert not ran.stderr
