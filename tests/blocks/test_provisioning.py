"""Block B: who may connect, boot, and be heard."""

from __future__ import annotations

import pytest
import pytest_twisted
from block_kit import Make
from twisted.internet import defer

from csms.blocks.credentials import hash_password, password_matches
from csms.model.provisioning import StationBooted
from csms.model.station import Admission
from csms.testing import NotAdmitted, Refused

PENDING = '[stations]\nunknown = "pending"\npending_limit = 2\npending_interval = "45s"\n'
BOTH = pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp1.6"])


@BOTH
@pytest_twisted.ensureDeferred
async def test_an_unknown_station_waits_and_boots_again_when_approved(make: Make, protocol: str) -> None:
    csms = await make(PENDING)
    station = await csms.station("CS1", protocol, booted=False)
    answer = await station.boot()
    assert (answer["status"], answer["interval"]) == ("Pending", 45)
    with pytest.raises(Refused) as refused:
        await station.say("Heartbeat", {})
    assert refused.value.code == "SecurityError"
    approved = defer.Deferred.fromCoroutine(csms.house.provisioning.provision("CS1", approved=True))
    call = await station.heard()
    assert call[2:] == ["TriggerMessage", {"requestedMessage": "BootNotification"}]
    station.answer({"status": "Accepted"})
    assert (await approved).admission is Admission.APPROVED
    assert (await station.boot())["status"] == "Pending"
    await station.take_password()
    assert (await station.heard())[2] == "TriggerMessage"
    station.answer({"status": "Accepted"})
    assert (await station.boot())["status"] == "Accepted"
    assert "currentTime" in await station.say("Heartbeat", {})


@pytest_twisted.ensureDeferred
async def test_the_approval_list_is_bounded(make: Make) -> None:
    csms = await make(PENDING)
    await csms.station("CS1")
    await csms.station("CS2")
    with pytest.raises(NotAdmitted) as no:
        await csms.station("CS3")
    assert no.value.decision.http_status == 401


@pytest_twisted.ensureDeferred
async def test_unknown_stations_are_refused_where_the_site_says_so(make: Make) -> None:
    csms = await make('[stations]\nunknown = "refuse"\n')
    with pytest.raises(NotAdmitted):
        await csms.station("CS1")
    await csms.house.provisioning.provision("CS1", password="p" * 20)
    station = await csms.station("CS1", booted=False, password="p" * 20)
    assert (await station.boot())["status"] == "Accepted"


@pytest_twisted.ensureDeferred
async def test_a_blocked_station_is_cut_off_and_not_admitted_again(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    await csms.house.provisioning.provision("CS1", blocked=True)
    assert station.dropped == "this station is blocked"
    await station.close()
    with pytest.raises(NotAdmitted):
        await csms.station("CS1")


@pytest_twisted.ensureDeferred
async def test_a_password_is_asked_for_and_compared(make: Make) -> None:
    csms = await make()
    await csms.house.provisioning.provision("CS1", password="a" * 20)
    for wrong in (None, "b" * 20):
        with pytest.raises(NotAdmitted) as no:
            await csms.station("CS1", password=wrong)
        assert no.value.decision.http_status == 401
    assert (await csms.station("CS1", password="a" * 20)).station.accepted


def test_a_password_is_kept_salted() -> None:
    first, second = hash_password("secret"), hash_password("secret")
    assert first != second
    assert "secret" not in first
    assert password_matches(first, "secret")
    assert not password_matches(first, "other")


@pytest_twisted.ensureDeferred
async def test_the_heartbeat_interval_is_the_stations_else_the_sites(make: Make) -> None:
    csms = await make('[stations]\nunknown = "accept"\nheartbeat_interval = "2m"\n')
    station = await csms.station("CS1", booted=False)
    assert (await station.boot())["interval"] == 120
    await csms.house.provisioning.provision("CS1", heartbeat_interval_s=30)
    assert (await station.boot())["interval"] == 30
    assert [event.status.value for event in csms.told(StationBooted)] == ["Accepted", "Accepted"]


@pytest_twisted.ensureDeferred
async def test_a_reconnected_station_need_not_boot_again(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    await station.close()
    again = await csms.station("CS1", booted=False)
    assert "currentTime" in await again.say("Heartbeat", {})


@pytest_twisted.ensureDeferred
async def test_a_stations_clock_is_measured(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    status = {"timestamp": "2026-03-01T12:02:00Z", "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
    await station.say("StatusNotification", status)
    record = await csms.house.store.stations.get("CS1")
    assert record is not None
    assert record.clock_skew_s == pytest.approx(120)


@pytest_twisted.ensureDeferred
async def test_a_device_model_comes_in_parts(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    for number, name in enumerate(["A", "B"]):
        data = {"component": {"name": "C"}, "variable": {"name": name}, "variableAttribute": [{"value": "1"}]}
        part = {"requestId": 7, "generatedAt": "2026-03-01T12:00:00Z", "seqNo": number, "tbc": number == 0}
        await station.say("NotifyReport", {**part, "reportData": [data]})
    values = await csms.house.store.variables.list("CS1")
    assert sorted(one.variable.name for one in values) == ["A", "B"]
