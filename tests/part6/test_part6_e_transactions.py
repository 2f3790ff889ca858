"""OCPP 2.0.1 part 6, block E: where transactions start and stop, and how the CSMS asks for what is missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_twisted
from part6_kit import Payload, Scene

from csms.model.commands import CommandState
from csms.model.transactions import Completeness, GetTransactionStatus, RequestStopTransaction, Transaction

SITE = """
[transactions]
read_points = false
ask_after = "30s"
[plugins]
enabled = ["rfid_list"]
"""
Begin = Callable[[Scene], Awaitable[Payload]]


@pytest.fixture
def scene(stage: Any) -> Callable[[], Awaitable[Scene]]:
    """A scene whose driver has a token that is known."""

    async def build() -> Scene:
        made: Scene = await stage(SITE)
        await made.knows("TAG")
        return made

    return build


async def kept(scene: Scene, wire_id: str = "") -> Transaction:
    """The present transaction, or another one, as the CSMS knows it."""
    found = await scene.csms.house.store.transactions.by_wire_id("CS1", wire_id or scene.transaction)
    assert found is not None
    return found


async def occupied(scene: Scene) -> None:
    """The connector's status, told in both ways."""
    await scene.tells_status("Occupied")
    await scene.tells_status("Occupied", by_event=True)


async def suspended(scene: Scene) -> None:
    """EnergyTransferSuspended: the car takes no more."""
    await scene.energy_flows("TAG")
    await scene.event("Updated", "ChargingStateChanged", state="SuspendedEV")


# Where a transaction starts


async def closed_path(scene: Scene) -> Payload:
    return await scene.event("Started", "ChargingStateChanged", token="TAG", state="SuspendedEVSE")


async def energy(scene: Scene) -> Payload:
    return await scene.event("Started", "ChargingStateChanged", token="TAG", state="Charging")


async def local(scene: Scene) -> Payload:
    return await scene.event("Started", "Authorized", token="TAG")


async def signed(scene: Scene) -> Payload:
    data = {"signedMeterData": "T0NNRg==", "signingMethod": "", "encodingMethod": "OCMF", "publicKey": ""}
    sample = {"value": 0.0, "context": "Transaction.Begin", "signedMeterValue": data}
    value = [{"timestamp": scene.time(), "sampledValue": [sample]}]
    return await scene.event("Started", "SignedDataReceived", token="TAG", meterValue=value)


@pytest.mark.parametrize(
    ("begin", "plugged"),
    [
        pytest.param(closed_path, True, id="TC_E_01_CSMS"),
        pytest.param(energy, True, id="TC_E_02_CSMS"),
        pytest.param(local, False, id="TC_E_10_CSMS"),
        pytest.param(signed, True, id="TC_E_11_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_transaction_starts_with_a_token(scene: Any, begin: Begin, plugged: bool) -> None:
    scene = await scene()
    assert (await scene.authorizes("TAG"))["status"] == "Accepted"
    if plugged:
        await occupied(scene)
    assert (await begin(scene))["idTokenInfo"]["status"] == "Accepted"
    assert await scene.event("Updated", "ChargingStateChanged", state="Charging") == {}
    known = await kept(scene)
    assert (known.completeness, known.authorization, known.charging_state) == ("ongoing", "Accepted", "Charging")


@pytest_twisted.ensureDeferred
async def test_tc_e_03_csms(scene: Any) -> None:
    scene = await scene()
    await scene.ev_connected()
    assert (await scene.authorized("TAG"))["status"] == "Accepted"
    await scene.charging()
    assert (await kept(scene)).authorization == "Accepted"


@pytest_twisted.ensureDeferred
async def test_tc_e_04_csms(scene: Any) -> None:
    scene = await scene()
    assert (await scene.authorized("TAG"))["status"] == "Accepted"
    await occupied(scene)
    await scene.event("Updated", "CablePluggedIn", state="EVConnected")
    await scene.charging()
    known = await kept(scene)
    assert (known.start_trigger, known.charging_state) == ("Authorized", "Charging")


@pytest_twisted.ensureDeferred
async def test_tc_e_09_csms(scene: Any) -> None:
    scene = await scene()
    await occupied(scene)
    assert await scene.event("Started", "CablePluggedIn", state="EVConnected") == {}
    known = await kept(scene)
    assert (known.evse, known.connector, known.id_token) == (1, 1, None)


@pytest_twisted.ensureDeferred
async def test_tc_e_12_csms(scene: Any) -> None:
    scene = await scene()
    assert await scene.event("Started", "EVDetected") == {}
    assert (await kept(scene)).start_trigger == "EVDetected"


@pytest_twisted.ensureDeferred
async def test_tc_e_38_csms(scene: Any) -> None:
    scene = await scene()
    await scene.authorized("TAG")
    await occupied(scene)
    await scene.event("Updated", "CablePluggedIn", state="EVConnected")
    assert await scene.event("Updated", "ChargingStateChanged", state="SuspendedEV") == {}
    assert (await kept(scene)).charging_state == "SuspendedEV"


# Where it stops


async def authorized(scene: Scene) -> None:
    await scene.authorized("TAG")


async def flowing(scene: Scene) -> None:
    await scene.energy_flows("TAG")


async def stopped(scene: Scene) -> None:
    await scene.energy_flows("TAG")
    assert (await scene.stop_authorized("TAG"))["status"] == "Accepted"


async def after_charging(scene: Scene) -> None:
    """EVConnectedPostSession."""
    await stopped(scene)
    await scene.event("Updated", "ChargingStateChanged", state="EVConnected")


async def unplugged(scene: Scene) -> None:
    """EVDisconnected, where the transaction goes on until the bay is free."""
    await after_charging(scene)
    await scene.event("Updated", "EVCommunicationLost", state="Idle")
    await scene.tells_status("Available")


@pytest.mark.parametrize(
    ("before", "trigger", "more"),
    [
        pytest.param(authorized, "EVConnectTimeout", {"reason": "Timeout"}, id="TC_E_39_CSMS"),
        pytest.param(
            after_charging, "EVCommunicationLost", {"state": "Idle", "reason": "EVDisconnected"}, id="TC_E_14_CSMS"
        ),
        pytest.param(
            suspended, "EVCommunicationLost", {"state": "Idle", "reason": "EVDisconnected"}, id="TC_E_20_CSMS"
        ),
        pytest.param(flowing, "StopAuthorized", {"reason": "Local", "token": "TAG"}, id="TC_E_15_CSMS"),
        pytest.param(flowing, "StopAuthorized", {"reason": "Local"}, id="TC_E_07_CSMS"),
        pytest.param(stopped, "ChargingStateChanged", {"state": "EVConnected", "reason": "Local"}, id="TC_E_08_CSMS"),
        pytest.param(
            suspended, "EVCommunicationLost", {"state": "Idle", "reason": "EVDisconnected"}, id="TC_E_17_CSMS"
        ),
        pytest.param(
            flowing, "ChargingStateChanged", {"state": "SuspendedEV", "reason": "StoppedByEV"}, id="TC_E_22_CSMS"
        ),
        pytest.param(unplugged, "EVDeparted", {"reason": "Local"}, id="TC_E_19_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_transaction_stops(scene: Any, before: Begin, trigger: str, more: dict[str, str]) -> None:
    scene = await scene()
    await before(scene)
    answer = await scene.event("Ended", trigger, **more)
    assert answer == ({"idTokenInfo": {"status": "Accepted"}} if "token" in more else {})
    known = await kept(scene)
    assert (known.completeness, known.stopped_reason) == (Completeness.COMPLETE, more["reason"])
    assert await scene.csms.house.store.transactions.active(station="CS1") == []


@pytest_twisted.ensureDeferred
async def test_tc_e_21_csms(scene: Any) -> None:
    scene = await scene()
    await scene.energy_flows("TAG")
    order = RequestStopTransaction(scene.transaction)
    call = ("RequestStopTransaction", {"transactionId": scene.transaction})
    record = await scene.orders(order, call, status="Accepted")
    assert record.state is CommandState.ACCEPTED
    assert await scene.event("Ended", "RemoteStop", reason="Remote") == {}
    assert await scene.ends(record) is CommandState.EFFECTIVE
    assert (await kept(scene)).stopped_reason == "Remote"


@pytest_twisted.ensureDeferred
async def test_tc_e_16_csms(scene: Any) -> None:
    scene = await scene()
    answer = await scene.event("Started", "Authorized", token="NOBODY")
    assert answer["idTokenInfo"]["status"] in ("Invalid", "Unknown")
    assert await scene.event("Ended", "Deauthorized", reason="DeAuthorized") == {}
    assert (await kept(scene)).stopped_reason == "DeAuthorized"


@pytest_twisted.ensureDeferred
async def test_tc_e_26_csms(scene: Any) -> None:
    scene = await scene()
    await suspended(scene)
    assert await scene.event("Updated", "EVCommunicationLost", state="Idle") == {}
    await scene.tells_status("Available")
    await scene.tells_status("Available", by_event=True)
    assert await scene.event("Updated", "CablePluggedIn", state="EVConnected") == {}
    assert await scene.event("Updated", "ChargingStateChanged", state="Charging") == {}
    known = await kept(scene)
    assert (known.completeness, known.charging_state, known.missing) == ("ongoing", "Charging", ())


@pytest_twisted.ensureDeferred
async def test_tc_e_53_csms(scene: Any) -> None:
    scene = await scene()
    for wire_id in ("TX1", "TX2"):
        await scene.energy_flows("TAG")
        assert scene.transaction == wire_id
        await scene.ev_disconnected()
        known = await kept(scene, wire_id)
        assert (known.completeness, known.missing, known.events) == (Completeness.COMPLETE, (), 5)


# What is missing


async def away(scene: Scene, seconds: float = 120) -> None:
    """The connection is lost, and comes again; the station does not boot."""
    await scene.station.close()
    await scene.csms.advance(seconds)
    scene.station = await scene.csms.station("CS1", booted=False)


async def asked(scene: Scene) -> Payload:
    """The question of the CSMS, which it asks by itself once its patience is over."""
    house = scene.csms.house
    for _ in range(60):
        if scene.station.calls:
            break
        scene.csms.clock.advance(10)
        await scene.csms.settle(lambda: house.healer.idle and not house.store.busy)
    action, payload = await scene.hears()
    assert action == "GetTransactionStatus"
    return dict(payload)


def reading(scene: Scene) -> list[Payload]:
    return [{"timestamp": scene.time(), "sampledValue": [{"value": 1500, "context": "Sample.Periodic"}]}]


@pytest_twisted.ensureDeferred
async def test_tc_e_29_csms(scene: Any) -> None:
    scene = await scene()
    await scene.energy_flows("TAG")
    await away(scene)
    assert await asked(scene) == {"transactionId": scene.transaction}
    scene.answers("GetTransactionStatus", ongoingIndicator=True, messagesInQueue=True)
    late = {"offline": True, "meterValue": reading(scene)}
    assert await scene.event("Updated", "MeterValuePeriodic", state="Charging", **late) == {}
    assert (await kept(scene)).last_meter_wh == 1500


@pytest_twisted.ensureDeferred
async def test_tc_e_30_csms(scene: Any) -> None:
    scene = await scene()
    await scene.energy_flows("TAG")
    call = ("GetTransactionStatus", {"transactionId": scene.transaction})
    record = await scene.orders(
        GetTransactionStatus(scene.transaction), call, ongoingIndicator=True, messagesInQueue=False
    )
    assert record.state is CommandState.EFFECTIVE
    assert (await kept(scene)).completeness is Completeness.ONGOING


@pytest_twisted.ensureDeferred
async def test_tc_e_31_csms(scene: Any) -> None:
    scene = await scene()
    await scene.energy_flows("TAG")
    await away(scene)
    await scene.tells_status("Available")
    skipped = [next(scene._seq), next(scene._seq)]
    ended = {"state": "Idle", "offline": True, "reason": "EVDisconnected"}
    assert await scene.event("Ended", "EVCommunicationLost", **ended) == {}
    assert (await kept(scene)).missing == tuple(skipped)
    assert await asked(scene) == {"transactionId": scene.transaction}
    scene.answers("GetTransactionStatus", ongoingIndicator=False, messagesInQueue=True)
    scene._seq = iter(skipped)
    assert "idTokenInfo" in await scene.event("Updated", "StopAuthorized", token="TAG", offline=True)
    assert await scene.event("Updated", "ChargingStateChanged", state="EVConnected", offline=True) == {}
    known = await kept(scene)
    assert (known.completeness, known.missing) == (Completeness.COMPLETE, ())


@pytest_twisted.ensureDeferred
async def test_tc_e_33_csms(scene: Any) -> None:
    scene = await scene()
    await scene.energy_flows("TAG")
    await away(scene)
    record = await scene.orders(GetTransactionStatus(), ("GetTransactionStatus", {}), messagesInQueue=True)
    assert (record.state, record.answer) == (CommandState.EFFECTIVE, {"messagesInQueue": True})
    late = {"offline": True, "meterValue": reading(scene)}
    assert await scene.event("Updated", "MeterValuePeriodic", state="Charging", **late) == {}


@pytest_twisted.ensureDeferred
async def test_tc_e_34_csms(scene: Any) -> None:
    scene = await scene()
    record = await scene.orders(GetTransactionStatus(), ("GetTransactionStatus", {}), messagesInQueue=False)
    assert (record.state, record.answer) == (CommandState.EFFECTIVE, {"messagesInQueue": False})
