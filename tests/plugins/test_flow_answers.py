"""What a rule's answer becomes, word for word; whom a chain of plugins asks, and for how long."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from csms_plugins.flow.chain import authorization, boot_decision, missing_plan, reset_plan, status_plan, tariff_choice
from fake_csms import NOON, STATION, FakeCsms, result
from flow_kit import House

from csms.api import (
    Authorization,
    AuthorizationRequest,
    AuthorizationStatus,
    BootDecision,
    BootStatus,
    IdToken,
    PluginFailed,
    Reset,
    ResetPlan,
    ResetWhen,
    SiteScope,
    StatusCheckPlan,
    StatusSilence,
    TariffChoice,
    TariffQuestion,
    Transaction,
    Window,
)
from csms.model.transactions import Completeness

QUESTION = AuthorizationRequest(STATION, IdToken("TAG"), NOON)


class Asked(FakeCsms):
    """Plugins that think for some seconds; ``broken`` fails, ``knows`` accepts, others have no opinion."""

    def __init__(self, folder: Path, thinks_s: float = 0.0) -> None:
        super().__init__(folder)
        self.thinks_s = thinks_s
        self.asked: list[tuple[str, str, float, object]] = []
        self.clock.advance(1000)

    async def _consult(self, plugin: str, hook: str, timeout_s: float, **question: Any) -> Any:
        self.asked.append((plugin, hook, timeout_s, question["request"]))
        self.clock.advance(min(self.thinks_s, timeout_s))
        if plugin == "broken":
            raise PluginFailed("broken: no answer")
        return Authorization(AuthorizationStatus.ACCEPTED) if plugin == "knows" else None


def decided(fake: FakeCsms, answer: dict[str, Any]) -> Authorization | None:
    found: Authorization | None = result(authorization(fake.csms, answer, QUESTION, "r"))
    return found


def test_each_plugin_of_a_chain_gets_the_question_and_three_seconds(tmp_path: Path) -> None:
    fake = Asked(tmp_path)
    assert decided(fake, {"ask": ["silent", "flow_rules", "knows", "late"]}) == Authorization(
        AuthorizationStatus.ACCEPTED
    )
    assert fake.asked == [("silent", "authorize", 3.0, QUESTION), ("knows", "authorize", 3.0, QUESTION)]


def test_a_chain_has_five_seconds_and_then_its_last_word(tmp_path: Path) -> None:
    fake = Asked(tmp_path, thinks_s=4)
    answer = {"ask": ["a", "b", "knows"], "otherwise": "Blocked"}
    assert decided(fake, answer) == Authorization(
        AuthorizationStatus.BLOCKED, reason="rule r: no plugin knows this token"
    )
    assert [(plugin, left) for plugin, _, left, _ in fake.asked] == [("a", 3.0), ("b", 2.0)]


def test_a_chain_may_say_how_long_each_has(tmp_path: Path) -> None:
    fake = Asked(tmp_path)
    assert decided(fake, {"ask": ["a", "b"], "each": "500ms"}) is None
    assert [left for _, _, left, _ in fake.asked] == [0.5, 0.5]


def test_a_plugin_with_half_a_second_left_is_still_asked(tmp_path: Path) -> None:
    fake = Asked(tmp_path, thinks_s=4.5)
    assert decided(fake, {"ask": ["a", "knows"], "each": "4500ms"}) is not None
    assert fake.asked[1][2] == 0.5


@pytest.mark.parametrize("on_error", [None, "next"])
def test_a_plugin_that_fails_is_passed_over(tmp_path: Path, on_error: str | None) -> None:
    fake = Asked(tmp_path)
    answer = {"ask": ["broken", "knows"], "on_error": on_error}
    assert decided(fake, answer) == Authorization(AuthorizationStatus.ACCEPTED)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            {"accept": True, "group": "FLEET", "concurrent": 2},
            Authorization(
                AuthorizationStatus.ACCEPTED, IdToken("FLEET", "Central"), reason="decided by rule r", concurrent=2
            ),
        ),
        ({"accept": "yes"}, Authorization(AuthorizationStatus.INVALID, reason="decided by rule r")),
        (
            {"status": "Accepted", "concurrent": "two"},
            Authorization(AuthorizationStatus.ACCEPTED, reason="decided by rule r"),
        ),
    ],
)
def test_a_rule_that_judges_itself(tmp_path: Path, answer: dict[str, Any], expected: Authorization) -> None:
    assert decided(FakeCsms(tmp_path), answer) == expected


def test_a_reset_waits_a_quarter_of_an_hour_before_it_is_forced() -> None:
    assert reset_plan({"when": "OnIdle"}, "r") == ResetPlan(ResetWhen.ON_IDLE, 900.0, None, "rule r")
    forced = reset_plan({"when": "OnIdle", "escalate": "Immediate"}, "r")
    assert forced == ResetPlan(ResetWhen.ON_IDLE, 900.0, ResetWhen.IMMEDIATE, "rule r")


def test_a_boot_says_when_to_come_again_and_why() -> None:
    decision = boot_decision({"status": "Rejected", "interval": 1, "reason": "not here"})
    assert decision == BootDecision(BootStatus.REJECTED, 1, "not here")
    assert boot_decision({"status": "Accepted"}) == BootDecision(BootStatus.ACCEPTED, None, "")
    with pytest.raises(ValueError, match="interval 0 is not a number of seconds"):
        boot_decision({"status": "Accepted", "interval": "500ms"})


def test_a_tariff_is_named_with_its_reason() -> None:
    assert tariff_choice({"tariff": "night", "reason": "cheap"}, "r") == TariffChoice("night", "cheap")
    assert tariff_choice({"tariff": "night"}, "r") == TariffChoice("night", "rule r")


def silence(seconds: float, asked: int = 0, *, known: bool = False) -> StatusSilence:
    return StatusSilence(STATION, 1, 1, seconds, asked, known)


@pytest.mark.parametrize(
    ("answer", "silent", "plan"),
    [
        ({"tries": 1}, silence(0), StatusCheckPlan(ask=True, next_in_s=60.0, reason="rule r")),
        ({"tries": 3}, silence(0, 1), StatusCheckPlan(ask=True, next_in_s=90.0, reason="rule r")),
        ({"tries": 1}, silence(0, 1), StatusCheckPlan(ask=False, fault=True, next_in_s=60.0, reason="rule r")),
        ({"tries": 1}, silence(5, known=True), StatusCheckPlan(ask=False, next_in_s=60.0)),
        ({"tries": 1, "first": "30s"}, silence(29), StatusCheckPlan(ask=False, next_in_s=1.0)),
        ({"tries": 1, "first": "30s"}, silence(30), StatusCheckPlan(ask=True, next_in_s=60.0, reason="rule r")),
    ],
)
def test_how_often_and_when_a_silent_connector_is_asked(
    answer: dict[str, Any], silent: StatusSilence, plan: StatusCheckPlan
) -> None:
    assert status_plan(answer, silent, "r") == plan


@pytest.mark.parametrize(
    ("silent", "plan"),
    [
        (silence(10), StatusCheckPlan(ask=False, next_in_s=50.0)),
        (silence(10, known=True), StatusCheckPlan(ask=False, next_in_s=60.0)),
        (silence(60), StatusCheckPlan(ask=False, fault=True)),
    ],
)
def test_a_connector_that_is_missing_is_told_of_and_never_asked(silent: StatusSilence, plan: StatusCheckPlan) -> None:
    assert missing_plan(60.0, silent) == plan


# Which rule decides


CHOSEN = """
[[rule]]
name = "night"
on = "price.choose"
during = "night"
decide.tariff = { tariff = "night", reason = "{now.hour} o'clock" }
[[rule]]
name = "day"
on = "price.choose"
when = "now.hour >= 6"
decide.tariff = "day"
"""


@pytest.mark.parametrize(
    ("hours", "choice"),
    [
        (0, TariffChoice("day", "rule day")),
        (-10, TariffChoice("night", "3 o'clock")),
        (-14, TariffChoice("night", "23 o'clock")),
    ],
)
def test_a_price_is_that_of_the_moment_it_is_asked_for(tmp_path: Path, hours: int, choice: TariffChoice) -> None:
    fake = FakeCsms(tmp_path, "flow_rules")
    fake.site = SiteScope("depot", timezone="Europe/Berlin", windows={"night": Window("22:00", "06:00")})
    house = House(tmp_path, CHOSEN, fake)
    charge = Transaction(1, "CS1", "T1", Completeness.COMPLETE)
    question = TariffQuestion(STATION, charge, NOON + timedelta(hours=hours))
    assert result(house.plugin.choose_tariff(question)) == choice


def test_every_rule_on_a_question_tells_what_came_of_it(tmp_path: Path) -> None:
    rules = (
        '[[rule]]\nname = "far"\non = "reset.choose"\nwhere = { "station.id" = "CS9" }\ndecide.reset = "OnIdle"\n'
        '[[rule]]\nname = "dry"\non = "reset.choose"\ndry = true\ndecide.reset = "OnIdle"\n'
        '[[rule]]\nname = "now"\non = "reset.choose"\ndecide.reset = "Immediate"\n'
    )
    house = House(tmp_path, rules)
    assert result(house.plugin.plan_reset(STATION, Reset(), 0)) == ResetPlan(
        ResetWhen.IMMEDIATE, 900.0, None, "rule now"
    )
    assert house.last("far") == ("skipped", "where station.id: it is CS1")
    assert house.last("dry") == ("dry", "the rule is dry: nothing was decided")
    assert house.last("now") == ("decided", "")
    trace = house.rule("now")["traces"][0]
    assert (trace["event"], trace["station"], trace["steps"]) == ("reset.choose", "CS1", ["when = Immediate"])
