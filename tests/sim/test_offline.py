"""Lost lines, silent and refusing CSMSs: what a simulated station keeps, repeats and gives up."""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

from twisted.internet.defer import fail
from twisted.internet.task import Clock

from csms.sim.uplink import CannotConnect, Uplink


def test_events_without_a_line_come_later_and_say_so(new: Any) -> None:
    new.csms.refusals = []
    done = new.story()
    new.csms.run(3)
    new.csms.refusals = [CannotConnect("gone", "wait") for _ in range(3)]
    before = len(new.csms.events())
    new.csms.cut()
    new.csms.run(40)
    events = new.csms.events()
    assert [one["seqNo"] for one in events] == list(range(8))
    assert [one.get("offline", False) for one in events] == [False] * before + [True] * (8 - before)
    assert [one["timestamp"] for one in events] == sorted(one["timestamp"] for one in events)
    assert len(new.csms.sent("BootNotification")) == 1
    assert done[0].energy_wh == 5000
    assert new.csms.heard("charge ended; its messages wait for the connection")


def test_event_in_flight_when_the_line_is_lost_is_sent_again_with_its_number(new: Any) -> None:
    new.csms.answers["TransactionEvent"] = lambda got: None if got["seqNo"] == 2 else {}
    new.story()
    new.csms.run(3)
    assert new.csms.events()[-1]["seqNo"] == 2
    new.csms.answers["TransactionEvent"] = {}
    new.csms.cut()
    new.csms.run(20)
    numbers = [one["seqNo"] for one in new.csms.events()]
    assert numbers == [0, 1, 2, *range(2, 8)]
    again = new.csms.events()[3]
    assert again == {**new.csms.events()[2], "offline": True}


def test_stop_keeps_the_number_that_came_late_16(old: Any) -> None:
    old.csms.answers["StartTransaction"] = None
    done = old.story()
    old.csms.run(15)
    assert not old.csms.sent("StopTransaction")
    old.csms.answers["StartTransaction"] = {"transactionId": 77, "idTagInfo": {"status": "Accepted"}}
    old.csms.cut()
    old.csms.run(20)
    assert len(old.csms.sent("StartTransaction")) == 2
    assert {one["transactionId"] for one in old.csms.sent("MeterValues")} == {77}
    assert old.csms.sent("StopTransaction")[0]["transactionId"] == 77
    assert done[0].transaction_id == "77"


def test_silence_is_repeated_after_a_while(new: Any) -> None:
    new.csms.answers["TransactionEvent"] = None
    new.story()
    new.csms.run(100)
    events = new.csms.events()
    assert len(events) >= 2
    assert all(one == events[0] for one in events)


def test_event_refused_too_often_is_given_up_and_the_next_one_goes(new: Any) -> None:
    new.csms.answers["TransactionEvent"] = lambda got: ("InternalError", "no") if got["eventType"] == "Started" else {}
    done = new.story()
    new.csms.run(90)
    numbers = [one["seqNo"] for one in new.csms.events()]
    assert numbers == [0, 0, 0, *range(1, 8)]
    assert new.csms.heard("the CSMS refused a transaction message")
    assert done[0].energy_wh == 5000


def test_boot_without_an_answer_is_repeated(world: Any) -> None:
    world.csms.answers["BootNotification"] = None
    world.story()
    world.csms.run(130)
    assert [action for action, _ in world.csms.calls] == ["BootNotification"] * 3
    assert world.csms.heard("boot failed")


def test_station_the_csms_no_longer_knows_boots_again(world: Any) -> None:
    world.station()
    world.csms.answers["Heartbeat"] = ("SecurityError", "boot first")
    world.csms.run(301)
    assert len(world.csms.sent("BootNotification")) == 2


def test_report_asked_for_while_pending_is_sent(new: Any) -> None:
    answers = new.csms.answers
    answers["BootNotification"] = {**answers["BootNotification"], "status": "Pending"}
    new.station()
    assert new.csms.ask("GetBaseReport", {"requestId": 1, "reportBase": "SummaryInventory"})["status"] == "Accepted"
    token = {"idToken": "APP", "type": "Central"}
    assert new.csms.ask("RequestStartTransaction", {"idToken": token, "remoteStartId": 1})["status"] == "Rejected"
    new.csms.run(1)
    assert [action for action, _ in new.csms.calls] == ["BootNotification", "NotifyReport"]


def test_garbage_from_the_csms_does_no_harm(world: Any) -> None:
    station = world.station()
    for frame in (b"{", b"[]", b'[3,"nobody",{}]', b'[2,"1"]', b"\xff", b'[9,"1",{}]'):
        world.csms.line.ear.heard(frame)
    assert station.ready
    assert world.csms.ask("ClearCache") == {"status": "Accepted"}


def test_answers_that_make_no_sense_do_no_harm(world: Any) -> None:
    world.csms.answers["BootNotification"] = {"status": 7, "interval": "often"}
    station = world.station()
    assert not station.ready
    world.csms.answers["BootNotification"] = {
        "status": "Accepted",
        "interval": 0,
        "currentTime": "2026-03-01T12:00:00Z",
    }
    world.csms.run(40)
    assert station.ready


def test_pauses_grow_and_are_never_alike() -> None:
    clock, dials = Clock(), []

    def dial(ear: Any) -> Any:
        dials.append(clock.seconds())
        return fail(CannotConnect("no", "no cure"))

    class Owner:
        def cannot_connect(self, trouble: CannotConnect, pause_s: float) -> None:
            pass

    uplink = Uplink(dial, owner=Owner(), clock=clock, random=Random(3))  # type: ignore[arg-type]
    uplink.start()
    for _ in range(3000):
        clock.advance(0.1)
    pauses = [later - sooner for sooner, later in itertools.pairwise(dials)]
    for number, pause in enumerate(pauses):
        longest = min(60.0, 2.0**number)
        assert longest / 2 - 0.2 <= pause <= longest + 0.2
    assert len({round(pause % 1, 1) for pause in pauses}) > 1
    uplink.stop()
    assert clock.getDelayedCalls() == []
