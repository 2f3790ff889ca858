"""What people are told about rules: why each ran or did not, for what happened and for what one only thinks of, and in a transaction's story."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from csms_plugins.flow.explaining import Refused, explain, explain_event, told
from fake_csms import NOON, STATION, FakeCsms, result
from flow_kit import FAULTED, House, rule

from csms.api import (
    Completeness,
    EventType,
    SiteScope,
    StoryQuestion,
    Transaction,
    TransactionEvent,
    TransactionUpdated,
)

ASKED = {"event": "status", "station": "CS1", "with": {"status": "Faulted", "evse": 1, "connector": 2}}


def begun(folder: Path, text: str) -> House:
    house = House(folder, text)
    house.start()
    return house


def reason(house: House, asked: dict[str, Any] = ASKED) -> str:
    """What is said of rule a, which runs exactly if nothing is."""
    (verdict,) = [one for one in result(explain_event(house.plugin, asked))["rules"] if one["rule"] == "a"]
    assert verdict["runs"] is (verdict["reason"] == "")
    assert verdict["place"]
    return str(verdict["reason"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (rule(), ""),
        (rule(on="tx.started", do='log = "x"'), "event: it is on tx.started"),
        (rule(more="enabled = false"), "off: enabled = false"),
        (rule(more='for = "2m"'), "for-pending: must last 120 s"),
        (rule(more="dry = true"), "dry: it would run, and do nothing"),
        ('[[rule]]\nname = "a"\non = "authorize"\ndecide = { auth = "Invalid" }\n', "event: it is on authorize"),
    ],
)
def test_the_first_thing_that_keeps_a_rule_from_running_is_told(tmp_path: Path, text: str, expected: str) -> None:
    assert reason(begun(tmp_path, text)) == expected


def test_a_condition_that_does_not_hold_is_told_with_its_place(tmp_path: Path) -> None:
    house = begun(tmp_path, rule(more='where = { status = "Available" }\nwhen = "status.evse > 0"'))
    assert reason(house) == "where status: it is Faulted"
    assert house.fake.sent == []
    assert house.fake.said("info") == [], "asking does nothing"


def test_a_question_is_explained_as_news_are(tmp_path: Path) -> None:
    house = begun(tmp_path, '[[rule]]\nname = "a"\non = "authorize"\ndecide = { auth = "Invalid" }\n')
    assert reason(house, {"event": "authorize", "station": "CS1", "with": {"token": "A1"}}) == ""


def test_a_station_that_is_not_connected_can_be_asked_about(tmp_path: Path) -> None:
    house = begun(tmp_path, rule(more='when = "station.connected"'))
    assert reason(house) == ""
    assert "station.connected" in reason(house, ASKED | {"station": "CS9"})


def test_a_rule_of_a_site_is_for_its_stations_alone(tmp_path: Path) -> None:
    site = tmp_path / "sites" / "north.toml"
    site.parent.mkdir()
    site.write_text("[site]\n" + rule())
    fake = FakeCsms(tmp_path, "flow_rules")
    fake.other_sites = [SiteScope("north", stations=("CS1",), file=site)]
    house = House(tmp_path, rule(), fake)
    house.start()
    verdicts = {one["rule"]: one["reason"] for one in result(explain_event(house.plugin, ASKED))["rules"]}
    assert verdicts == {"a": "scope: the station's site has its own rule", "north/a": ""}
    elsewhere = result(explain_event(house.plugin, ASKED | {"station": "CS6"}))["rules"]
    assert {one["rule"]: one["reason"] for one in elsewhere} == {
        "a": "",
        "north/a": "scope: it is for the stations of site north",
    }
    assert [one["rule"] for one in explain(house.plugin, "CS6", 60)["rules"]] == ["a"]


@pytest.mark.parametrize(
    "body", [None, 5, [], {}, {"event": 5}, {"event": "no.such"}, ASKED | {"with": 5}, ASKED | {"station": 5}]
)
def test_what_is_no_event_is_refused_with_an_example(tmp_path: Path, body: object) -> None:
    house = begun(tmp_path, rule())
    with pytest.raises(Refused, match=r'an event is \{"event": "status"') as refused:
        result(explain_event(house.plugin, body))
    assert refused.value.status == 400


def test_what_happened_is_told_by_rule_for_as_long_as_one_asks(tmp_path: Path) -> None:
    house = begun(tmp_path, rule() + rule("b", more="enabled = false"))
    house.news(FAULTED)
    house.fake.settle(100)
    (first, _) = explain(house.plugin, "CS1", 200)["rules"]
    (trace,) = first["traces"]
    assert (trace["outcome"], trace["station"], first["on"]) == ("ran", "CS1", ["status"])
    assert explain(house.plugin, "", 200)["rules"][0]["traces"] == [trace]
    assert explain(house.plugin, "CS1", 50)["rules"][0]["traces"] == []
    assert explain(house.plugin, "CS6", 1e12)["rules"][0]["traces"] == []
    line = told(trace)
    assert line.startswith(f"{trace['at']} status CS1: ran (")
    assert "CS1 Faulted" in line
    assert ": limit: 5 in 1h (" in told({**trace, "outcome": "skipped", "reason": "limit: 5 in 1h", "steps": []})


def test_a_story_has_what_rules_did_about_the_transaction_each_reason_once(tmp_path: Path) -> None:
    house = begun(tmp_path, rule(on="tx.updated", more="when = \"tx.id == 'T7'\"", do='log = "seen"'))
    event = TransactionEvent("T7", EventType.UPDATED, NOON, "MeterValuePeriodic", "3", 3)
    for _ in range(3):
        house.news(TransactionUpdated(STATION, house.fake.csms.now(), "T7", event), 1)
    house.news(TransactionUpdated(STATION, NOON, "T8", event))
    question = StoryQuestion(
        STATION, Transaction(7, "CS1", "T7", Completeness.ONGOING), NOON, NOON + timedelta(hours=1)
    )
    notes = house.plugin.explain_transaction(question).notes
    (note,) = [one for one in notes if "ran" in one.text]
    assert note.text == "rule a on tx.updated: ran, 3 times so"
    assert any("seen" in line for line in note.details)
    other = StoryQuestion(STATION, Transaction(9, "CS1", "T9", Completeness.ONGOING), NOON, NOON)
    assert house.plugin.explain_transaction(other).notes == ()
