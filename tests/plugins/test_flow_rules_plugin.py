"""Rules at work: bound to events, held back by limits, traced, read again, and never in anybody's way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from csms_plugins.flow.news import RuleRaised
from fake_csms import NOON, OLD_STATION, STATION, ask, result
from flow_kit import FAULTED, House, offering, rule

from csms.api import (
    Action,
    AlertGap,
    Authorization,
    AuthorizationRequest,
    AuthorizationStatus,
    BootDecision,
    BootNotification,
    BootStatus,
    Busy,
    CallReceived,
    ChangeAvailability,
    CommandClosed,
    CommandRecord,
    CommandState,
    ConnectorStatus,
    EventType,
    IdToken,
    Ran,
    RawCall,
    Reset,
    ResetPlan,
    ResetWhen,
    SiteFileError,
    StationLost,
    StationRef,
    StatusChanged,
    Transaction,
    TransactionEnded,
    TransactionEvent,
    TransactionUpdated,
    WebRegistry,
)
from csms.model.transactions import Completeness


def test_a_rule_runs_after_the_news_were_told(tmp_path: Path) -> None:
    house = House(
        tmp_path, rule(do='log = "{station.id} {status.status} {status.error_code} {now.weekday} {now.hour} {site.id}"')
    )
    house.plugin.on_event(FAULTED)
    assert house.fake.said("info") == []
    house.fake.settle()
    assert house.fake.said("info") == ["rule a: CS1 Faulted E7 mon 13 depot"]
    assert house.last("a") == ("ran", "")


def test_only_bound_events_are_listened_to(tmp_path: Path) -> None:
    house = House(tmp_path, rule() + rule("b", "ocpp.Authorize", do='log = "{msg.idToken.idToken}"'))
    assert set(house.plugin.listens_to) == {StatusChanged, CallReceived}
    assert House(tmp_path, rule(), enabled=False).plugin.listens_to == ()
    assert (
        House(tmp_path, rule("q", "boot").split("[[rule.do]]")[0] + 'decide.boot = "Accepted"').plugin.listens_to == ()
    )
    house.news(StationLost(STATION, NOON, "gone"))
    house.news(CallReceived(STATION, NOON, "Heartbeat", {}))
    assert house.fake.clock.getDelayedCalls() == []


def test_raw_calls_are_news_in_the_stations_own_words(tmp_path: Path) -> None:
    text = rule(
        "a", "ocpp.Authorize", 'where = { "idToken.type" = ["Central", "eMAID"] }', 'log = "{msg.idToken.idToken}"'
    )
    house = House(tmp_path, text)
    house.news(CallReceived(STATION, NOON, "Authorize", {"idToken": {"idToken": "X1", "type": "Central"}}))
    house.news(CallReceived(STATION, NOON, "Authorize", {"idToken": {"idToken": "X2", "type": "Local"}}))
    assert house.fake.said("info") == ["rule a: X1"]
    assert house.last("a") == ("skipped", "where idToken.type: it is Local")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ('where = { status = "Available" }', "where status: it is Faulted"),
        ("where = { evse = { gt = 1 } }", "where evse: it is 1"),
        ('where = { evse = { ge = 1, lt = 2 }, error_code = { glob = "F*" } }', "where error_code: it is E7"),
        ("where = { info = { exists = true }, detail = { exists = false } }", "where detail: it is "),
        ('where = { "station.id" = { ne = "CS1" } }', "where station.id: it is CS1"),
        ('where = { previous = { in = ["Occupied"] } }', "where previous: it is Available"),
        ('when = ["station.connected", "status.evse > 1"]', "when[1] status.evse > 1: status.evse = 1"),
        ('when = "false"', "when false: never true"),
    ],
)
def test_why_a_rule_did_not_run_is_traced(tmp_path: Path, more: str, reason: str) -> None:
    house = House(tmp_path, rule(more=more))
    house.news(FAULTED)
    assert house.last("a") == ("skipped", reason)
    assert house.fake.said("info") == []


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ('where = { "idToken.idToken" = "DENY" }', "where idToken.idToken: it is …9F01"),
        ('where = { "idToken.type" = "Local" }', "where idToken.type: it is Central"),
        ("when = \"msg.idToken.idToken == 'DENY'\"", "msg.idToken.idToken = …9F01"),
        ('when = "msg.idToken == none"', '"idToken": "\\u20269F01", "type": "Central"'),
    ],
)
def test_traces_show_only_the_end_of_drivers_tokens(tmp_path: Path, more: str, reason: str) -> None:
    house = House(tmp_path, rule("a", "ocpp.Authorize", more, 'log = "x"'))
    house.news(CallReceived(STATION, NOON, "Authorize", {"idToken": {"idToken": "04A1B2C39F01", "type": "Central"}}))
    outcome, why = house.last("a")
    assert outcome == "skipped"
    assert reason in why
    assert "04A1B2C3" not in why


def test_a_disabled_rule_is_bound_to_nothing_and_a_dry_one_does_nothing(tmp_path: Path) -> None:
    house = House(tmp_path, rule(more="enabled = false") + rule("b", more="dry = true", do='reset = "Immediate"'))
    house.news(FAULTED)
    assert house.sent == []
    assert house.rule("a")["traces"] == []
    assert house.rule("a")["state"] == "off"
    trace = house.rule("b")["traces"][-1]
    assert (trace["outcome"], trace["steps"]) == ("dry", ["reset Immediate"])


def test_commands_go_out_in_the_rules_name(tmp_path: Path) -> None:
    steps = """send = "TriggerMessage"
with = { requestedMessage = "StatusNotification", evse = { id = "{status.evse}", connectorId = "{status.nothing}" } }
[[rule.do]]
reset = "choose"
[[rule.do]]
reset = "OnIdle"
evse = "{status.evse}"
[[rule.do]]
when = "status.evse == 2"
reset = "Immediate"
[[rule.do]]
availability = "Inoperative"
evse = 1
connector = 2
"""
    house = House(
        tmp_path,
        rule(
            do=steps.replace("{status.nothing}", "{station.active_tx}").replace(
                "status.evse == 2", "station.active_tx > 0"
            )
        ),
    )
    house.news(FAULTED)
    payload = {"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 0}}
    assert house.sent == [
        ("CS1", RawCall("TriggerMessage", payload), "rule a"),
        ("CS1", Reset(None), "rule a"),
        ("CS1", Reset(ResetWhen.ON_IDLE, 1), "rule a"),
        ("CS1", ChangeAvailability(operative=False, evse=1, connector=2), "rule a"),
    ]
    assert (
        house.rule("a")["traces"][-1]["steps"][3]
        == "reset: passed over: when station.active_tx > 0: station.active_tx = 0"
    )


def test_what_is_missing_is_left_out_of_a_message(tmp_path: Path) -> None:
    do = 'send = "DataTransfer"\nwith = { vendorId = "V", messageId = "{status.previous}", data = [{ c = "{status.previous}", d = 1 }] }'
    house = House(tmp_path, rule(do=do))
    house.news(replace(FAULTED, previous=None))
    assert house.fake.sent[0][1] == RawCall("DataTransfer", {"vendorId": "V", "data": [{"d": 1}]})


def test_a_failing_step_ends_the_run_and_says_why(tmp_path: Path) -> None:
    house = House(tmp_path, rule(do='reset = "choose"\n[[rule.do]]\nlog = "never"'))
    house.fake.states = [CommandState.REJECTED]
    house.news(FAULTED)
    assert house.last("a") == ("failed", "reset: rejected: not now")
    assert house.fake.said("info") == []
    assert "rule a ended early" in house.fake.said("warn")[0]


@pytest.mark.parametrize(
    ("do", "why"),
    [
        ('reset = "{station.id}"', "CS1 is not a way to reset"),
        ('availability = "{station.id}"', "CS1 is neither"),
        ('reset = "choose"\nevse = "{station.id}"', "evse is a number"),
        ('call = "{station.id}.x"', "no plugin offers CS1.x"),
    ],
)
def test_a_value_that_turns_out_wrong_fails_the_step_alone(tmp_path: Path, do: str, why: str) -> None:
    house = House(tmp_path, rule(do=do))
    house.news(FAULTED)
    outcome, reason = house.last("a")
    assert outcome == "failed"
    assert why in reason
    assert house.sent == []


def test_stop_ends_a_run_on_purpose(tmp_path: Path) -> None:
    house = House(tmp_path, rule(do='stop = "{status.error_code} is known"\n[[rule.do]]\nlog = "never"'))
    house.news(FAULTED)
    assert house.last("a") == ("ran", "stop: E7 is known")
    assert house.fake.said("info") == []


def test_a_run_that_waits_is_busy_for_its_key_only(tmp_path: Path) -> None:
    house = House(tmp_path, rule(do='wait = "2m"\n[[rule.do]]\nlog = "{status.evse}"'))
    house.news(FAULTED)
    house.news(FAULTED)
    assert house.last("a") == ("skipped", "busy: the rule still runs for this key")
    house.news(replace(FAULTED, evse=2))
    assert house.rule("a")["running"] == 2
    house.fake.settle(119)
    assert house.fake.said("info") == []
    house.fake.settle(1)
    assert house.fake.said("info") == ["rule a: 1", "rule a: 2"]
    house.news(FAULTED, 121)
    assert house.rule("a")["counts"] == {"skipped": 1, "ran": 3}


def test_limits_and_cooldowns_hold_per_key(tmp_path: Path) -> None:
    house = House(tmp_path, rule(more='key = "station.id"\ncooldown = "10s"\nlimit = { runs = 2, per = "1h" }'))
    house.news(FAULTED)
    house.news(FAULTED, 4)
    assert house.last("a") == ("skipped", "cooldown: 10s left")
    house.news(FAULTED, 6)
    assert house.last("a") == ("skipped", "cooldown: 6s left")
    house.news(FAULTED, 30)
    house.news(FAULTED)
    assert house.last("a") == ("skipped", "limit: 2 runs in 1h")
    house.news(replace(FAULTED, station=OLD_STATION))
    assert house.last("a") == ("ran", "")
    house.fake.settle(3600)
    house.news(FAULTED)
    assert house.last("a") == ("ran", "")


def test_without_a_limit_thirty_runs_in_ten_minutes_are_enough(tmp_path: Path) -> None:
    house = House(tmp_path, rule())
    for _ in range(31):
        house.news(FAULTED)
    assert house.rule("a")["counts"] == {"ran": 30, "skipped": 1}
    assert house.last("a") == ("skipped", "limit: 30 runs in 10m")
    assert len(house.rule("a")["traces"]) == 31
    for _ in range(40):
        house.news(FAULTED)
    assert len(house.rule("a")["traces"]) == 50


def closed(origin: str) -> CommandClosed:
    record = CommandRecord(1, "CS1", "Reset", {}, CommandState.FAILED, origin, NOON, error="no answer")
    return CommandClosed(STATION, NOON, record)


def test_a_rule_does_not_run_on_its_own_commands_result(tmp_path: Path) -> None:
    house = House(tmp_path, rule("again", "command.result", 'where = { state = "failed" }', 'reset = "choose"'))
    house.news(closed("rule again"))
    assert house.last("again") == ("skipped", "loop: the event is the rule's own consequence")
    house.news(closed("api"))
    assert len(house.fake.sent) == 1


def test_raised_news_reach_other_rules_but_never_their_own_causes(tmp_path: Path) -> None:
    text = rule("a", do='raise = "depot.full"\nwith = { evse = "{status.evse}" }') + rule(
        "b", "depot.full", "where = { evse = 1 }", 'raise = "depot.again"'
    )
    text += '[[rule]]\nname = "c"\non = ["depot.again", "depot.full"]\n[[rule.do]]\nlog = "{station.id}"\n[[rule.do]]\nraise = "depot.full"\n'
    house = House(tmp_path, text)
    assert RuleRaised in house.plugin.listens_to
    house.news(FAULTED)
    raised = [(one.name, one.causes) for one in house.fake.told if isinstance(one, RuleRaised)]
    assert ("depot.full", ("a",)) in raised
    assert ("depot.again", ("a", "b")) in raised
    assert all(len(set(causes)) == len(causes) for _, causes in raised)
    assert len(raised) < 10
    assert house.fake.clock.getDelayedCalls() == []


def test_nine_rules_in_a_row_are_too_many(tmp_path: Path) -> None:
    text = rule("r0", do='raise = "x.r1"')
    text += "".join(rule(f"r{n}", f"x.r{n}", do=f'raise = "x.r{n + 1}"') for n in range(1, 10))
    house = House(tmp_path, text)
    house.news(FAULTED)
    assert house.last("r8") == ("skipped", "loop: 8 rules led to this")
    assert house.rule("r9")["traces"] == []


def test_plugins_actions_are_called_and_their_faults_end_the_run(tmp_path: Path) -> None:
    called: list[Mapping[str, Any]] = []

    async def post(arguments: Mapping[str, Any]) -> dict[str, int]:
        called.append(arguments)
        if arguments["evse"] == 2:
            raise OSError("no route")
        return {"status": 200}

    fake = offering(tmp_path, {"web.post": Action("web.post", post)})
    house = House(tmp_path, rule(do='call = "web.post"\nwith = { evse = "{status.evse}" }'), fake)
    result(house.plugin.start())
    house.news(FAULTED)
    assert called == [{"evse": 1}]
    assert house.rule("a")["traces"][-1]["steps"] == ['call: {"status": 200}']
    house.news(replace(FAULTED, evse=2))
    assert house.last("a") == ("failed", "call: web.post: no route")
    result(house.plugin.stop())


def test_a_rule_that_needs_a_plugin_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    fake = offering(tmp_path, {"web.post": Action("web.post", lambda arguments: None)})
    with pytest.raises(SiteFileError) as wrong:
        House(tmp_path, rule(do='call = "web.pots"') + rule("b", more='when = "near(station.id)"') + rule("c"), fake)
    said = str(wrong.value)
    assert "no plugin offers the action web.pots" in said
    assert "did you mean web.post?" in said
    assert "no function is called near" in said
    assert "2 mistakes" in said


def test_plugins_functions_can_be_used(tmp_path: Path) -> None:
    fake = offering(tmp_path, functions={"near": lambda station, km: station == "CS1" and km == 3})
    house = House(tmp_path, rule(more='when = "near(station.id, 3)"'), fake)
    result(house.plugin.start())
    house.news(FAULTED)
    assert house.last("a") == ("ran", "")
    result(house.plugin.stop())


def test_active_transactions_are_read_when_a_rule_asks(tmp_path: Path) -> None:
    house = House(tmp_path, rule(more='when = "station.active_tx == 0"'))
    house.fake.read.transactions = [Transaction(1, "CS1", "T1", Completeness.ONGOING)]
    house.news(FAULTED)
    assert house.last("a") == ("skipped", "when station.active_tx == 0: station.active_tx = 1")
    house.fake.read.transactions = []
    house.news(FAULTED)
    assert house.last("a") == ("ran", "")


def test_transactions_are_seen_with_their_id_on_the_wire(tmp_path: Path) -> None:
    text = rule(
        "end",
        "tx.ended",
        "where = { energy_wh = { gt = 1000 } }",
        'log = "{tx.id} {tx.energy_wh} {token.value} {msg.trigger}"',
    )
    text += rule(
        "update", "tx.updated", 'where = { trigger = "ChargingStateChanged" }', 'log = "{tx.id} {tx.charging_state}"'
    )
    house = House(tmp_path, text)
    event = TransactionEvent("T7", EventType.ENDED, NOON, "EVDeparted", "3", 3, id_token=IdToken("AB"))
    transaction = Transaction(
        9, "CS1", "T7", Completeness.COMPLETE, meter_start_wh=Decimal(100), meter_stop_wh=Decimal("2200.5")
    )
    house.news(TransactionEnded(STATION, NOON, transaction, event))
    moved = replace(event, type=EventType.UPDATED, trigger="ChargingStateChanged", charging_state="Charging")
    house.news(TransactionUpdated(STATION, NOON, "T7", moved))
    assert house.fake.said("info") == ["rule end: T7 2100.5 AB EVDeparted", "rule update: T7 Charging"]
    assert house.rule("end")["traces"][0]["key"] == "CS1, T7"


def test_rules_run_in_their_order(tmp_path: Path) -> None:
    text = (
        rule("late", more="order = 900", do='log = "3"')
        + rule("first", more="order = 1", do='log = "1"')
        + rule("then", do='log = "2"')
    )
    house = House(tmp_path, text)
    house.news(FAULTED)
    assert [one[-1] for one in house.fake.said("info")] == ["1", "2", "3"]


def test_a_changed_file_is_taken_over_and_a_broken_one_is_not(tmp_path: Path) -> None:
    house = House(tmp_path, rule() + rule("keep", more='limit = { runs = 1, per = "1h" }'))
    result(house.plugin.start())
    house.news(FAULTED)
    house.rewrite(rule("b") + rule("keep", more='limit = { runs = 1, per = "1h" }'), 1)
    assert "2 rules are at work" in house.fake.said("info")[-1]
    house.news(FAULTED)
    assert house.last("b") == ("ran", "")
    assert house.last("keep") == ("skipped", "limit: 1 runs in 1h"), "an unchanged rule keeps its memory"
    house.rewrite(rule("b") + rule("b"), 2)
    assert "stay as they were: rules/a.toml:8:1" in house.fake.said("error")[0]
    [mistake] = house.plugin.report()["mistakes"]
    assert (mistake["line"], mistake["column"], mistake["key"]) == (8, 1, "rule[1].name")
    assert mistake["message"] == "rule b is in rules/a.toml:1 already"
    house.fake.settle(20)
    assert len(house.fake.said("error")) == 1, "said once"
    house.news(FAULTED)
    assert house.last("b") == ("ran", "")
    house.rewrite(rule("c", do='call = "no.such"'), 3)
    assert "no plugin offers the action no.such" in house.fake.said("error")[1]
    house.rewrite(rule("c", "station.lost", do='log = "x"'), 4)
    assert house.fake.listened == (StationLost,)
    house.news(StationLost(STATION, NOON, "gone"))
    assert house.last("c") == ("ran", "")
    assert house.plugin.report()["mistakes"] == []
    result(house.plugin.stop())
    assert house.fake.clock.getDelayedCalls() == []


def test_files_are_not_looked_at_again_when_told_so(tmp_path: Path) -> None:
    house = House(tmp_path, rule(), reload_every=timedelta(0))
    result(house.plugin.start())
    waiting = [str(call) for call in house.fake.clock.getDelayedCalls()]
    assert not any("look" in call for call in waiting)


QUESTIONS = """
[[rule]]
name = "free"
on = "authorize"
where = { "token.type" = "NoAuthorization" }
decide.auth = { accept = true, group = "{opt.none}FREE" }
[[rule]]
name = "lost-card"
on = "authorize"
where = { "token.value" = { glob = "LOST*" } }
decide.auth = { status = "Blocked", reason = "{token.value} is lost" }
[[rule]]
name = "deny"
on = "authorize"
where = { "token.value" = "DENY" }
decide.auth = false
[[rule]]
name = "strange"
on = "authorize"
where = { "token.value" = "ODD" }
decide.auth = "{token.value}"
[[rule]]
name = "new-firmware"
on = "boot"
where = { firmware = { startswith = "0." } }
decide.boot = { status = "Pending", interval = 60 }
"""


def question(value: str, kind: str = "ISO14443", station: StationRef = STATION) -> AuthorizationRequest:
    return AuthorizationRequest(station, IdToken(value, kind), NOON)


def test_questions_are_decided_by_the_first_rule_that_fits(tmp_path: Path) -> None:
    text = QUESTIONS.replace("{opt.none}", "").replace('{ startswith = "0." }', '{ glob = "0.*" }')
    house = House(tmp_path, text)
    plugin = house.plugin
    free = Authorization(AuthorizationStatus.ACCEPTED, IdToken("FREE", "Central"), reason="decided by rule free")
    assert result(plugin.authorize(question("", "NoAuthorization"))) == free
    lost = Authorization(AuthorizationStatus.BLOCKED, reason="LOST1 is lost")
    assert result(plugin.authorize(question("LOST1"))) == lost
    assert result(plugin.authorize(question("DENY"))) == Authorization(
        AuthorizationStatus.INVALID, reason="decided by rule deny"
    )
    assert result(plugin.authorize(question("X"))) is None
    assert result(plugin.authorize(question("ODD"))) is None
    assert "passed over" in house.fake.said("error")[0]
    boot = BootNotification("PowerUp", "ACME", "One", firmware="0.9")
    assert result(plugin.decide_boot(STATION, boot)) == BootDecision(BootStatus.PENDING, 60)
    assert result(plugin.decide_boot(STATION, replace(boot, firmware="1.0"))) is None
    assert house.rule("new-firmware")["counts"] == {"decided": 1, "skipped": 1}


def test_a_dry_question_is_not_decided(tmp_path: Path) -> None:
    house = House(tmp_path, '[[rule]]\nname = "a"\non = "reset.choose"\ndry = true\ndecide.reset = "Immediate"\n')
    assert result(house.plugin.plan_reset(STATION, Reset(), 0)) is None
    assert house.rule("a")["traces"][0]["steps"] == ["when = Immediate"]


def test_the_rules_are_shown_over_http(tmp_path: Path) -> None:
    house = House(tmp_path, rule())
    house.news(FAULTED)
    web = WebRegistry("flow_rules")
    house.plugin.register_web(web)
    status, report, _ = ask(web.found["flow_rules/rules"])
    assert status == 200
    shown = report["rules"][0]
    assert (shown["name"], shown["place"], shown["state"], shown["counts"]) == ("a", "rules/a.toml:1", "on", {"ran": 1})
    assert shown["traces"][0]["steps"] == ["log: CS1 Faulted"]
    assert ask(web.found["flow_rules/rules"], "DELETE")[0] == 405


@pytest.mark.parametrize(
    ("path", "body", "ran", "status", "said"),
    [
        ("check", None, Ran(1, '[{"level": "error"}, {"level": "warning"}]', ""), 200, ["check", "--json"]),
        ("test", {}, Ran(1, '[{"mistakes": [1]}, {"mistakes": []}]', ""), 200, ["test", "--json"]),
        ("replay", {"last": "2d"}, Ran(0, "{}", ""), 200, ["replay", "--json", "--last", "2d"]),
        ("test", {}, Ran(1, "", "Error: no files with tests\n"), 400, "no files with tests"),
        ("replay", {}, Ran(None, "", ""), 503, "this takes longer than 120 s"),
        ("replay", {}, Busy("another one is on its way"), 409, "another one is on its way"),
        ("replay", {"last": "soon"}, None, 400, "last is a duration"),
        ("check", {"text": 3}, None, 400, "the body is an object with texts"),
        ("check", [], None, 400, "the body is an object with texts"),
        ("test", {"text": '[[test]]\nfiles = ["/etc/passwd"]'}, None, 400, "files is for tests in files"),
    ],
)
def test_check_test_and_replay_are_errands_of_the_api(
    tmp_path: Path, path: str, body: Any, ran: Ran | Busy | None, status: int, said: Any
) -> None:
    house = House(tmp_path, rule())
    web = WebRegistry("flow_rules")
    house.plugin.register_web(web)
    house.fake.ran = [ran] if ran else []
    got, answer, _ = ask(web.found["flow_rules/rules"], "POST", b"" if body is None else body, path)
    assert got == status, answer
    if status == 200:
        assert house.fake.errands == [["rules", *said]]
    else:
        assert said in answer["title"]
    if path == "check" and status == 200:
        assert {name: len(found) for name, found in answer.items()} == {"mistakes": 1, "warnings": 1}


# The shipped presets


def test_reset_policy_resets_at_once_only_where_nobody_charges(tmp_path: Path) -> None:
    plugin = House(tmp_path, "", presets=("reset-policy",)).plugin
    assert result(plugin.plan_reset(STATION, Reset(), 0)) == ResetPlan(
        ResetWhen.IMMEDIATE, 900.0, None, "rule reset-now-when-idle"
    )
    assert result(plugin.plan_reset(STATION, Reset(), 1)) == ResetPlan(
        ResetWhen.ON_IDLE, 900.0, None, "rule reset-default"
    )
    text = (
        '[[use]]\npreset = "reset-policy"\nwith = { escalate = "Immediate", escalate_after = "1h", idle = "OnIdle" }\n'
    )
    other = House(tmp_path, text).plugin
    escalated = ResetPlan(ResetWhen.ON_IDLE, 3600.0, ResetWhen.IMMEDIATE, "rule reset-now-when-idle")
    assert result(other.plan_reset(STATION, Reset(), 0)) == escalated


def test_fault_autoreset_resets_three_times_a_day(tmp_path: Path) -> None:
    house = House(tmp_path, "", presets=("fault-autoreset",))
    house.news(replace(FAULTED, status=ConnectorStatus.OCCUPIED))
    for _ in range(4):
        house.news(FAULTED, 130)
        house.news(replace(FAULTED, evse=2), 3600)
    assert house.sent == [("CS1", Reset(None), "rule fault-autoreset")] * 3
    assert house.last("fault-autoreset")[1] == "limit: 3 runs in 1d"
    assert "CS1 EVSE 1 is faulted (E7)" in house.fake.notified[0]["text"]
    assert [one["title"] for one in house.fake.notified if one["title"]] == ["Station needs you"]
    house.news(FAULTED, 86400)
    house.news(FAULTED, 130)
    assert len(house.fake.sent) == 4
    offline = replace(FAULTED, station=StationRef("CS3", "ocpp2.0.1"))
    house.news(offline, 130)
    assert len(house.fake.sent) == 4


def test_fault_autoreset_can_be_kept_to_some_stations(tmp_path: Path) -> None:
    house = House(tmp_path, '[[use]]\npreset = "fault-autoreset"\nwith = { stations = "DEPOT-*", runs = 1 }\n')
    depot = StationRef("DEPOT-1", "ocpp1.6", connected=True)
    house.fake.online = [STATION, depot]
    house.news(FAULTED, 130)
    house.news(replace(FAULTED, station=depot), 130)
    assert [station for station, _, _ in house.fake.sent] == ["DEPOT-1"]


def test_alert_gap_tells_people_and_asks_a_2_x_station(tmp_path: Path) -> None:
    house = House(tmp_path, "", presets=("alert-gap",))
    gap = AlertGap(STATION, NOON, NOON, 3, 5, 2)
    house.news(gap)
    assert [one["text"] for one in house.fake.notified] == ["CS1 lost 2 alert message(s): 3 was due, 5 came"]
    assert house.sent == []
    house.fake.settle(5)
    [(station, command, _)] = house.fake.sent
    assert isinstance(command, RawCall)
    assert (station, command.action) == ("CS1", "GetReport")
    assert command.payload["componentCriteria"] == ["Problem"]
    assert type(command.payload["requestId"]) is int
    house.news(gap)
    assert house.last("alert-gap")[1].startswith("cooldown")
    house.news(replace(gap, station=OLD_STATION), 10)
    assert len(house.fake.sent) == 1
    assert len(house.fake.notified) == 2
