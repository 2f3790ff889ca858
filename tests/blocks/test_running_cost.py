"""What a driver is told of the cost: where the station can show it, not too often, and nothing where the site does not want it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from block_kit import Make
from block_words import event, start16, stop16
from twisted.internet.defer import Deferred

from csms.model.provisioning import Variable, VariableValue
from csms.testing import make_csms

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
    await csms.advance(30)
    assert (await station.heard())[3]["totalCost"] == 2.05, "up to the event twenty minutes, and half a minute since"


# Time alone

PARKING = PRICED.format("all") + '[[plugins.billing.tariff]]\nname = "parking"\nper_minute = "0.10"\n'
IDLE = PRICED.format("all") + '[[plugins.billing.tariff]]\nname = "idle"\nper_kwh = "0.50"\nper_idle_minute = "1"\n'


async def younger(csms: Any) -> Any:
    """A station that is connected for a second before its transaction begins: nobody asks it about that."""
    station = await csms.station("CS1")
    await csms.advance(1)
    return station


async def told(csms: Any, station: Any, seconds: int) -> list[float]:
    """The costs that a station is told in so many seconds, half a minute after the other, and answers at once."""
    costs = []
    for _ in range(seconds // 30):
        await csms.advance(30)
        while station.calls:
            costs.append(station.calls[0][3]["totalCost"])
            station.answer({})
    return costs


@pytest_twisted.ensureDeferred
async def test_time_alone_makes_it_dearer_until_the_end(make: Make) -> None:
    csms = await make(PARKING)
    station = await younger(csms)
    await station.say("TransactionEvent", event(0, "Started"))
    assert await told(csms, station, 180) == [0.05, 0.10, 0.15, 0.20, 0.25, 0.30]
    await station.say("TransactionEvent", event(1, "Ended"))
    assert await told(csms, station, 120) == []
    assert csms.house.billing.costs._shown == {}


@pytest_twisted.ensureDeferred
async def test_what_time_makes_no_dearer_is_told_once(make: Make) -> None:
    csms = await make(PRICED.format("all"))
    station = await younger(csms)
    await station.say("TransactionEvent", event(0, "Started", wh=0))
    await station.say("TransactionEvent", event(1, "Updated", wh=1000))
    await station.say("TransactionEvent", event(2, "Updated", wh=1000))
    assert await told(csms, station, 180) == [0.5]


@pytest_twisted.ensureDeferred
async def test_who_stays_after_charging_sees_the_idle_fee_rise(make: Make) -> None:
    csms = await make(IDLE)
    station = await younger(csms)
    for seq, state, wh in ((0, "EVConnected", 0), (1, "Charging", 0), (2, "SuspendedEV", 1000)):
        kind = "Updated" if seq else "Started"
        await station.say("TransactionEvent", event(seq, kind, wh=wh, info={"chargingState": state}))
    assert await told(csms, station, 120) == [1.0, 1.5, 2.0, 2.5]


@pytest_twisted.ensureDeferred
async def test_a_restart_tells_on_by_itself(tmp_path: Path, installed_plugins: None) -> None:
    first = await make_csms(tmp_path, site=PARKING)
    station = await younger(first)
    await station.say("TransactionEvent", event(0, "Started"))
    await first.advance(60)
    await first.close()
    second = await make_csms(tmp_path, site=PARKING, clock=first.clock)
    station = await second.station("CS1", booted=False)
    assert await told(second, station, 60) == [0.15, 0.20]
    await second.close()


@pytest_twisted.ensureDeferred
async def test_a_station_that_does_not_answer_is_told_nothing_more_meanwhile(make: Make) -> None:
    csms = await make(PARKING)
    station = await younger(csms)
    await station.say("TransactionEvent", event(0, "Started"))
    await csms.advance(30)
    (call,) = station.calls
    for _ in range(3):
        await csms.advance(8)
    await station.say("TransactionEvent", event(1, "Updated"))
    await csms.advance(5)
    assert station.calls == [call]
    station.answer({})
    assert await told(csms, station, 30) == [0.16]


@pytest_twisted.ensureDeferred
async def test_nobody_looks_where_no_station_can_show_costs(make: Make) -> None:
    csms = await make(PARKING)
    station = await csms.station("CP1", "ocpp1.6")
    await station.say("StartTransaction", start16())
    asked: list[object] = []
    csms.house.store.transactions.active = lambda: asked.append("active")
    assert await told(csms, station, 90) == []
    assert asked == []


@pytest_twisted.ensureDeferred
async def test_a_transaction_whose_end_nobody_told_is_forgotten(make: Make) -> None:
    csms = await make(PARKING)
    station = await younger(csms)
    await station.say("TransactionEvent", event(0, "Started"))
    assert await told(csms, station, 30)
    kept = await csms.house.store.transactions.by_wire_id("CS1", "T1")
    await csms.house.store.healing.open(kept, "silence", "news", csms.house.now(), csms.house.now())
    (healing,) = await csms.house.store.healing.of(kept.id)
    await csms.house.store.healing.give_up(healing, kept, "it is over", csms.house.now(), over=True)
    assert await told(csms, station, 60) == []
    assert csms.house.billing.costs._shown == {}


@pytest_twisted.ensureDeferred
async def test_a_cost_that_was_not_answered_is_told_again_and_one_that_was_refused_is_not(make: Make) -> None:
    csms = await make(PRICED.format("all"))
    station = await younger(csms)
    await station.say("TransactionEvent", event(0, "Started", wh=0))
    await station.say("TransactionEvent", event(1, "Updated", wh=1000))
    assert (await station.heard())[3]["totalCost"] == 0.5
    station.calls.clear()
    for _ in range(3):
        await csms.advance(29)
    (call,) = station.calls
    assert call[3]["totalCost"] == 0.5
    station.refuse("NotSupported")
    assert await told(csms, station, 90) == []


@pytest_twisted.ensureDeferred
async def test_one_that_cannot_be_priced_keeps_no_other_waiting(make: Make) -> None:
    csms = await make(PARKING)
    one, other = await younger(csms), await csms.station("CS2")
    await csms.advance(1)
    for station in (one, other):
        await station.say("TransactionEvent", event(0, "Started"))
    pricing, cost = csms.house.billing.pricing, csms.house.billing.pricing.cost

    async def fails(transaction: Any) -> Any:
        if transaction.station == "CS1":
            raise ValueError("no price")
        return await cost(transaction)

    pricing.cost = fails
    assert await told(csms, other, 60) == [0.05, 0.10]
    assert one.calls == []
