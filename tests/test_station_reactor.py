"""Sockets in the stations' own reactor behave like Twisted's: order, ends, faults, TLS, and the end of the reactor around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import defer, task
from twisted.internet.endpoints import clientFromString, connectProtocol, serverFromString
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import globalLogPublisher

epollreactor = pytest.importorskip(
    "twisted.internet.epollreactor", reason="this system has no epoll", exc_type=ImportError
)

from csms.station_reactor import StationReactor  # noqa: E402 - where there is no epoll, there is none of it


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

    made = StationReactor(reactor)
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
