"""The simulated station's WebSocket against a real one on this machine: headers, subprotocol, frames, and refusals told with their cure."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_twisted
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny
from twisted.internet.defer import Deferred, DeferredQueue

from csms.sim.link import address, dialler
from csms.sim.options import SimOptions
from csms.sim.uplink import CannotConnect, Line


class Server(WebSocketServerProtocol):  # type: ignore[misc]
    """Echoes; what the client asked for is in the factory's queue."""

    def onConnect(self, request: Any) -> str | None:
        self.factory.requests.put(request)
        if self.factory.deny:
            raise ConnectionDeny(self.factory.deny)
        return self.factory.speaks if self.factory.speaks in request.protocols else None

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)


class Ear:
    """Queues what a line tells."""

    def __init__(self) -> None:
        self.frames: DeferredQueue[Any] = DeferredQueue()
        self.gone: Deferred[str] = Deferred()

    def heard(self, frame: str | bytes) -> None:
        self.frames.put(frame)

    def lost(self, why: str) -> None:
        self.gone.callback(why)


@asynccontextmanager
async def server(*, deny: int = 0, speaks: str = "ocpp2.0.1") -> AsyncIterator[tuple[Any, str]]:
    from twisted.internet import reactor

    factory = WebSocketServerFactory()
    factory.protocol = Server
    factory.deny, factory.speaks, factory.requests = deny, speaks, DeferredQueue()
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
    try:
        yield factory, f"ws://127.0.0.1:{port.getHost().port}/ocpp"
    finally:
        await port.stopListening()


async def dial(ear: Ear, **options: Any) -> Line:
    from twisted.internet import reactor

    return await dialler(reactor, SimOptions(**options))(ear)


@pytest_twisted.ensureDeferred
async def test_line_carries_frames_with_password_and_subprotocol() -> None:
    async with server() as (factory, url):
        ear = Ear()
        line = await dial(ear, url=url, station="A/1", password="s3cret")
        request = await factory.requests.get()
        assert request.path == "/ocpp/A%2F1"
        assert request.protocols == ["ocpp2.0.1"]
        assert b64decode(request.headers["authorization"].split()[1]) == b"A/1:s3cret"
        assert "permessage-deflate" in request.headers["sec-websocket-extensions"]
        line.send(b'[2,"1","Heartbeat",{}]')
        assert await ear.frames.get() == b'[2,"1","Heartbeat",{}]'
        line.close()
        assert "1000" in await ear.gone


@pytest_twisted.ensureDeferred
async def test_no_password_and_no_deflate_when_not_wanted() -> None:
    async with server(speaks="ocpp1.6") as (factory, url):
        ear = Ear()
        line = await dial(ear, url=url, protocol="ocpp1.6", deflate=False)
        request = await factory.requests.get()
        assert "authorization" not in request.headers
        assert "sec-websocket-extensions" not in request.headers
        line.close()
        await ear.gone


@pytest.mark.parametrize(
    ("status", "cure"), [(401, "--password"), (404, "csms station approve SIM1"), (429, "waits"), (500, "log")]
)
@pytest_twisted.ensureDeferred
async def test_refusals_of_the_handshake_are_told_with_their_cure(status: int, cure: str) -> None:
    async with server(deny=status) as (_, url):
        with pytest.raises(CannotConnect, match=str(status)) as told:
            await dial(Ear(), url=url)
        assert cure in told.value.cure
        assert told.value.final is (status in (401, 404))


@pytest_twisted.ensureDeferred
async def test_server_of_another_version_is_told() -> None:
    async with server(speaks="ocpp1.6") as (_, url):
        with pytest.raises(CannotConnect, match=r"does not speak ocpp2\.0\.1"):
            await dial(Ear(), url=url)


@pytest_twisted.ensureDeferred
async def test_nobody_listening_is_told() -> None:
    async with server() as (_, url):
        pass
    with pytest.raises(CannotConnect, match="nobody listens") as told:
        await dial(Ear(), url=url)
    assert "csms run" in told.value.cure


@pytest_twisted.ensureDeferred
async def test_address_that_is_none_is_told() -> None:
    with pytest.raises(CannotConnect, match="no usable address"):
        await dial(Ear(), url="ws://host:notaport")


def test_station_name_is_escaped_in_the_address() -> None:
    assert address(SimOptions(url="ws://h:9000/ocpp/", station="ä b/1")) == "ws://h:9000/ocpp/%C3%A4%20b%2F1"
