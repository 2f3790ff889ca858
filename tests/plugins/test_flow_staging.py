"""Events, questions and answers of tests and replays, made from plain data; what fits no type says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from csms_plugins.flow.staging import Unmade, answer_fits, event_of, made, question_of
from fake_csms import NOON, STATION
from flow_kit import House, rule

from csms.api import Authorization, AuthorizationStatus, ConnectorStatus, IdToken, ResetPlan, ResetWhen


@dataclass(frozen=True)
class Thing:
    name: str
    at: datetime
    price: Decimal
    status: ConnectorStatus
    parts: tuple[int, ...]
    token: IdToken | None = None


def test_what_is_left_out_gets_the_plainest_value() -> None:
    empty = made(Thing, {})
    assert (empty.name, empty.price, empty.parts, empty.token) == ("", Decimal(0), (), None)
    assert (empty.at.tzinfo, empty.status) == (UTC, next(iter(ConnectorStatus)))
    given = {
        "name": "x",
        "at": "2026-03-02T12:00:00+00:00",
        "price": 1.5,
        "status": "Faulted",
        "parts": [1, 2],
        "token": {"value": "A1", "type": "Central"},
    }
    whole = Thing("x", NOON, Decimal("1.5"), ConnectorStatus.FAULTED, (1, 2), IdToken("A1", "Central"))
    assert made(Thing, given) == whole
    assert made(Thing, whole) is whole


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"status": "Broken"}, "'Broken' is no ConnectorStatus"),
        ({"at": "noon"}, "'noon' is no datetime"),
        ({"price": "much"}, "'much' is no Decimal"),
        ({"parts": ["x"]}, "'x' is no int"),
        ({"token": 5}, "5 is no IdToken"),
        ({"colour": 1}, "Thing has no colour: it has name, at"),
    ],
)
def test_what_fits_no_type_says_so(given: dict[str, Any], why: str) -> None:
    with pytest.raises(Unmade, match=why):
        made(Thing, given)


@pytest.mark.parametrize("name", ["authorize", "timer", "call", "no.such"])
def test_what_is_no_news_cannot_be_told(tmp_path: Path, name: str) -> None:
    house = House(tmp_path, rule())
    with pytest.raises(Unmade, match=f"no event {name} can be told"):
        event_of(house.plugin.set.vocabulary, name, {}, STATION, NOON)


@pytest.mark.parametrize(
    ("name", "hook"),
    [
        ("reset.choose", "plan_reset"),
        ("authorize", "authorize"),
        ("boot", "decide_boot"),
        ("price.choose", "choose_tariff"),
        ("status.retry", "plan_status_check"),
    ],
)
def test_every_question_is_made_from_nothing(name: str, hook: str) -> None:
    assert question_of(name, {}, STATION, NOON)[0] == hook


def test_an_unknown_question_is_named() -> None:
    with pytest.raises(Unmade, match="no question is called weather"):
        question_of("weather", {}, STATION, NOON)


def test_answers_are_compared_by_the_word_behind_decide_or_by_their_fields() -> None:
    assert answer_fits(None, "none")
    accepted = Authorization(AuthorizationStatus.ACCEPTED, group=IdToken("G1", "Central"))
    assert not answer_fits(accepted, "none")
    assert answer_fits(accepted, {"auth": "Accepted", "group": "G1"})
    assert not answer_fits(accepted, {"auth": "Blocked"})
    assert answer_fits(ResetPlan(ResetWhen.ON_IDLE), {"reset": ResetWhen.ON_IDLE.value})
    assert not answer_fits(None, {"auth": "Accepted"})
    with pytest.raises(Unmade, match="expect is 'none', not 'maybe'"):
        answer_fits(accepted, "maybe")
