"""Rule files: every mistake with file, line and cure; presets and their options."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from csms_plugins.flow.files import Document, Source, duration, parse
from csms_plugins.flow.grammar import KEYS, read_rule
from csms_plugins.flow.presets import RawRule, Reading, gather
from csms_plugins.flow.verbs import VERBS
from csms_plugins.flow.words import Words
from csms_plugins.flow_rules import FlowRules
from fake_csms import FakeCsms
from hypothesis import given, settings
from hypothesis import strategies as st

from csms.api import Problem, SiteFileError

GOOD = '[[rule]]\nname = "a"\non = "status"\nwhere = { status = "Faulted" }\n[[rule.do]]\nlog = "x"\n'


def mistakes(folder: Path, text: str, presets: tuple[str, ...] = ()) -> list[str]:
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules" / "a.toml").write_text(text, "utf-8")
    try:
        FlowRules(FlowRules.Settings(presets=presets), FakeCsms(folder).csms).prepare()
    except SiteFileError as wrong:
        return [f"{one.file}:{one.line}: {one.key}: {one.message} ({one.cure})" for one in wrong.problems]
    return []


def test_a_good_file_has_no_mistakes(tmp_path: Path) -> None:
    assert mistakes(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('on = "status"', 'on = "statsu"', 3, "rule[0].on: no event is called statsu (did you mean status?)"),
        ('on = "status"', 'on = "depot.full"', 3, "no rule raises depot.full"),
        ('on = "status"', "on = 3", 3, "no event is called 3"),
        ('on = "status"', 'on = ["boot", "status"]', 3, "on events, or on one question"),
        ('name = "a"', "nam = 1", 2, "unknown key nam (did you mean name?)"),
        ('name = "a"', 'name = ""', 2, "a rule has a name"),
        ("status = ", "statos = ", 4, "has no field statos (did you mean status?)"),
        ('"Faulted"', '"Fauled"', 4, "status is never Fauled (did you mean Faulted?)"),
        ('"Faulted"', '{ equals = "Faulted" }', 4, "no comparison is called equals (did you mean eq?)"),
        ('log = "x"', 'lgo = "x"', 6, "a step has one verb, not none (did you mean log?)"),
        ('log = "x"', 'log = "x"\nsend = "y"', 7, "a step has one verb, not log and send"),
        ('log = "x"', 'log = "x"\nlvl = "y"', 7, "log has no lvl (did you mean level?)"),
        ('log = "x"', "log = 3", 6, "log is a text"),
        ('log = "x"', 'log = "x {"', 6, "has no partner"),
        ('log = "x"', 'log = "{station.modle}"', 6, "there is no modle in station (did you mean model?)"),
        ('log = "x"', 'reset = "Soft"', 6, "reset is never Soft"),
        ('log = "x"', 'availability = "on"', 6, "availability is never on"),
        ('log = "x"', 'notify = "ops"\ntext = "x"', 6, "no channel is called ops (known are log)"),
        ('log = "x"', 'notify = "log"', 6, "notify has a text"),
        ('log = "x"', 'log = "x"\nlevel = "loud"', 7, "level is never loud"),
        ('log = "x"', 'wait = "soon"', 6, "'soon' is not a duration"),
        ('log = "x"', 'raise = "status"', 6, "is not a name for news of your own"),
        ('log = "x"', 'send = "Reset"\nwith = "x"', 7, "with is a table"),
        ('log = "x"', 'log = "x"\nwhen = "1 +"', 7, "'1 +'"),
        ("[[rule.do]]\n", 'when = "gap.missing > 0"\n[[rule.do]]\n', 5, "there is no gap in status"),
        ("[[rule.do]]\n", 'when = "opt.x"\n[[rule.do]]\n', 5, "no option is called x"),
        ("[[rule.do]]\n", "when = [1]\n[[rule.do]]\n", 5, "an expression is a text"),
        ("[[rule.do]]\n", "limit = { runs = 3 }\n[[rule.do]]\n", 5, "limit has runs and per"),
        ("[[rule.do]]\n", 'limit = { runs = 0, per = "1h" }\n[[rule.do]]\n', 5, "runs is a number from 1 to 10000"),
        ("[[rule.do]]\n", 'cooldown = "1 hour"\n[[rule.do]]\n', 5, "is not a duration"),
        ("[[rule.do]]\n", 'order = "first"\n[[rule.do]]\n', 5, "order is a number"),
        ("[[rule.do]]\n", "enabled = 1\n[[rule.do]]\n", 5, "enabled is true or false"),
        ("[[rule.do]]\n", "key = 1\n[[rule.do]]\n", 5, "key is a text of paths"),
        ("[[rule.do]]\n", 'decide.reset = "OnIdle"\n[[rule.do]]\n', 5, "only a question is decided"),
        ("[[rule.do]]\n", "[rule.do]\n", 5, "steps are written [[rule.do]]"),
        ('[[rule.do]]\nlog = "x"\n', "", 1, "the rule does nothing"),
        ("[[rule]]", "[rule]", 1, "rule is written [[rule]]"),
        ("[[rule]]", "[rules]\n[[rule]]", 1, "unknown table rules (did you mean rule?)"),
        ("[[rule]]", "[[rule]", 1, "not TOML"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_cure(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    assert old in GOOD
    found = mistakes(tmp_path, GOOD.replace(old, new, 1))
    assert any(one.startswith(f"rules/a.toml:{line}: ") and words in one for one in found), found


@pytest.mark.parametrize(
    ("on", "decide", "words"),
    [
        ("reset.choose", 'decide.reset = "Soft"', "when is never Soft"),
        ("reset.choose", 'decide.auth = "Blocked"', "has decide.reset"),
        ("reset.choose", 'decide.reset = { when = "OnIdle", escalate_after = "x" }', "not a duration"),
        ("reset.choose", 'decide.reset = { wen = "OnIdle" }', "reset has no wen (did you mean when?)"),
        ("authorize", "decide.auth = { accept = 3 }", "accept cannot be 3"),
        ("authorize", 'decide.auth = "Blockt"', "status is never Blockt (did you mean Blocked?)"),
        ("boot", 'decide.boot = { status = "Accepted", interval = "x" }', "interval cannot be 'x'"),
        ("boot", 'decide.boot = "Accepted"\n[[rule.do]]\nlog = "x"', "without steps"),
        ("boot", "", "has decide.boot"),
        ("boot", 'decide.boot = { status = "Pending", interval = -4 }', "interval is a number from 1 to"),
        ("status.retry", 'decide.retry = { tries = -3, every = "60s" }', "tries is a number from 0 to 1000"),
        ("status.retry", 'decide.retry = { tries = 3, every = "0s" }', "every is at least 1s"),
        ("status.retry", "decide.retry = { tries = 3, backoff = 0 }", "backoff is a number from 1 to 100"),
    ],
)
def test_a_wrong_decision_is_told(tmp_path: Path, on: str, decide: str, words: str) -> None:
    found = mistakes(tmp_path, f'[[rule]]\nname = "a"\non = "{on}"\n{decide}\n')
    assert any(words in one for one in found), found


def test_all_mistakes_of_all_rules_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace('on = "status"', 'on = "statsu"') + GOOD.replace('"a"', '"b"').replace("log =", "lgo =")
    found = mistakes(tmp_path, text)
    assert [one.split(": ")[0] for one in found] == ["rules/a.toml:3", "rules/a.toml:12"]
    assert found[1].startswith("rules/a.toml:12: rule[1].do[0].lgo:")


def test_two_rules_of_one_name_are_told_with_both_places(tmp_path: Path) -> None:
    found = mistakes(tmp_path, GOOD + GOOD)
    assert found == ["rules/a.toml:8: rule[1].name: rule a is in rules/a.toml:1 already (give it another name)"]


def test_texts_over_several_lines_do_not_move_the_lines(tmp_path: Path) -> None:
    note = 'note = """\nname = "b"\n[[rule]]\n"""\n'
    found = mistakes(tmp_path, GOOD.replace('on = "status"', note + 'on = "statsu"'))
    assert found[0].startswith("rules/a.toml:7: rule[0].on:")


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "b.toml").write_bytes(b"\xff\xfe")
    assert "rules/b.toml:1: : this is not UTF-8 text" in mistakes(tmp_path, GOOD)[0]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ('# a\nname = "ab\udcff"\n', "rules/a.toml:2:11", "this is not UTF-8 text"),
        (GOOD.replace('log = "x"', "set = { since = 2026-01-01 }"), "rules/a.toml:6:9", "2026-01-01 is a date"),
        (GOOD.replace('log = "x"', "set = { limit = nan }"), "rules/a.toml:6:9", "nan is no number"),
        (GOOD.replace("[[rule.do]]", "let = { a = [1, -inf] }\n[[rule.do]]"), "rules/a.toml:5:17", "-inf is no number"),
    ],
)
def test_what_rules_do_not_know_is_told_once_with_its_place(tmp_path: Path, text: str, place: str, words: str) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    plugin = FlowRules(FlowRules.Settings(), FakeCsms(tmp_path, "flow_rules").csms)
    with pytest.raises(SiteFileError) as wrong:
        plugin.prepare()
    [one] = wrong.value.problems
    assert (f"{one.file}:{one.line}:{one.column}", words in one.message) == (place, True), one


def test_a_wrong_option_is_told_where_it_is_given_and_not_where_it_is_used(tmp_path: Path) -> None:
    text = '[[use]]\npreset = "fault-autoreset"\nwith = { runs = "three", per = 5 }\n'
    found = mistakes(tmp_path, f'{text}[[use]]\npreset = "firmware-window"\n')
    assert [one.split(": ")[1] for one in found[:2]] == ["use[0].with.runs", "use[0].with.per"]
    assert all(one.startswith("rules/a.toml:") for one in found), found


def test_a_site_file_among_the_rules_is_read_for_its_rules_only(tmp_path: Path) -> None:
    assert (
        mistakes(tmp_path, '[server]\nport = 1\n[plugins]\nenabled = ["x"]\n[stations]\nunknown = "x"\n' + GOOD) == []
    )


PRESET = """
[preset]
name = "shout"
[preset.options]
word = { type = "string", default = "hey", one_of = ["hey", "ho"] }
runs = { type = "integer", default = 2 }
pause = { type = "duration", default = "0s" }
must = { type = "boolean" }
[[rule]]
name = "shout"
on = "status"
limit = { runs = "{opt.runs}", per = "1h" }
cooldown = "{opt.pause}"
[[rule.do]]
log = "{opt.word} {station.id}"
"""


@pytest.mark.parametrize(
    ("use", "words"),
    [
        ('[[use]]\npreset = "shout"\nwith = { must = true }', None),
        ("", None),
        ('[[use]]\npreset = "shout"', "b.toml:1: use[0].with: preset shout needs the option must"),
        ('[[use]]\npreset = "shuot"', "b.toml:2: use[0].preset: no preset is called shuot (did you mean shout?)"),
        ('[[use]]\npreset = "shout"\nwith = { must = 1 }', "b.toml:3: use[0].with.must: 1 is not of type boolean"),
        ('[[use]]\npreset = "shout"\nwith = { must = true, word = "hi" }', "'hi' is not one of hey, ho"),
        ('[[use]]\npreset = "shout"\nwith = { must = true, runs = true }', "True is not of type integer"),
        ('[[use]]\npreset = "shout"\nwith = { must = true, pause = "x" }', "is not of type duration such as 2m30s"),
        ('[[use]]\npreset = "shout"\nwith = { must = true, wrod = "ho" }', "no option wrod (did you mean word?)"),
        ('[[use]]\npreset = "shout"\nwith = { must = true }\n' * 2, "preset shout is used twice"),
        ("[[use]]\nwith = {}", "names a preset and its options"),
        ('[[use]]\npreset = "shout"\nwiht = {}', "unknown key wiht (did you mean with?)"),
    ],
)
def test_a_preset_of_the_site_and_its_options(tmp_path: Path, use: str, words: str | None) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "b.toml").write_text(use, "utf-8")
    found = mistakes(tmp_path, PRESET)
    assert found == [] if words is None else any(words in one for one in found), found


def test_an_option_that_no_expression_could_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "b.toml").write_text('[[use]]\npreset = "shout"\nwith = { must = true }', "utf-8")
    found = mistakes(tmp_path, PRESET.replace("runs = { type", "from = { type"))
    assert found[0].startswith("rules/a.toml:6: preset.options.from: an expression cannot read this name")
    found = mistakes(tmp_path, PRESET.replace('"integer"', '"int"'))
    assert "an option has a type, one of string, integer" in found[0]
    found = mistakes(tmp_path, PRESET.replace("default = 2", 'default = "2"'))
    assert "'2' is not of type integer" in found[0]


def test_a_preset_that_nobody_has_is_told_where_it_is_named(tmp_path: Path) -> None:
    found = mistakes(tmp_path, GOOD, ("alert-gab",))
    assert found == ["[plugins.flow_rules]:1: presets: no preset is called alert-gab (did you mean alert-gap?)"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("2m30s", 150),
        ("24h", 86400),
        ("7d", 604800),
        ("500ms", 0.5),
        ("", None),
        ("5", None),
        (5, None),
        ("s", None),
    ],
)
def test_durations(text: object, seconds: float | None) -> None:
    assert duration(text) == seconds


WORDS = st.sampled_from(
    [
        "",
        "a",
        "status",
        "boot",
        "reset.choose",
        "x.y",
        "ocpp.Reset",
        "Faulted",
        "OnIdle",
        "log",
        "1h",
        "{a}",
        "{",
        "{status.evse}",
    ]
)
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-5, 5), st.floats(), WORDS, st.just(date(2026, 1, 1))),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    *VERBS,
                    "runs",
                    "per",
                    "status",
                    "station",
                    "id",
                    "eq",
                    "in",
                    "glob",
                    "exists",
                    "when",
                    "with",
                    "level",
                    "",
                ]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)
OPTIONS = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "integer", "number", "boolean", "duration", "list", "x"])},
    optional={"default": VALUES, "one_of": VALUES, "note": VALUES},
)
PRESETS = st.fixed_dictionaries({"name": WORDS, "options": st.one_of(VALUES, st.dictionaries(WORDS, OPTIONS))})
USES = st.lists(st.fixed_dictionaries({"preset": WORDS}, optional={"with": st.dictionaries(WORDS, VALUES)}), max_size=2)
TABLES = st.dictionaries(st.sampled_from([*KEYS, ""]), VALUES, max_size=6)


@settings(max_examples=500, deadline=None)
@given(table=TABLES, known=st.booleans())
def test_no_table_gets_anything_but_mistakes_out_of_the_reader(table: dict[str, Any], known: bool) -> None:
    found: list[Problem] = []
    full = {"name": "a", "on": "status", "do": [{"log": "x"}], **table} if known else table
    rule = read_rule(RawRule(Source("f"), ("rule", 0), full, {}, 0), Words(), found)
    assert (rule is None) == bool(found)
    assert all(one.message and str(one).startswith("f:1:1\n  rule[0]") for one in found)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(st.sampled_from([*GOOD, "[[use]]\n", "[preset]\n", "=", '"""']), max_size=60).map("".join),
    )
)
def test_no_text_gets_anything_but_mistakes_out_of_a_file(text: str) -> None:
    found: list[Problem] = []
    document = parse(text, "f", found)
    assert document is not None or found


@settings(max_examples=300, deadline=None)
@given(preset=st.one_of(VALUES, PRESETS), use=st.one_of(VALUES, USES), rule=VALUES)
def test_presets_of_any_shape_are_mistakes_at_most(preset: Any, use: Any, rule: Any) -> None:
    reading = Reading()
    document = Document(Source("f"), {"preset": preset, "use": use, "rule": rule})
    gather(reading, [document, Document(Source("g"), {"use": use})], ("a",))
    assert all(str(one) for one in reading.mistakes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("preset = 3", "rules/a.toml:1: preset: [preset] has a name"),
        ("[preset]\nname = 3", "rules/a.toml:1: preset: [preset] has a name"),
        ('[preset]\nname = "shout"', "preset shout is there already"),
    ],
)
def test_a_preset_has_a_name_of_its_own(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "rules").mkdir()
    if "shout" in text:
        (tmp_path / "rules" / "Z.toml").write_text(PRESET, "utf-8")
    assert any(words in one for one in mistakes(tmp_path, text))
