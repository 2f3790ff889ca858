"""The page on plugins for flow rules is done as its reader would: the distribution is built, installed, found by its entry point, and runs."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

import csms.plugins
from csms.config import SiteFileError
from csms.model.station import StationRef
from csms.tap import check_site
from csms.testing import running_csms

PAGE = (Path(__file__).parent.parent / "docs" / "rules-plugin.md").read_text("utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture(scope="module")
def installed_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has put the distribution."""
    pytest.importorskip("setuptools", "70.1", reason="setuptools builds the distribution of the page")
    source, target = tmp_path_factory.mktemp("parking"), tmp_path_factory.mktemp("site-packages")
    for name, text in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text, "utf-8")
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True, timeout=120)
    return target


@pytest.fixture
def parking(installed_at: Path, installed_plugins: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """It is installed beside what comes with csms."""
    monkeypatch.syspath_prepend(str(installed_at))
    points = [point for one in distributions(path=[str(installed_at)]) for point in one.entry_points]
    found = {point.name: point for point in points if point.group == "csms"}
    others = csms.plugins.installed()
    monkeypatch.setattr(csms.plugins, "installed", lambda: {**others, **found})
    yield found
    for name in [name for name in sys.modules if name.startswith("csms_parking")]:
        del sys.modules[name]


def test_the_distribution_names_its_plugin(parking: Any) -> None:
    assert [point.value for point in parking.values()] == ["csms_parking:Parking"]


@pytest_twisted.ensureDeferred
async def test_rules_hear_its_news_use_its_words_and_answer_its_question(tmp_path: Path, parking: Any) -> None:
    async with running_csms(tmp_path, site=FILES["csms.toml"]) as csms:
        plugin = next(one.instance for one in csms.house.plugins.loaded if one.found.name == "parking")
        station = StationRef("CS1", "ocpp2.0.1")
        await plugin.seen(station, 3, 5)
        await csms.settle()
        assert (plugin.lamps, plugin.towed) == ({}, [])
        await plugin.seen(station, 3, 12)
        await csms.settle()
        assert plugin.lamps == {3: "red"}
        told = [row.notification.text for row in await csms.house.store.notifications.list()]
        assert told == ["CS1 bay 3 is blocked for 12 minutes"]
        await plugin.seen(station, 4, 61)
        await csms.settle()
        assert plugin.towed == [4]
        for date, holiday in (("2026-12-25", True), ("2026-12-24", False)):
            assert csms.house.plugins.conditions["is_holiday"](date) is holiday


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("event.minutes >=", "event.minuts >="), "did you mean minutes?"),
        (('colour = "red"', 'colour = "blue"'), "colour"),
        (('"parking.lamp"', '"parking.lmap"'), "parking.lamp"),
        (('on = "parking.blocked"', 'on = "parking.blocket"'), "parking.blocked"),
    ],
)
def test_a_slip_in_a_rule_about_it_is_told_with_its_place(
    tmp_path: Path, parking: Any, change: tuple[str, str], words: str
) -> None:
    text = FILES["csms_parking/presets/blocked-bay.toml"]
    assert change[0] in text
    (tmp_path / "csms.toml").write_text(FILES["csms.toml"])
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own.toml").write_text(text.replace(*change))
    with pytest.raises(SiteFileError) as wrong:
        check_site(tmp_path / "csms.toml")
    assert words in str(wrong.value)
    assert re.search(r"own\.toml:\d+:\d+", str(wrong.value))
