"""Site files as people write them: good ones become settings, broken ones are told with place, reason and cure, all at once."""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import jsonschema_rs
import pytest
from csms_plugins import app_tokens, billing, flow_rules, ocmf, reset_policy, rfid_list, status_retry
from hypothesis import given, settings
from hypothesis import strategies as st

from csms.config import Problem, SettingsReader, Site, SiteFileError, load_site
from csms.setting_types import Duration, Unfit, parse_duration
from csms.settings import DEFAULT_PLUGINS, TABLES
from csms.site_problems import key_text
from csms.starter import site_schema, starter, write_starter

PLUGINS: Mapping[str, Any] = {
    "app_tokens": app_tokens.AppTokens.Settings,
    "billing": billing.Billing.Settings,
    "flow_rules": flow_rules.FlowRules.Settings,
    "ocmf": ocmf.OcmfVerifier.Settings,
    "reset_policy": reset_policy.ResetPolicy.Settings,
    "rfid_list": rfid_list.RfidList.Settings,
    "status_retry": status_retry.StatusRetry.Settings,
}


def problems_of(text: str | bytes, folder: Path) -> tuple[Problem, ...]:
    file = folder / "csms.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SiteFileError) as caught:
        load_site(file)
    assert str(caught.value).count(str(file)) == len(caught.value.problems)
    return caught.value.problems


BROKEN = {
    # Not TOML at all.
    "no quotes": ("[site]\nname = Depot", 2, 8, "not TOML", 'put texts and durations in quotes: "Depot"'),
    "no quotes, two words": ("[site]\nname = Depot North", 2, 8, "not TOML", "in quotes"),
    "duration without quotes": ("[server]\ncall_timeout = 30s", 2, 18, "behind the value", 'in quotes: "30s"'),
    "closing quote missing": ('[site]\nname = "Depot\nid = "x"', 2, 14, "not closed on its line", "missing quote"),
    "opening quote missing": ('[site]\nname = Depot"', 2, 8, "not TOML", "a quote is missing"),
    "single quote missing": ("[site]\nname = 'Depot\n", 2, 14, "not closed", "missing quote"),
    "capital True": ("[server]\ncompression = True", 2, 15, "not TOML", "write true in small letters"),
    "capital FALSE": ("[server]\ncompression = FALSE # no", 2, 15, "not TOML", "write false in small letters"),
    "yes": ("[server]\ncompression = yes", 2, 15, "not TOML", "write true"),
    "off": ("[server]\ncompression = off", 2, 15, "not TOML", "write false"),
    "none": ("[site]\nname = None", 2, 8, "not TOML", "leave the key out"),
    "no value": ("[site]\nname =\nid = 'x'", 2, 7, "not TOML", "a value is missing"),
    "no value at the end": ("[site]\nname =", 2, 7, "not TOML", "a value is missing"),
    "colon": ('[site]\nname: "Depot"', 2, 5, "followed by =", "write = instead of :"),
    "no equals sign": ("[site]\nname\n", 2, 5, "followed by =", "a line is: key = value"),
    "key of two words": ('[server]\ncall timeout = "5s"', 2, 6, "a key is one word", 'write call_timeout = "5s"'),
    "key twice": ("[site]\nid = 'a'\nname = 'b'\nid = 'c'", 4, 1, "a second time", "on line 2 already"),
    "table twice": ("[site]\n[server]\n[site]\nid = 'a'", 3, 1, "a second time", "on line 1 already"),
    "key twice in braces": ("site = { id = 'a', id = 'b' }", 1, 20, "a second time", "on line 1 already"),
    "table after a value": ("site = 5\n[site.x]", 2, 8, "contradicts", "keep one"),
    "header not closed": ("[site\nid = 'a'", 1, 6, "name of a table is not closed", "[name]"),
    "list header not closed": ("[[site]\nid = 'a'", 1, 7, "name of a table is not closed", "[[name]]"),
    "list not closed": ("[plugins]\nenabled = ['billing'\n", 2, 21, "a list is not closed", "missing ]"),
    "comma missing in a list": ("[plugins]\nenabled = ['a' 'b']", 2, 16, "a list is not closed", "missing ]"),
    "braces not closed": ("site = { id = 'a'\n", 1, 18, "not closed", "on one line"),
    "other comment": ("[site] // here\nid = 'a'", 1, 8, "behind", "a comment begins with #"),
    "line of comment": ("; here\n[site]\n", 1, 1, "no key, no table and no comment", "a comment begins with #"),
    "comma at the end": ("[site]\nid = 'a',\n", 2, 9, "behind the value", "take the comma away"),
    "comma in a number": ("[x]\ny = 0,45", 2, 6, "behind the value", "comma"),
    "leading zero": ("[stations]\npending_limit = 010", 2, 18, "behind the value", "take the leading zero away: 10"),
    "point first": ("[x]\ny = .5", 2, 5, "not TOML", "write 0.5"),
    "typographic quotes": ("[site]\nname = “Depot”", 2, 8, "typographic quotes", "straight"),
    "windows path": ('[database]\nfile = "C:\\data\\csms.sqlite"', 2, 11, "backslash", "'C:\\data\\csms.sqlite'"),
    "impossible date": ("[x]\ny = 2026-02-30", 2, 5, "no such date", "2026-03-31"),
    "control character": ("[site]\nid = 'a\x07'", 2, 8, "cannot be printed", "remove it"),
    "nested too deeply": ("[site]\nid = " + "[" * 5000, 2, 6, "nested too deeply", ""),
    "endless number": ("[site]\nid = " + "1" * 5000, 2, 6, "a number is too long", "fewer digits"),
    "not UTF-8": (b"[site]\nname = 'D\xe9pot'", 2, 10, "not UTF-8", "save the file as UTF-8"),
    "UTF-16": ("[site]\n".encode("utf-16"), 1, 1, "UTF-16", "save the file as UTF-8"),
    # TOML, but no site file.
    "table misspelt": ("\n[sever]\nlisten = 'tcp:1'", 2, 1, "table is not known", "did you mean server?"),
    "table unknown": ("[zzz]\n", 1, 1, "table is not known", "the tables are: site, server, api"),
    "table of a plugin": ("[billing]\n", 1, 1, "under [plugins]", "write [plugins.billing]"),
    "table of a plugin misspelt": ("[biling]\n", 1, 1, "not known", "did you mean [plugins.billing]?"),
    "rules here": ("[[rule]]\non = 'x'", 1, 1, "files of their own", "[plugins.flow_rules]"),
    "key outside": ("max_message = 5000\n", 1, 1, "outside of all tables", "move it to [server]"),
    "key outside, with two homes": ("listen = 'tcp:1'\n", 1, 1, "outside of all tables", "put it into one of"),
    "list of tables": ("[[server]]\n", 1, 1, "a table is wanted, not a list", "write [server] once"),
    "table is a text": ("server = 'tcp:9000'\n", 1, 1, 'a table is wanted, not "tcp:9000"', "write [server]"),
    "key misspelt": ("[server]\n  lisen = 'tcp:1'", 2, 3, "key is not known", "did you mean listen?"),
    "key with a dash": ("[server]\nping-interval = '9s'", 2, 1, "not known", "did you mean ping_interval?"),
    "key in capitals": ("[server]\nLISTEN = 'tcp:1'", 2, 1, "not known", "did you mean listen?"),
    "key unknown": ("[api]\nzzz = 1", 2, 1, "not known", "the keys here are: listen, token"),
    "key of another table": ("[server]\nheartbeat_interval = '5m'", 2, 1, "not belong", "move it to [stations]"),
    "dotted key unknown": ("server.lisen = 'tcp:1'", 1, 8, "not known", "did you mean listen?"),
    "key unknown in braces": ("api = { tokn = 'x' }", 1, 9, "not known", "did you mean token?"),
    "quoted number": (
        "[server]\nmax_message = '4096'",
        2,
        1,
        'whole number is wanted, not "4096"',
        "max_message = 4096",
    ),
    "fraction": ("[server]\nmax_message = 4096.5", 2, 1, "whole number is wanted, not 4096.5", "max_message = 262144"),
    "true for a number": ("[server]\nmax_message = true", 2, 1, "a whole number is wanted, not true", "for example"),
    "number for true": ("[server]\ncompression = 1", 2, 1, "true or false is wanted, not 1", "compression = true"),
    "text for true": ("[server]\ncompression = 'true'", 2, 1, "true or false is wanted", "take the quotes away"),
    "number for a text": ("[site]\nid = 5", 2, 1, "a text in quotes is wanted, not 5", 'write id = "5"'),
    "date for a text": ("[site]\nid = 2026-01-01", 2, 1, "text in quotes is wanted, not 2026-01-01", "for example"),
    "table for a text": ("[site.id]\nx = 1", 1, 1, "a text in quotes is wanted, not a table", "for example"),
    "empty id": ("[site]\nid = ' '", 2, 1, "not empty", "default"),
    "text for a list": ("[plugins]\nenabled = 'a'", 2, 1, 'a list is wanted, not "a"', 'enabled = ["a"]'),
    "wrong thing in a list": ("[plugins]\nenabled = [\n 'a',\n 5]", 4, 2, "a text in quotes is wanted, not 5", '"5"'),
    "plugin twice": ("[plugins]\nenabled = ['a', 'b', 'a']", 2, 1, '"a" stands here twice', "keep one"),
    "list of plugin tables": ("[[plugins.billing]]\n", 1, 1, "one table, not a list", "write [plugins.billing] once"),
    "table for a setting of plugins": ("[plugins.timeout]\n", 1, 1, "a duration", "for example"),
    "plugins key misspelt": ("[plugins]\nenabeld = ['a']", 2, 1, "not known", "did you mean enabled?"),
    "bare number for a duration": (
        "[server]\ncall_timeout = 30",
        2,
        1,
        "with its unit is wanted, not 30",
        'write "30s"',
    ),
    "duration with a space": ("[server]\ncall_timeout = '30 sec'", 2, 1, "with its unit", 'write "30s"'),
    "duration in words": ("[retention]\nmessages = 'forever'", 2, 1, "with its unit", '"7d"'),
    "duration too long": ("[retention]\nmessages = '999999999999d'", 2, 1, "at most 36500d", ""),
    "duration of nothing": ("[server]\nhandshake_timeout = '0s'", 2, 1, "at least 100ms", ""),
    "time zone": ("[site]\ntimezone = 'amsterdam'", 2, 1, "time zone", 'did you mean "Europe/Amsterdam"?'),
    "time zone is a number": ("[site]\ntimezone = 2", 2, 1, "time zone is wanted, not 2", '"UTC"'),
    "time zone is a folder": ("[site]\ntimezone = '../etc'", 2, 1, "time zone", '"UTC"'),
    "port alone": ("[server]\nlisten = 9000", 2, 1, "an endpoint is wanted, not 9000", 'write "tcp:9000"'),
    "host and port": ("[api]\nlisten = '0.0.0.0:80'", 2, 1, "endpoint", 'write "tcp:80:interface=0.0.0.0"'),
    "url for an endpoint": ("[api]\nlisten = 'http://localhost:80'", 2, 1, "endpoint", "tcp:80:interface=127.0.0.1"),
    "port too high": ("[server]\nlisten = 'tcp:90000'", 2, 1, "a port of 0 to 65535", '"tcp:9000"'),
    "port missing": ("[server]\nlisten = 'tcp:'", 2, 1, "a port of 0 to 65535", '"tcp:9000"'),
    "path without slash": ("[server]\npath = 'ocpp'", 2, 1, 'starts with "/"', '"/ocpp"'),
    "path with a question": ("[server]\npath = '/o?x=1'", 2, 1, "path is wanted", "without ?"),
    "word of a choice": ("[stations]\nunknown = 'pendign'", 2, 1, '"refuse" or "accept" is wanted', 'mean "pending"?'),
    "version alone": ("[stations]\nprotocols = ['1.6']", 2, 14, '"ocpp1.6" is wanted, not "1.6"', 'mean "ocpp1.6"?'),
    "no protocols": ("[stations]\nprotocols = []", 2, 1, "at least one", "default"),
    "protocol twice": ("[stations]\nprotocols = ['ocpp1.6', 'ocpp1.6']", 2, 1, "twice", "keep one"),
    "too little": ("[stations]\noffline_after = 0", 2, 1, "a number of at least 1 is wanted, not 0", ""),
    "too much": ("[server]\nmax_message = 99999999", 2, 1, "a number of at most 16777216 is wanted", ""),
    "no limit": ("[server]\nmax_message = 0", 2, 1, "a number of at least 1024 is wanted, not 0", ""),
    "token too short": (
        "[api]\ntoken = 'short'",
        2,
        1,
        "at least 16 characters is wanted, not a text of 5",
        "leave it out",
    ),
    "token with spaces": ("[api]\ntoken = 'a token with some spaces'", 2, 1, "without spaces", "leave it out"),
    "mark at the start, windows lines": (
        b"\xef\xbb\xbf[api]\r\n\r\n  tokn = ''\r\n",
        3,
        3,
        "not known",
        "did you mean token?",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_told_with_place_reason_and_cure(name: str, tmp_path: Path) -> None:
    text, line, column, reason, cure = BROKEN[name]
    (problem,) = problems_of(text, tmp_path)
    assert (problem.line, problem.column) == (line, column), problem
    assert reason in problem.message
    assert cure in problem.cure
    assert "pydantic" not in str(problem)
    assert "Input should" not in str(problem)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "lost = 1\n[server]\nlisten = 9000\nmax_message = 'x'\n[sation]\n[api]\ntoken = 'no'\n[plugins]\nenabled = [1, 'a', 2]\n"
    problems = problems_of(text, tmp_path)
    assert [(one.line, one.key) for one in problems] == [
        (1, "lost"),
        (3, "server.listen"),
        (4, "server.max_message"),
        (5, "sation"),
        (7, "api.token"),
        (9, "plugins.enabled[0]"),
        (9, "plugins.enabled[2]"),
    ]


def test_the_text_for_the_terminal_is_a_paragraph_for_each_mistake() -> None:
    wrong = SiteFileError(
        [Problem("b.toml", 2, 3, "", "second", ""), Problem("a.toml", 9, 1, "x.y", "first", "mend it")]
    )
    assert str(wrong) == (
        "a.toml:9:1\n  x.y: first\n    mend it\n\nb.toml:2:3\n  second\n\n2 mistakes; nothing was changed."
    )
    assert str(SiteFileError(wrong.problems[:1])).endswith("\n\n1 mistake; nothing was changed.")


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    for value in ("'hush-hush'", "12345678", "'hush-hush hush-hush'"):
        (problem,) = problems_of(f"[api]\ntoken = {value}", tmp_path)
        assert "hush" not in str(problem)
        assert "1234" not in str(problem)
    file = tmp_path / "csms.toml"
    file.write_text("[api]\ntoken = 'hush-hush-hush-hush'\n[plugins.app_tokens]\nsecret = 'hush-too-hush-too'")
    assert "hush" not in repr(load_site(file))


def test_what_was_found_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    text = '[server]\nlisten = "\\u001b[2J"\n"\\u001b[2J" = 1\nmax_message = "' + "x" * 500 + '"'
    problems = problems_of(text, tmp_path)
    assert len(problems) == 3
    for problem in problems:
        assert "\x1b" not in str(problem)
        assert len(str(problem)) < 500


@pytest.mark.parametrize(
    ("place", "reason", "cure"),
    [
        ("none.toml", "no such file", "csms init"),
        (".", "a folder", "csms.toml"),
        ("nul\0.toml", "no name of a file", "csms.toml"),
        ("x" * 300, "cannot be read", "is the path right"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(place: str, reason: str, cure: str, tmp_path: Path) -> None:
    with pytest.raises(SiteFileError) as caught:
        load_site(tmp_path / place)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (1, 1)
    assert reason in problem.message
    assert cure in problem.cure


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    file = tmp_path / "csms.toml"
    file.touch(mode=0o000)
    with pytest.raises(SiteFileError, match="cannot be read"):
        load_site(file)


@pytest.mark.parametrize("text", [b"", b"\n# nothing\n", b"\xef\xbb\xbf", b"[server]\r\n[api]\r\n"])
def test_an_empty_file_has_all_defaults(text: bytes, tmp_path: Path) -> None:
    file = tmp_path / "csms.toml"
    file.write_bytes(text)
    site, built_in = load_site(file), load_site(None, folder=tmp_path)
    for name in TABLES:
        assert getattr(site, name) == getattr(built_in, name)
    assert (site.file, site.folder, built_in.file, built_in.folder) == (file, tmp_path, None, tmp_path)


def test_the_defaults_are_those_of_the_manual() -> None:
    site = load_site(None)
    assert (site.server.listen, site.server.path, site.api.listen) == (
        "tcp:9000",
        "/ocpp",
        "tcp:9001:interface=127.0.0.1",
    )
    assert (site.stations.unknown, site.stations.heartbeat_interval) == ("pending", timedelta(minutes=5))
    assert site.database_file == Path.cwd() / "csms.sqlite"
    assert site.token_file == Path.cwd() / "csms.token"
    assert site.plugins.enabled == DEFAULT_PLUGINS
    assert set(DEFAULT_PLUGINS) == set(PLUGINS) - {"ocmf"}


def test_every_default_would_be_accepted_if_it_were_written(tmp_path: Path) -> None:
    lines = []
    for name, kind in TABLES.items():
        lines.append(f"[{name}]")
        for one in fields(kind):
            value = one.default
            written = f"{value.total_seconds() * 1000:.0f}ms" if isinstance(value, timedelta) else value
            if not (name == "api" and one.name == "token"):
                lines.append(f"{one.name} = {json.dumps(written)}")
    file = tmp_path / "csms.toml"
    file.write_text("\n".join(lines))
    assert [getattr(load_site(file), name) for name in TABLES] == [kind() for kind in TABLES.values()]


def test_a_good_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "csms.toml").write_text(
        "[site]\nid = 'north'\ntimezone = 'Europe/Amsterdam'\n"
        "[server]\nlisten = 'tcp6:9000:interface=\\:\\:'\npath = '/'\nping_interval = '0s'\ncall_timeout = '1m30.5s'\n"
        "[database]\nfile = '/var/lib/csms.sqlite'\n"
        "[stations]\nprotocols = ['ocpp1.6']\n"
        "[plugins]\nenabled = ['billing', './night.py']\n[plugins.night]\nfrom = 22\n[plugins.spare]\n"
    )
    site = load_site(tmp_path / "csms.toml")
    assert (site.site.id, site.site.timezone, site.server.path) == ("north", "Europe/Amsterdam", "")
    assert site.server.call_timeout == timedelta(seconds=90.5)
    assert site.database_file == Path("/var/lib/csms.sqlite")
    assert site.stations.protocols == ("ocpp1.6",)
    assert site.plugins.enabled == ("billing", "./night.py")
    assert site.plugin_tables == {"night": {"from": 22}, "spare": {}}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("2m30s", 150), ("24h", 86400), ("7d", 604800), ("500ms", 0.5), ("0s", 0)]
)
def test_a_duration_has_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize(
    "text", ["", "90", "s", "-5s", "5 s", "5S", "1w", "90s\n", "٣s", "1e3s", 90, 1.5, None, True, []]
)
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(Unfit, match="a duration with its unit is wanted"):
        parse_duration(text)


class Colour(Enum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True)
class Lamp:
    power_w: float
    colour: Colour = Colour.RED


@dataclass(frozen=True)
class Settings:
    """Settings as a plugin's author writes them: a plain frozen dataclass."""

    lamps: tuple[Lamp, ...] = ()
    best: Lamp | None = None
    named: Mapping[str, Lamp] = field(default_factory=dict)
    price: Decimal = Decimal(0)
    pause: Duration = timedelta(seconds=1)
    either: int | str = 0
    mode: Literal["day", "night"] = "day"
    attempts: int = 3
    password: str = ""

    def __post_init__(self) -> None:
        if self.attempts > 9:
            raise ValueError("attempts is 0 to 9")
        if self.password == "hush":
            raise ValueError("password is too easy")
        if len(self.lamps) > 2:
            raise ValueError("no more than two lamps")


def read(text: str, kind: type[Any] | None = Settings) -> tuple[Any, tuple[Problem, ...]]:
    tables = tomllib.loads(text).get("plugins", {})
    reader = SettingsReader(Site(plugin_tables=tables, text=text))
    made = reader.read(kind, "lights")
    try:
        reader.done()
    except SiteFileError as wrong:
        assert made is None
        return made, wrong.problems
    return made, ()


def test_a_plugins_settings_are_read_into_its_own_dataclass() -> None:
    made, problems = read(
        "[plugins.lights]\nprice = '0.45'\npause = '2m'\neither = 'x'\nmode = 'night'\nbest = { power_w = 5 }\n"
        "[[plugins.lights.lamps]]\npower_w = 1.5\ncolour = 'green'\n[plugins.lights.named.hall]\npower_w = 2\n"
    )
    assert problems == ()
    assert made == Settings(
        lamps=(Lamp(1.5, Colour.GREEN),),
        best=Lamp(5),
        named={"hall": Lamp(2)},
        price=Decimal("0.45"),
        pause=timedelta(minutes=2),
        either="x",
        mode="night",
    )
    assert isinstance(made.lamps, tuple)
    assert read("")[0] == Settings()


@pytest.mark.parametrize(
    ("text", "line", "key", "reason", "cure"),
    [
        ("lamps = [{ power_w = 1, colr = 'red' }]", 2, "lamps[0].colr", "not known", "did you mean colour?"),
        ("lamps = [\n{ power_w = 1 },\n{ }]", 4, "lamps[1].power_w", "this key is needed", "add power_w = ..."),
        ("lamps = [{ power_w = '5' }]", 2, "lamps[0].power_w", 'a number is wanted, not "5"', "power_w = 5"),
        ("lamps = [{ power_w = 5, colour = 'gren' }]", 2, "lamps[0].colour", '"red" or "green"', '"green"?'),
        ("lamps = { power_w = 5 }", 2, "lamps", "a list is wanted, not a table", "[ "),
        ("best = 5", 2, "best", "a table is wanted, not 5", "{ "),
        ("best = { powr_w = 5, power_w = 5 }", 2, "best.powr_w", "not known", "power_w"),
        ("[plugins.lights.named.'the hall']\npower_w = true", 3, 'named."the hall".power_w', "a number", "1.5"),
        ("price = 'cheap'", 2, "price", 'a number is wanted, not "cheap"', '"0.45"'),
        ("either = 1.5", 2, "either", "a whole number or a text in quotes is wanted, not 1.5", "either"),
        ("mode = 'nigth'", 2, "mode", '"day" or "night" is wanted, not "nigth"', 'did you mean "night"?'),
        ("attempts = 10", 2, "attempts", "attempts is 0 to 9", "found: 10"),
        ("password = 'hush'", 2, "password", "too easy", "found: a text of 4 characters"),
        ("lamps = [{power_w=1},{power_w=1},{power_w=1}]", 1, "", "no more than two lamps", ""),
        ("password = 5", 2, "password", "a text in quotes is wanted, not a value that is no text", "for example"),
    ],
)
def test_a_mistake_in_a_plugins_settings_has_its_place(text: str, line: int, key: str, reason: str, cure: str) -> None:
    made, (problem,) = read(f"[plugins.lights]\n{text}")
    assert made is None
    assert (problem.line, problem.key) == (line, f"plugins.lights.{key}".removesuffix("."))
    assert reason in problem.message
    assert cure in problem.cure


def test_a_plugin_that_is_itself_wrong_is_told_and_not_a_traceback() -> None:
    @dataclass(frozen=True)
    class Breaks:
        def __post_init__(self) -> None:
            raise TypeError("oh no")

    @dataclass(frozen=True)
    class Unreadable:
        thing: Path | SettingsReader = Path()

    for kind, reason in ((Breaks, "oh no"), (Unreadable, "settings of plugin lights cannot be read")):
        made, (problem,) = read("[plugins.lights]\n", kind)
        assert made is None
        assert reason in problem.message
        assert "a mistake in the plugin" in problem.cure


def test_a_plugin_without_settings_refuses_a_table() -> None:
    assert read("", None) == (None, ())
    _, (problem,) = read("\n[plugins.lights]\na = 1", None)
    assert (problem.line, problem.message) == (2, "plugin lights has no settings")


def test_the_reader_gathers_mistakes_of_many_tables() -> None:
    text = "[plugins.a]\nattempts = 'x'\n[plugins.b]\nattempts = 'y'\n"
    reader = SettingsReader(Site(plugin_tables=tomllib.loads(text)["plugins"], text=text))
    assert [reader.read(Settings, name) for name in ("a", "b")] == [None, None]
    reader.mistake(("plugins", "enabled"), "one more")
    with pytest.raises(SiteFileError) as caught:
        reader.done()
    assert [one.line for one in caught.value.problems] == [1, 2, 4]


def test_a_key_is_spoken_as_it_would_be_written() -> None:
    assert key_text(("plugins", "enabled", 0)) == "plugins.enabled[0]"
    assert key_text(("a b", "c.d", "é", "")) == '"a b"."c.d"."é".""'


def test_the_starter_loads_with_fresh_secrets(tmp_path: Path) -> None:
    file = tmp_path / "csms.toml"
    write_starter(file)
    site = load_site(file)
    assert "@SECRET@" not in file.read_text()
    assert site.api.token in file.read_text()
    secret = site.plugin_tables["app_tokens"]["secret"]
    assert len({site.api.token, secret, tomllib.loads(starter())["api"]["token"]}) == 3
    assert min(len(site.api.token), len(secret)) >= 43
    reader = SettingsReader(site)
    for name, kind in PLUGINS.items():
        assert reader.read(kind, name) is not None
    reader.done()


def test_the_starter_is_private_and_never_overwrites(tmp_path: Path) -> None:
    file = tmp_path / "csms.toml"
    before = os.umask(0)
    try:
        write_starter(file)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text()
    with pytest.raises(FileExistsError):
        write_starter(file)
    assert file.read_text() == text
    dangling = tmp_path / "link.toml"
    dangling.symlink_to(tmp_path / "elsewhere.toml")
    with pytest.raises(FileExistsError):
        write_starter(dangling)
    assert not (tmp_path / "elsewhere.toml").exists()


def uncommented() -> dict[str, Any]:
    """The starter with every setting that is commented out made live."""
    text = (files("csms_rules") / "site.toml").read_text(encoding="utf-8")
    return tomllib.loads(re.sub(r"(?m)^# (?=\[\[?(?:plugins|notify|window)|[a-z_]+ = )", "", text))


def test_the_starter_shows_every_setting_with_its_default() -> None:
    shown = uncommented()
    assert set(shown) == {*TABLES, "notify", "window"}
    assert set(PLUGINS) == set(shown["plugins"]) & set(PLUGINS)
    kinds = {
        **{(name,): kind for name, kind in TABLES.items()},
        **{("plugins", name): one for name, one in PLUGINS.items()},
    }
    live = {"token", "secret", "file", "per_kwh", "message_attempts", "message_attempt_interval", "tariff", "key"}
    for path, kind in kinds.items():
        table = shown[path[0]] if len(path) == 1 else shown[path[0]][path[1]]
        for one in fields(kind):
            assert one.name in table, f"{path} {one.name}"
            if one.name not in live:
                value = table[one.name]
                is_time = isinstance(one.default, timedelta)
                assert one.default == (parse_duration(value) if is_time else _as(type(one.default), value)), (
                    path,
                    one.name,
                )


def _as(kind: type, value: Any) -> Any:
    return kind(value) if kind in (tuple, Decimal) else value


def test_the_starter_is_well_with_every_setting_made_live(tmp_path: Path) -> None:
    text = (files("csms_rules") / "site.toml").read_text(encoding="utf-8").replace("@SECRET@", "s" * 32)
    file = tmp_path / "csms.toml"
    file.write_text(re.sub(r"(?m)^# (?=\[\[?(?:plugins|notify|window)|[a-z_]+ = )", "", text))
    reader = SettingsReader(load_site(file))
    for name, kind in PLUGINS.items():
        reader.read(kind, name)
    reader.done()


def test_the_schema_agrees_with_the_reader(tmp_path: Path) -> None:
    schema = jsonschema_rs.validator_for(site_schema())
    assert schema.is_valid(tomllib.loads(starter()))
    assert schema.is_valid({})
    told = ("key misspelt", "table misspelt", "quoted number", "number for a text", "bare number for a duration")
    for name in (*told, "word of a choice", "version alone", "too little", "too much", "list of tables"):
        text = BROKEN[name][0]
        assert isinstance(text, str)
        assert not schema.is_valid(tomllib.loads(text)), name
        problems_of(text, tmp_path)


scalars = st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=5), st.dates().map(str))
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.sampled_from([(name, one.name) for name, kind in TABLES.items() for one in fields(kind)]), anything)
def test_no_value_of_any_setting_breaks_the_reader(where: tuple[str, str], value: Any) -> None:
    name, key = where
    reader = SettingsReader(Site())
    made = reader.table(TABLES[name], {key: value}, (name,))
    assert (made is None) == bool(reader.problems)
    for problem in reader.problems:
        assert problem.key.startswith(f"{name}.{key}")
        assert problem.message


def test_no_two_broken_files_are_the_same() -> None:
    assert len({text for text, *_ in BROKEN.values()}) == len(BROKEN)
