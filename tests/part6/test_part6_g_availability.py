"""OCPP 2.0.1 part 6, block G: making stations, EVSEs and connectors usable or not."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from part6_kit import Payload

from csms.model.availability import ChangeAvailability
from csms.model.commands import CommandClosed, CommandState
from csms.model.monitoring import AlertReceived

STATION: tuple[dict[str, int], Payload] = ({}, {})
EVSE: tuple[dict[str, int], Payload] = ({"evse": 1}, {"evse": {"id": 1}})
CONNECTOR: tuple[dict[str, int], Payload] = (
    {"evse": 1, "connector": 1},
    {"evse": {"id": 1, "connectorId": 1}},
)
BY_STATUS_AND_BY_EVENT = pytest.mark.parametrize("by_event", [False, True], ids=["StatusNotification", "NotifyEvent"])


@pytest.mark.parametrize(
    ("place", "operative"),
    [
        pytest.param(EVSE, False, id="TC_G_03_CSMS"),
        pytest.param(EVSE, True, id="TC_G_04_CSMS"),
        pytest.param(STATION, False, id="TC_G_05_CSMS"),
        pytest.param(STATION, True, id="TC_G_06_CSMS"),
        pytest.param(CONNECTOR, False, id="TC_G_07_CSMS"),
        pytest.param(CONNECTOR, True, id="TC_G_08_CSMS"),
    ],
)
@BY_STATUS_AND_BY_EVENT
@pytest_twisted.ensureDeferred
async def test_availability_is_changed(
    stage: Any, place: tuple[dict[str, int], Payload], operative: bool, by_event: bool
) -> None:
    scene = await stage()
    before, after = ("Unavailable", "Available") if operative else ("Available", "Unavailable")
    await scene.tells_status(before)
    ordered, wire = place
    call = ("ChangeAvailability", {"operationalStatus": "Operative" if operative else "Inoperative", **wire})
    record = await scene.orders(ChangeAvailability(operative, **ordered), call, status="Accepted")
    assert record.state is CommandState.EFFECTIVE
    await scene.tells_status(after, by_event=by_event)
    assert await scene.status() == after


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(EVSE, id="TC_G_11_CSMS"),
        pytest.param(STATION, id="TC_G_14_CSMS"),
        pytest.param(CONNECTOR, id="TC_G_17_CSMS"),
    ],
)
@BY_STATUS_AND_BY_EVENT
@pytest_twisted.ensureDeferred
async def test_availability_waits_for_the_end_of_a_transaction(
    stage: Any, place: tuple[dict[str, int], Payload], by_event: bool
) -> None:
    scene = await stage()
    await scene.knows("TAG")
    await scene.energy_flows("TAG")
    ordered, wire = place
    call = ("ChangeAvailability", {"operationalStatus": "Inoperative", **wire})
    record = await scene.orders(ChangeAvailability(False, **ordered), call, status="Scheduled")
    assert record.state is CommandState.ACCEPTED
    assert (await scene.stop_authorized("TAG"))["status"] == "Accepted"
    await scene.ev_disconnected()
    assert not scene.csms.told(CommandClosed)
    await scene.tells_status("Unavailable", by_event=by_event)
    assert await scene.ends(record) is CommandState.EFFECTIVE


@pytest_twisted.ensureDeferred
async def test_tc_g_20_csms(stage: Any) -> None:
    """A lock that does not hold is kept and told like every alert."""
    scene = await stage()
    component = {"name": "ConnectorPlugRetentionLock", "evse": {"id": 1, "connectorId": 1}}
    assert await scene.notifies(component, "Problem", "true") == {}
    (alert,) = scene.csms.told(AlertReceived)
    assert (alert.alert.variable.name, alert.alert.actual_value) == ("Problem", "true")
