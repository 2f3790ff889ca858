"""How a test's station reaches the server through an independent OCPP client: raw payloads out and in, the client's own schema checks on.

``Link`` is what every client is made to look like; ``PackageLink`` is the ``ocpp`` package from PyPI on ``websockets``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import asdict
from types import ModuleType
from typing import Any, Protocol

import ocpp.exceptions
import ocpp.v16
import ocpp.v201
import websockets
from ocpp.charge_point import camel_to_snake_case, remove_nones, snake_to_camel_case
from ocpp.routing import on

Payload = dict[str, Any]
CALL_S = 10.0


class CallRefused(Exception):
    """The server answered a call with CALLERROR; the first argument is the code."""


class Link(Protocol):
    """One station's line to the server."""

    async def connect(self) -> None:
        """Open the socket."""

    async def call(self, action: str, payload: Payload) -> Payload:
        """Send one call, give the answer's payload; raises CallRefused for a CALLERROR."""

    async def answer(self, action: str, payload: Payload) -> None:
        """What the station answers to such a call from now on (Accepted until then); a ``_error`` key makes it a CALLERROR of that code."""

    async def heard(self, action: str) -> Payload:
        """The payload of the server's next call of this action; waits a few seconds for it."""

    async def close(self) -> None:
        """Close the socket; ``connect`` may follow."""

    async def end(self) -> None:
        """Close what is open; nothing follows."""


class Ear:
    """Keeps what the server called until a test asks for it."""

    def __init__(self) -> None:
        self._calls: dict[str, asyncio.Queue[Payload]] = {}

    def put(self, action: str, payload: Payload) -> None:
        """The server called."""
        self._calls.setdefault(action, asyncio.Queue()).put_nowait(payload)

    async def get(self, action: str) -> Payload:
        """The next call of that action; raises TimeoutError after a while."""
        queue = self._calls.setdefault(action, asyncio.Queue())
        return await asyncio.wait_for(queue.get(), CALL_S)


VERSIONS: dict[str, ModuleType] = {"ocpp2.0.1": ocpp.v201, "ocpp1.6": ocpp.v16}
CALLED = {
    "ocpp2.0.1": (
        "RequestStartTransaction",
        "RequestStopTransaction",
        "Reset",
        "TriggerMessage",
        "GetVariables",
        "SetVariables",
    ),
    "ocpp1.6": ("RemoteStartTransaction", "RemoteStopTransaction", "Reset", "TriggerMessage", "GetConfiguration"),
}
"""What the server may call in these tests; the package answers all else with NotImplemented."""


class PackageLink:
    """The ``ocpp`` package's ChargePoint."""

    def __init__(self, url: str, station: str, protocol: str) -> None:
        self._answers: dict[str, Payload] = {}
        self._url = f"{url}/{station}"
        self._station = station
        self._protocol = protocol
        self._version = VERSIONS[protocol]
        self._ear = Ear()
        self._socket: Any = None
        self._point: Any = None
        self._reading: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Open the socket and read it until it closes."""
        self._socket = await websockets.connect(self._url, subprotocols=[websockets.Subprotocol(self._protocol)])
        assert self._socket.subprotocol == self._protocol
        self._point = self._charge_point()(self._station, self._socket, CALL_S)
        self._point.logger = logging.getLogger("station")
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            await self._point.start()

    def _charge_point(self) -> type:
        handlers = {f"on_{action}": self._handler(action) for action in CALLED[self._protocol]}
        return type("Point", (self._version.ChargePoint,), handlers)

    def _handler(self, action: str) -> Callable[..., Any]:
        def handle(point: object, **given: Any) -> Any:
            self._ear.put(action, remove_nones(snake_to_camel_case(given)))
            answer = self._answers.get(action, {"status": "Accepted"})
            if "_error" in answer:
                raise getattr(ocpp.exceptions, f"{answer['_error']}Error")(description="as the test wants it")
            return getattr(self._version.call_result, action)(**camel_to_snake_case(answer))

        # The package finds handlers by the names of the functions it decorated.
        handle.__name__ = f"on_{action}"
        return on(action)(handle)  # type: ignore[no-any-return]

    async def call(self, action: str, payload: Payload) -> Payload:
        """Send one call in the package's dataclass; the answer is checked by the package against its schema."""
        request = getattr(self._version.call, action)(**camel_to_snake_case(payload))
        try:
            answer = await self._point.call(request, suppress=False)
        except ocpp.exceptions.OCPPError as refused:
            raise CallRefused(refused.code, refused.description) from None
        return dict(remove_nones(snake_to_camel_case(asdict(answer))))

    async def answer(self, action: str, payload: Payload) -> None:
        """What the station answers to such a call from now on."""
        self._answers[action] = payload

    async def heard(self, action: str) -> Payload:
        """The payload of the server's next call of this action."""
        return await self._ear.get(action)

    async def close(self) -> None:
        """Close the socket and stop reading."""
        await self._socket.close()
        if self._reading is not None:
            await self._reading

    async def end(self) -> None:
        """Close the socket if it is open."""
        if self._socket is not None:
            await self.close()
