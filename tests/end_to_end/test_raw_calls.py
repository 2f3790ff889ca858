"""Raw OCPP calls through the API to a real station: the station's payload, and each way it can go wrong."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from api_client import Api, Response
from server_process import ServerProcess
from station_links import PackageLink
from station_words import AnyStation, Station16, Station201

Opening = Callable[[], Any]


@pytest.fixture(params=[Station201, Station16], ids=["2.0.1", "1.6"])
def booted(request: pytest.FixtureRequest, server: ServerProcess) -> Opening:
    """Opens a station that has booted: an async context manager that gives its name and the station."""
    kind: type[AnyStation] = request.param

    @asynccontextmanager
    async def open_station() -> AsyncIterator[tuple[str, AnyStation]]:
        name = f"CP-{uuid.uuid4().hex[:12]}"
        line = PackageLink(server.stations_url, name, kind.protocol)
        try:
            await line.connect()
            station = kind(line)
            await station.boot()
            yield name, station
        finally:
            await line.end()

    return open_station


async def call(api: Api, name: str, action: str, payload: object) -> Response:
    """POST a raw call, without stopping the station meanwhile."""
    body = {"action": action, "payload": payload}
    return await asyncio.to_thread(api.request, "POST", f"/api/v1/stations/{name}/calls", body)


def test_answer_of_the_station_is_given(booted: Opening, api: Api) -> None:
    async def story() -> None:
        async with booted() as (name, station):
            await station.link.answer("Reset", {"status": station.reset_answer})
            answer = await call(api, name, "Reset", station.idle_reset)
            assert (answer.status, answer.body) == (200, {"payload": {"status": station.reset_answer}}), answer.text
            assert await station.link.heard("Reset") == station.idle_reset

    asyncio.run(story())


def test_callerror_of_the_station_is_bad_gateway(booted: Opening, api: Api) -> None:
    async def story() -> None:
        async with booted() as (name, station):
            await station.link.answer("Reset", {"_error": "NotSupported"})
            answer = await call(api, name, "Reset", station.idle_reset)
            assert answer.status == 502, answer.text
            assert answer.body["ocpp"]["code"] == "NotSupported"
            assert answer.body["ocpp"]["description"] == "as the test wants it"

    asyncio.run(story())


def test_wrong_payload_never_reaches_the_station(booted: Opening, api: Api) -> None:
    async def story() -> None:
        async with booted() as (name, station):
            answer = await call(api, name, "Reset", {"type": "Sideways"})
            assert answer.status == 422, answer.text
            assert "/type" in answer.text
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(station.link.heard("Reset"), 0.3)

    asyncio.run(story())


def test_unknown_station_is_not_found(api: Api) -> None:
    answer = asyncio.run(call(api, "nobody", "Reset", {"type": "OnIdle"}))
    assert answer.status == 404, answer.text


def test_station_that_left_is_a_conflict(booted: Opening, api: Api) -> None:
    async def story() -> str:
        async with booted() as (name, _):
            return str(name)

    name = asyncio.run(story())
    api.until(f"/api/v1/stations/{name}", lambda shown: shown["connected"] is False)
    answer = asyncio.run(call(api, name, "Reset", {"type": "OnIdle"}))
    assert answer.status == 409, answer.text


def test_request_without_the_token_is_refused(api: Api) -> None:
    assert api.request("GET", "/api/v1/stations", token="not the token, but long").status == 401
