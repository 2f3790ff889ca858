"""When a reset happens that did not say so."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from csms_plugins.reset_policy import ResetPolicy
from fake_csms import STATION, FakeCsms

from csms.api import Reset, ResetPlan, ResetWhen


def test_the_site_decides_when_the_reset_does_not_say(tmp_path: Path) -> None:
    plugin = ResetPolicy(ResetPolicy.Settings(), FakeCsms(tmp_path).csms)
    assert plugin.plan_reset(STATION, Reset(), 0) == ResetPlan(
        ResetWhen.ON_IDLE, 900.0, None, "[plugins.reset_policy] when"
    )


def test_the_resets_own_word_stays_and_the_escalation_is_the_sites(tmp_path: Path) -> None:
    settings = ResetPolicy.Settings("Immediate", timedelta(minutes=2), "Immediate")
    plugin = ResetPolicy(settings, FakeCsms(tmp_path).csms)
    assert plugin.plan_reset(STATION, Reset(), 1) == ResetPlan(
        ResetWhen.IMMEDIATE, 120.0, ResetWhen.IMMEDIATE, "[plugins.reset_policy] when"
    )
    plan = plugin.plan_reset(STATION, Reset(ResetWhen.ON_IDLE), 1)
    assert plan == ResetPlan(ResetWhen.ON_IDLE, 120.0, ResetWhen.IMMEDIATE, "the order says so")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"when": "Soft"}, "when is"),
        ({"escalate": "Hard"}, "escalate is"),
        ({"escalate_after": timedelta(0)}, "escalate_after"),
    ],
)
def test_wrong_settings_are_told_in_words(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ResetPolicy.Settings(**wrong)  # type: ignore[arg-type]
