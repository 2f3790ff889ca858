"""Blocks G and N: statuses, silence, alerts and their holes."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest_twisted
from block_kit import Make

from csms.model.availability import StatusChanged, StatusMissing
from csms.model.monitoring import AlertGap, AlertReceived, NoticeReceived
from csms.model.station import StationConnected, StationLost
from csms.testing import FakeStation, TestCsms

WATCHED = (
    '[plugins]\nenabled = ["status_retry"]\n[plugins.status_retry]\nattempts = 2\ninterval = "60s"\nbackoff = 1.0\n'
)


def status(word: str, minute: int = 0, connector: int = 1) -> dict[str, Any]:
    return {
        "timestamp": f"2026-03-01T12:{minute:02}:00Z",
        "connectorStatus": word,
        "evseId": 1,
        "connectorId": connector,
    }


@pytest_twisted.ensureDeferred
async def test_the_newest_status_wins_and_repeats_tell_nothing(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    for word, minute in (("Available", 5), ("Available", 5), ("Occupied", 7), ("Faulted", 6)):
        await station.say("StatusNotification", status(word, minute))
    changes = [(event.previous, event.status) for event in csms.told(StatusChanged)]
    assert changes == [(None, "Available"), ("Available", "Occupied")]
    (kept,) = await csms.house.store.availability.list("CS1")
    assert kept.status == "Occupied"


@pytest_twisted.ensureDeferred
async def test_the_words_of_16_are_translated_and_kept(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1", "ocpp1.6")
    await station.say("StatusNotification", {"connectorId": 2, "errorCode": "NoError", "status": "SuspendedEV"})
    (kept,) = await csms.house.store.availability.list("CS1")
    assert (kept.evse, kept.connector, kept.status, kept.detail) == (2, 1, "Occupied", "SuspendedEV")
    assert kept.timestamp == csms.house.now()


async def boot_and_be_silent(csms: TestCsms) -> FakeStation:
    station = await csms.station("CS1")
    await station.say("StatusNotification", status("Available"))
    await station.boot()
    return station


@pytest_twisted.ensureDeferred
async def test_a_silent_connector_is_asked_and_then_told_as_a_fault(make: Make) -> None:
    csms = await make(WATCHED)
    station = await boot_and_be_silent(csms)
    await csms.advance(31)
    asked = []
    for _ in range(2):
        asked.append(await station.heard())
        station.answer({"status": "Accepted"})
        await csms.settle()
        await csms.advance(61)
    wanted = {"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}}
    assert [call[2:] for call in asked] == [["TriggerMessage", wanted]] * 2
    await csms.settle(lambda: csms.told(StatusMissing))
    assert [(event.evse, event.asked) for event in csms.told(StatusMissing)] == [(1, 2)]


@pytest_twisted.ensureDeferred
async def test_a_connector_that_speaks_is_left_alone(make: Make) -> None:
    csms = await make(WATCHED)
    station = await boot_and_be_silent(csms)
    await station.say("StatusNotification", status("Available"))
    for _ in range(6):
        await csms.advance(61)
    assert station.calls == []
    assert csms.told(StatusMissing) == []


@pytest_twisted.ensureDeferred
async def test_a_connection_that_is_gone_is_kept_by_no_watch(make: Make) -> None:
    csms = await make(WATCHED)
    station = await boot_and_be_silent(csms)
    connection = weakref.ref(station.station)
    await station.close()
    await csms.advance(10)
    del station
    gc.collect()
    assert connection() is None


@pytest_twisted.ensureDeferred
async def test_a_station_that_misses_its_heartbeats_is_told_lost_and_found(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    await csms.settle()
    await csms.advance(3 * 300 + 10)
    await csms.advance(10)
    assert len(csms.told(StationLost)) == 1
    await station.say("Heartbeat", {})
    assert len(csms.told(StationConnected)) == 2


def alert(seq: int, *, more: bool, value: str = "1", minute: int = 0, component: str = "Cable") -> dict[str, Any]:
    at = f"2026-03-01T12:{minute:02}:00Z"
    data = {
        "eventId": seq,
        "timestamp": at,
        "trigger": "Alerting",
        "actualValue": value,
        "eventNotificationType": "CustomMonitor",
        "component": {"name": component, "evse": {"id": 1, "connectorId": 1}},
        "variable": {"name": "AvailabilityState" if component == "Connector" else "Problem"},
    }
    return {"generatedAt": at, "seqNo": seq, "tbc": more, "eventData": [data]}


@pytest_twisted.ensureDeferred
async def test_a_jump_in_a_series_is_a_gap_and_a_new_report_is_none(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    for minute, (seq, more) in enumerate([(0, True), (1, False), (0, True), (3, False), (0, False)]):
        await station.say("NotifyEvent", alert(seq, more=more, minute=minute))
    assert [(gap.expected, gap.seen, gap.missing) for gap in csms.told(AlertGap)] == [(1, 3, 2)]
    assert len(csms.told(AlertReceived)) == 5


@pytest_twisted.ensureDeferred
async def test_a_series_starts_at_0_whatever_number_came_before(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    largest = 2**63 - 1
    for minute, seq in enumerate((-largest - 1, -7, largest)):
        await station.say("NotifyEvent", {**alert(0, more=True, minute=minute), "seqNo": seq})
    assert [(gap.expected, gap.missing) for gap in csms.told(AlertGap)] == [(0, largest)]


@pytest_twisted.ensureDeferred
async def test_a_repeated_alert_is_kept_once(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    for _ in range(3):
        assert await station.say("NotifyEvent", alert(0, more=False)) == {}
    assert len(csms.told(AlertReceived)) == 1


@pytest_twisted.ensureDeferred
async def test_an_alert_can_carry_a_connectors_status(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    await station.say("NotifyEvent", alert(0, more=False, value="Faulted", component="Connector"))
    (change,) = csms.told(StatusChanged)
    assert (change.evse, change.connector, change.status) == (1, 1, "Faulted")


@pytest_twisted.ensureDeferred
async def test_a_notice_is_kept_and_answered(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    assert await station.say("FirmwareStatusNotification", {"status": "Idle"}) == {}
    (told,) = csms.told(NoticeReceived)
    assert told.notice.kind == "FirmwareStatusNotification"


@pytest_twisted.ensureDeferred
async def test_a_vendor_nobody_knows_is_answered_so(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    assert await station.say("DataTransfer", {"vendorId": "x"}) == {"status": "UnknownVendorId"}
