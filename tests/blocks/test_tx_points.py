"""Start and stop points: read once, written where the site wants others, and understood when a transaction is judged."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from block_kit import Make
from block_words import event

from csms.model.provisioning import VariableValue
from csms.model.tx_points import START, STOP, Nature, TxPoints
from csms.testing import FakeStation, TestCsms

SITE = '[stations]\nunknown = "accept"\n[plugins]\nenabled = []\n[transactions]\n'


def result(name: str, value: str | None) -> dict[str, Any]:
    return {
        "attributeStatus": "UnknownVariable" if value is None else "Accepted",
        "component": {"name": "TxCtrlr"},
        "variable": {"name": name},
        **({} if value is None else {"attributeValue": value}),
    }


async def read(csms: TestCsms, station: FakeStation, start: str | None, stop: str | None) -> None:
    """The station is asked, and tells."""
    await csms.advance(30)
    _, _, action, payload = await station.heard()
    assert action == "GetVariables"
    assert [one["variable"]["name"] for one in payload["getVariableData"]] == ["TxStartPoint", "TxStopPoint"]
    station.answer({"getVariableResult": [result("TxStartPoint", start), result("TxStopPoint", stop)]})
    await csms.settle()


@pytest_twisted.ensureDeferred
async def test_points_are_read_after_the_boot_and_only_while_they_are_not_known(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    await read(csms, station, "Authorized,EVConnected", "EVConnected")
    assert await csms.house.tx_points.known("CS1") == TxPoints(("Authorized", "EVConnected"), ("EVConnected",))
    await station.boot()
    await csms.advance(60)
    assert station.calls == []


@pytest_twisted.ensureDeferred
async def test_a_station_that_boots_again_and_again_is_asked_once(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    for _ in range(3):
        await station.boot()
    await read(csms, station, "Authorized", "EVConnected")
    assert station.calls == []


@pytest_twisted.ensureDeferred
async def test_16_has_no_points_to_ask_for(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1", "ocpp1.6")
    await csms.advance(60)
    assert station.calls == []


@pytest_twisted.ensureDeferred
async def test_a_station_with_other_points_than_the_site_wants_is_told(make: Make) -> None:
    csms = await make(SITE + 'start_points = ["PowerPathClosed"]\n')
    station = await csms.station("CS1")
    await read(csms, station, "Authorized", "EVConnected")
    _, _, action, payload = await station.heard()
    assert action == "SetVariables"
    (data,) = payload["setVariableData"]
    assert (data["variable"]["name"], data["attributeValue"]) == ("TxStartPoint", "PowerPathClosed")
    accepted = {name: fact for name, fact in result("TxStartPoint", "").items() if name != "attributeValue"}
    station.answer({"setVariableResult": [accepted]})
    await csms.settle()
    assert await csms.house.tx_points.known("CS1") == TxPoints(("PowerPathClosed",), ("EVConnected",))


def test_points_that_nobody_told_are_not_known() -> None:
    assert TxPoints.of(()) == TxPoints()
    assert TxPoints.of([VariableValue(START, " Authorized , ,EnergyTransfer"), VariableValue(STOP, None)]) == TxPoints(
        ("Authorized", "EnergyTransfer")
    )


@pytest.mark.parametrize(
    ("points", "tag", "wh", "state", "nature", "held"),
    [
        ("", "TAG", (1000, 1083), "", Nature.CHARGE, ()),
        ("", "TAG", (1000, 1000), "Charging", Nature.CHARGE, ()),
        ("", "TAG", (1000, 1000), "SuspendedEV", Nature.NO_ENERGY, ()),
        ("", None, (1000, 1000), "", Nature.VISIT, ()),
        ("", None, (None, None), "", Nature.VISIT, ("no begin register",)),
        ("ParkingBayOccupancy", None, (None, None), "", Nature.VISIT, ()),
        ("EVConnected,Authorized", None, (None, None), "EVConnected", Nature.VISIT, ()),
        ("EVConnected", None, (1000, None), "", Nature.VISIT, ("no end register",)),
        (
            "Authorized",
            None,
            (1000, 1083),
            "",
            Nature.CHARGE,
            ("nobody was authorized, and this station begins transactions at Authorized",),
        ),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_a_transaction_was_is_judged_by_where_it_may_begin(
    make: Make,
    points: str,
    tag: str | None,
    wh: tuple[int | None, int | None],
    state: str,
    nature: Nature,
    held: tuple[str, ...],
) -> None:
    csms = await make(SITE + "read_points = false\n")
    station = await csms.station("CS1")
    if points:
        await csms.house.store.variables.put("CS1", 0, [VariableValue(START, points)], csms.house.now())
    info = {"chargingState": state} if state else {}
    await station.say("TransactionEvent", event(0, "Started", wh=wh[0], tag=tag, info=info))
    await station.say("TransactionEvent", event(1, "Ended", wh=wh[1]))
    kept = await csms.house.store.transactions.by_wire_id("CS1", "T1")
    assert kept is not None
    judged = await csms.house.evidence.judged(kept)
    assert (judged.nature, judged.quarantine) == (nature, held)
    assert ",".join(judged.points.start) == points
