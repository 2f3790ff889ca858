"""Steps that are wrong: each mistake is told at its place, in words, with a cure."""

from __future__ import annotations

from pathlib import Path

import pytest
from flow_kit import rule
from test_flow_files import mistakes

AWAITED = 'wait = { event = "status", max = "1h" }'


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ('send = "Reset"\nwith = 5', "with is a table"),
        ('notify = "log"\ntext = 5', "text is a text, not 5"),
        ('notify = "log"\ntext = "x"\ntitle = true', "title is a text, not True"),
        ('notify = "log"', "notify has a text"),
        ('notify = "lok"\ntext = "x"', "no channel is called lok"),
        ('notify = "log"\ntext = "x"\nlevel = "loud"', "level is never loud"),
        ("reset = 5", "reset is a text, not 5"),
        ('reset = ""', "reset is a text, not ''"),
        ('reset = "later"', "reset is never later"),
        ('reset = "choose"\nevse = "one"', "evse"),
        ("set = 5", "set is a table of flags"),
        ("set = {}", "set is a table of flags"),
        ('set = { "a-b" = 1 }', "an expression cannot read this name"),
        ("set = { a = [1] }", "a flag is a plain value"),
        ('call = "open_gate"', "no plugin offers the action open_gate (enable the plugin that has it)"),
        ('raise = "full"', "full is not a name for news of your own"),
        ('send = "Reset"\nsave = 5', "5 is no name for a result"),
        ('send = "Reset"\nsave = "a b"', "'a b' is no name for a result"),
        ('send = "Reset"\noffline = 5', 'offline is "fail" or "wait 1h", not 5'),
        ('send = "Reset"\noffline = "wait long"', "long"),
        ('send = "Reset"\nretry = 5', "retry"),
        ('send = "Reset"\nretry = { every = "1s" }', "retry has tries"),
        ('send = "Reset"\nretry = { tries = 2, on = "sorrow" }', "a step never fails by sorrow"),
        ('send = "Reset"\nretry = { tries = 2, on = ["timout"] }', "a step never fails by timout"),
        ('send = "Resett"', "no version has a call Resett to a station"),
        ('send = "Reset"\nwith = { type = "Softly" }', "type is never Softly"),
        ('send = "Reset"\nwith = { tipe = "Soft" }', "there is no field tipe"),
        ('send = "TriggerMessage"', "the field requestedMessage is missing"),
        ('send = "GetVariables"\nwith = { getVariableData = [] }', "getVariableData has at least 1 parts"),
        ('send = "GetVariables"\nwith = { getVariableData = 5 }', "getVariableData is of type array, not 5"),
        ('send = "UnlockConnector"\nwith = { evseId = true, connectorId = 1 }', "evseId is of type integer, not True"),
        ('wait = { event = "dawn" }', "no event is called dawn"),
        ('wait = { event = "authorize" }', "no event is called authorize"),
        ("wait = 5", "wait"),
        ('log = "x"\nreset = "choose"', "a step has one verb"),
        ('colour = "red"', "a step has one verb"),
        ('log = "x"\ncolour = "red"', "log has no colour"),
    ],
)
def test_a_wrong_step_is_told(tmp_path: Path, step: str, told: str) -> None:
    found = mistakes(tmp_path, rule(do=step))
    assert any(told in one for one in found), found
    assert all("rules/a.toml:" in one for one in found)


@pytest.mark.parametrize(
    "step",
    [
        'send = "Reset"\nwith = { type = "{status.status}" }',
        'reset = "{status.status}"\nevse = "{status.evse}"',
        'log = "x"\nlevel = "{status.status}"',
        'send = "Reset"\nwith = { type = "Immediate" }\noffline = "fail"',
        'wait = "{status.evse}"',
        AWAITED,
    ],
)
def test_what_an_expression_will_say_is_no_mistake_yet(tmp_path: Path, step: str) -> None:
    assert mistakes(tmp_path, rule(do=step)) == []
