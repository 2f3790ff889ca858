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
