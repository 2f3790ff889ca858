"""The plugin host: every mistake is told before anything starts, with its place in the site file."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.task import Clock

from csms.config import SiteFileError, load_site
from csms.house import House

pytestmark = pytest.mark.usefixtures("installed_plugins")

HEAD = "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom csms.api import hookimpl\n"
GOOD = f"""{HEAD}
class Night:
    @dataclass(frozen=True)
    class Settings:
        hours: int = 8

    def __init__(self, settings, csms):
        self.hours = settings.hours

    @hookimpl
    def on_event(self, event):
        pass
"""


def house(folder: Path, plugin: str = "", site: str = '[plugins]\nenabled = ["./night.py"]\n') -> House:
    (folder / "night.py").write_text(plugin)
    (folder / "csms.toml").write_text(site)
    return House(load_site(folder / "csms.toml"), Clock())


def mistake(folder: Path, plugin: str = "", site: str = '[plugins]\nenabled = ["./night.py"]\n') -> str:
    with pytest.raises(SiteFileError) as wrong:
        house(folder, plugin, site)
    return str(wrong.value)


def test_a_local_file_is_a_plugin_with_settings(tmp_path: Path) -> None:
    site = '[plugins]\nenabled = ["./night.py", "billing"]\n[plugins.night]\nhours = 6\n'
    report = house(tmp_path, GOOD, site).plugins.report()
    assert [(one["name"], one["order"], one["hooks"]) for one in report] == [
        ("night", 1, ["on_event"]),
        ("billing", 2, ["choose_tariff", "price"]),
    ]


def test_a_misspelt_hook_is_told_with_the_right_word(tmp_path: Path) -> None:
    said = mistake(tmp_path, GOOD.replace("on_event", "on_evnt"))
    assert "no hook is called on_evnt" in said
    assert "did you mean on_event?" in said


def test_an_argument_the_hook_does_not_give_is_told(tmp_path: Path) -> None:
    assert "night" in mistake(tmp_path, GOOD.replace("def on_event(self, event)", "def on_event(self, evnt)"))


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        (GOOD.replace("self.hours = settings.hours", "raise ValueError('no hours')"), "cannot start: no hours"),
        ("1/0", "division by zero"),
        ("def broken(:", "cannot be loaded"),
        ("x = 1", "0 classes with hooks"),
    ],
)
def test_a_plugin_that_fails_is_told_by_name(tmp_path: Path, plugin: str, words: str) -> None:
    said = mistake(tmp_path, plugin)
    assert words in said
    assert "night" in said
    assert "Traceback" not in said


def test_an_unknown_plugin_is_told_with_a_suggestion(tmp_path: Path) -> None:
    said = mistake(tmp_path, "", '[plugins]\nenabled = ["biling", "./none.py"]\n')
    assert "did you mean billing?" in said
    assert "none.py" in said
    assert "2 mistakes" in said


def test_wrong_settings_have_their_line(tmp_path: Path) -> None:
    site = '[plugins]\nenabled = ["./night.py", "billing"]\n[plugins.night]\nhours = "x"\n[plugins.billing]\nper_kw = "1"\n'
    said = mistake(tmp_path, GOOD, site)
    assert "csms.toml:4:" in said
    assert "csms.toml:6:" in said
    assert "did you mean per_kwh?" in said


def test_settings_of_a_plugin_that_is_not_enabled_are_told_when_it_looks_like_a_slip(tmp_path: Path) -> None:
    said = mistake(tmp_path, "", '[plugins]\nenabled = ["billing"]\n[plugins.biling]\nper_kwh = "1"\n')
    assert "did you mean [plugins.billing]?" in said


def test_a_channels_mistakes_have_their_lines_and_cures(tmp_path: Path) -> None:
    site = (
        '[notify.a]\nkind = "webhok"\n[notify.b]\n[notify.c]\nkind = "mqtt"\nhost = "x"\nport = "y"\ntopc = "z"\n'
        '[notify.d]\nkind = "webhook"\nurl = "x"\nsecret = "s3cret"\n[notify.e]\nkind = "pigeon"\n'
        '[notify.f]\nkind = "email"\nhost = "x"\nsender = "a@b"\nto = ["c@d"]\nca_file = "none.pem"\n'
    )
    said = mistake(tmp_path, "", site)
    for words in (
        "csms.toml:2:1\n  notify.a.kind: no plugin offers channels of kind webhok\n    did you mean webhook?",
        "csms.toml:3:1\n  notify.b: a channel has a kind\n    add kind = ..., one of: email, log, mqtt, webhook",
        "csms.toml:7:1\n  notify.c.port: a whole number is wanted",
        "csms.toml:8:1\n  notify.c.topc: this key is not known\n    did you mean topic?",
        "csms.toml:11:1\n  notify.d.url: url is such as",
        "csms.toml:14:1\n  notify.e.kind: no plugin offers channels of kind pigeon\n    the kinds are: email, log, mqtt, webhook",
        "csms.toml:15:1\n  notify.f: this channel cannot be opened: ca_file",
        "7 mistakes",
    ):
        assert words in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("site", "words"),
    [
        ("notify = 3\n", "write [notify.ops]"),
        ('[notify]\nkind = "log"\n', "notify.kind: a channel is a table"),
        ('[notify."a b"]\nkind = "log"\n', "letters, digits"),
        ('[[notify.ops]]\nkind = "log"\n', "notify.ops: a channel is a table"),
        ('[notifi.ops]\nkind = "log"\n', "did you mean notify?"),
    ],
)
def test_what_is_no_channel_is_told(tmp_path: Path, site: str, words: str) -> None:
    assert words in mistake(tmp_path, "", site)


def test_the_plugin_of_a_channel_is_loaded_when_a_table_wants_it(tmp_path: Path) -> None:
    made = house(tmp_path, "", '[plugins]\nenabled = ["billing"]\n[notify.ops]\nkind = "mqtt"\nhost = "localhost"\n')
    assert [one["name"] for one in made.plugins.report()] == ["billing", "notify_mqtt"]
    assert made.notifications.channels() == {"log": "log", "ops": "mqtt"}
