"""Blocks C and E: tokens, transactions, and what is answered whatever happens."""

from __future__ import annotations

import pytest
import pytest_twisted
from block_kit import Make
from block_words import event, start16, stop16

from csms.model.authorization import AuthorizationStatus, IdToken, TokenRecord
from csms.model.metering import MeterValuesReceived
from csms.model.transactions import Completeness, TransactionEnded, TransactionStarted, TransactionUpdated
from csms.testing import TestCsms


async def allow(csms: TestCsms, *values: str, status: AuthorizationStatus = AuthorizationStatus.ACCEPTED) -> None:
    for value in values:
        await csms.house.store.tokens.put(TokenRecord(IdToken(value), status))


@pytest_twisted.ensureDeferred
async def test_one_policy_for_both_versions(make: Make) -> None:
    csms = await make()
    await allow(csms, "GOOD")
    await allow(csms, "BAD", status=AuthorizationStatus.BLOCKED)
    new, old = await csms.station("CS1"), await csms.station("CS2", "ocpp1.6")
    for tag, in_201, in_16 in (
        ("good", "Accepted", "Accepted"),
        ("BAD", "Blocked", "Blocked"),
        ("WHO", "Unknown", "Invalid"),
    ):
        answer = await new.say("Authorize", {"idToken": {"idToken": tag, "type": "ISO14443"}})
        assert answer["idTokenInfo"]["status"] == in_201
        assert (await old.say("Authorize", {"idTag": tag}))["idTagInfo"]["status"] == in_16


@pytest_twisted.ensureDeferred
async def test_a_session_is_told_once_and_repeats_change_nothing(make: Make) -> None:
    csms = await make()
    await allow(csms, "TAG")
    station = await csms.station("CS1")
    said = [event(0, "Started", wh=1000, tag="TAG"), event(1, "Updated", wh=2000), event(2, "Ended", wh=6000)]
    for payload in [*said, *said]:
        await station.say("TransactionEvent", payload)
    kinds = (TransactionStarted, TransactionUpdated, TransactionEnded)
    assert [len(csms.told(kind)) for kind in kinds] == [1, 1, 1]
    kept = await csms.house.store.transactions.by_wire_id("CS1", "T1")
    assert kept is not None
    assert (kept.completeness, kept.energy_wh, kept.events) == (Completeness.COMPLETE, 5000, 3)


@pytest_twisted.ensureDeferred
async def test_the_end_may_come_first(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    await station.say("TransactionEvent", event(1, "Ended", wh=6000))
    kept = await csms.house.store.transactions.by_wire_id("CS1", "T1")
    assert kept is not None
    assert (kept.completeness, kept.review) == (Completeness.INCOMPLETE, "no start seen")
    await station.say("TransactionEvent", event(0, "Started", wh=1000))
    kept = await csms.house.store.transactions.by_wire_id("CS1", "T1")
    assert kept is not None
    assert (kept.completeness, kept.energy_wh) == (Completeness.COMPLETE, 5000)


@pytest_twisted.ensureDeferred
async def test_an_unknown_token_is_kept_and_answered(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    answer = await station.say("TransactionEvent", event(0, "Started", tag="WHO"))
    assert answer == {"idTokenInfo": {"status": "Unknown"}}
    assert len(csms.told(TransactionStarted)) == 1


@pytest_twisted.ensureDeferred
async def test_a_token_charges_once_at_a_time_but_its_own_transaction_does_not_count(make: Make) -> None:
    csms = await make()
    await allow(csms, "TAG")
    first, second = await csms.station("CS1"), await csms.station("CS2", "ocpp1.6")
    assert (await first.say("TransactionEvent", event(0, "Started", tag="TAG")))["idTokenInfo"]["status"] == "Accepted"
    assert (await first.say("TransactionEvent", event(1, "Updated", tag="TAG")))["idTokenInfo"]["status"] == "Accepted"
    assert (await second.say("Authorize", {"idTag": "TAG"}))["idTagInfo"]["status"] == "Accepted"
    assert (await second.say("StartTransaction", start16()))["idTagInfo"]["status"] == "ConcurrentTx"


@pytest_twisted.ensureDeferred
async def test_a_refused_start_that_never_ended_blocks_nobody(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    await station.say("TransactionEvent", event(0, "Started", tag="TAG"))
    await allow(csms, "TAG")
    answer = await station.say("TransactionEvent", event(0, "Started", tx="T2", tag="TAG"))
    assert answer["idTokenInfo"]["status"] == "Accepted"


@pytest_twisted.ensureDeferred
async def test_a_repeated_start_of_16_has_the_same_id(make: Make) -> None:
    csms = await make()
    await allow(csms, "TAG")
    station = await csms.station("CS1", "ocpp1.6")
    first = await station.say("StartTransaction", start16())
    assert first == await station.say("StartTransaction", start16())
    other = await station.say("StartTransaction", start16(connector=2, tag="OTHER"))
    assert other["transactionId"] != first["transactionId"]


@pytest_twisted.ensureDeferred
async def test_whoever_started_may_stop(make: Make) -> None:
    csms = await make()
    await allow(csms, "TAG")
    station = await csms.station("CS1", "ocpp1.6")
    id = (await station.say("StartTransaction", start16()))["transactionId"]
    await allow(csms, "TAG", status=AuthorizationStatus.BLOCKED)
    assert (await station.say("StopTransaction", stop16(id, idTag="TAG")))["idTagInfo"]["status"] == "Accepted"
    assert (await station.say("StopTransaction", stop16(id))) == {}


@pytest_twisted.ensureDeferred
async def test_no_station_ends_another_ones_transaction(make: Make) -> None:
    csms = await make()
    await allow(csms, "TAG")
    mine, other = await csms.station("CS1", "ocpp1.6"), await csms.station("CS2", "ocpp1.6")
    id = (await mine.say("StartTransaction", start16()))["transactionId"]
    assert await other.say("StopTransaction", stop16(id)) == {}
    kept = await csms.house.store.transactions.by_wire_id("CS1", str(id))
    stray = await csms.house.store.transactions.by_wire_id("CS2", str(id))
    assert kept is not None
    assert stray is not None
    assert (kept.completeness, stray.review) == (Completeness.ONGOING, "no start seen")


@pytest_twisted.ensureDeferred
async def test_readings_outside_a_transaction_are_telemetry(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1", "ocpp1.6")
    reading = {"timestamp": "2026-03-01T12:00:00Z", "sampledValue": [{"value": "7"}]}
    assert await station.say("MeterValues", {"connectorId": 1, "meterValue": [reading]}) == {}
    assert len(csms.told(MeterValuesReceived)) == 1
    assert await csms.house.store.transactions.list() == []


@pytest.mark.parametrize("text", ["NaN", "12 kWh", ""])
@pytest_twisted.ensureDeferred
async def test_a_reading_that_is_no_number_is_kept_and_asks_for_review(make: Make, text: str) -> None:
    csms = await make()
    station = await csms.station("CS1", "ocpp1.6")
    id = (await station.say("StartTransaction", start16()))["transactionId"]
    reading = {"timestamp": "2026-03-01T12:10:00Z", "sampledValue": [{"value": text}]}
    assert await station.say("MeterValues", {"connectorId": 1, "transactionId": id, "meterValue": [reading]}) == {}
    await station.say("StopTransaction", stop16(id))
    kept = await csms.house.store.transactions.by_wire_id("CS1", str(id))
    assert kept is not None
    assert (kept.energy_wh, kept.events) == (5000, 3)
