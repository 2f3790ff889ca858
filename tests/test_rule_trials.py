"""Presets, cookbook and tutorial of flow rules are tried out as their readers would: by ``csms rules check``, ``test`` and ``replay``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import pytest_twisted
from click.testing import CliRunner, Result
from csms_plugins.flow.commands import rules
from csms_plugins.flow.presets import shipped_names

from csms.cli.workbench import Bench
from csms.testing import running_csms

pytestmark = pytest.mark.usefixtures("installed_plugins")

ROOT = Path(__file__).resolve().parents[1]
PRESET_TESTS = sorted((ROOT / "rules" / "tests").glob("*.toml"))
COOKBOOK = (ROOT / "docs" / "rules-cookbook.md").read_text("utf-8")
RECIPES = re.findall(r"^### (\d+\. .*?)\n.*?<!-- recipe -->\n```toml\n(.*?)```", COOKBOOK, re.DOTALL | re.MULTILINE)
TUTORIAL = dict(
    re.findall(
        r"<!-- file: (\S+) -->\n```toml\n(.*?)```",
        (ROOT / "docs" / "rules-tutorial.md").read_text("utf-8"),
        re.DOTALL,
    )
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reader's folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def csms(*words: str) -> Result:
    """``csms rules ...``"""
    return CliRunner().invoke(rules, words, obj=Bench())


def passed(*words: str) -> int:
    """How many tests passed; all must."""
    done = csms("test", *words, "--json")
    assert done.exit_code == 0, csms("test", *words).output
    return len(json.loads(done.output))


# Presets


def test_every_preset_has_tests() -> None:
    assert tuple(file.stem for file in PRESET_TESTS) == shipped_names()


@pytest.mark.parametrize("file", PRESET_TESTS, ids=lambda file: file.stem)
def test_a_preset_does_what_its_tests_say(file: Path) -> None:
    assert passed(str(file)) == file.read_text("utf-8").count("[[test]]")


def test_a_test_of_a_preset_can_fail(folder: Path) -> None:
    text = (ROOT / "rules" / "tests" / "fault-autoreset.toml").read_text("utf-8")
    (folder / "wrong.toml").write_text(text.replace("times = 3", "times = 4"))
    done = csms("test", "wrong.toml")
    assert done.exit_code == 1
    assert "Reset is expected 4 time(s), and it happened 3 time(s)" in done.output


# The cookbook


def test_there_are_enough_recipes_and_they_are_numbered() -> None:
    assert len(RECIPES) >= 15
    assert [int(name.partition(".")[0]) for name, _ in RECIPES] == list(range(1, len(RECIPES) + 1))
    assert len(RECIPES) == COOKBOOK.count("<!-- recipe -->")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe[0])
def test_a_recipe_works(folder: Path, recipe: tuple[str, str]) -> None:
    file = folder / "rules" / "recipe.toml"
    file.parent.mkdir()
    file.write_text(recipe[1], "utf-8")
    assert passed(str(file)) == recipe[1].count("[[test]]") > 0
    checked = csms("check", str(file))
    assert checked.exit_code == 0, checked.output


# The tutorial


@pytest.fixture
def reader(folder: Path) -> Path:
    """The reader's folder after step 4."""
    for name, text in TUTORIAL.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


def test_the_tutorial_has_its_files() -> None:
    assert list(TUTORIAL) == ["csms.toml", "rules/faults.toml", "tests/rules/faults.toml", "rules/resets.toml"]


def test_the_tutorials_rules_are_well_and_pass_their_tests(reader: Path) -> None:
    assert csms("check").exit_code == 0
    assert passed() == 2


def test_the_tutorials_slip_is_told_with_its_place(reader: Path) -> None:
    file = reader / "rules" / "faults.toml"
    file.write_text(file.read_text().replace('"Faulted"', '"Fauled"'))
    done = csms("check")
    assert done.exit_code == 1
    assert re.search(r"faults\.toml:4:\d+", done.output)
    assert "Faulted" in done.output


@pytest_twisted.ensureDeferred
async def test_the_tutorials_traffic_is_replayed(reader: Path) -> None:
    site = (reader / "csms.toml").read_text("utf-8")
    async with running_csms(reader, site=site) as running:
        boot = {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}}
        log = running.house.store.messages.log
        log("SIM1", running.house.now(), "in", json.dumps([2, "b", "BootNotification", boot]))
        for minutes, status in ((0, "Faulted"), (1, "Available"), (2, "Faulted")):
            at = f"2026-03-01T12:0{minutes}:00Z"
            told = {"timestamp": at, "connectorStatus": status, "evseId": 1, "connectorId": 1}
            frame = [2, f"s-{minutes}", "StatusNotification", told]
            log("SIM1", running.house.now(), "in", json.dumps(frame))
            await running.advance(60)
        await running.house.store.messages.flush()
    changed = (reader / "rules" / "faults.toml").read_text("utf-8").replace('for = "2m"\n', "")
    (reader / "new.toml").write_text(changed, "utf-8")
    shown = csms("replay", "csms-messages.sqlite", "--rules", "new.toml")
    assert shown.exit_code == 0, shown.output
    assert "fault-reset" in shown.output
    assert "difference:" in shown.output
