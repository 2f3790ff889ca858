"""Where calls are received: nothing below reaches a station as anything but an OCPP error, or as silence that makes it repeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import pytest_twisted
from block_kit import Make

from csms.hooks import Breaker, Implementation
from csms.model.provisioning import Heartbeat
from csms.store import StoreFault
from csms.testing import Refused, TestCsms


def take_over(csms: TestCsms, answer: Mapping[str, Any] | None) -> None:
    def call(action: str) -> Mapping[str, Any] | None:
        return answer if action == "DataTransfer" else None

    one = Implementation("mine", call, ("action",), Breaker(csms.clock, 5, 60))
    csms.house.hooks.chains = {**csms.house.hooks.chains, "answer_call": (one,)}


@pytest_twisted.ensureDeferred
async def test_a_plugin_may_take_an_action_over(make: Make) -> None:
    csms = await make()
    take_over(csms, {"status": "Accepted", "data": "hello"})
    station = await csms.station("CS1")
    assert await station.say("DataTransfer", {"vendorId": "x"}) == {"status": "Accepted", "data": "hello"}
    assert "currentTime" in await station.say("Heartbeat", {})


@pytest_twisted.ensureDeferred
async def test_a_plugins_answer_against_the_schema_never_leaves(make: Make) -> None:
    csms = await make()
    take_over(csms, {"status": "Perhaps"})
    station = await csms.station("CS1")
    with pytest.raises(Refused) as refused:
        await station.say("DataTransfer", {"vendorId": "x"})
    assert refused.value.code == "InternalError"


@pytest_twisted.ensureDeferred
async def test_a_known_action_nobody_handles_is_not_supported(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    with pytest.raises(Refused) as refused:
        await station.say("PublishFirmware", {"location": "x", "checksum": "y", "requestId": 1})
    assert refused.value.code == "NotSupported"


@pytest_twisted.ensureDeferred
async def test_a_bug_is_answered_and_the_next_call_works(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    routes = csms.house.reception._routes

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    csms.house.reception._routes = {**routes, Heartbeat: broken}  # type: ignore[dict-item]
    with pytest.raises(Refused) as refused:
        await station.say("Heartbeat", {})
    assert refused.value.code == "InternalError"
    csms.house.reception._routes = routes
    assert "currentTime" in await station.say("Heartbeat", {})


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_stored_is_left_unanswered_and_heartbeats_go_on(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    store = csms.house.store.availability
    real = store.record

    async def full(*_: object) -> None:
        raise StoreFault("disk_full", OSError())

    store.record = full  # type: ignore[method-assign,assignment]
    status = {"timestamp": "2026-03-01T12:00:00Z", "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
    unanswered = station.say("StatusNotification", status)
    assert "currentTime" in await station.say("Heartbeat", {})
    assert not unanswered.called
    store.record = real  # type: ignore[method-assign]
    assert await station.say("StatusNotification", status) == {}


@pytest_twisted.ensureDeferred
async def test_an_older_connection_writes_nothing_and_is_cut_off(make: Make) -> None:
    csms = await make()
    old = await csms.station("CS1")
    await csms.station("CS1", booted=False)
    status = {"timestamp": "2026-03-01T12:00:00Z", "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
    unanswered = old.say("StatusNotification", status)
    await csms.settle(lambda: old.dropped)
    assert not unanswered.called
    assert await csms.house.store.availability.list("CS1") == []


@pytest_twisted.ensureDeferred
async def test_a_late_close_of_the_older_connection_leaves_the_newer_one(make: Make) -> None:
    csms = await make()
    old = await csms.station("CS1")
    new = await csms.station("CS1", booted=False)
    await old.close()
    assert csms.house.switchboard.station("CS1") is new.station
    await new.close()
    assert csms.house.switchboard.station("CS1") is None


@pytest_twisted.ensureDeferred
async def test_a_flood_is_answered_in_order_and_slows_its_own_socket(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    status = {"timestamp": "2026-03-01T12:00:00Z", "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
    answers = [station.say("StatusNotification", status) for _ in range(60)]
    assert station.held
    for answer in answers:
        assert await answer == {}
    assert not station.held
