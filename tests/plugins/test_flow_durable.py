"""What outlives a restart and a kill: waits, tries, limits, ``for``, times, flags; each effect once, or uncertain and told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from csms_plugins.flow.news import RuleFailed, RuleRaised
from fake_csms import NOON, OLD_STATION, STATION, FakeCsms, result
from flow_kit import FAULTED, House, offering, rule
from twisted.internet import defer

from csms.api import (
    Action,
    Admission,
    CommandState,
    ConnectorRecord,
    ConnectorStatus,
    Reset,
    StationBooted,
    StationConnected,
    StationRecord,
)
from csms.model.provisioning import BootNotification, BootStatus

FINE = replace(FAULTED, status=ConnectorStatus.AVAILABLE, previous=ConnectorStatus.FAULTED)
BOOTED = StationBooted(STATION, NOON, BootNotification("PowerUp", "ACME", "One"), BootStatus.ACCEPTED)


def begun(folder: Path, text: str, fake: FakeCsms | None = None) -> House:
    house = House(folder, text, fake)
    house.start()
    return house


# Waits and tries


@pytest.mark.parametrize("stopped", [True, False])
def test_a_wait_goes_on_after_a_restart_and_an_overdue_one_at_once(tmp_path: Path, stopped: bool) -> None:
    house = begun(tmp_path, rule(do='wait = "10m"\n[[rule.do]]\nlog = "{status.evse} {run.rule}"'))
    house.news(FAULTED, 60)
    again = house.again(stopped=stopped, away_s=60)
    again.fake.settle(479)
    assert again.fake.said("info") == []
    again.fake.settle(1)
    assert again.fake.said("info") == ["rule a: 1 a"]
    assert not [key for key in again.fake.notes if key.startswith("run/")]
    again.news(FAULTED)
    late = again.again(away_s=3600)
    assert late.fake.said("info") == ["rule a: 1 a"]
    assert "the server was started again" in late.rule("a")["traces"][-1]["steps"]


@pytest.mark.parametrize("step", ['raise = "a.b"', 'log = "done"'])
def test_what_comes_while_the_server_stops_begins_nothing_and_is_no_fault(tmp_path: Path, step: str) -> None:
    house = begun(tmp_path, rule(do=step))

    async def closed(texts: Mapping[str, str | None]) -> None:
        raise OSError("the database is closed")

    house.news(FAULTED)
    said = len(house.fake.logged)
    result(house.plugin.stop())
    house.fake.on_keep = closed
    house.news(replace(FAULTED, evse=2), 5)
    assert house.fake.logged[said:] == []


def test_tries_and_pauses_are_counted_over_a_restart(tmp_path: Path) -> None:
    retry = 'retry = { tries = 3, every = "60s", jitter = 0, backoff = 2 }'
    house = begun(tmp_path, rule(do=f'reset = "choose"\n{retry}'))
    house.fake.states = [CommandState.TIMED_OUT] * 3
    house.news(FAULTED, 30)
    again = house.again(away_s=10)
    again.fake.states = [CommandState.TIMED_OUT] * 2
    again.fake.settle(19)
    assert len(again.sent) == 1
    again.fake.settle(1)
    again.fake.settle(119)
    assert len(again.sent) == 2
    again.fake.settle(2)
    assert len(again.sent) == 3
    assert again.last("a") == ("failed", "reset: timed_out: no reason given")
    assert len({origin for _, _, origin in again.fake.sent}) == 3


def test_a_run_waits_for_an_event_of_its_station(tmp_path: Path) -> None:
    text = rule(
        do='wait = { event = "station.booted", where = { reason = "PowerUp" }, max = "5m" }\n[[rule.do]]\nlog = "up"'
    )
    house = begun(tmp_path, text)
    house.news(FAULTED, 60)
    again = house.again()
    again.news(replace(BOOTED, station=replace(STATION, id="CS9")))
    again.news(replace(BOOTED, boot=replace(BOOTED.boot, reason="Watchdog")))
    assert again.fake.said("info") == []
    again.news(BOOTED)
    assert again.fake.said("info") == ["rule a: up"]
    again.news(FAULTED, 301)
    assert again.last("a") == ("failed", "wait: no station.booted that fits within 300 s")


def test_until_a_step_is_done_when_its_effect_is_seen(tmp_path: Path) -> None:
    until = (
        'until = { event = "status", where = { status = "Available" }, fail = { status = "Unavailable" }, max = "1m" }'
    )
    text = rule(
        do=f'reset = "choose"\n{until}\nretry = {{ tries = 2, every = "1s", on = ["silent"] }}\nelse = [{{ log = "gave up" }}]'
    )
    text = text.replace('on = "status"', 'on = "status"\nwhere = { status = "Faulted" }')
    house = begun(tmp_path, text)
    house.news(FAULTED)
    assert house.rule("a")["runs"][0]["doing"] == "reset until"
    house.news(FINE)
    assert ("ran", "") in house.traces("a")
    house.news(FAULTED)
    again = house.again()
    again.fake.settle(60)
    again.fake.settle(2)
    assert len(again.sent) == 3
    again.news(replace(FINE, status=ConnectorStatus.UNAVAILABLE))
    assert ("failed", "reset: status says that it failed") in again.traces("a")
    assert again.fake.said("info") == ["rule a: gave up"]


def test_a_step_may_wait_until_its_station_is_back(tmp_path: Path) -> None:
    house = begun(tmp_path, rule(do='reset = "choose"\noffline = "wait 1h"'))
    house.fake.online = []
    house.news(FAULTED, 60)
    assert house.sent == []
    again = house.again()
    again.fake.online = [STATION]
    again.news(StationConnected(STATION, NOON, "x"))
    assert again.sent == [("CS1", Reset(None), "rule a")]


# Killed


def killed_at(folder: Path, text: str, write: int, fake: FakeCsms | None = None) -> House:
    """A house whose process is killed right after its n-th write to the database: nothing later happens in it."""
    house = begun(folder, text, fake)
    writes, keep_all = 0, house.fake._keep_all

    async def counted(texts: Mapping[str, str | None]) -> None:
        nonlocal writes
        await keep_all(texts)
        writes += 1
        house.fake.dead = writes >= write

    house.fake.on_keep = counted
    house.news(FAULTED)
    while not house.fake.dead and house.fake.clock.seconds() < 200:
        house.fake.settle(1)
    return house


STORY = """
[[rule]]
name = "a"
on = "status"
[[rule.do]]
reset = "choose"
retry = { tries = 3, every = "5s", on = ["timeout"] }
[[rule.do]]
notify = "log"
text = "reset {station.id}"
[[rule.do]]
wait = "20s"
[[rule.do]]
set = { watched = true }
[[rule.do]]
raise = "depot.reset"
[[rule.do]]
availability = "Operative"
[[rule]]
name = "b"
on = "depot.reset"
[[rule.do]]
notify = "log"
text = "b heard"
"""


@pytest.mark.parametrize("write", range(1, 14))
def test_killed_at_any_write_each_effect_happens_once(tmp_path: Path, write: int) -> None:
    again = killed_at(tmp_path, STORY, write).again(stopped=False)
    for _ in range(100):
        again.fake.settle(1)
    assert [type(command).__name__ for _, command, _ in again.fake.sent] == ["Reset", "ChangeAvailability"]
    told = {(one["key"], one["text"]) for one in again.fake.notified}
    assert sorted(text for _, text in told) == ["b heard", "reset CS1"], "a notification is told apart by its effect"
    assert json.loads(again.fake.notes["flag/CS1"]) == {"watched": True}
    assert not [key for key in again.fake.notes if key.startswith("run/")]


def hanging(arguments: Mapping[str, Any]) -> Any:
    return defer.Deferred()


@pytest.mark.parametrize(("idempotent", "calls"), [(True, 1), (False, 0)])
def test_an_action_that_was_cut_off_is_done_again_or_uncertain(tmp_path: Path, idempotent: bool, calls: int) -> None:
    fake = offering(tmp_path, {"web.post": Action("web.post", hanging, idempotent)})
    house = begun(tmp_path, rule(do='call = "web.post"'), fake)
    house.news(FAULTED)
    house.fake.dead = True
    called: list[Any] = []
    fake.actions = {"web.post": Action("web.post", lambda arguments, effect: called.append(effect), idempotent)}
    again = house.again(stopped=False)
    assert len(called) == calls
    if not idempotent:
        assert again.last("a")[0] == "failed"
        assert "uncertain" in [one.kind for one in again.fake.told if isinstance(one, RuleFailed)]
        assert "the server stopped while this was being done" in again.fake.said("error")[0]


def test_a_command_whose_end_nobody_knows_is_uncertain_and_not_sent_again(tmp_path: Path) -> None:
    house = begun(tmp_path, rule(do='reset = "choose"'))
    house.fake.states = [CommandState.UNCERTAIN]
    house.news(FAULTED)
    assert house.last("a")[0] == "failed"
    assert len(house.sent) == 1
    assert "uncertain" in house.fake.said("error")[0]


def test_a_rule_that_was_changed_finishes_what_it_began(tmp_path: Path) -> None:
    house = begun(tmp_path, rule(do='wait = "10m"\n[[rule.do]]\nlog = "old"'))
    house.news(FAULTED, 60)
    again = house.again(rule(do='log = "new"'))
    again.fake.settle(600)
    assert again.fake.said("info") == ["rule a: old"]
    again.news(FAULTED)
    assert again.fake.said("info")[-1] == "rule a: new"


# What must last


def test_for_begins_with_the_first_event_and_ends_with_a_contrary_one(tmp_path: Path) -> None:
    house = begun(tmp_path, rule(more='where = { status = "Faulted" }\nfor = "2m"\nkey = "station.id"'))
    house.news(FAULTED, 60)
    house.news(FAULTED, 30)
    house.news(replace(FINE, connector=9), 29)
    assert [outcome for outcome, _ in house.traces("a")] == ["pending", "pending", "skipped"]
    house.news(FINE)
    assert house.last("a") == ("skipped", "for: ended by where status: it is Available")
    house.fake.settle(600)
    assert house.fake.said("info") == []
    house.news(FAULTED, 120)
    assert house.fake.said("info") == ["rule a: CS1 Faulted"]


@pytest.mark.parametrize(("status", "ran"), [(ConnectorStatus.FAULTED, True), (ConnectorStatus.AVAILABLE, False)])
def test_for_keeps_its_beginning_over_a_restart(tmp_path: Path, status: ConnectorStatus, ran: bool) -> None:
    house = begun(tmp_path, rule(more='where = { status = "Faulted" }\nfor = "10m"'))
    house.news(FAULTED, 300)
    house.fake.online = []
    again = house.again(away_s=400)
    assert again.rule("a")["pending"][0]["away"]
    again.fake.settle(3600)
    assert again.fake.said("info") == []
    again.fake.online = [STATION]
    again.fake.read.places = [ConnectorRecord("CS1", 1, 2, status, NOON)]
    again.news(StationConnected(STATION, NOON, "x"), 61)
    assert bool(again.fake.said("info")) is ran
    assert again.rule("a")["pending"] == []


# Limits, gates, being tripped


def test_limits_and_cooldowns_outlive_a_restart_and_a_changed_text(tmp_path: Path) -> None:
    text = rule(more='limit = { runs = 2, per = "24h" }\ncooldown = "1m"')
    house = begun(tmp_path, text)
    house.news(FAULTED, 61)
    again = house.again(text.replace('log = "', 'log = "now '))
    again.news(FAULTED)
    again.news(FAULTED)
    assert again.last("a") == ("skipped", "cooldown: 1m left")
    again.fake.settle(86400 - 62)
    again.news(FAULTED)
    assert again.last("a") == ("skipped", "limit: 2 runs in 1d")
    again.news(FAULTED, 2)
    again.news(FAULTED)
    assert again.last("a")[0] == "ran"


def test_at_its_limit_a_rule_calls_another_one_once(tmp_path: Path) -> None:
    text = rule(more='limit = { runs = 1, per = "1h", then = "people" }')
    text += rule("people", "call", do='log = "{station.id} {status.evse} again"')
    house = begun(tmp_path, text)
    for _ in range(4):
        house.news(FAULTED)
    assert house.fake.said("info") == ["rule a: CS1 Faulted", "rule people: CS1 1 again"]
    house.fake.settle(3600)
    house.news(FAULTED)
    house.news(FAULTED)
    assert house.fake.said("info")[-1] == "rule people: CS1 1 again"
    assert len(house.fake.said("info")) == 4


def test_a_gate_holds_for_all_keys_and_closes_after_failures(tmp_path: Path) -> None:
    text = rule(
        more="gate = { at_once = 2, stop_after_failures = 2, per = '1d' }",
        do='wait = "1m"\n[[rule.do]]\nreset = "choose"',
    )
    house = begun(tmp_path, text)
    house.fake.states = [CommandState.REJECTED] * 2
    for evse in (1, 2, 3):
        house.news(replace(FAULTED, evse=evse))
    assert house.last("a") == ("skipped", "gate: 2 run at once")
    house.fake.settle(60)
    again = house.again()
    again.news(replace(FAULTED, evse=3))
    assert again.last("a") == ("skipped", "gate: 2 failures in 1d")
    again.plugin.engine.holds.reset("a")
    again.news(replace(FAULTED, evse=3))
    assert again.rule("a")["running"] == 1


def test_a_rule_that_fails_ten_times_is_tripped_told_once_and_reset_by_hand(tmp_path: Path) -> None:
    house = begun(tmp_path, rule(do='reset = "choose"'))
    house.fake.states = [CommandState.REJECTED] * 10
    for _ in range(12):
        house.news(FAULTED)
    assert house.rule("a")["state"] == "tripped"
    assert house.last("a")[1] == "tripped: 10 failures in a row; reset it by hand"
    assert len([one for one in house.fake.said("error") if "is tripped" in one]) == 1
    again = house.again()
    again.news(FAULTED)
    assert len(again.sent) == 10
    again.news(replace(FAULTED, evse=5))
    assert len(again.sent) == 11, "only the key that fails is tripped"
    assert again.plugin.engine.holds.reset("a") == 1
    again.news(FAULTED)
    assert again.last("a")[0] == "ran"


def test_a_rule_that_floods_is_tripped(tmp_path: Path) -> None:
    house = begun(tmp_path, rule())
    for _ in range(40):
        house.news(FAULTED)
    assert house.rule("a")["counts"] == {"ran": 30, "skipped": 10}
    assert house.last("a")[1] == "tripped: 3 times at the limit: 30 runs in 10m; reset it by hand"


def test_all_rules_together_send_a_hundred_commands_a_minute(tmp_path: Path) -> None:
    text = rule(more='limit = { runs = 1000, per = "1m" }', do='reset = "choose"')
    house = begun(tmp_path, text)
    for number in range(101):
        house.news(replace(FAULTED, evse=number))
    assert len(house.sent) == 100
    assert house.last("a") == ("failed", "reset: rules have sent 100 commands within a minute to this site")


# Modes

LONG = 'wait = "1m"\n[[rule.do]]\nlog = "{status.error_code}"'


@pytest.mark.parametrize(
    ("mode", "after", "later"),
    [
        ("single", ["rule a: 1"], ["rule a: 1"]),
        ("restart", ["rule a: 3"], ["rule a: 3"]),
        ("queued", ["rule a: 1"], ["rule a: 1", "rule a: 2", "rule a: 3"]),
        ("parallel", ["rule a: 1", "rule a: 2", "rule a: 3"], ["rule a: 1", "rule a: 2", "rule a: 3"]),
    ],
)
@pytest.mark.parametrize("restarted", [False, True])
def test_modes(tmp_path: Path, mode: str, after: list[str], later: list[str], restarted: bool) -> None:
    house = begun(tmp_path, rule(more=f'mode = "{mode}"', do=LONG))
    for number in (1, 2, 3):
        house.news(replace(FAULTED, error_code=str(number)))
    if restarted:
        house.fake.settle(3)
        house = house.again()
    house.fake.settle(60)
    assert house.fake.said("info") == after
    for _ in range(3):
        house.fake.settle(60)
    assert house.fake.said("info") == later


def test_at_most_ten_wait_or_run(tmp_path: Path) -> None:
    house = begun(tmp_path, rule(more='mode = "parallel"', do=LONG) + rule("q", more='mode = "queued"', do=LONG))
    for _ in range(12):
        house.news(FAULTED)
    assert house.last("a") == ("skipped", "busy: 10 runs at once already")
    assert house.last("q") == ("skipped", "busy: 10 runs wait already")


# Times


def at(text: str) -> timedelta:
    return datetime.fromisoformat(text) - NOON


def test_every_goes_on_over_a_restart(tmp_path: Path) -> None:
    text = '[[rule]]\nname = "a"\non = { every = "10m" }\n[[rule.do]]\nlog = "{now.minute}"\n'
    house = begun(tmp_path, text)
    house.fake.settle(599)
    assert house.fake.said("info") == []
    house.fake.settle(1)
    again = house.again(away_s=300)
    again.fake.settle(299)
    assert again.fake.said("info") == []
    again.fake.settle(1)
    assert len(again.fake.said("info")) == 1
    late = again.again(away_s=6000)
    late.fake.settle(1)
    assert len(late.fake.said("info")) == 1, "what is overdue comes once, at once"


@pytest.mark.parametrize(("catchup", "count"), [("none", 0), ("once", 1)])
def test_cron_in_the_sites_clock_through_a_daylight_saving_change(tmp_path: Path, catchup: str, count: int) -> None:
    cron = f'{{ cron = "30 2 * * *", catchup = "{catchup}" }}'
    text = f'[[rule]]\nname = "a"\non = {cron}\n[[rule.do]]\nlog = "{{now.date}} {{now.hour}}:{{now.minute}} {{now.iso}}"\n'
    house = begun(tmp_path, text)
    house.fake.settle(at("2026-03-27T12:00:00+00:00").total_seconds())
    house.fake.logged.clear()
    for _ in range(144):
        house.fake.settle(1800)
    assert [one.split(" ", 2)[2] for one in house.fake.said("info")] == [
        "2026-03-28 2:30 2026-03-28T01:30:00Z",
        "2026-03-29 3:30 2026-03-29T01:30:00Z",
        "2026-03-30 2:30 2026-03-30T00:30:00Z",
    ]
    again = house.again(away_s=3 * 86400)
    assert len(again.fake.said("info")) == count


def test_a_time_comes_once_for_each_station_that_fits(tmp_path: Path) -> None:
    text = (
        '[[rule]]\nname = "a"\non = { every = "5m" }\neach = { station = { model = "One" } }\n'
        'when = ["station.connected", "station.firmware != \'2.0\'"]\n[[rule.do]]\nlog = "{station.id}"\n'
    )
    house = begun(tmp_path, text)
    row = StationRecord("CS1", Admission.APPROVED, "ocpp2.0.1", model="One", firmware="1.0")
    house.fake.read.records = [
        row,
        replace(row, id="CS2"),
        replace(row, id="CS3", model="Two"),
        replace(row, id="CS4", admission=Admission.PENDING),
    ]
    house.fake.settle(300)
    assert house.fake.said("info") == ["rule a: CS1"]
    assert ("skipped", "when[0] station.connected: station.connected = false") in house.traces("a")


def test_windows_follow_the_clock_of_the_site(tmp_path: Path) -> None:
    window = '{ from = "22:00", to = "06:00", days = ["mon"] }'
    house = begun(tmp_path, rule(more=f"during = {window}") + rule("day", more=f"not_during = {window}"))
    house.news(FAULTED)
    assert house.last("a") == ("skipped", "window: window (22:00-06:00 mon Europe/Berlin) is not open")
    assert house.last("day")[0] == "ran"
    house.fake.settle(9 * 3600)
    house.news(FAULTED)
    assert house.last("a")[0] == "ran"
    assert house.last("day")[1] == "window: window (22:00-06:00 mon Europe/Berlin) is open"
    house.fake.settle(8 * 3600 - 1)
    house.news(FAULTED)
    assert house.last("a")[0] == "ran"
    house.fake.settle(1)
    house.news(FAULTED)
    assert house.last("a")[0] == "skipped"


# Steps


def test_flags_are_kept_read_and_told(tmp_path: Path) -> None:
    text = rule(more='when = "not station.noted"', do='set = { noted = true, count = "{status.evse + 1}" }')
    text += rule(
        "b",
        "station.flag",
        'where = { name = "count" }',
        'log = "{flag.name} {flag.previous} {flag.value} {station.noted}"',
    )
    house = begun(tmp_path, text)
    house.news(FAULTED)
    house.news(FAULTED)
    assert house.last("a") == ("skipped", "when not station.noted: station.noted = true")
    assert house.fake.said("info") == ["rule b: count none 2 true"]
    again = house.again()
    again.news(FAULTED)
    assert again.last("a")[0] == "skipped"


def test_results_are_saved_expected_and_passed_over(tmp_path: Path) -> None:
    do = (
        'call = "web.get"\nsave = "got"\nexpect = "result.code < 300"\nelse = []\n[[rule.do]]\n'
        'log = "{got.code} {double} {new_request_id() == run.request_id}"'
    )
    codes = [200, 404]
    fake = offering(tmp_path, {"web.get": Action("web.get", lambda arguments: {"code": codes.pop(0)})})
    house = begun(tmp_path, rule(more='let = { double = "{status.evse * 2}" }', do=do), fake)
    house.news(FAULTED)
    house.news(FAULTED)
    assert house.fake.said("info") == ["rule a: 200 2 true", "rule a: none 2 true"]
    assert "call: error: expected result.code < 300" in house.rule("a")["traces"][-1]["steps"][0]


def test_the_rules_else_is_for_any_step_that_failed(tmp_path: Path) -> None:
    text = rule(do='reset = "choose"\n[[rule.do]]\nlog = "never"') + '[[rule.else]]\nlog = "sorry"\n'
    house = begun(tmp_path, text)
    house.fake.states = [CommandState.REJECTED]
    house.news(FAULTED)
    assert house.fake.said("info") == ["rule a: sorry"]
    assert house.last("a") == ("failed", "reset: rejected: not now")
    assert not [one for one in house.fake.told if isinstance(one, RuleFailed)], "somebody has dealt with it"


def test_a_message_is_shown_where_the_version_can(tmp_path: Path) -> None:
    house = begun(tmp_path, rule(do='message = "Hello {station.id}"\nshow = "Idle"\nlasts = "1h"'))
    house.news(FAULTED)
    [(_, command, _)] = house.sent
    message = command.payload["message"]  # type: ignore[attr-defined]
    assert (message["state"], message["message"]["content"]) == ("Idle", "Hello CS1")
    assert message["endDateTime"] == "2026-03-02T13:00:00Z"
    house.news(replace(FAULTED, station=OLD_STATION))
    assert house.last("a") == ("failed", "message: a station with ocpp1.6 shows no messages")


def test_reentrant_rules_end_after_eight(tmp_path: Path) -> None:
    text = rule("a", "status", do='raise = "x.a"') + rule("b", "x.a", "reentrant = true", 'raise = "x.a"')
    house = begun(tmp_path, text)
    house.news(FAULTED)
    assert len([one for one in house.fake.told if isinstance(one, RuleRaised)]) == 8
    assert house.last("b")[1] == "loop: 8 rules led to this"


# Traces


def test_traces_and_failures_outlive_a_restart_and_go_after_seven_days(tmp_path: Path) -> None:
    house = begun(tmp_path, rule(do='reset = "choose"'))
    house.fake.states = [CommandState.REJECTED]
    house.news(FAULTED)
    again = house.again()
    [trace] = again.rule("a")["traces"]
    assert (trace["outcome"], trace["place"]) == ("failed", "rules/a.toml:5")
    assert again.rule("a")["counts"] == {"failed": 1}
    assert [key for key in again.fake.notes if key.startswith("failure/")]
    again.fake.settle(7 * 86400 + 20)
    assert not [key for key in again.fake.notes if key.startswith("failure/")]


def test_rules_that_are_off_are_not_read_and_nothing_goes_on(tmp_path: Path) -> None:
    house = begun(tmp_path, rule(do='wait = "1m"\n[[rule.do]]\nlog = "x"'))
    house.news(FAULTED)
    result(house.plugin.stop())
    fake = house.fake.restarted(100)
    off = House(tmp_path, "this is no TOML", fake, enabled=False)
    off.start()
    off.fake.settle(100)
    assert off.fake.said("info") == []
    assert off.plugin.report()["rules"] == []
    on = House(tmp_path, rule(do='wait = "1m"\n[[rule.do]]\nlog = "x"'), fake.restarted())
    on.start()
    assert on.fake.said("info") == ["rule a: x"]
