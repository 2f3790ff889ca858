"""What a driver is told of the cost: where the station can show it, not too often, and nothing where the site does not want it."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from block_kit import Make
from block_words import event, start16, stop16
from twisted.internet.defer import Deferred

from csms.model.provisioning import Variable, VariableValue

PRICED = """
[plugins]
enabled = ["billing"]
[plugins.billing]
per_kwh = "0.50"
[bills]
running_cost = "{}"
cost_interval = "30s"
"""


async def says_it_shows(csms: Any, station: str, **values: str) -> None:
    """The station reported that it shows costs, or not."""
    reported = tuple(
        VariableValue(Variable("TariffCostCtrlr", name, instance="Cost"), value) for name, value in values.items()
    )
    await csms.house.store.variables.put(station, 1, reported, csms.house.now())


@pytest_twisted.ensureDeferred
async def test_no_price_is_asked_where_costs_are_off(make: Make) -> None:
    csms = await make(PRICED.format("off"))
    station = await csms.station("CS1")
    asked: list[object] = []
    csms.house.billing.pricing.cost = asked.append
    assert csms.house.billing.costs is None
    for payload in (event(0, "Started", wh=0), event(1, "Updated", wh=1000), event(2, "Ended", wh=2000)):
        assert await station.say("TransactionEvent", payload) == {}
    await csms.advance(60)
    assert asked == []
    assert station.calls == []


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"Enabled": "true"}, True),
        ({"Available": "true"}, True),
        ({"Available": "true", "Enabled": "false"}, False),
        ({}, False),
    ],
)
@pytest_twisted.ensureDeferred
async def test_costs_go_to_stations_that_said_that_they_show_them(
    make: Make, said: dict[str, str], shown: bool
) -> None:
    csms = await make(PRICED.format("shown"))
    station = await csms.station("CS1")
    await says_it_shows(csms, "CS1", **said)
    await station.say("TransactionEvent", event(0, "Started", wh=0))
    await station.say("TransactionEvent", event(1, "Updated", wh=1000))
    await csms.settle(lambda: station.calls)
    assert [call[2:] for call in station.calls] == (
        [["CostUpdated", {"transactionId": "T1", "totalCost": 0.5}]] if shown else []
    )
    answer = await station.say("TransactionEvent", event(2, "Ended", wh=2000))
    assert answer == ({"totalCost": 1.0} if shown else {})


@pytest_twisted.ensureDeferred
async def test_a_driver_is_told_at_most_every_interval_and_the_newest(make: Make) -> None:
    csms = await make(PRICED.format("all"))
    station = await csms.station("CS1")
    await csms.advance(1)  # the transaction is younger than the connection: nobody asks about it
    await station.say("TransactionEvent", event(0, "Started", wh=0))
    await station.say("TransactionEvent", event(1, "Updated", wh=1000))
    assert (await station.heard())[3]["totalCost"] == 0.5
    station.answer({})
    for seq, wh in ((2, 2000), (3, 3000)):
        await station.say("TransactionEvent", event(seq, "Updated", wh=wh))
    await csms.advance(29)
    assert station.calls == []
    await csms.advance(2)
    await csms.settle(lambda: station.calls)
    assert [call[3]["totalCost"] for call in station.calls] == [1.5]
    station.refuse("NotSupported")
    await station.say("TransactionEvent", event(4, "Updated", wh=4000))
    await station.say("TransactionEvent", event(5, "Ended", wh=4000))
    await csms.advance(60)
    assert station.calls == []


@pytest_twisted.ensureDeferred
async def test_a_cost_that_was_not_priced_before_the_end_is_not_sent_after_it(make: Make) -> None:
    csms = await make(PRICED.format("all"))
    station = await csms.station("CS1")
    pricing, held = csms.house.billing.pricing, Deferred()
    cost = pricing.cost

    async def slow(transaction: Any) -> Any:
        await held
        return await cost(transaction)

    pricing.cost = slow
    await station.say("TransactionEvent", event(0, "Started", wh=0))
    await station.say("TransactionEvent", event(1, "Updated", wh=1000))
    await csms.settle()
    await station.say("TransactionEvent", event(2, "Ended", wh=2000))
    await csms.settle()
    held.callback(None)
    await csms.settle()
    assert station.calls == []


@pytest_twisted.ensureDeferred
async def test_readings_that_come_after_the_end_leave_nothing_behind(make: Make) -> None:
    csms = await make(PRICED.format("all"))
    station = await csms.station("CS1")
    await station.say("TransactionEvent", event(0, "Started", wh=0))
    await station.say("TransactionEvent", event(2, "Ended", wh=2000))
    await station.say("TransactionEvent", event(1, "Updated", wh=1000))
    await csms.settle(lambda: not csms.house.billing.costs._shown)
    assert csms.house.billing.costs._shown == {}
    assert station.calls == []


@pytest_twisted.ensureDeferred
async def test_an_incomplete_or_doubtful_transaction_has_no_final_cost(make: Make) -> None:
    csms = await make(PRICED.format("all"))
    station = await csms.station("CS1")
    await station.say("TransactionEvent", event(0, "Started", wh=0))
    assert await station.say("TransactionEvent", event(2, "Ended", wh=1000)) == {}
    await station.say("TransactionEvent", event(10, "Started", tx="T2", wh=5000))
    assert await station.say("TransactionEvent", event(11, "Ended", tx="T2", wh=100)) == {}


@pytest_twisted.ensureDeferred
async def test_a_slow_price_delays_the_answer_no_longer_than_two_seconds(make: Make) -> None:
    csms = await make(PRICED.format("all"))
    station = await csms.station("CS1")

    async def never(*_: object) -> None:
        await Deferred()

    csms.house.billing.pricing.priced = never
    await station.say("TransactionEvent", event(0, "Started", wh=0))
    waiting = station.say("TransactionEvent", event(1, "Ended", wh=1000))
    await csms.settle()
    assert not waiting.called
    await csms.advance(2)
    assert await waiting == {}


@pytest_twisted.ensureDeferred
async def test_a_1_6_station_is_told_nothing(make: Make) -> None:
    csms = await make(PRICED.format("all"))
    station = await csms.station("CP1", "ocpp1.6")
    id = (await station.say("StartTransaction", start16()))["transactionId"]
    assert "totalCost" not in await station.say("StopTransaction", stop16(id))
    await csms.settle()
    assert station.calls == []


@pytest_twisted.ensureDeferred
async def test_a_charge_without_registers_costs_its_time(make: Make) -> None:
    csms = await make(PRICED.format("all") + '[[plugins.billing.tariff]]\nname = "parking"\nper_minute = "0.10"\n')
    station = await csms.station("CS1")
    await csms.advance(1)
    await station.say("TransactionEvent", event(0, "Started"))
    await station.say("TransactionEvent", event(10, "Updated", info={"chargingState": "Charging"}))
    assert (await station.heard())[2:] == ["CostUpdated", {"transactionId": "T1", "totalCost": 1.0}]
    station.answer({})
    await station.say("TransactionEvent", event(20, "Updated", info={"chargingState": "SuspendedEV"}))
    await csms.advance(31)
    assert (await station.heard())[3]["totalCost"] == 2.0
