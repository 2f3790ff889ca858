"""OCPP 2.0.1 part 6, block B: boot, variables, reports, resets, network profiles."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from part6_kit import Payload, Scene
from twisted.internet import defer

from csms.model.commands import CommandState, RawCall
from csms.model.provisioning import (
    GetBaseReport,
    GetVariables,
    ReportReceived,
    Reset,
    ResetWhen,
    SetVariables,
    Variable,
    VariableValue,
)
from csms.testing import Refused

PENDING = '[server]\nprofiles = [0]\n[stations]\nunknown = "pending"\npending_interval = "30s"\n'
OFFLINE_THRESHOLD = Variable("OCPPCommCtrlr", "OfflineThreshold")
AUTHORIZE_REMOTE = Variable("AuthCtrlr", "AuthorizeRemoteStart")
Approval = defer.Deferred[object]
BY_STATUS_AND_BY_EVENT = pytest.mark.parametrize("by_event", [False, True], ids=["StatusNotification", "NotifyEvent"])


def named(variable: Variable) -> Payload:
    """A variable on the wire."""
    name: Payload = {"name": variable.name}
    if variable.instance:
        name["instance"] = variable.instance
    return {"component": {"name": variable.component}, "variable": name}


def got(*values: tuple[Variable, str]) -> list[Payload]:
    """What a station answers to GetVariables."""
    return [{**named(one), "attributeStatus": "Accepted", "attributeValue": value} for one, value in values]


def done(*variables: Variable) -> list[Payload]:
    """What a station answers to SetVariables."""
    return [{**named(one), "attributeStatus": "Accepted"} for one in variables]


def approve(scene: Scene) -> Approval:
    """The operator approves the station."""
    return defer.Deferred.fromCoroutine(scene.csms.house.provisioning.provision("CS1", approved=True))


@pytest_twisted.ensureDeferred
async def test_tc_b_01_csms(stage: Any) -> None:
    scene = await stage(booted=False)
    answer = await scene.boots()
    assert answer["status"] == "Accepted"
    assert answer["interval"] > 0
    assert answer["currentTime"] == "2026-03-01T12:00:01.000Z"
    await scene.tells_status("Available")


@BY_STATUS_AND_BY_EVENT
@pytest_twisted.ensureDeferred
async def test_tc_b_02_csms(stage: Any, by_event: bool) -> None:
    scene = await stage(PENDING, booted=False)
    answer = await scene.boots()
    assert (answer["status"], answer["interval"]) == ("Pending", 30)
    approved = approve(scene)
    await scene.hears()
    scene.answers("TriggerMessage", status="Rejected")
    await approved
    await scene.csms.advance(30)
    assert (await scene.boots())["status"] == "Accepted"
    await scene.tells_status("Available", by_event=by_event)


@BY_STATUS_AND_BY_EVENT
@pytest_twisted.ensureDeferred
async def test_tc_b_30_csms(stage: Any, by_event: bool) -> None:
    scene = await stage(PENDING, booted=False)
    assert (await scene.boots())["status"] == "Pending"
    with pytest.raises(Refused) as refused:
        await scene.tells_status("Available", by_event=by_event)
    assert refused.value.code == "SecurityError"


@pytest_twisted.ensureDeferred
async def test_tc_b_31_csms(stage: Any) -> None:
    scene = await stage(PENDING, booted=False)
    assert (await scene.boots())["status"] == "Pending"
    approved = approve(scene)
    assert await scene.hears() == ("TriggerMessage", {"requestedMessage": "BootNotification"})
    scene.answers("TriggerMessage", status="Accepted")
    await approved
    assert (await scene.boots("Triggered"))["status"] == "Accepted"
    await scene.tells_status("Available")


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([(OFFLINE_THRESHOLD, "600")], id="TC_B_06_CSMS"),
        pytest.param([(OFFLINE_THRESHOLD, "600"), (AUTHORIZE_REMOTE, "true")], id="TC_B_07_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_variables_are_read(stage: Any, values: list[tuple[Variable, str]]) -> None:
    scene = await stage()
    wanted = tuple(variable for variable, _ in values)
    call = ("GetVariables", {"getVariableData": [named(one) for one in wanted]})
    record = await scene.orders(GetVariables(wanted), call, getVariableResult=got(*values))
    assert record.state is CommandState.EFFECTIVE
    assert {one.variable: one.value for one in await scene.csms.house.store.variables.list("CS1")} == dict(values)


@pytest_twisted.ensureDeferred
async def test_tc_b_08_csms(stage: Any) -> None:
    """No call has more variables than the station takes in one message."""
    scene = await stage()
    limit = Variable("DeviceDataCtrlr", "ItemsPerMessage", instance="GetVariables")
    known = ("GetVariables", {"getVariableData": [named(limit)]})
    await scene.orders(GetVariables((limit,)), known, getVariableResult=got((limit, "4")))
    sizes = [Variable("DeviceDataCtrlr", "BytesPerMessage", instance=one) for one in ("GetReport", "GetVariables")]
    wanted = (Variable("DeviceDataCtrlr", "ItemsPerMessage", instance="GetReport"), limit, *sizes, AUTHORIZE_REMOTE)
    waiting = scene.ordered(GetVariables(wanted))
    for part in (wanted[:4], wanted[4:]):
        assert await scene.hears() == ("GetVariables", {"getVariableData": [named(one) for one in part]})
        scene.answers("GetVariables", getVariableResult=got(*((one, "4") for one in part)))
    assert (await waiting).state is CommandState.EFFECTIVE
    assert len(await scene.csms.house.store.variables.list("CS1")) == 5


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([(OFFLINE_THRESHOLD, "123")], id="TC_B_09_CSMS"),
        pytest.param([(OFFLINE_THRESHOLD, "123"), (AUTHORIZE_REMOTE, "false")], id="TC_B_10_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_variables_are_written(stage: Any, values: list[tuple[Variable, str]]) -> None:
    scene = await stage()
    command = SetVariables(tuple(VariableValue(variable, value) for variable, value in values))
    call = ("SetVariables", {"setVariableData": [{**named(one), "attributeValue": value} for one, value in values]})
    record = await scene.orders(command, call, setVariableResult=done(*(one for one, _ in values)))
    assert record.state is CommandState.EFFECTIVE


@pytest.mark.parametrize(
    "base",
    [
        pytest.param("ConfigurationInventory", id="TC_B_12_CSMS"),
        pytest.param("FullInventory", id="TC_B_13_CSMS"),
        pytest.param("SummaryInventory", id="TC_B_14_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_base_report_is_asked_for_and_kept(stage: Any, base: str) -> None:
    scene = await stage()
    record = await scene.orders(
        GetBaseReport(base, 7), ("GetBaseReport", {"requestId": 7, "reportBase": base}), status="Accepted"
    )
    for number, variable in enumerate([OFFLINE_THRESHOLD, AUTHORIZE_REMOTE]):
        await report(scene, 7, number, variable, more=number == 0)
    assert await scene.ends(record) is CommandState.EFFECTIVE
    assert len(await scene.csms.house.store.variables.list("CS1")) == 2


async def report(scene: Scene, request: int, number: int, variable: Variable, *, more: bool = False) -> None:
    """One part of a report, with one variable."""
    data = {**named(variable), "variableAttribute": [{"value": "1"}]}
    place = {"requestId": request, "generatedAt": scene.time(), "seqNo": number, "tbc": more}
    assert await scene.says("NotifyReport", **place, reportData=[data]) == {}


@pytest_twisted.ensureDeferred
async def test_tc_b_18_csms(stage: Any) -> None:
    """GetReport is sent as a raw call; what follows it is kept like every report."""
    scene = await stage()
    evse = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "AvailabilityState"}}
    for request, criterion, status in ((1, "Problem", "EmptyResultSet"), (2, "Available", "Accepted")):
        payload = {"requestId": request, "componentCriteria": [criterion], "componentVariable": [evse]}
        record = await scene.orders(RawCall("GetReport", payload), ("GetReport", payload), status=status)
        assert record.answer == {"status": status}
    await report(scene, 2, 0, Variable("EVSE", "AvailabilityState"))
    assert [one.request_id for one in scene.csms.told(ReportReceived)] == [2]


# Resets


@pytest_twisted.ensureDeferred
async def test_tc_b_20_csms(stage: Any) -> None:
    scene = await stage()
    record = await scene.orders(Reset(ResetWhen.ON_IDLE), ("Reset", {"type": "OnIdle"}), status="Accepted")
    assert record.state is CommandState.ACCEPTED
    await boots_again(scene, "RemoteReset", {1: "Available"})
    assert await scene.ends(record) is CommandState.EFFECTIVE


@pytest_twisted.ensureDeferred
async def test_tc_b_21_csms(stage: Any) -> None:
    scene = await stage()
    await scene.knows("TAG")
    await scene.energy_flows("TAG")
    record = await scene.orders(Reset(ResetWhen.ON_IDLE), ("Reset", {"type": "OnIdle"}), status="Scheduled")
    assert (await scene.stop_authorized("TAG"))["status"] == "Accepted"
    await scene.ev_disconnected()
    await boots_again(scene, "ScheduledReset", {1: "Available"})
    assert await scene.ends(record) is CommandState.EFFECTIVE


@pytest_twisted.ensureDeferred
async def test_tc_b_22_csms(stage: Any) -> None:
    scene = await stage()
    await scene.knows("TAG")
    await scene.energy_flows("TAG")
    record = await scene.orders(Reset(ResetWhen.IMMEDIATE), ("Reset", {"type": "Immediate"}), status="Accepted")
    await scene.event("Ended", "ResetCommand", state="EVConnected", reason="ImmediateReset")
    await boots_again(scene, "RemoteReset", {1: "Occupied", 2: "Available"})
    assert await scene.ends(record) is CommandState.EFFECTIVE


async def boots_again(scene: Scene, reason: str, statuses: dict[int, str]) -> None:
    """The connection is lost, comes back, the station boots and tells of each connector."""
    await scene.station.close()
    scene.station = await scene.csms.station("CS1", booted=False)
    assert (await scene.boots(reason))["status"] == "Accepted"
    for connector, status in statuses.items():
        await scene.tells_status(status, connector=connector)
        await scene.tells_status(status, connector=connector, by_event=True)
        assert await scene.status(connector) == status


@pytest_twisted.ensureDeferred
async def test_tc_b_25_csms(stage: Any) -> None:
    scene = await stage()
    call = ("Reset", {"type": "OnIdle", "evseId": 1})
    record = await scene.orders(Reset(ResetWhen.ON_IDLE, evse=1), call, status="Accepted")
    assert record.state is CommandState.EFFECTIVE


@pytest_twisted.ensureDeferred
async def test_tc_b_26_csms(stage: Any) -> None:
    scene = await stage()
    await scene.knows("TAG")
    await scene.energy_flows("TAG")
    call = ("Reset", {"type": "OnIdle", "evseId": 1})
    record = await scene.orders(Reset(ResetWhen.ON_IDLE, evse=1), call, status="Scheduled")
    assert record.answer == {"status": "Scheduled"}
    assert (await scene.stop_authorized("TAG"))["status"] == "Accepted"
    await scene.ev_disconnected()


@pytest_twisted.ensureDeferred
async def test_tc_b_27_csms(stage: Any) -> None:
    scene = await stage()
    await scene.knows("TAG")
    await scene.energy_flows("TAG")
    call = ("Reset", {"type": "Immediate", "evseId": 1})
    await scene.orders(Reset(ResetWhen.IMMEDIATE, evse=1), call, status="Accepted")
    await scene.event("Ended", "ResetCommand", state="EVConnected", reason="ImmediateReset")


# Network profiles


@pytest.mark.parametrize(
    "status", [pytest.param("Accepted", id="TC_B_42_CSMS"), pytest.param("Failed", id="TC_B_44_CSMS")]
)
@pytest_twisted.ensureDeferred
async def test_a_network_profile_is_set_by_a_raw_call(stage: Any, status: str) -> None:
    scene = await stage()
    connection = {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": "wss://csms.example/ocpp",
        "messageTimeout": 30,
        "securityProfile": 2,
        "ocppInterface": "Wired0",
    }
    payload = {"configurationSlot": 1, "connectionData": connection}
    record = await scene.orders(RawCall("SetNetworkProfile", payload), ("SetNetworkProfile", payload), status=status)
    assert record.answer == {"status": status}


# B02.FR.09: what a pending station was asked for is heard


@pytest_twisted.ensureDeferred
async def test_a_pending_station_is_heard_where_it_was_asked(stage: Any) -> None:
    scene = await stage(PENDING, booted=False)
    assert (await scene.boots())["status"] == "Pending"
    with pytest.raises(Refused):
        await report(scene, 7, 0, OFFLINE_THRESHOLD)
    call = ("GetBaseReport", {"requestId": 7, "reportBase": "FullInventory"})
    await scene.orders(GetBaseReport("FullInventory", 7), call, status="Accepted")
    await report(scene, 7, 0, OFFLINE_THRESHOLD)
    with pytest.raises(Refused) as refused:
        await scene.tells_status("Available")
    assert refused.value.code == "SecurityError"
