"""OCPP 2.0.1 part 6, block F: starting from afar, unlocking, triggering messages."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from part6_kit import Payload, Scene, id_token

from csms.model.authorization import IdToken
from csms.model.availability import TriggerMessage, UnlockConnector
from csms.model.commands import CommandRecord, CommandState
from csms.model.metering import MeterValuesReceived
from csms.model.transactions import RequestStartTransaction


async def starts_from_afar(scene: Scene, **answer: Any) -> tuple[CommandRecord, int]:
    """The operator starts a transaction; gives the command and its remoteStartId."""
    await scene.knows("TAG")
    waiting = scene.ordered(RequestStartTransaction(IdToken("TAG"), evse=1))
    action, payload = await scene.hears()
    assert (action, payload["idToken"], payload["evseId"]) == ("RequestStartTransaction", id_token("TAG"), 1)
    scene.answers(action, status="Accepted", **answer)
    return await waiting, payload["remoteStartId"]


@pytest_twisted.ensureDeferred
async def test_tc_f_01_csms(stage: Any) -> None:
    """The cable was in first: the transaction is running already, and is updated."""
    scene = await stage()
    await scene.ev_connected()
    record, remote = await starts_from_afar(scene, transactionId=scene.transaction)
    assert record.state is CommandState.ACCEPTED
    answer = await scene.event("Updated", "RemoteStart", token="TAG", info={"remoteStartId": remote})
    assert answer["idTokenInfo"]["status"] == "Accepted"
    assert await scene.ends(record) is CommandState.EFFECTIVE
    await scene.charging()


@pytest.mark.parametrize("asks_first", [pytest.param(True, id="TC_F_02_CSMS"), pytest.param(False, id="TC_F_03_CSMS")])
@pytest_twisted.ensureDeferred
async def test_the_cable_comes_after_the_remote_start(stage: Any, asks_first: bool) -> None:
    scene = await stage()
    record, remote = await starts_from_afar(scene)
    if asks_first:
        assert (await scene.authorizes("TAG"))["status"] == "Accepted"
    answer = await scene.event("Started", "RemoteStart", token="TAG", info={"remoteStartId": remote})
    assert answer["idTokenInfo"]["status"] == "Accepted"
    assert await scene.ends(record) is CommandState.EFFECTIVE
    await scene.event("Updated", "CablePluggedIn", state="EVConnected")
    await scene.charging()


@pytest_twisted.ensureDeferred
async def test_tc_f_04_csms(stage: Any) -> None:
    """The cable never comes."""
    scene = await stage()
    _, remote = await starts_from_afar(scene)
    await scene.event("Started", "RemoteStart", token="TAG", info={"remoteStartId": remote})
    assert await scene.event("Updated", "EVConnectTimeout") == {}


@pytest_twisted.ensureDeferred
async def test_tc_f_06_csms(stage: Any) -> None:
    scene = await stage()
    call = ("UnlockConnector", {"evseId": 1, "connectorId": 1})
    record = await scene.orders(UnlockConnector(1, 1), call, status="Unlocked")
    assert record.state is CommandState.EFFECTIVE


# Triggered messages

METER: Payload = {"value": 1500, "context": "Trigger", "measurand": "Energy.Active.Import.Register"}


async def triggers(scene: Scene, message: str, evse: int | None = None) -> None:
    """The operator asks for a message, and the station promises it."""
    expected: Payload = {"requestedMessage": message, **({"evse": {"id": evse}} if evse else {})}
    record = await scene.orders(TriggerMessage(message, evse), ("TriggerMessage", expected), status="Accepted")
    assert record.state is CommandState.EFFECTIVE


@pytest.mark.parametrize("evse", [pytest.param(1, id="TC_F_11_CSMS"), pytest.param(None, id="TC_F_12_CSMS")])
@pytest_twisted.ensureDeferred
async def test_meter_values_are_triggered(stage: Any, evse: int | None) -> None:
    scene = await stage()
    await triggers(scene, "MeterValues", evse)
    told = [evse] if evse else [1, 2]
    for each in told:
        reading = [{"timestamp": scene.time(), "sampledValue": [METER]}]
        assert await scene.says("MeterValues", evseId=each, meterValue=reading) == {}
    assert [one.evse for one in scene.csms.told(MeterValuesReceived)] == told


@pytest.mark.parametrize("evse", [pytest.param(1, id="TC_F_13_CSMS"), pytest.param(None, id="TC_F_14_CSMS")])
@pytest_twisted.ensureDeferred
async def test_a_transaction_event_is_triggered(stage: Any, evse: int | None) -> None:
    scene = await stage()
    await scene.knows("TAG")
    await scene.energy_flows("TAG")
    await triggers(scene, "TransactionEvent", evse)
    reading = [{"timestamp": scene.time(), "sampledValue": [METER]}]
    assert await scene.event("Updated", "Trigger", state="Charging", meterValue=reading) == {}


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        pytest.param("LogStatusNotification", {"status": "Idle"}, id="TC_F_15_CSMS"),
        pytest.param("FirmwareStatusNotification", {"status": "Idle"}, id="TC_F_18_CSMS"),
        pytest.param("Heartbeat", {}, id="TC_F_20_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_message_of_the_station_is_triggered(stage: Any, message: str, answer: Payload) -> None:
    scene = await stage()
    await triggers(scene, message)
    expected = {"currentTime": "2026-03-01T12:00:01.000Z"} if message == "Heartbeat" else {}
    assert await scene.says(message, **answer) == expected


@pytest.mark.parametrize(
    "status", [pytest.param("Available", id="TC_F_23_CSMS"), pytest.param("Occupied", id="TC_F_24_CSMS")]
)
@pytest.mark.parametrize("by_event", [False, True], ids=["StatusNotification", "NotifyEvent"])
@pytest_twisted.ensureDeferred
async def test_a_status_is_triggered(stage: Any, status: str, by_event: bool) -> None:
    scene = await stage()
    await scene.tells_status(status, by_event=by_event)
    await triggers(scene, "StatusNotification", 1)
    await scene.tells_status(status, by_event=by_event)
    assert await scene.status() == status


@pytest_twisted.ensureDeferred
async def test_tc_f_27_csms(stage: Any) -> None:
    """The station does not know how to send what it is asked for."""
    scene = await stage()
    call = ("TriggerMessage", {"requestedMessage": "PublishFirmwareStatusNotification"})
    record = await scene.orders(TriggerMessage("PublishFirmwareStatusNotification"), call, status="NotImplemented")
    assert (record.state, record.error_code) == (CommandState.REJECTED, "NotImplemented")
