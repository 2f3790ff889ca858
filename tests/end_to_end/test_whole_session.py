"""Whole charging sessions with independent clients over real sockets: boot, authorize, charge, remote start and stop, reset on idle, and the bill."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from api_client import Api
from station_links import CallRefused, Link
from station_words import AnyStation, Station16, Station201

Connect = Callable[[str, str], Link]
Opening = Callable[[], Any]
EVSE = {"evse": 1}


@pytest.fixture(params=[Station201, Station16], ids=["2.0.1", "1.6"])
def opened(request: pytest.FixtureRequest, link: Connect) -> Opening:
    """Opens a station with a name of its own: an async context manager that gives the station, connected."""
    kind: type[AnyStation] = request.param

    @asynccontextmanager
    async def open_station() -> AsyncIterator[tuple[str, AnyStation]]:
        name = f"CP-{uuid.uuid4().hex[:12]}"
        line = link(name, kind.protocol)
        try:
            await line.connect()
            yield name, kind(line)
        finally:
            await line.end()

    return open_station


def tag() -> str:
    """A token value nobody used before, of a length 1.6 allows."""
    return uuid.uuid4().hex[:20].upper()


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """The API client waits; the station must go on meanwhile."""
    return await asyncio.to_thread(function, *arguments)


def assert_bill(row: Any, begin_wh: int, end_wh: int) -> None:
    """One final bill: end minus start times the price of a kWh, and the fee of a start."""
    energy = end_wh - begin_wh
    bill = row["bill"]
    expected = Decimal("1.00") + (Decimal("0.45") * energy / 1000).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert (bill["status"], bill["currency"], Decimal(bill["total"])) == ("final", "EUR", expected)
    assert Decimal(str(bill["energy_wh"])) == energy
    assert sum(Decimal(line["amount"]) for line in bill["lines"]) == expected


def test_station_boots_and_is_heard(opened: Opening, api: Api) -> None:
    async def story() -> str:
        async with opened() as (name, station):
            answer = await station.boot()
            assert (answer["status"], answer["interval"]) == ("Accepted", 300)
            assert answer["currentTime"]
            await station.status("Available")
            assert (await station.heartbeat())["currentTime"]
            shown = await in_thread(api.expect, 200, "GET", f"/api/v1/stations/{name}")
            assert (shown["id"], shown["connected"]) == (name, True)
            return str(name)

    name = asyncio.run(story())
    api.until(f"/api/v1/stations/{name}", lambda shown: shown["connected"] is False)


def test_tokens_are_accepted_blocked_and_unknown(opened: Opening, api: Api) -> None:
    good, bad, stranger = tag(), tag(), tag()
    api.put_token(good, "Accepted")
    api.put_token(bad, "Blocked")

    async def story() -> None:
        async with opened() as (_, station):
            await station.boot()
            assert await station.authorize(good) == "Accepted"
            assert await station.authorize(bad) == "Blocked"
            assert await station.authorize(stranger) == station.unknown_word

    asyncio.run(story())


def test_session_ends_in_a_bill(opened: Opening, api: Api) -> None:
    good = tag()
    api.put_token(good, "Accepted")

    async def story() -> tuple[str, str]:
        async with opened() as (name, station):
            await station.boot()
            await station.status("Occupied")
            assert await station.authorize(good) == "Accepted"
            assert await station.start(good, 1000) == "Accepted"
            for wh in (2500, 4000, 5500):
                await station.meter(wh)
            await station.stop(6000)
            await station.status("Available")
            return name, station.transaction

    row = api.billed(*asyncio.run(story()))
    assert row["completeness"] == "complete"
    assert len(row["events"]) == 5
    assert len(row["meter_values"]) >= 3
    assert_bill(row, 1000, 6000)
    assert row["bill"]["total"] == "3.25"


def test_start_with_unknown_token_is_kept_and_told(opened: Opening, api: Api) -> None:
    stranger = tag()

    async def story() -> tuple[str, str]:
        async with opened() as (name, station):
            await station.boot()
            assert await station.start(stranger, 700) == station.unknown_word
            await station.stop(700)
            return name, station.transaction

    row = api.billed(*asyncio.run(story()))
    assert len(row["events"]) == 2
    assert_bill(row, 700, 700)


def test_remote_start_and_stop(opened: Opening, api: Api) -> None:
    good = tag()
    api.put_token(good, "Accepted")
    token = {"id_token": {"value": good, "type": "ISO14443"}, **EVSE}

    async def story() -> tuple[str, str]:
        async with opened() as (name, station):
            await station.boot()
            start = await in_thread(api.command, name, "RequestStartTransaction", token)
            asked = await station.link.heard(station.remote_start)
            assert station.asked_to_start(asked) == good
            await in_thread(api.wait_for_state, start, "accepted")
            assert await station.start(good, 100, asked=asked) == "Accepted"
            await in_thread(api.wait_for_state, start, "effective")

            stop = await in_thread(api.command, name, "RequestStopTransaction", {"transaction": station.transaction})
            asked = await station.link.heard(station.remote_stop)
            assert str(asked["transactionId"]) == station.transaction
            await in_thread(api.wait_for_state, stop, "accepted")
            await station.stop(2100, "Remote")
            await in_thread(api.wait_for_state, stop, "effective")
            return name, station.transaction

    assert_bill(api.billed(*asyncio.run(story())), 100, 2100)


def test_remote_start_of_blocked_token_never_reaches_the_station(opened: Opening, api: Api) -> None:
    bad = tag()
    api.put_token(bad, "Blocked")
    token = {"id_token": {"value": bad, "type": "ISO14443"}, **EVSE}

    async def story() -> None:
        async with opened() as (name, station):
            await station.boot()
            row = await in_thread(
                api.wait_for_state, await in_thread(api.command, name, "RequestStartTransaction", token), "failed"
            )
            assert row["error_code"] == "NotAuthorized"
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(station.link.heard(station.remote_start), 0.3)

    asyncio.run(story())


def test_reset_on_idle_while_charging_is_effective_after_the_boot(opened: Opening, api: Api) -> None:
    good = tag()
    api.put_token(good, "Accepted")

    async def story() -> tuple[str, str]:
        async with opened() as (name, station):
            await station.boot()
            await station.link.answer("Reset", {"status": station.reset_answer})
            await station.start(good, 0)
            await station.meter(400)
            reset = await in_thread(api.command, name, "Reset", {"when": "OnIdle"})
            assert await station.link.heard("Reset") == station.idle_reset
            await in_thread(api.wait_for_state, reset, "accepted")
            await station.stop(900)
            still = await in_thread(api.expect, 200, "GET", reset)
            assert still["state"] == "accepted", "a reset has not happened before the station booted again"
            await station.link.close()
            await station.link.connect()
            assert (await station.boot("ScheduledReset"))["status"] == "Accepted"
            await in_thread(api.wait_for_state, reset, "effective")
            return name, station.transaction

    assert_bill(api.billed(*asyncio.run(story())), 0, 900)


def test_repeated_event_after_a_reconnect_changes_nothing(opened: Opening, api: Api) -> None:
    """What a station does whose answer was lost: the same content under a new message id."""

    async def story() -> tuple[str, str]:
        async with opened() as (name, station):
            await station.boot()
            recorder = Recorder(station.link)
            station.link = recorder
            await station.start(tag(), 10)
            first = station.transaction
            await station.meter(20)
            await station.stop(1010)
            await station.link.close()
            await station.link.connect()
            answers = [await recorder.line.call(action, payload) for action, payload in recorder.sent]
            if "transactionId" in answers[0]:
                assert str(answers[0]["transactionId"]) == first, "a repeated start gets the same transaction"
            return name, first

    name, transaction = asyncio.run(story())
    row = api.billed(name, transaction)
    assert len(api.transactions(name)) == 1
    assert len(row["events"]) == 3
    assert_bill(row, 10, 1010)


class Recorder:
    """A link that remembers what the station said."""

    def __init__(self, line: Link) -> None:
        self.line = line
        self.sent: list[tuple[str, dict[str, Any]]] = []

    async def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Remember and send."""
        self.sent.append((action, payload))
        return await self.line.call(action, payload)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.line, name)


def test_call_before_the_boot_is_refused(opened: Opening) -> None:
    async def story() -> None:
        async with opened() as (_, station):
            with pytest.raises(CallRefused, match="SecurityError"):
                await station.authorize(tag())
            assert (await station.boot())["status"] == "Accepted"
            await station.heartbeat()

    asyncio.run(story())
