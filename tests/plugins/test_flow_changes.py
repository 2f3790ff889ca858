"""Rules while their surroundings change: other texts, off and on, a site over the server, a restart in their midst; and asking changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from csms_plugins.flow.explaining import explain_event
from csms_plugins.flow_rules import FlowRules
from fake_csms import NOON, OLD_STATION, STATION, FakeCsms, result
from flow_kit import FAULTED, House, rule

from csms.api import BootNotification, BootStatus, CommandState, Reset, ResetWhen, SiteScope, StationBooted

LONG = 'wait = "1m"\n[[rule.do]]\nlog = "{status.error_code}"'


def begun(folder: Path, text: str) -> House:
    house = House(folder, text)
    house.start()
    return house


def test_asking_why_counts_for_nothing(tmp_path: Path) -> None:
    more = 'limit = { runs = 1, per = "1h", then = "people" }'
    house = begun(tmp_path, rule(more=more) + rule("people", "call") + rule("b"))
    asked = {"event": "status", "station": "CS1", "with": {"status": "Faulted", "evse": 1, "connector": 2}}
    for _ in range(30):
        house.news(FAULTED)
    for _ in range(5):
        verdicts = {one["rule"]: one for one in result(explain_event(house.plugin, asked))["rules"]}
    assert verdicts["a"]["reason"] == "limit: 1 runs in 1h"
    assert verdicts["b"]["reason"] == "limit: 30 runs in 10m"
    assert house.rule("b")["tripped"] == {}
    assert house.traces("people").count(("ran", "")) == 1
    fresh = begun(tmp_path, rule(more=more) + rule("people", "call"))
    fresh.news(FAULTED)
    result(explain_event(fresh.plugin, asked))
    fresh.news(FAULTED)
    assert fresh.last("people") == ("ran", "")


def test_each_site_has_a_hundred_commands_of_its_own(tmp_path: Path) -> None:
    house = begun(tmp_path, rule(more='limit = { runs = 1000, per = "1m" }', do='reset = "choose"'))
    house.fake.other_sites = [SiteScope("other", stations=("CS6",))]
    for number in range(101):
        house.news(replace(FAULTED, evse=number))
    house.news(replace(FAULTED, station=OLD_STATION))
    assert [station for station, *_ in house.sent].count("CS1") == 100
    assert house.last("a") == ("ran", "")


def test_runs_that_wait_for_another_one_keep_their_order_over_a_restart(tmp_path: Path) -> None:
    house = begun(tmp_path, rule(more='mode = "queued"', do=LONG))
    for number in range(1, 12):
        house.news(replace(FAULTED, error_code=str(number)))
    house = house.again()
    for count in range(1, 12):
        house.fake.settle(60)
        assert len(house.fake.said("info")) == count, "one at a time"
    assert house.fake.said("info") == [f"rule a: {number}" for number in range(1, 12)]


def test_a_changed_rule_still_hears_what_its_run_waits_for_and_knows_words_that_went_with_it(tmp_path: Path) -> None:
    text = rule(do='wait = { event = "station.booted", max = "1h" }\n[[rule.do]]\nraise = "depot.full"')
    text += rule("b", "depot.full", do="set = { full = true }")
    text = text.replace("[[rule.do]]\nraise", '[[rule.do]]\nlog = "full: {station.full}"\n[[rule.do]]\nraise')
    house = begun(tmp_path, text)
    house.news(FAULTED, 60)
    house.rewrite(rule(do='log = "new"'), 1)
    assert StationBooted in (house.fake.listened or ())
    again = house.again(stopped=False)
    assert again.fake.said("error") == []
    assert StationBooted in (again.fake.listened or ())
    again.news(StationBooted(STATION, NOON, BootNotification("PowerUp", "V", "M"), BootStatus.ACCEPTED))
    assert again.fake.said("info") == ["rule a: full: none"]
    assert again.last("a") == ("ran", "")


def test_pauses_that_grow_without_end_are_as_long_as_they_may_be(tmp_path: Path) -> None:
    retry = 'retry = { tries = 1000, every = "1s", backoff = 100, max = "1m", jitter = 0, on = ["Rejected"] }'
    house = begun(tmp_path, rule(do=f'reset = "choose"\n{retry}'))
    house.fake.states = [CommandState.REJECTED] * 1000
    house.news(FAULTED)
    for _ in range(400):
        house.fake.settle(60)
    assert len(house.sent) > 300
    assert house.rule("a")["running"] == 1


def test_rules_are_switched_off_and_on_while_the_server_runs(tmp_path: Path) -> None:
    text = rule(do='wait = "1m"\n[[rule.do]]\nlog = "x"')
    house = begun(tmp_path, text)
    house.news(FAULTED, 10)
    off, on = FlowRules.Settings(enabled=False), FlowRules.Settings()
    assert house.plugin.prepare_reload(off)() == ["rule a: taken out"]
    house.fake.settle(100)
    assert house.fake.said("info") == []
    assert house.fake.listened == ()
    assert house.plugin.prepare_reload(on)() == ["rule a: new"]
    house.fake.settle(1)
    assert house.fake.said("info") == ["rule a: x"]
    house.news(FAULTED)
    house.fake.settle(60)
    assert house.fake.said("info") == ["rule a: x"] * 2
    slow = FlowRules.Settings(reload_every=timedelta(minutes=10))
    house.plugin.prepare_reload(slow)()
    house.rewrite(rule("b"), 1)
    assert "a" in house.plugin.engine.rules
    house.fake.settle(600)
    assert list(house.plugin.engine.rules) == ["b"]


def test_a_rule_of_a_site_takes_the_place_of_the_servers_rule_of_that_name(tmp_path: Path) -> None:
    site = tmp_path / "sites" / "other.toml"
    site.parent.mkdir()
    own = rule(do='log = "own {station.id}"')
    decided = '[[rule]]\nname = "q"\non = "reset.choose"\norder = 900\ndecide.reset = "Immediate"\n'
    site.write_text("[site]\n" + own + decided)
    fake = FakeCsms(tmp_path, "flow_rules")
    fake.other_sites = [SiteScope("other", stations=("CS6",), file=site)]
    house = House(tmp_path, rule() + decided.replace("Immediate", "OnIdle").replace("900", "1"), fake)
    house.start()
    house.news(FAULTED)
    house.news(replace(FAULTED, station=OLD_STATION))
    assert house.fake.said("info") == ["rule a: CS1 Faulted", "rule other/a: own CS6"]
    for station, when in ((STATION, ResetWhen.ON_IDLE), (OLD_STATION, ResetWhen.IMMEDIATE)):
        plan = result(house.plugin.plan_reset(station, Reset(), 0))
        assert (station.id, plan.when) == (station.id, when)
    asked = {"event": "status", "station": "CS6", "with": {"status": "Faulted"}}
    verdicts = {one["rule"]: one["reason"] for one in result(explain_event(house.plugin, asked))["rules"]}
    assert verdicts["a"] == "scope: the station's site has its own rule"
