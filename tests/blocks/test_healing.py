"""The healer: what makes it ask, how long it is patient, what it makes of the answers, and that a restart forgets nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from block_kit import Make
from block_words import event, start16, stop16

from csms.model.transactions import (
    Completeness,
    Transaction,
    TransactionGaveUp,
    TransactionHealed,
    TransactionIncomplete,
)
from csms.testing import FakeStation, TestCsms, make_csms

SITE = """
[stations]
unknown = "accept"
[transactions]
read_points = false
ask_tries = 3
[plugins]
enabled = []
"""


async def transaction(csms: TestCsms, wire_id: str = "T1", station: str = "CS1") -> Transaction:
    found = await csms.house.store.transactions.by_wire_id(station, wire_id)
    assert found is not None
    return found


async def wait(csms: TestCsms, seconds: int, station: FakeStation | None = None) -> None:
    """Let the healer's sweeps of so many seconds happen, up to a question to the station."""
    for _ in range(seconds // 10):
        csms.clock.advance(10)
        await csms.settle(lambda: csms.house.healer.idle and not csms.house.store.busy)
        if station is not None and station.calls:
            return
    await csms.settle(lambda: station is not None and station.calls)


async def asked(csms: TestCsms, station: FakeStation, *, within_s: int = 600) -> dict[str, Any]:
    """The healer's next question, once its time has come."""
    await wait(csms, within_s, station)
    assert station.calls, f"not asked within {within_s} s"
    _, _, action, payload = station.calls[0]
    assert action == "GetTransactionStatus"
    return dict(payload)


async def says(csms: TestCsms, station: FakeStation, *, queued: bool, ongoing: bool | None = None) -> None:
    """The station's answer to the oldest question."""
    station.answer({"messagesInQueue": queued, **({} if ongoing is None else {"ongoingIndicator": ongoing})})
    await csms.settle()


async def with_a_hole(csms: TestCsms, station: FakeStation) -> None:
    """Started 0, Ended 3: 1 and 2 have not come."""
    await station.say("TransactionEvent", event(0, "Started", wh=1000))
    await station.say("TransactionEvent", event(3, "Ended", wh=6000))


async def story(csms: TestCsms, wire_id: str = "T1") -> list[tuple[str, str, int]]:
    rows = await csms.house.store.healing.of((await transaction(csms, wire_id)).id)
    return [(one.cause, one.outcome, one.tries) for one in rows]


@pytest_twisted.ensureDeferred
async def test_a_hole_is_asked_for_and_heals_when_the_events_come(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    await with_a_hole(csms, station)
    assert (await transaction(csms)).completeness is Completeness.INCOMPLETE
    assert await asked(csms, station) == {"transactionId": "T1"}
    (told,) = csms.told(TransactionIncomplete)
    assert told.cause == "the events 1, 2"
    await says(csms, station, queued=True, ongoing=False)
    for late in (2, 1):
        await station.say("TransactionEvent", event(late, "Updated", wh=1000 + late, offline=True))
    await csms.advance(70)
    await csms.advance(10)
    assert (await transaction(csms)).completeness is Completeness.COMPLETE
    assert len(csms.told(TransactionHealed)) == 1
    assert await story(csms) == [("hole", "healed", 1)]


@pytest_twisted.ensureDeferred
async def test_what_comes_within_the_first_patience_is_not_asked_for(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    await with_a_hole(csms, station)
    await csms.advance(10)
    for late in (1, 2):
        await station.say("TransactionEvent", event(late, "Updated"))
    await csms.advance(60)
    assert (station.calls, csms.told(TransactionIncomplete), csms.told(TransactionHealed)) == ([], [], [])
    assert await story(csms) == [("hole", "healed", 0)]


@pytest_twisted.ensureDeferred
async def test_two_answers_that_nothing_waits_are_the_end_of_patience(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    await with_a_hole(csms, station)
    for _ in range(2):
        assert not csms.told(TransactionGaveUp)
        await asked(csms, station)
        await says(csms, station, queued=False, ongoing=False)
    (gave_up,) = csms.told(TransactionGaveUp)
    assert gave_up.why == "the station says that it is over, and has no more messages of it"
    given_up = await transaction(csms)
    assert (given_up.completeness, given_up.missing) == (Completeness.GAVE_UP, (1, 2))
    await csms.advance(7200)
    assert station.calls == []
    judged = await csms.house.evidence.judged(given_up)
    assert judged.quarantine == (f"not complete, and it will not be: {given_up.gave_up}",)


@pytest_twisted.ensureDeferred
async def test_what_comes_after_giving_up_counts_all_the_same(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    await with_a_hole(csms, station)
    for _ in range(2):
        await asked(csms, station)
        await says(csms, station, queued=False)
    await station.say("TransactionEvent", event(1, "Updated"))
    half = await transaction(csms)
    assert (half.completeness, half.missing, half.gave_up) == (Completeness.INCOMPLETE, (2,), "")
    await station.say("TransactionEvent", event(2, "Updated"))
    assert (await transaction(csms)).completeness is Completeness.COMPLETE


@pytest_twisted.ensureDeferred
async def test_messages_that_wait_and_never_come_are_asked_for_a_few_times(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    await with_a_hole(csms, station)
    times = []
    for _ in range(3):
        await asked(csms, station)
        (healing,) = await csms.house.store.healing.of((await transaction(csms)).id)
        times.append(healing.asked_at.timestamp())
        await says(csms, station, queued=True)
    assert times[2] - times[1] > times[1] - times[0] >= 60
    (gave_up,) = csms.told(TransactionGaveUp)
    assert gave_up.why == "asked 3 times: messages of it wait at the station, and they do not come"


@pytest_twisted.ensureDeferred
async def test_a_station_that_cannot_be_asked_is_not_asked_again(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    await with_a_hole(csms, station)
    await asked(csms, station)
    station.refuse("NotImplemented", "never heard of it")
    await csms.settle()
    assert (await transaction(csms)).gave_up == "the station cannot be asked for it"


@pytest_twisted.ensureDeferred
async def test_a_station_that_is_away_has_its_turn_when_it_is_back(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    await with_a_hole(csms, station)
    await csms.advance(10)
    await station.close()
    await csms.advance(600)
    again = await csms.station("CS1")
    assert again.calls == []
    await asked(csms, again, within_s=60)


@pytest_twisted.ensureDeferred
async def test_a_restart_goes_on_where_it_was(tmp_path: Path, installed_plugins: None) -> None:
    first = await make_csms(tmp_path, site=SITE)
    station = await first.station("CS1")
    await with_a_hole(first, station)
    await asked(first, station)
    await says(first, station, queued=False)
    await first.close()
    second = await make_csms(tmp_path, site=SITE, clock=first.clock)
    again = await second.station("CS1", booted=False)
    await asked(second, again)
    await says(second, again, queued=False)
    assert len(second.told(TransactionGaveUp)) == 1
    assert await story(second) == [("hole", "gave_up", 2)]
    await second.close()


@pytest_twisted.ensureDeferred
async def test_silence_is_asked_about_and_a_transaction_that_goes_on_is_left_alone(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    await station.say("TransactionEvent", event(0, "Started", wh=1000))
    await csms.advance(15 * 60)
    assert await asked(csms, station) == {"transactionId": "T1"}
    await says(csms, station, queued=False, ongoing=True)
    assert await story(csms) == [("silence", "ongoing", 1)]
    await csms.advance(600)
    assert station.calls == []
    assert (await transaction(csms)).completeness is Completeness.ONGOING
    assert csms.told(TransactionIncomplete) == csms.told(TransactionGaveUp) == []


@pytest_twisted.ensureDeferred
async def test_a_silent_transaction_that_the_station_says_is_over_blocks_nobody(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    await station.say("TransactionEvent", event(0, "Started", wh=1000))
    await csms.advance(15 * 60)
    for _ in range(2):
        await asked(csms, station)
        await says(csms, station, queued=False, ongoing=False)
    over = await transaction(csms)
    assert over.completeness is Completeness.GAVE_UP
    assert await csms.house.store.transactions.active(station="CS1") == []
    await station.say("TransactionEvent", event(1, "Updated", wh=2000))
    assert (await transaction(csms)).completeness is Completeness.ONGOING
    assert len(await csms.house.store.transactions.active(station="CS1")) == 1


@pytest_twisted.ensureDeferred
async def test_a_silence_that_was_given_up_is_over_with_the_next_event(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    await station.say("TransactionEvent", event(0, "Started", wh=1000))
    await csms.advance(15 * 60)
    for _ in range(3):
        await asked(csms, station)
        await says(csms, station, queued=True)
    assert (await transaction(csms)).gave_up.startswith("asked 3 times")
    await station.say("TransactionEvent", event(1, "Ended", wh=2000))
    ended = await transaction(csms)
    assert (ended.completeness, ended.gave_up) == (Completeness.COMPLETE, "")


@pytest_twisted.ensureDeferred
async def test_a_station_that_is_back_and_tells_nothing_of_its_transaction_is_asked(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    await station.say("TransactionEvent", event(0, "Started", wh=1000))
    await station.close()
    await csms.advance(60)
    again = await csms.station("CS1")
    assert await asked(csms, again, within_s=60) == {"transactionId": "T1"}


@pytest_twisted.ensureDeferred
async def test_a_hole_in_a_transaction_that_goes_on_is_given_up_without_ending_it(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1")
    await station.say("TransactionEvent", event(0, "Started", wh=1000))
    await station.say("TransactionEvent", event(2, "Updated", wh=2000))
    for _ in range(2):
        await asked(csms, station)
        await says(csms, station, queued=False, ongoing=True)
    running = await transaction(csms)
    assert (running.completeness, bool(running.gave_up)) == (Completeness.ONGOING, True)
    await station.say("TransactionEvent", event(3, "Updated", wh=3000))
    await csms.advance(300)
    assert station.calls == [], "the same hole is not asked for again"
    await station.say("TransactionEvent", event(4, "Ended", wh=4000))
    assert (await transaction(csms)).completeness is Completeness.GAVE_UP


@pytest_twisted.ensureDeferred
async def test_16_is_not_asked_and_waits_for_the_start_as_long(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1", "ocpp1.6")
    await station.say("StopTransaction", stop16(77))
    await wait(csms, 600)
    assert station.calls == []
    lonely = await transaction(csms, "77")
    assert lonely.gave_up == "it did not come in time, and ocpp1.6 has no message to ask for it"


@pytest.mark.parametrize(("status", "over"), [("Available", True), ("Charging", False), ("SuspendedEV", False)])
@pytest_twisted.ensureDeferred
async def test_a_silent_transaction_of_16_is_over_when_its_connector_is_free(
    make: Make, status: str, over: bool
) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1", "ocpp1.6")
    id = (await station.say("StartTransaction", start16()))["transactionId"]
    await station.say(
        "StatusNotification",
        {"connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": "2026-03-01T12:05:00Z"},
    )
    await csms.advance(15 * 60)
    await wait(csms, 300)
    kept = await transaction(csms, str(id))
    assert (kept.completeness is Completeness.GAVE_UP) is over
    assert kept.gave_up == ("the connector is free, and no end came" if over else "")


@pytest_twisted.ensureDeferred
async def test_a_stop_under_an_unknown_id_finds_a_start_that_was_given_up(make: Make) -> None:
    csms = await make(SITE)
    station = await csms.station("CS1", "ocpp1.6")
    id = (await station.say("StartTransaction", start16()))["transactionId"]
    free = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": "2026-03-01T12:05:00Z"}
    await station.say("StatusNotification", free)
    await csms.advance(15 * 60)
    await wait(csms, 300)
    assert (await transaction(csms, str(id))).completeness is Completeness.GAVE_UP
    await station.say("StopTransaction", stop16(-1, idTag="TAG"))
    whole = await transaction(csms, str(id))
    assert (whole.completeness, whole.gave_up, whole.meter_stop_wh) == (Completeness.COMPLETE, "", 6000)
