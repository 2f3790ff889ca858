"""The reference of flow rules is what the code says now."""

from __future__ import annotations

import os
from pathlib import Path

from csms_plugins.flow.answers import ANSWERS
from csms_plugins.flow.events import EVENTS, QUESTIONS
from csms_plugins.flow.presets import shipped_names
from csms_plugins.flow.reference import reference
from csms_plugins.flow.verbs import VERBS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rules-reference.md"


def test_the_page_is_what_the_code_says() -> None:
    if os.environ.get("CSMS_WRITE_DOCS"):
        PAGE.write_text(reference(), "utf-8")
    stale = "docs/rules-reference.md is stale: CSMS_WRITE_DOCS=1 pytest tests/plugins/test_rules_reference.py"
    assert PAGE.read_text("utf-8") == reference(), stale


def test_nothing_is_left_out() -> None:
    text = reference()
    assert [name for name in (*EVENTS, *shipped_names()) if f"\n### {name}\n" not in text] == []
    assert [name for name in QUESTIONS if f"\n### {name}, answered by decide.{ANSWERS[name][0]}\n" not in text] == []
    assert [verb for verb in VERBS if f"| `{verb}` |" not in text] == []
    assert "| `status.error_code` | text |" in text
    assert "| `tx.energy_wh` | number |" in text
