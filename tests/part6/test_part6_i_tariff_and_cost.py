"""OCPP 2.0.1 part 6, block I: what the driver is told of the cost."""

from __future__ import annotations

from typing import Any

import pytest_twisted
from part6_kit import Payload

from csms.model.monitoring import AlertReceived

SITE = """
[plugins]
enabled = ["rfid_list", "billing"]
[plugins.billing]
per_kwh = "0.50"
per_start = "1.00"
[bills]
running_cost = "all"
cost_interval = "10s"
"""


def register(scene: Any, wh: int, context: str = "Sample.Periodic") -> list[Payload]:
    """A meterValue with the energy register."""
    sample = {"value": wh, "context": context, "measurand": "Energy.Active.Import.Register"}
    return [{"timestamp": scene.time(), "sampledValue": [sample]}]


@pytest_twisted.ensureDeferred
async def test_tc_i_01_csms(stage: Any) -> None:
    scene = await stage(SITE)
    await scene.knows("TAG")
    assert (await scene.authorizes("TAG"))["status"] == "Accepted"
    await scene.tells_status("Occupied")
    begin = register(scene, 1000, "Transaction.Begin")
    await scene.event("Started", "CablePluggedIn", state="EVConnected", meterValue=begin)
    assert (await scene.authorized("TAG"))["status"] == "Accepted"
    await scene.charging()
    cost = {"transactionId": scene.transaction, "totalCost": 1.0}
    assert await scene.hears() == ("CostUpdated", cost), "what it costs to begin"
    scene.answers("CostUpdated")
    for wh, total in ((2000, 1.5), (4000, 2.5)):
        answer = await scene.event("Updated", "MeterValuePeriodic", state="Charging", meterValue=register(scene, wh))
        assert answer == {}
        scene.csms.clock.advance(10)
        assert await scene.hears() == ("CostUpdated", cost | {"totalCost": total})
        scene.answers("CostUpdated")


@pytest_twisted.ensureDeferred
async def test_tc_i_02_csms(stage: Any) -> None:
    scene = await stage(SITE)
    await scene.knows("TAG")
    begin = register(scene, 1000, "Transaction.Begin")
    await scene.event("Started", "CablePluggedIn", state="EVConnected", meterValue=begin)
    await scene.authorized("TAG")
    await scene.charging()
    scene.csms.clock.advance(1800)
    await scene.stop_authorized("TAG")
    await scene.tells_status("Available")
    await scene.tells_status("Available", by_event=True)
    assert scene.csms.told(AlertReceived)
    waiting = scene.event(
        "Ended",
        "EVCommunicationLost",
        state="Idle",
        reason="EVDisconnected",
        meterValue=register(scene, 3000, "Transaction.End"),
    )
    assert await waiting == {"totalCost": 2.0}
