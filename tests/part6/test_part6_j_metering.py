"""OCPP 2.0.1 part 6, block J: meter values outside of transactions and in them, clock-aligned and sampled, signed too."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import pytest_twisted
from part6_kit import Payload, Scene

from csms.model.metering import MeterValuesReceived
from csms.model.monitoring import AlertReceived

SIGNED = {"signedMeterData": "T0NNRnx7fQ==", "signingMethod": "", "encodingMethod": "OCMF", "publicKey": ""}


def value(scene: Scene, wh: int, context: str, *, signed: bool = False) -> Payload:
    """One reading of the energy register."""
    sample: Payload = {"value": wh, "context": context}
    return {"timestamp": scene.time(), "sampledValue": [sample | ({"signedMeterValue": SIGNED} if signed else {})]}


async def charging(stage: Any, wh: int = 1000) -> Scene:
    """EnergyTransferStarted, with a begin reading."""
    scene: Scene = await stage('[plugins]\nenabled = ["rfid_list"]\n')
    await scene.knows("TAG")
    await scene.tells_status("Occupied")
    begin = [value(scene, wh, "Transaction.Begin")]
    await scene.event("Started", "CablePluggedIn", state="EVConnected", meterValue=begin)
    await scene.authorized("TAG")
    await scene.charging()
    return scene


async def evidence(scene: Scene) -> Any:
    transaction = await scene.csms.house.store.transactions.by_wire_id("CS1", scene.transaction)
    assert transaction is not None
    return await scene.csms.house.evidence.of(transaction)


async def clock_aligned(scene: Scene, evse: int, wh: int) -> None:
    """What the clock makes a station tell of an EVSE, in both ways."""
    values = [value(scene, wh, "Sample.Clock")]
    assert await scene.says("MeterValues", evseId=evse, meterValue=values) == {}
    component: Payload = {"name": "FiscalMetering"}
    if evse:
        component["evse"] = {"id": evse}
    assert await scene.notifies(component, "EnergyRegister", str(wh)) == {}


@pytest_twisted.ensureDeferred
async def test_tc_j_01_csms(stage: Any) -> None:
    scene = await stage()
    for number in range(3):
        for evse in (0, 1):
            await clock_aligned(scene, evse, 1000 + number)
        scene.csms.clock.advance(60)
    assert len(scene.csms.told(MeterValuesReceived)) == 6
    assert len(scene.csms.told(AlertReceived)) == 6
    assert len(await scene.csms.house.store.telemetry.list("CS1")) == 6
    assert await scene.csms.house.store.transactions.list() == []


@pytest_twisted.ensureDeferred
async def test_tc_j_02_csms(stage: Any) -> None:
    scene = await charging(stage)
    for wh in (2000, 3000):
        await clock_aligned(scene, 0, 9999)
        update = {"state": "Charging", "meterValue": [value(scene, wh, "Sample.Clock")]}
        assert await scene.event("Updated", "MeterValueClock", **update) == {}
        scene.csms.clock.advance(60)
    found = await evidence(scene)
    assert [(one.value_wh, one.context) for one in found.series[1:]] == [(2000, "Sample.Clock"), (3000, "Sample.Clock")]


@pytest.mark.parametrize(
    ("context", "signed"),
    [
        pytest.param("Sample.Clock", False, id="TC_J_03_CSMS"),
        pytest.param("Sample.Clock", True, id="TC_J_04_CSMS"),
        pytest.param("Sample.Periodic", False, id="TC_J_10_CSMS"),
        pytest.param("Sample.Periodic", True, id="TC_J_11_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_end_has_all_readings_and_the_last_one_counts(stage: Any, context: str, signed: bool) -> None:
    scene = await charging(stage)
    told = []
    for wh in (1500, 2000, 2500):
        scene.csms.clock.advance(600)
        told.append(value(scene, wh, context if wh < 2500 else "Transaction.End", signed=signed))
    await scene.event("Updated", "ChargingStateChanged", state="EVConnected")
    last = {"state": "Idle", "reason": "EVDisconnected", "meterValue": told}
    assert await scene.event("Ended", "EVCommunicationLost", **last) == {}
    found = await evidence(scene)
    assert [one.value_wh for one in found.series] == [1000, 1500, 2000, 2500]
    assert (found.end.context, found.end.value_wh, found.rejected) == ("Transaction.End", Decimal(2500), ())
    assert len(found.signed) == (3 if signed else 0)
    assert all(SIGNED["signedMeterData"] in one.signed for one in found.signed)


@pytest_twisted.ensureDeferred
async def test_tc_j_07_csms(stage: Any) -> None:
    scene = await stage()
    await scene.tells_status("Occupied")
    begin = [value(scene, 1000, "Transaction.Begin")]
    assert await scene.event("Started", "CablePluggedIn", state="EVConnected", meterValue=begin) == {}
    found = await evidence(scene)
    assert (found.begin.value_wh, found.begin.context) == (1000, "Transaction.Begin")


@pytest_twisted.ensureDeferred
async def test_tc_j_08_csms(stage: Any) -> None:
    scene = await stage('[plugins]\nenabled = ["rfid_list"]\n')
    await scene.knows("TAG")
    answer = await scene.event("Started", "Authorized", token="TAG", evse=None)
    assert answer["idTokenInfo"]["status"] == "Accepted"
    await scene.tells_status("Occupied")
    begin = [value(scene, 1000, "Transaction.Begin")]
    assert await scene.event("Updated", "CablePluggedIn", state="EVConnected", meterValue=begin) == {}
    await scene.charging()
    found = await evidence(scene)
    transaction = await scene.csms.house.store.transactions.by_wire_id("CS1", scene.transaction)
    assert (found.begin.value_wh, found.begin.event) == (1000, "1")
    assert (transaction.evse, transaction.meter_start_wh, transaction.review) == (1, 1000, "")


@pytest_twisted.ensureDeferred
async def test_tc_j_09_csms(stage: Any) -> None:
    scene = await charging(stage)
    for wh in (1100, 1200, 1300):
        scene.csms.clock.advance(60)
        update = {"state": "Charging", "meterValue": [value(scene, wh, "Sample.Periodic")]}
        assert await scene.event("Updated", "MeterValuePeriodic", **update) == {}
    assert [one.value_wh for one in (await evidence(scene)).series] == [1000, 1100, 1200, 1300]
