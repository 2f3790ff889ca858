"""The tutorial's files are written to a folder and used as its reader uses them: through the site file and the real plugin host."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import defer
from twisted.internet.task import Clock

from csms.api import AuthorizationRequest, AuthorizationStatus, IdToken, Purpose, SiteFileError, StationRef
from csms.config import load_site
from csms.house import House
from csms.settings import DEFAULT_PLUGINS

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "tutorial-first-plugin.md").read_text("utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", TEXT, re.DOTALL))
NOON_IN_AMSTERDAM = datetime(2026, 3, 2, 11, tzinfo=UTC)
ELEVEN_AT_NIGHT_IN_AMSTERDAM = datetime(2026, 3, 2, 22, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path, installed_plugins: None) -> Path:
    """The reader's folder after step 2."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def house(folder: Path, now: datetime) -> House:
    """The server as it is after its plugins are loaded; its database is not open."""
    return House(load_site(folder / "csms.toml"), Clock(), lambda: now)


def judged(house: House, token: str, purpose: Purpose = Purpose.AUTHORIZE) -> Any:
    """What the plugin answers to ``authorize``."""
    request = AuthorizationRequest(StationRef("CS1"), IdToken(token), house.now(), purpose)
    asking = defer.ensureDeferred(house.hooks.consult("night", "authorize", 5.0, {"request": request}))
    return asking.result


def test_the_tutorial_has_its_three_files() -> None:
    assert list(FILES) == ["csms.toml", "night.py", "test_night.py"]


def test_the_plugin_is_found_and_asked_first(folder: Path) -> None:
    loaded = house(folder, NOON_IN_AMSTERDAM).plugins.report()
    assert loaded[0]["name"] == "night"
    assert loaded[0]["hooks"] == ["authorize", "on_event"]
    assert {one["name"] for one in loaded[1:]} == {*DEFAULT_PLUGINS}


def test_at_night_strangers_are_refused_and_the_chain_ends_there(folder: Path) -> None:
    night = house(folder, ELEVEN_AT_NIGHT_IN_AMSTERDAM)
    request = AuthorizationRequest(StationRef("CS1"), IdToken("DEMO"), night.now())
    answer: Any = defer.ensureDeferred(night.hooks.ask("authorize", request=request)).result
    assert answer is not None
    assert (answer.plugin, answer.value.status) == ("night", AuthorizationStatus.NOT_AT_THIS_TIME)


def test_at_night_the_fleet_and_running_transactions_are_left_to_others(folder: Path) -> None:
    night = house(folder, ELEVEN_AT_NIGHT_IN_AMSTERDAM)
    assert judged(night, "fleet-2") is None
    assert judged(night, "DEMO", Purpose.TRANSACTION) is None
    assert judged(night, "DEMO") is not None


def test_by_day_the_plugin_has_no_opinion_and_no_fault(folder: Path) -> None:
    day = house(folder, NOON_IN_AMSTERDAM)
    assert judged(day, "DEMO") is None
    assert day.plugins.report()[0]["faults"] == 0


def test_its_news_are_counted(folder: Path) -> None:
    night = house(folder, ELEVEN_AT_NIGHT_IN_AMSTERDAM)
    request = AuthorizationRequest(StationRef("CS1"), IdToken("DEMO"), night.now())
    judgement: Any = defer.ensureDeferred(night.authorization.judge(request)).result
    night.hooks.tell(judgement.news)
    assert night.plugins.loaded[0].instance.refused == 1
    assert night.plugins.report()[0]["faults"] == 0


def test_the_mistake_of_step_3_is_told_with_its_line(folder: Path) -> None:
    site = folder / "csms.toml"
    site.write_text(site.read_text("utf-8").replace("begins = 22", "begins = 25"), "utf-8")
    with pytest.raises(SiteFileError, match="begins is an hour of 0 to 23") as told:
        house(folder, NOON_IN_AMSTERDAM)
    line = FILES["csms.toml"].splitlines().index("begins = 22") + 1
    assert f"csms.toml:{line}" in str(told.value)


def test_the_readers_own_tests_pass(folder: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        "test_night.py",
    ]
    ran = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 passed" in ran.stdout
