"""Who may open a station's socket: identities in the URL, subprotocols, passwords, and a second socket of the same station."""

from __future__ import annotations

import asyncio
import base64
import uuid

import pytest
from api_client import Api
from raw_socket import RawSocket
from server_process import ServerProcess
from test_bad_input import booted, good_neighbour, new_path

NO_IDENTITIES = {
    "slash": "/ocpp/CP%2F1",
    "path": "/ocpp/CP/1",
    "NUL": "/ocpp/CP%00",
    "300 characters": "/ocpp/" + "C" * 300,
    "49 characters": "/ocpp/" + "C" * 49,
    "colon": "/ocpp/CP%3A1",
    "bare colon": "/ocpp/CP:1",
    "not UTF-8": "/ocpp/CP%FF",
    "newline": "/ocpp/CP%0A1",
    "empty": "/ocpp/",
    "elsewhere": "/CP1",
}


@pytest.mark.parametrize("kind", NO_IDENTITIES)
def test_what_is_no_identity_is_refused_with_404(server: ServerProcess, kind: str) -> None:
    async def run() -> int:
        async with good_neighbour(server.port):
            return (await RawSocket.upgrade(server.port, NO_IDENTITIES[kind])).status

    assert asyncio.run(run()) == 404


@pytest.mark.parametrize(
    "path", ["/ocpp/CP%2D7", "/ocpp/S%C3%A4ule%201", "/ocpp/" + "C" * 48, "/ocpp/a.b_c~d*e+f@g=h|i"]
)
def test_unusual_identity_is_let_in(server: ServerProcess, path: str) -> None:
    async def run() -> None:
        socket = await booted(server.port, path)
        socket.close()

    asyncio.run(run())


@pytest.mark.parametrize("protocols", [None, "mqtt", "ocpp1.5, soap"])
def test_without_common_subprotocol_the_handshake_ends_without_one_and_closes(
    server: ServerProcess, protocols: str | None
) -> None:
    async def run() -> None:
        async with good_neighbour(server.port):
            socket = await RawSocket.upgrade(server.port, new_path(), protocols=protocols)
            assert socket.status == 101
            assert "sec-websocket-protocol" not in socket.headers
            assert await socket.end() is not None

    asyncio.run(run())


@pytest.mark.parametrize("offered", ["ocpp1.6, ocpp2.0.1", "ocpp2.1, ocpp2.0.1", "soap,ocpp2.0.1"])
def test_newest_common_subprotocol_is_chosen(server: ServerProcess, offered: str) -> None:
    async def run() -> str:
        socket = await RawSocket.upgrade(server.port, new_path(), protocols=offered)
        socket.close()
        return socket.headers["sec-websocket-protocol"]

    assert asyncio.run(run()) == "ocpp2.0.1"


def test_second_socket_is_refused_while_the_first_is_alive(server: ServerProcess) -> None:
    async def run() -> None:
        path = new_path()
        async with good_neighbour(server.port):
            first = await booted(server.port, path)
            reading = asyncio.create_task(first.hear())
            second = await RawSocket.upgrade(server.port, path)
            assert second.status == 409
            await first.say([2, "still", "Heartbeat", {}])
            assert (await reading)[:2] == [3, "still"]
            first.close()

    asyncio.run(run())


def test_second_socket_takes_over_from_one_that_does_not_answer(server: ServerProcess) -> None:
    async def run() -> None:
        path = new_path()
        async with good_neighbour(server.port):
            dead = await booted(server.port, path)
            second = await RawSocket.upgrade(server.port, path)
            assert second.status == 101
            await second.say([2, "now", "Heartbeat", {}])
            assert (await second.hear())[:2] == [3, "now"], "the station had booted: it goes on where it was"
            dead.close()

    asyncio.run(run())


def basic(user: str, password: str) -> dict[str, str]:
    """The header of HTTP basic authentication."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_password_is_asked_for_once_it_is_set(server: ServerProcess, api: Api) -> None:
    name, password = f"CP-{uuid.uuid4().hex[:12]}", uuid.uuid4().hex
    assert api.request("PUT", f"/api/v1/stations/{name}", {"password": password}).status in (200, 201, 204)

    async def status(headers: dict[str, str] | None) -> int:
        socket = await RawSocket.upgrade(server.port, f"/ocpp/{name}", headers=headers)
        if socket.status == 401:
            assert socket.headers["www-authenticate"].startswith("Basic")
        socket.close()
        return socket.status

    assert asyncio.run(status(None)) == 401
    assert asyncio.run(status(basic(name, "wrong" + password))) == 401
    assert asyncio.run(status(basic("other", password))) == 401
    assert asyncio.run(status(basic(name, password))) == 101


def test_blocked_station_is_refused_like_a_wrong_password(server: ServerProcess, api: Api) -> None:
    path = new_path()

    async def status() -> int:
        socket = await RawSocket.upgrade(server.port, path)
        socket.close()
        return socket.status

    assert asyncio.run(status()) == 101
    api.expect(200, "PUT", f"/api/v1/stations/{path.rpartition('/')[2]}", {"blocked": True})
    assert asyncio.run(status()) == 401
