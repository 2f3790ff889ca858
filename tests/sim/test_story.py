"""The story that a newcomer sees, in both versions: what is sent, what is said, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError

from csms.sim.command import SimOptions
from csms.sim.uplink import CannotConnect


def test_whole_story_201(new: Any) -> None:
    done = new.story(energy_wh=5000)
    new.csms.run(20)
    (result,) = done
    events = new.csms.events()
    assert [one["eventType"] for one in events] == ["Started", *["Updated"] * 6, "Ended"]
    assert [one["seqNo"] for one in events] == list(range(8))
    assert [one["triggerReason"] for one in events] == [
        "CablePluggedIn",
        "ChargingStateChanged",
        *["MeterValuePeriodic"] * 5,
        "StopAuthorized",
    ]
    assert {one["transactionInfo"]["transactionId"] for one in events} == {result.transaction_id}
    assert events[-1]["transactionInfo"]["stoppedReason"] == "Local"
    assert not any("offline" in one for one in events)
    readings = [one["meterValue"][0]["sampledValue"][0] for one in events if "meterValue" in one]
    assert [one["context"] for one in readings] == ["Transaction.Begin", *["Sample.Periodic"] * 5, "Transaction.End"]
    registers = [one["value"] for one in readings]
    assert registers == sorted(registers)
    assert registers[-1] - registers[0] == 5000 == result.energy_wh
    assert result.accepted
    assert result.trouble == ""
    assert new.csms.statuses() == ["Available", "Occupied", "Available"]
    assert new.csms.calls[0][0] == "BootNotification"
    assert new.csms.calls[0][1]["reason"] == "PowerUp"
    assert new.csms.line.open is False


def test_whole_story_16(old: Any) -> None:
    done = old.story(energy_wh=5000)
    old.csms.run(20)
    (result,) = done
    (start,) = old.csms.sent("StartTransaction")
    (stop,) = old.csms.sent("StopTransaction")
    assert stop["meterStop"] - start["meterStart"] == 5000 == result.energy_wh
    assert stop["transactionId"] == 42
    assert stop["reason"] == "Local"
    assert stop["idTag"] == start["idTag"] == "DEMO"
    assert [one["transactionId"] for one in old.csms.sent("MeterValues")] == [42] * 5
    assert result.transaction_id == "42"
    assert old.csms.statuses() == ["Available", "Preparing", "Charging", "Finishing", "Available"]


def test_words_of_the_story(world: Any) -> None:
    world.story()
    world.csms.run(20)
    for words in (
        "SIM1 booted: Accepted, heartbeat every 300 s",
        "SIM1 tag DEMO accepted",
        "SIM1 cable plugged in",
        "SIM1 charging: 1.000 kWh",
        "ended: 5.000 kWh (Local)",
        "SIM1 cable out",
    ):
        assert world.csms.heard(words), words


def test_power_shown_is_believable_when_time_is_sped_up(new: Any) -> None:
    new.story(energy_wh=5000, speed=60)
    new.csms.run(20)
    powers = [one["meterValue"][0]["sampledValue"][1]["value"] for one in new.csms.events() if "meterValue" in one]
    assert powers == [0, 30000, 30000, 30000, 30000, 0, 0]


def test_minutes_set_the_length_of_the_charge(new: Any) -> None:
    done = new.story(energy_wh=700, minutes=0.1, sample_interval_s=4.0)
    new.csms.run(20)
    assert done[0].energy_wh == 700
    samples = [one for one in new.csms.events() if one["triggerReason"] == "MeterValuePeriodic"]
    assert len(samples) == 2


@pytest.mark.parametrize("status", ["Invalid", "Blocked", "Expired"])
def test_refused_tag_says_how_to_add_it(world: Any, status: str) -> None:
    world.csms.answers["Authorize"] = {world.csms._info: {"status": status}}
    done = world.story()
    world.csms.run(10)
    assert done[0].accepted is False
    assert status in done[0].trouble
    assert world.csms.heard("csms tag add DEMO")
    assert not world.csms.sent("TransactionEvent")
    assert not world.csms.sent("StartTransaction")


def test_tag_refused_at_the_start_ends_the_charge(world: Any) -> None:
    refusal = {world.csms._info: {"status": "ConcurrentTx"}}
    world.csms.answers["TransactionEvent"] = lambda got: refusal if got["eventType"] == "Started" else {}
    world.csms.answers["StartTransaction"] = {"transactionId": 7, **refusal}
    done = world.story()
    world.csms.run(10)
    assert done[0].accepted is False
    assert world.csms.heard("csms tag add DEMO")
    last = (
        world.csms.events()[-1]["transactionInfo"]
        if world.protocol == "ocpp2.0.1"
        else world.csms.sent("StopTransaction")[-1]
    )
    assert "DeAuthorized" in (last.get("stoppedReason"), last.get("reason"))


def test_pending_waits_for_approval_and_boots_again_when_asked(world: Any) -> None:
    accepted = world.csms.answers["BootNotification"]
    world.csms.answers["BootNotification"] = {**accepted, "status": "Pending", "interval": 60}
    done = world.story()
    world.csms.run(30)
    assert [action for action, _ in world.csms.calls] == ["BootNotification"]
    assert world.csms.heard("waiting for approval; run: csms station approve SIM1")
    world.csms.answers["BootNotification"] = accepted
    assert world.csms.ask("TriggerMessage", {"requestedMessage": "BootNotification"}) == {"status": "Accepted"}
    world.csms.run(20)
    boots = world.csms.sent("BootNotification")
    assert len(boots) == 2
    assert boots[-1].get("reason", "Triggered") == "Triggered"
    assert done[0].energy_wh == 5000


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_boot_is_repeated_after_the_interval(world: Any, status: str) -> None:
    answers = world.csms.answers
    answers["BootNotification"] = {**answers["BootNotification"], "status": status, "interval": 20}
    world.story()
    world.csms.run(65)
    assert [action for action, _ in world.csms.calls] == ["BootNotification"] * 4


def test_unreachable_server_is_told_with_the_cure_and_ends(world: Any) -> None:
    world.csms.refusals = [CannotConnect("nobody listens", "start it with: csms run") for _ in range(9)]
    done = world.story()
    world.csms.run(60)
    assert done[0].trouble == "cannot connect: nobody listens"
    assert world.csms.heard("start it with: csms run")
    assert len(world.csms.dials) == 5
    assert sum("trying again" in line for line in world.csms.lines) == 4


def test_terminal_escapes_of_a_csms_are_not_printed(world: Any) -> None:
    world.csms.answers["Authorize"] = {world.csms._info: {"status": "\x1b[2J"}}
    world.story()
    world.csms.run(10)
    assert world.csms.lines
    assert not world.csms.heard("\x1b")


def test_refusal_that_no_patience_cures_ends_at_once(world: Any) -> None:
    world.csms.refusals = [CannotConnect("wrong password", "give --password", final=True)]
    done = world.story()
    world.csms.run(1)
    assert done[0].trouble == "cannot connect: wrong password"
    assert world.csms.clock.getDelayedCalls() == []


def test_remote_story_waits_for_the_start_command(world: Any) -> None:
    done = world.story(start="remote")
    world.csms.run(5)
    assert world.csms.heard("waiting for a start command")
    if world.protocol == "ocpp1.6":
        answer = world.csms.ask("RemoteStartTransaction", {"idTag": "APP"})
    else:
        token = {"idToken": "APP", "type": "Central"}
        answer = world.csms.ask("RequestStartTransaction", {"idToken": token, "remoteStartId": 9})
    assert answer == {"status": "Accepted"}
    world.csms.run(20)
    assert done[0].energy_wh == 5000
    assert not world.csms.sent("Authorize")


def test_forever_stays_and_beats(world: Any) -> None:
    answers = world.csms.answers
    answers["BootNotification"] = {**answers["BootNotification"], "interval": 30}
    done = world.story(forever=True)
    world.csms.run(100)
    assert not done
    assert len(world.csms.sent("Heartbeat")) == 3


def test_nothing_is_left_running_after_the_story(world: Any) -> None:
    world.story()
    world.csms.run(30)
    assert world.csms.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"protocol": "ocpp2.1"}, "protocol is one of"),
        ({"url": "http://x"}, "ws://"),
        ({"station": "a:b"}, "colon"),
        ({"station": "x" * 49}, "48"),
        ({"protocol": "ocpp1.6", "tag": "x" * 21}, "20"),
        ({"energy_wh": 0}, "1 Wh"),
        ({"minutes": 0}, "minutes"),
        ({"evses": 0}, "EVSE"),
    ],
)
def test_options_that_describe_no_charge_are_refused_in_words(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        SimOptions(**wrong)


def test_the_meter_of_the_next_run_goes_on_where_it_stopped(new: Any, tmp_path: Path) -> None:
    for _ in range(3):
        new.story(energy_wh=5000, folder=tmp_path)
        new.csms.run(20)
    registers = [one["meterValue"][0]["sampledValue"][0]["value"] for one in new.csms.events() if "meterValue" in one]
    assert registers == sorted(registers)
    assert registers[-1] - registers[0] == 15_000


def test_the_meter_goes_on_upwards_after_a_charge_that_nobody_ended(new: Any, tmp_path: Path) -> None:
    new.story(energy_wh=5000, folder=tmp_path)
    new.csms.run(6)
    new.stories[0].addErrback(lambda failure: failure.trap(CancelledError))
    new.stories[0].cancel()
    new.csms.run(10)
    told = len(new.csms.events())
    new.story(energy_wh=5000, folder=tmp_path)
    new.csms.run(20)
    registers = [one["meterValue"][0]["sampledValue"][0]["value"] for one in new.csms.events() if "meterValue" in one]
    assert [one["eventType"] for one in new.csms.events()][told] == "Started"
    assert registers == sorted(registers)


@pytest.mark.parametrize("spoilt", ["", "{", "[1]", '{"1": "much"}', '{"1": -5}', "\udcff"])
def test_a_spoilt_file_of_meters_begins_anew(new: Any, tmp_path: Path, spoilt: str) -> None:
    (tmp_path / "sim-SIM1.meters").write_bytes(spoilt.encode("utf-8", "surrogateescape"))
    done = new.story(energy_wh=5000, folder=tmp_path)
    new.csms.run(20)
    assert done[0].energy_wh == 5000
    assert json.loads((tmp_path / "sim-SIM1.meters").read_text()) == {
        "1": new.csms.events()[-1]["meterValue"][0]["sampledValue"][0]["value"]
    }
