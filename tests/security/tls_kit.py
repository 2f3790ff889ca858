"""A CSMS behind real TLS sockets on loopback, and stations that dial it with the ``websockets`` library.

The stations live in an asyncio loop in a thread of its own: a TLS socket that one thread reads and another writes is not safe in Python.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet import defer, task
from twisted.internet.interfaces import IReactorPluggableNameResolver
from twisted.internet.task import Clock
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.python.failure import Failure
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.typing import Subprotocol
from zope.interface import implementer

from csms.authority import CA_NAME, Authority, write_pair
from csms.connection import station_factory
from csms.model.security import SecurityEventRaised
from csms.service import tls_contexts
from csms.testing import TestCsms
from csms.tls import wrapped

HOST = "127.0.0.1"
TURN_S = 0.002
WITHIN_S = 60
SITE = """\
[server]
profiles = [{plain}]
handshake_timeout = "60s"
failed_tries = 100

[[server.listeners]]
listen = "tcp:0"
profiles = {tls}

[tls]
certificates = [
  {{ chain = "tls/server-ecdsa.pem", key = "tls/server-ecdsa.key" }},
  {{ chain = "tls/server-rsa.pem", key = "tls/server-rsa.key" }},
]
client_ca = "tls/stations-ca.pem"
organization = "Example"
ciphers = "{ciphers}"

[stations]
unknown = "{unknown}"
"""


@implementer(IReactorPluggableNameResolver)
class WiredClock(Clock):
    """Time stands still as in every test, and what the CSMS dials is dialled over real sockets."""

    def __getattr__(self, name: str) -> Any:
        from twisted.internet import reactor

        return getattr(reactor, name)


def make_pki(folder: Path) -> Authority:
    """A CA that was made before the clock of the tests begins, and a server's two certificates, as ``csms ca init`` makes them."""
    authority = Authority.create("Example", at=datetime(2026, 1, 1, tzinfo=UTC))
    key = authority._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    write_pair(folder / "tls", CA_NAME, authority.pem, key)
    for kind in ("ecdsa", "rsa"):
        write_pair(folder / "tls", f"server-{kind}", *authority.server(HOST, kind, 30))
    return authority


def site(*, plain: int = 1, tls: str = "[2, 3]", unknown: str = "refuse", ciphers: str = "ocpp") -> str:
    """A site with a plain listener and one with TLS."""
    return SITE.format(plain=plain, tls=tls, unknown=unknown, ciphers=ciphers)


@dataclass
class Door:
    """The listening ports of a CSMS, plain and TLS, and the PKI behind them."""

    csms: TestCsms
    folder: Path
    authority: Authority
    ports: list[Any] = field(default_factory=list)
    contexts: Any = None
    stations: StationLoop = field(default_factory=lambda: StationLoop())

    def open(self) -> None:
        """Listen on both."""
        from twisted.internet import reactor

        gate = self.csms.house.gate()
        settings = self.csms.house.site
        for listener, contexts in zip(settings.listeners, tls_contexts(settings), strict=False):
            factory = station_factory(gate, reactor, frozenset(listener.profiles))
            if contexts is not None:
                self.contexts = contexts
                factory = wrapped(factory, contexts, reactor)
            self.ports.append(reactor.listenTCP(0, factory, interface=HOST))  # type: ignore[attr-defined]

    async def close(self) -> None:
        """Listen no more."""
        self.stations.stop()
        for port in self.ports:
            await port.stopListening()

    def number(self, *, tls: bool) -> int:
        """The port's number."""
        return int(self.ports[1 if tls else 0].getHost().port)

    def context(self, certificate: str = "", **options: Any) -> ssl.SSLContext:
        """A client's TLS, with the client certificate of that name in the folder."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.folder / "tls" / "stations-ca.pem")
        if certificate:
            files = self.folder / "tls" / f"{certificate}.pem", self.folder / "tls" / f"{certificate}.key"
            context.load_cert_chain(*files)
        for name, value in options.items():
            setattr(context, name, value)
        return context

    async def dial(
        self, station: str, password: bytes | str | None = None, *, tls: ssl.SSLContext | None = None, user: str = ""
    ) -> Dialled:
        """A connection attempt; the CSMS's clock goes on while it lasts."""
        headers = {}
        if password is not None:
            secret = password.encode() if isinstance(password, str) else password
            headers["Authorization"] = "Basic " + base64.b64encode((user or station).encode() + b":" + secret).decode()
        scheme = "ws" if tls is None else "wss"
        url = f"{scheme}://{HOST}:{self.number(tls=tls is not None)}/ocpp/{station}"

        opening = connect(
            url,
            ssl=tls,
            subprotocols=[Subprotocol("ocpp2.0.1")],
            additional_headers=headers,
            open_timeout=WITHIN_S,
            compression=None,
        )
        try:
            socket = await self.outside(_opened(opening))
        except InvalidStatus as refused:
            return Dialled(self, status=refused.response.status_code)
        except (ssl.SSLError, OSError, EOFError, WebSocketException) as fault:
            return Dialled(self, fault=str(fault) or type(fault).__name__)
        return Dialled(self, 101, socket=socket)

    async def wait(self, work: Callable[[], Any]) -> Any:
        """Run something that blocks in a thread."""
        return await self._turned(deferToThread(work))

    async def outside(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something in the stations' loop."""
        return await self._turned(self.stations.run(work))

    async def _turned(self, working: defer.Deferred[Any]) -> Any:
        """Wait a minute at most; meanwhile the CSMS's clock stands still, and what is due happens."""
        from twisted.internet import reactor

        turning = task.LoopingCall(self.csms.clock.advance, 0)
        turning.start(TURN_S).addErrback(lambda failure: None)
        try:
            return await working.addTimeout(WITHIN_S, reactor)  # type: ignore[arg-type]
        finally:
            turning.stop()

    async def until(self, holds: Callable[[], object]) -> None:
        """Let the world turn until something holds, however slow the machine is; fails after a minute."""
        from twisted.internet import reactor

        last = reactor.seconds() + WITHIN_S  # type: ignore[attr-defined]
        while not holds():
            assert reactor.seconds() < last, "it has not happened within a minute"  # type: ignore[attr-defined]
            self.csms.clock.advance(0)
            await task.deferLater(reactor, TURN_S)  # type: ignore[arg-type]

    async def station(self, id: str = "CS1", password: str = "a-password-of-20-chr") -> TlsStation:
        """A station of security profile 2 that has booted."""
        await self.csms.house.provisioning.provision(id, password=password)
        dialled = await self.dial(id, password, tls=self.context())
        assert await dialled.boots() == "Accepted"
        return TlsStation(dialled)

    def expect(self, kind: str) -> list[str]:
        """The details of the security events of one kind so far."""
        return [detail for told, detail in self.told if told == kind]

    @property
    def told(self) -> list[tuple[str, str]]:
        """Kinds and details of the security events so far."""
        return [(one.event.kind, one.event.detail) for one in self.csms.told(SecurityEventRaised)]


@dataclass
class Dialled:
    """What came of an attempt: an HTTP status (101 is open) or a TLS fault."""

    door: Door
    status: int = 0
    fault: str = ""
    socket: ClientConnection | None = None
    _ids: Any = field(default_factory=lambda: count(1))

    async def boots(self) -> str:
        """BootNotification; gives the status of the answer."""
        charging_station = {"model": "M", "vendorName": "V"}
        answer = await self.says("BootNotification", {"reason": "PowerUp", "chargingStation": charging_station})
        return str(answer["status"])

    @property
    def opened(self) -> ClientConnection:
        """The socket, which has to be open."""
        assert self.socket is not None, f"not open: {self.status} {self.fault}; told: {self.door.told}"
        return self.socket

    @property
    def tls(self) -> ssl.SSLObject:
        """What was agreed on."""
        return self.opened.transport.get_extra_info("ssl_object")

    async def says(self, action: str, payload: dict[str, Any]) -> Any:
        """A call and its answer."""
        await self.sends([2, str(next(self._ids)), action, payload])
        return (await self.hears())[2]

    async def hears(self) -> list[Any]:
        """The next message of the CSMS."""
        return list(json.loads(await self.door.outside(self.opened.recv())))

    async def answers(self, call: list[Any], payload: dict[str, Any]) -> None:
        """Answer a call."""
        await self.sends([3, call[1], payload])

    async def sends(self, message: list[Any]) -> None:
        """One message."""
        await self.door.outside(self.opened.send(json.dumps(message)))

    async def closes(self) -> None:
        """Close, and let the CSMS notice."""
        if self.socket is not None:
            with suppress(Exception):
                await self.door.outside(self.socket.close())
            await self.door.csms.settle()


@dataclass
class TlsStation:
    """A dialled station with the ways of ``csms.testing.FakeStation``: ``calls`` are those of the CSMS that wait for ``answer``."""

    dialled: Dialled
    calls: list[list[Any]] = field(default_factory=list)
    _ids: Any = field(default_factory=lambda: count(1))

    async def say(self, action: str, payload: dict[str, Any]) -> Any:
        """A call and the payload of its answer."""
        id = f"s{next(self._ids)}"
        await self.dialled.sends([2, id, action, payload])
        while True:
            match await self.dialled.hears():
                case [2, *_] as call:
                    self.calls.append(call)
                case [3, answered, answer] if answered == id:
                    return answer
                case other:
                    raise AssertionError(other)

    async def heard(self) -> list[Any]:
        """The newest call of the CSMS that is not answered yet."""
        if not self.calls:
            self.calls.append(await self.dialled.hears())
        return self.calls[-1]

    def answer(self, payload: dict[str, Any]) -> None:
        """Answer the oldest call of the CSMS."""
        message = json.dumps([3, self.calls.pop(0)[1], payload])
        self.dialled.door.stations.run(self.dialled.opened.send(message))

    async def close(self) -> None:
        """Close the socket."""
        await self.dialled.closes()


class StationLoop:
    """An asyncio loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, work: Coroutine[Any, Any, Any]) -> defer.Deferred[Any]:
        """Start a coroutine there; the Deferred fires here."""
        from twisted.internet import reactor

        done: defer.Deferred[Any] = defer.Deferred()

        async def working() -> None:
            try:
                given, tell = await work, done.callback
            except BaseException as fault:
                given, tell = Failure(fault), done.errback
            reactor.callFromThread(lambda: done.called or tell(given))  # type: ignore[attr-defined]

        asyncio.run_coroutine_threadsafe(working(), self._loop)
        return done

    def stop(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)


async def _opened(opening: connect) -> ClientConnection:
    return await opening


def deferred(coroutine: Any) -> defer.Deferred[Any]:
    """A coroutine that runs beside the test."""
    return defer.Deferred.fromCoroutine(coroutine)


def in_reactor(work: Callable[[], Any]) -> Any:
    """Run a coroutine in the reactor's thread, and wait for it in this one: for hypothesis, which is no coroutine."""
    from twisted.internet import reactor

    return blockingCallFromThread(reactor, lambda: deferred(work()))
