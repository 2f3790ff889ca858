"""What the documentation says of rules and settings is true."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from csms_plugins.app_tokens import AppTokens
from csms_plugins.billing import Billing
from csms_plugins.flow.events import EVENTS, QUESTIONS
from csms_plugins.flow.functions import ARGUMENTS
from csms_plugins.flow.grammar import KEYS
from csms_plugins.flow.presets import shipped_names
from csms_plugins.flow.verbs import COMMON, VERBS
from csms_plugins.flow_rules import FlowRules
from csms_plugins.ocmf import OcmfVerifier
from csms_plugins.reset_policy import ResetPolicy
from csms_plugins.rfid_list import RfidList
from csms_plugins.status_retry import StatusRetry
from fake_csms import FakeCsms

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
RULES = (DOCS / "rules.md").read_text("utf-8")
PLUGINS = (DOCS / "plugins.md").read_text("utf-8")
EXAMPLES = re.findall(r"<!-- rule file -->\n```toml\n(.*?)```", RULES, re.DOTALL)
KINDS: dict[str, Any] = {
    "rfid_list": RfidList,
    "app_tokens": AppTokens,
    "reset_policy": ResetPolicy,
    "status_retry": StatusRetry,
    "billing": Billing,
    "ocmf": OcmfVerifier,
    "flow_rules": FlowRules,
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_rule_file_is_good(tmp_path: Path, text: str) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "example.toml").write_text(text, "utf-8")
    use = '[[use]]\npreset = "quiet-hours"\n' if "quiet-hours" in text else ""
    (tmp_path / "rules" / "use.toml").write_text(use, "utf-8")
    plugin = FlowRules(FlowRules.Settings(), FakeCsms(tmp_path).csms)
    plugin.prepare()
    assert plugin.report()["rules"]


def test_there_is_an_example_for_each_shipped_preset() -> None:
    for name in shipped_names():
        assert f'preset = "{name}"' in RULES
        (row,) = re.findall(rf"^\| `{name}` \| .* \| `(.*)` \|$", RULES, re.MULTILINE)
        preset = tomllib.loads((ROOT / "rules" / f"{name}.toml").read_text("utf-8"))["preset"]
        assert row.split() == list(preset["options"])


@pytest.mark.parametrize("preset", shipped_names())
def test_every_shipped_preset_is_good_with_its_defaults(tmp_path: Path, preset: str) -> None:
    fake = FakeCsms(tmp_path)
    fake.answers = {"rfid_list": lambda: None, "app_tokens": lambda: None}
    plugin = FlowRules(FlowRules.Settings(presets=(preset,)), fake.csms)
    plugin.prepare()
    assert plugin.report()["rules"]


@pytest.mark.parametrize("word", [*EVENTS, *QUESTIONS, *VERBS, *COMMON, *ARGUMENTS, *KEYS])
def test_every_word_of_the_language_is_in_the_docs(word: str) -> None:
    assert re.search(rf"\b{re.escape(word)}\b", RULES)


@pytest.mark.parametrize("name", KINDS)
def test_every_setting_is_in_the_docs(name: str) -> None:
    section = PLUGINS.split(f"\n## {name}\n")[1].split("\n## ")[0]
    for one in fields(KINDS[name].Settings):
        assert f"`{one.name}`" in section
