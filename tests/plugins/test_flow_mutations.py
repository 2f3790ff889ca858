"""Good files made wrong in 300 ways: each mistake is told with file, line and column, nobody sees a traceback, and the old rules stay at work."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from csms_plugins.flow_rules import FlowRules
from fake_csms import FakeCsms

from csms.api import Problem, SiteFileError

COUNT = 300
ROOT = Path(__file__).resolve().parents[2]
RULES = """
[[rule]]
name = "one"
on = "status"
where = { status = "Faulted", evse = { gt = 0 } }
when = ["station.connected", "not station.maintenance", "status.error_code != 'E9'"]
during = { from = "22:00", to = "06:00", days = ["mon", "tue"] }
for = "2m"
key = "station.id, status.evse"
mode = "queued"
limit = { runs = 3, per = "24h", then = "two" }
cooldown = "10m"
gate = { at_once = 5, stop_after_failures = 2, per = "7d" }
order = 100
let = { double = "{status.evse * 2}" }
[[rule.do]]
reset = "choose"
timeout = "20s"
retry = { tries = 3, every = "30s", backoff = 2, max = "5m", on = ["timeout", "Rejected"] }
until = { event = "station.booted", where = { reason = "PowerUp" }, max = "5m" }
offline = "wait 1h"
save = "answer"
[[rule.do]]
when = "double > 2"
send = "TriggerMessage"
with = { requestedMessage = "StatusNotification", evse = { id = "{status.evse}" } }
else = [{ log = "{answer.status}", level = "warn" }]
[[rule.do]]
set = { watched = true }
[[rule.do]]
wait = { event = "status", where = { status = "Available" }, max = "1h" }
[[rule.else]]
notify = "log"
text = "{station.id} has failed"
level = "error"
[[rule]]
name = "two"
on = "call"
[[rule.do]]
raise = "depot.full"
with = { evse = "{status.evse}" }
[[rule]]
name = "three"
on = ["depot.full", "tx.ended"]
dry = true
[[rule.do]]
stop = "enough"
[[rule]]
name = "four"
on = { cron = "0 3 * * mon-fri", catchup = "once" }
each = { station = { model = "One" } }
[[rule.do]]
log = "{station.id}"
[[rule]]
name = "five"
on = "authorize"
where = { "token.type" = "Local" }
decide.auth = { ask = ["rfid_list"], each = "2s", on_error = "next", otherwise = "Invalid" }
"""
PRESETS = [
    (ROOT / "rules" / f"{name}.toml").read_text("utf-8")
    for name in ("fault-autoreset", "status-retry", "alert-gap", "reset-policy", "maintenance")
]
Mutator = Callable[[str, random.Random], str | None]


def misspelt_key(line: str, dice: random.Random) -> str | None:
    """A key with another letter in it; keys whose name is free are left alone."""
    found = re.match(r"(\s*)([a-z_]{3,})( = )", line)
    if not found or found[2] in ("note", "default"):
        return None
    at = dice.randrange(len(found[2]))
    return f"{found[1]}{found[2][:at]}q{found[2][at + 1 :]}{line[found.start(3) :]}"


def unclosed_text(line: str, dice: random.Random) -> str | None:
    """A quote that is missing at the end."""
    return line[:-1] if line.endswith('"') and line.count('"') % 2 == 0 else None


def unclosed_table(line: str, dice: random.Random) -> str | None:
    """A brace or bracket that is missing."""
    return line[:-1] if line.endswith(("}", "]")) and "=" in line else None


def wrong_type(line: str, dice: random.Random) -> str | None:
    """A date where something else is wanted."""
    found = re.match(
        r"(name|on|where|when|during|for|key|mode|limit|cooldown|order|dry|do|wait|send|reset|text|timeout) = ", line
    )
    return f"{found[1]} = 2026-01-01" if found else None


def misspelt_word(line: str, dice: random.Random) -> str | None:
    """A fixed word that is none."""
    words = [
        "Faulted",
        "Available",
        "status",
        "station.booted",
        "choose",
        "queued",
        "timeout",
        "Rejected",
        "warn",
        "once",
        "next",
        "Invalid",
    ]
    here = [
        word
        for word in words
        if f'"{word}"' in line and "default" not in line and "name =" not in line and "raise" not in line
    ]
    return line.replace(f'"{here[0]}"', f'"{here[0]}x"', 1) if here else None


def wrong_duration(line: str, dice: random.Random) -> str | None:
    """A duration without its unit."""
    found = re.search(r'"(\d+)(s|m|h|d)"', line)
    return line.replace(found[0], f'"{found[1]}"', 1) if found else None


def broken_expression(line: str, dice: random.Random) -> str | None:
    """A field that is not there, or an operator too much."""
    if "station." not in line and "status." not in line:
        return None
    wrong = dice.choice(
        [("station.", "station.q"), ("status.", "status.q"), ("station.", "sta tion."), ("status.", "status..")]
    )
    return line.replace(*wrong, 1) if wrong[0] in line else None


def twice(line: str, dice: random.Random) -> str | None:
    """The same key again."""
    return f"{line}\n{line}" if re.match(r"[a-z_.]+ = ", line) else None


MUTATORS = (
    misspelt_key,
    unclosed_text,
    unclosed_table,
    wrong_type,
    misspelt_word,
    wrong_duration,
    broken_expression,
    twice,
)


def mutations() -> Iterator[tuple[str, str]]:
    """Texts with exactly one line made wrong, and a name for each."""
    dice = random.Random(4)
    seen: set[str] = set()
    while len(seen) < COUNT:
        text, mutate = dice.choice([RULES, RULES, *PRESETS]), dice.choice(MUTATORS)
        lines = text.splitlines()
        at = dice.randrange(len(lines))
        line = lines[at].split("   #")[0]
        changed = None if line.startswith(("#", "note")) else mutate(line, dice)
        if changed is None or changed == line:
            continue
        wrong = "\n".join([*lines[:at], changed, *lines[at + 1 :]]) + "\n"
        if wrong not in seen:
            seen.add(wrong)
            yield f"{mutate.__name__}: {changed.strip()}", wrong


def mistakes(plugin: FlowRules) -> tuple[Problem, ...]:
    """What is wrong with the files as they are now."""
    try:
        plugin.prepare_reload(plugin.settings)
    except SiteFileError as wrong:
        return wrong.problems
    return ()


def test_every_wrong_file_is_told_with_its_place_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    file = tmp_path / "rules" / "a.toml"
    file.write_text('[[rule]]\nname = "old"\non = "status"\n[[rule.do]]\nlog = "x"\n', "utf-8")
    fake = FakeCsms(tmp_path, "flow_rules")
    fake.answers = {"rfid_list": lambda request: None}
    plugin = FlowRules(FlowRules.Settings(), fake.csms)
    plugin.prepare()
    use = tmp_path / "rules" / "use.toml"
    silent = []
    for name, text in mutations():
        file.write_text(text, "utf-8")
        preset = re.search(r'^name = "(.*)"', text, re.MULTILINE) if "[preset]" in text else None
        use.write_text(f'[[use]]\npreset = "{preset[1]}"\n' if preset else "", "utf-8")
        problems = mistakes(plugin)
        if not problems:
            silent.append(name)
        assert all(one.file and one.line >= 1 and one.column >= 1 and one.message for one in problems), name
        assert list(plugin.engine.rules) == ["old"]
    assert silent == []


def test_the_good_files_are_good(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.toml").write_text(RULES, "utf-8")
    fake = FakeCsms(tmp_path, "flow_rules")
    fake.answers = {"rfid_list": lambda request: None}
    plugin = FlowRules(FlowRules.Settings(), fake.csms)
    plugin.prepare()
    assert len(plugin.engine.rules) == 5


@pytest.mark.parametrize(
    "text", ["", "\ufeff", "[[rule]]", "[rule]\n", "rule = 3", '[[rule]]\nname = "a"\non = "status"\ndo = 3']
)
def test_odd_files_are_told_too(tmp_path: Path, text: str) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.toml").write_text(text, "utf-8")
    plugin = FlowRules(FlowRules.Settings(), FakeCsms(tmp_path, "flow_rules").csms)
    if text.strip("\ufeff"):
        with pytest.raises(SiteFileError):
            plugin.prepare()
    else:
        plugin.prepare()
