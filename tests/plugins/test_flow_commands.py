"""``csms rules``: check with its lints, test, replay, schema; all of it without a server."""

from __future__ import annotations

import gc
import json
import re
import time
import tomllib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from csms_plugins.flow.commands import rules
from csms_plugins.flow.lints import LINTS
from csms_plugins.flow.replaying import Frame, replayed
from csms_plugins.flow.schema import rule_schema
from csms_plugins.flow.views import iso
from jsonschema_rs import validator_for

from csms.cli.workbench import Bench
from csms.config import load_site
from csms.rehearsal import Stage
from csms.starter import site_schema

pytestmark = pytest.mark.usefixtures("installed_plugins")

ROOT = Path(__file__).resolve().parents[2]
START = datetime.fromisoformat("2026-03-02T12:00:00+00:00")
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs ``csms rules`` in a folder with a site file; gives the exit code and what was printed."""
    monkeypatch.chdir(tmp_path)
    Path("csms.toml").write_text("[plugins.flow_rules]\n")
    Path("rules").mkdir()

    def call(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(rules, list(arguments), obj=Bench())
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return done.exit_code, done.output

    return call


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


GOOD = '[[rule]]\nname = "a"\non = "status"\nwhere = { status = "Faulted" }\n[[rule.do]]\nlog = "x"\n'


def test_good_rules_are_well_and_mistakes_of_all_files_are_told_at_once(run: Run) -> None:
    write("rules/a.toml", GOOD)
    assert run("check") == (0, "The rules are well.\n")
    write("rules/b.toml", GOOD.replace("status = ", "statos = "))
    write("rules/c.toml", GOOD.replace('name = "a"', 'name = "c"').replace("log", "lgo"))
    code, said = run("check", "--json")
    found = json.loads(said)
    assert code == 1
    assert [(one["file"], one["line"], one["column"]) for one in found] == [
        ("rules/b.toml", 4, 11),
        ("rules/c.toml", 6, 1),
    ]
    assert found[0]["cure"] == "did you mean status?"
    code, said = run("check")
    assert code == 1
    assert "rules/b.toml:4:11" in said
    assert "2 mistakes, 0 warnings." in said


def test_mistakes_of_the_site_file_are_told_too(run: Run) -> None:
    write("csms.toml", "[plugins.flow_rules]\nfils = []\n")
    code, said = run("check")
    assert (code, "did you mean files?" in said) == (1, True)


WARNED = {
    "shadowed": '[[rule]]\nname = "a"\non = "reset.choose"\ndecide.reset = "OnIdle"\n'
    '[[rule]]\nname = "b"\non = "reset.choose"\nwhen = "station.connected"\ndecide.reset = "Immediate"\n',
    "reset-without-limit": GOOD.replace('log = "x"', 'reset = "choose"'),
    "feeding": '[[rule]]\nname = "a"\non = "x.b"\n[[rule.do]]\nraise = "x.a"\n'
    '[[rule]]\nname = "b"\non = "x.a"\n[[rule.do]]\nraise = "x.b"\n',
    "window-never-opens": GOOD.replace(
        "[[rule.do]]", 'during = { from = "1:00", to = "2:00", days = [] }\n[[rule.do]]'
    ),
    "action-missing": GOOD.replace('log = "x"', 'send = "GetReport"\nwith = { requestId = 1 }'),
    "never-called": GOOD.replace('on = "status"\nwhere = { status = "Faulted" }', 'on = "call"'),
}


@pytest.mark.parametrize("lint", [name for name, _ in LINTS])
def test_what_is_hardly_meant_is_warned_of(run: Run, lint: str) -> None:
    write("rules/a.toml", WARNED[lint])
    code, said = run("check", "--json")
    assert (code, [one["lint"] for one in json.loads(said)]) == (0, [lint])
    assert run("check", "--strict")[0] == 2


def test_what_is_no_text_and_no_file_is_said(run: Run) -> None:
    path = write("rules/a.toml", "")
    path.write_bytes(b"\xff\xfe\x80")
    code, said = run("check", str(path))
    assert (code, "this is not UTF-8 text" in said, "1 mistake, 0 warnings." in said) == (1, True, True)
    assert "Is a directory" in run("check", str(path.parent))[1]
    for log in (path, path.parent):
        code, said = run("replay", str(log))
        assert (code, f"{log} cannot be read" in said) == (1, True)


@pytest.mark.parametrize("rule", [GOOD, GOOD.replace("Faulted", "Fauled")], ids=["good", "wrong"])
def test_a_rehearsal_leaves_no_folder(run: Run, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scrap = tmp_path / "scrap"
    scrap.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scrap))
    write("rules/a.toml", rule)
    write("tests/rules/a.toml", '[[test]]\nname = "quiet"\nsteps = [{ at = "1s", expect_none = true }]\n')
    run("test")
    gc.collect()
    assert [path.name for path in scrap.iterdir() if path.name.startswith("csms-rehearsal-")] == []


def test_findings_are_shown_as_sarif(run: Run) -> None:
    path = write("rules/a.toml", WARNED["reset-without-limit"])
    code, said = run("check", "--sarif", str(path))
    [found] = json.loads(said)["runs"][0]["results"]
    assert (code, found["ruleId"], found["level"]) == (0, "reset-without-limit", "warning")
    assert found["locations"][0]["physicalLocation"]["region"] == {"startLine": 5, "startColumn": 1}


def test_a_preset_that_nobody_uses_is_checked_with_its_defaults(run: Run) -> None:
    write("rules/p.toml", '[preset]\nname = "p"\n' + GOOD.replace("Faulted", "Fauled"))
    code, said = run("check")
    assert (code, "did you mean Faulted?" in said) == (1, True)


# Tests

FAULT = """
[[rule]]
name = "fault"
on = "status"
where = { status = "Faulted" }
for = "2m"
limit = { runs = 1, per = "24h", then = "people" }
[[rule.do]]
reset = "choose"
retry = { tries = 3, every = "30s", on = ["timeout", "Rejected"] }
[[rule]]
name = "people"
on = "call"
[[rule.do]]
notify = "log"
text = "{station.id} EVSE {status.evse} is broken"
"""
TRIED = """
[[test]]
name = "a fault must last, and comes to people the second time within a day"
steps = [
  { ocpp = "StatusNotification", with = { timestamp = "2026-03-02T12:00:00Z", connectorStatus = "Faulted", evseId = 1, connectorId = 1 } },
  { at = "119s", expect_none = true },
  { reply = "Reset", with = { status = "Rejected" } },
  { at = "121s", expect = "Reset", with = { type = "OnIdle" } },
  { at = "3m", expect = "Reset" },
  { expect = "run fault", outcome = "ran" },
  { event = "status", with = { evse = 1, connector = 1, status = "Available" } },
  { event = "status", with = { evse = 1, connector = 1, status = "Faulted" } },
  { at = "10m", expect = "notify log", text = "CS1 EVSE 1*" },
  { event = "status", with = { evse = 1, connector = 1, status = "Available" } },
  { at = "25h" },
  { event = "status", with = { evse = 1, connector = 1, status = "Faulted" } },
  { at = "26h" },
  { expect = "run fault", outcome = "pending", times = 3 },
]
"""


def test_tests_run_on_a_clock_of_their_own(run: Run) -> None:
    write("tests/rules/a.toml", FAULT + TRIED)
    code, said = run("test")
    assert "1 of 1 tests passed." in said, said
    assert code == 0


def test_a_test_that_fails_says_where_and_what_happened(run: Run) -> None:
    write("tests/rules/a.toml", FAULT + TRIED.replace("EVSE 1*", "EVSE 9*"))
    code, said = run("test")
    assert code == 1
    assert "test[0].steps[8]: notify log is expected 1 time(s), and it happened 0 time(s)" in said
    assert "notify log CS1 EVSE 1 is broken" in said


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("steps = [", "stps = [", "a test has no stps"),
        ("expect_none = true", "expect_nun = true", "a step has no expect_nun"),
        ('event = "status"', 'event = "statsu"', "no event statsu can be told"),
        ('status = "Available"', 'status = "Availble"', "'Availble' is not a valid ConnectorStatus"),
        ('at = "119s"', 'at = "soon"', "at is a time"),
        ('connectorStatus = "Faulted", ', "", "the server refuses this StatusNotification"),
        ('on = "status"', 'on = "statsu"', "did you mean status?"),
    ],
)
def test_a_wrong_test_is_told_with_its_place(run: Run, old: str, new: str, words: str) -> None:
    path = write("tests/rules/a.toml", (FAULT + TRIED).replace(old, new, 1))
    code, said = run("test", str(path))
    assert code == 1
    assert words in said
    assert "tests/rules/a.toml:" in said


HEADS = {
    'timezone = "Mars"': "timezone is the name of a time zone",
    "start = 3": "start is a time",
    "given = 3": "given is a table",
    "given.stations = 3": "stations is a list of tables",
    "given.stations = [3]": "stations is a list of tables",
    "given.stations = [{ id = 3 }]": "id is a text, not 3",
    'given.stations = [{ protocol = "ocpp3" }]': "this server does not speak ocpp3",
    'given.stations = [{ active_tx = "x" }]': "active_tx is a number from 0 to 1000",
    "given.stations = [{ tags = 3 }]": "tags is a list of texts",
    "given.stations = [{ maintenance = [] }]": "maintenance is a plain value",
    "given.windows = 3": "windows is a table",
    "given.windows = { night = 3 }": "a window is a table",
    'given.windows = { night = { from = "1:00" } }': "a window has from and to",
    "files = [3]": "files is a list of texts",
    "preset = 3": "preset is a text",
    'preset = "alert-gap"\nwith = 3': "with is a table",
    "with = { a = 1 }": "the test names none",
}
STEPS = {
    '{ at = "1m", with = 3 }': "with is a table",
    "{ event = 3 }": "event is a text",
    '{ event = "status", with = { evse = "x" } }': "'x' is no int",
    '{ ocpp = "Heartbeat", station = "CS9" }': "no station CS9 is connected",
    '{ lose = "CS9" }': "no station CS9 is connected",
    '{ connect = "X", with = { protocol = "ocpp3" } }': "this server does not speak ocpp3",
    '{ ask = "reset.choose", with = { active_tx = "x" } }': "'x' is no int",
    '{ ask = "reset.choose", expect = 3 }': "expect is a text, or of a question a table",
    '{ expect = "log", times = "x" }': "times is a number from 0 to 1000",
    "{ expect = { a = 1 } }": "only what a question is answered with",
    "{ expect_none = false }": "expect_none is true",
    '{ at = "2m" }, { at = "1m" }': "time does not go back",
    '{ at = "36500d" }': "a test lasts at most 400 days",
    '{ reply = "Reset", silent = "x" }': "silent is true or false",
}


@pytest.mark.parametrize(
    ("head", "steps", "words"),
    [*((head, '{ at = "1m" }', words) for head, words in HEADS.items()), *(("", *one) for one in STEPS.items())],
)
def test_whatever_is_wrong_in_a_test_is_a_sentence(run: Run, head: str, steps: str, words: str) -> None:
    write("tests/rules/a.toml", f'{GOOD}[[test]]\nname = "t"\n{head}\nsteps = [ {steps} ]\n')
    code, said = run("test")
    assert (code, words in said) == (1, True), said
    assert "tests/rules/a.toml:" in said


LINE = '{"station": "A", "at": "2026-01-01T00:00:00Z", "direction": "in", "frame": "[2, \\"1\\", \\"Heartbeat\\", {}]"}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "log.jsonl:1: no frame"),
        (f"{LINE}\n\n{LINE}\n", "log.jsonl:2: no frame"),
        ("[" * 100_000, "log.jsonl:1: no frame"),
        (LINE.replace('"in"', '"up"'), "direction is in or out, not 'up'"),
        (LINE.replace('"A"', "3"), "station and frame are texts"),
        (LINE.replace('"at"', '"when"'), "it has no at"),
    ],
)
def test_whatever_is_wrong_in_a_log_is_a_sentence(run: Run, text: str, words: str) -> None:
    write("log.jsonl", text)
    code, said = run("replay", "log.jsonl")
    assert (code, words in said) == (1, True), said


def test_times_without_an_offset_are_utc_and_other_files_are_no_logs(run: Run) -> None:
    write("log.jsonl", f"{LINE}\n{LINE.replace('Z', '')}\n")
    assert run("replay", "log.jsonl") == (0, "2 frames\n")
    write("x.sqlite", "junk")
    code, said = run("replay", "x.sqlite")
    assert (code, "x.sqlite is no message log" in said) == (1, True)


def test_a_thousand_rules_are_checked_in_time_that_grows_with_their_number(run: Run) -> None:
    took = []
    for count in (100, 1000):
        write("rules/a.toml", "".join(GOOD.replace('"a"', f'"r{number}"') for number in range(count)))
        began = time.process_time()
        assert run("check")[0] == 0
        took.append(time.process_time() - began)
    assert took[1] < 40 * max(took[0], 0.1)


def test_given_stations_flags_windows_and_presets(run: Run) -> None:
    text = """
[[rule]]
name = "quiet"
on = "reset.choose"
order = 1
during = "night"
when = ["not station.maintenance", "station.active_tx == 0", "has_tag('depot')"]
decide.reset = "Immediate"
[[test]]
name = "night"
start = "2026-03-29T02:30:00"
timezone = "Europe/Berlin"
given.windows = { night = { from = "22:00", to = "06:00" } }
given.stations = [{ id = "A", tags = ["depot"] }, { id = "B", maintenance = true, active_tx = 1 }]
steps = [
  { ask = "reset.choose", expect = { reset = "Immediate" } },
  { ask = "reset.choose", station = "B", expect = { reset = "OnIdle" } },
  { at = "3h", ask = "reset.choose", expect = { reset = "OnIdle" } },
]
"""
    write("tests/rules/a.toml", text)
    code, said = run("test")
    assert code == 0, said


# Replay


def traffic() -> list[tuple[timedelta, str, list[Any]]]:
    """A day of two stations: statuses that come and go, tokens, meter values."""
    found: list[tuple[timedelta, str, list[Any]]] = []
    for hour in range(24):
        for station in ("CS1", "CS2"):
            at = timedelta(hours=hour, seconds=7 if station == "CS1" else 11)
            status = "Faulted" if hour % (5 if station == "CS1" else 7) == 2 else "Available"
            found.append(
                (at, station, ["StatusNotification", {"connectorStatus": status, "evseId": 1, "connectorId": 1}])
            )
            token = {"idToken": f"T{hour % 4}", "type": "ISO14443"}
            found.append((at + timedelta(minutes=3), station, ["Authorize", {"idToken": token}]))
    return sorted(found, key=lambda one: one[0])


DAY = (
    FAULT
    + """
[[rule]]
name = "blocked"
on = "authorize"
where = { "token.value" = "T3" }
decide.auth = { status = "Blocked" }
[[rule]]
name = "hourly"
on = { cron = "30 */6 * * *" }
[[rule.do]]
notify = "log"
text = "{now.hour}"
"""
)


def lived(folder: Path) -> tuple[list[Frame], list[tuple[str, ...]]]:
    """A day with the rules at work: the frames as they were logged, and what the rules decided."""
    stage = Stage(load_site(folder / "csms.toml"), "flow_rules", START, dry=False)
    frames: list[Frame] = []
    decided: list[tuple[str, ...]] = []
    stage.house._logged = lambda station, direction, frame: frames.append(  # type: ignore[method-assign]
        Frame(station, stage.now, direction, frame if isinstance(frame, str) else frame.decode())
    )
    stage.plugin.engine.traces.witness = lambda rule, trace: (
        decided.append((rule.id, iso(trace.at), trace.event, trace.station, trace.key, trace.outcome))
        if trace.outcome in ("ran", "failed", "decided")
        else None
    )
    for number, (after, station, (action, payload)) in enumerate(traffic(), 1):
        stage.pass_until(START + after)
        if station not in stage._stations:
            stage.join(station, "ocpp2.0.1")
        timed = {**payload, "timestamp": iso(stage.now)} if action == "StatusNotification" else payload
        frames.append(Frame(station, stage.now, "in", json.dumps([2, f"m{number}", action, timed])))
        if number < 3:
            boot = {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}}
            frames.append(Frame(station, stage.now, "in", json.dumps([2, f"b{number}", "BootNotification", boot])))
            stage.say(station, "BootNotification", boot)
            frames[-2:] = frames[-1], frames[-2]
        stage.say(station, action, timed)
    stage.pass_until(START + timedelta(days=1))
    stage.close()
    return frames, decided


def test_a_day_replayed_twice_gives_the_live_decisions_byte_for_byte(run: Run, tmp_path: Path) -> None:
    write("rules/a.toml", DAY)
    frames, decided = lived(tmp_path)
    first, second = (replayed(Bench(), None, frames, ()) for _ in range(2))
    one, other = (json.dumps(each.report(), sort_keys=True) for each in (first, second))
    assert one == other
    again = [
        tuple(each[name] for name in ("rule", "at", "event", "station", "key", "outcome"))
        for each in first.decisions
        if each["at"] < iso(START + timedelta(days=1))
    ]
    live = [each for each in decided if each[1] < iso(START + timedelta(days=1))]
    assert again == live
    assert {each[0] for each in live} >= {"fault", "blocked", "hourly", "people"}


def test_a_replay_tells_the_difference_that_new_rules_make(run: Run, tmp_path: Path) -> None:
    write("rules/a.toml", DAY)
    frames, _ = lived(tmp_path)
    lines = [
        json.dumps({"station": f.station, "at": iso(f.at), "direction": f.direction, "frame": f.text}) for f in frames
    ]
    write("log.jsonl", "\n".join(lines))
    write("new.toml", DAY.replace('for = "2m"', 'for = "2m"\nwhen = "station.id == \'CS1\'"'))
    code, said = run("replay", "log.jsonl", "--rules", "new.toml")
    assert code == 0
    assert "2 to 1 stations" in said
    code, said = run("replay", "log.jsonl", "--json")
    assert json.loads(said)["rules"]["frames"] == len(frames)
    write("log.jsonl", "{}")
    code, said = run("replay", "log.jsonl")
    assert (code, "log.jsonl:1: no frame" in said) == (1, True)


# The schema for editors


COOKBOOK = (ROOT / "docs" / "rules-cookbook.md").read_text("utf-8")
TUTORIAL = (ROOT / "docs" / "rules-tutorial.md").read_text("utf-8")
SHIPPED = {
    **{str(one.relative_to(ROOT)): one.read_text("utf-8") for one in sorted((ROOT / "rules").rglob("*.toml"))},
    **dict(re.findall(r"<!-- file: (\S+) -->\n```toml\n(.*?)```", TUTORIAL, re.DOTALL)),
    **dict(re.findall(r"^### (\d+\. .*?)\n.*?<!-- recipe -->\n```toml\n(.*?)```", COOKBOOK, re.DOTALL | re.MULTILINE)),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_file_fits_its_schema(name: str) -> None:
    made = site_schema() if name in ("rules/site.toml", "csms.toml") else rule_schema()
    validator_for(made).validate(tomllib.loads(SHIPPED[name]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("for =", "fur ="),
        ('"2m"', "2"),
        ("[[rule.do]]\nreset", '[[rule.do]]\nlog = "x"\nreset'),
        ("tries", "trys"),
        ('on = "status"', 'on = "statsu"'),
        ("expect_none", "expect_nun"),
        ("steps =", "stps ="),
    ],
)
def test_an_editor_sees_a_mistake_by_the_schema(old: str, new: str) -> None:
    check = validator_for(rule_schema())
    assert check.is_valid(tomllib.loads(FAULT + TRIED))
    assert not check.is_valid(tomllib.loads((FAULT + TRIED).replace(old, new, 1)))


@pytest.mark.parametrize("name", ["rules", "site"])
def test_the_shipped_schemas_are_those_of_the_code(name: str) -> None:
    made = rule_schema() if name == "rules" else site_schema()
    kept = (ROOT / "rules" / f"{name}.schema.json").read_text("utf-8")
    assert kept == json.dumps(made, indent=1) + "\n", f"write it anew: csms rules schema --{name}"
