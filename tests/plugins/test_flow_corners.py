"""What rules seldom meet: times that are none, answers that are no answers, functions of odd values."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from csms_plugins.flow.chain import (
    authorization,
    boot_decision,
    missing_plan,
    reset_plan,
    status_plan,
    tariff_choice,
)
from csms_plugins.flow.cron import CronError, cron_of
from csms_plugins.flow.functions import CONTEXTUAL, FUNCTIONS
from csms_plugins.flow.views import plain
from csms_plugins.flow.windows import Window, window_of
from fake_csms import NOON, STATION, FakeCsms, result
from test_flow_files import GOOD, mistakes

from csms.api import (
    Authorization,
    AuthorizationRequest,
    AuthorizationStatus,
    BootStatus,
    ConnectorStatus,
    IdToken,
    PluginFailed,
    ResetWhen,
    StatusSilence,
    TransactionEvent,
)

BERLIN = ZoneInfo("Europe/Berlin")
QUESTION = AuthorizationRequest(STATION, IdToken("TAG"), NOON)


# Cron and windows


@pytest.mark.parametrize(
    ("text", "now", "next_"),
    [
        ("0 3 * * *", "2026-03-02T12:00", "2026-03-03T03:00"),
        ("*/20 8-9 * * mon-fri", "2026-03-06T09:41", "2026-03-09T08:00"),
        ("15 10/6 1,15 * *", "2026-03-02T12:00", "2026-03-15T10:15"),
        ("0 0 1 * sun", "2026-03-02T12:00", "2026-03-08T00:00"),
        ("0 12 29 feb *", "2026-03-02T12:00", "2028-02-29T12:00"),
        ("30 6 * jan,jun 7", "2026-03-02T12:00", "2026-06-07T06:30"),
    ],
)
def test_the_next_moment_of_a_cron_text(text: str, now: str, next_: str) -> None:
    found = cron_of(text, ZoneInfo("UTC")).after(datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(next_).replace(tzinfo=UTC)


def test_a_time_that_a_change_of_clocks_leaves_out_comes_later_and_one_that_comes_twice_once() -> None:
    early = cron_of("30 2 * * *", BERLIN)
    assert early.after(datetime(2026, 3, 29, tzinfo=UTC)) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    first = early.after(datetime(2026, 10, 24, 22, tzinfo=UTC))
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert early.after(first) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 3 * *", "five fields"),
        (5, "five fields"),
        ("0 3 * * funday", "goes from 0 to 7"),
        ("60 3 * * *", "'60' is no minute: it goes from 0 to 59"),
        ("0 9-8 * * *", "'9-8' is no hour"),
        ("0 */0 * * *", "is no hour"),
        ("0 3 ? * *", "'?' is no day of the month"),
        ("0 3 31 feb *", "names no day that there is"),
    ],
)
def test_a_text_that_is_not_crons_says_why(text: object, words: str) -> None:
    with pytest.raises(CronError) as wrong:
        cron_of(text, BERLIN)
    assert words in str(wrong.value)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"from": "22:00", "until": "06:00"}, "not until"),
        ({"from": "22:00", "to": "26:00"}, "a window has from and to"),
        ({"from": "22:00", "to": 6}, "a window has from and to"),
        ({"from": "22:00", "to": "06:00", "days": ["monday"]}, "days are a list of"),
        ({"from": "22:00", "to": "06:00", "tz": "Mars/Olympus"}, "is not the name of a time zone"),
    ],
)
def test_a_wrong_window_says_why(table: dict[str, Any], words: str) -> None:
    assert words in str(window_of("w", table, BERLIN))


def test_a_window_has_a_zone_and_days_of_its_own() -> None:
    window = window_of("w", {"from": "22:00", "to": "06:00", "days": ["fri"], "tz": "Asia/Tokyo"}, BERLIN)
    assert isinstance(window, Window)
    assert str(window) == "w (22:00-06:00 fri Asia/Tokyo)"
    assert window.holds(datetime(2026, 3, 6, 13, tzinfo=UTC))
    assert window.holds(datetime(2026, 3, 6, 20, 59, tzinfo=UTC))
    assert not window.holds(datetime(2026, 3, 6, 21, tzinfo=UTC))


@pytest.mark.parametrize(
    ("on", "words"),
    [
        ("{ every = '5m', cron = '0 3 * * *' }", "on has an event, or every, or cron"),
        ("{ evry = '5m' }", "on has no evry (did you mean every?)"),
        ("{ every = '5m', after = '1m' }", "only an event has after"),
        ("{ every = '100ms' }", "every is at least 1s"),
        ("{ event = 'status', after = '1m' }", "status has no after"),
        ("{ event = 'statsu' }", "no event is called statsu"),
        ("{ cron = '0 3 * *' }", "five fields"),
        ("{ cron = '0 3 * * *', catchup = 'twice' }", "catchup is never twice"),
        ("'timer'", "a time is written as a table"),
    ],
)
def test_a_wrong_beginning_is_told_with_its_place(tmp_path: Path, on: str, words: str) -> None:
    told = mistakes(tmp_path, GOOD.replace('on = "status"', f"on = {on}").replace("where", "#"))
    assert any(words in one and one.startswith("rules/a.toml:3:") for one in told), told


# Answers


def test_a_reset_that_is_decided() -> None:
    assert reset_plan({"when": "OnIdle"}, "r1").when is ResetWhen.ON_IDLE
    later = reset_plan({"when": "OnIdle", "escalate": "Immediate", "escalate_after": "2m"}, "r1")
    assert (later.escalate, later.escalate_after_s) == (ResetWhen.IMMEDIATE, 120.0)
    with pytest.raises(ValueError, match="'soon' is not a valid ResetWhen"):
        reset_plan({"when": "soon"}, "r1")
    with pytest.raises(ValueError, match="'long' is not a duration"):
        reset_plan({"when": "OnIdle", "escalate_after": "long"}, "r1")


def test_a_boot_that_is_decided() -> None:
    assert boot_decision({"status": "Pending", "interval": "2m"}).interval_s == 120
    assert boot_decision({"status": "Accepted"}).status is BootStatus.ACCEPTED
    for interval in (0, True, 1.5):
        with pytest.raises(ValueError, match="is not a number of seconds"):
            boot_decision({"status": "Accepted", "interval": interval})


def test_a_tariff_that_is_decided() -> None:
    assert tariff_choice({"tariff": "night"}, "r1").reason == "rule r1"
    with pytest.raises(ValueError, match="is not the name of a tariff"):
        tariff_choice({"tariff": ""}, "r1")


def silence(seconds: float, asked: int = 0, *, known: bool = False) -> StatusSilence:
    return StatusSilence(STATION, 1, 1, seconds, asked, known)


def test_how_a_silent_connector_is_asked() -> None:
    answer = {"tries": 2, "every": "10s", "backoff": 2, "first": "30s"}
    assert status_plan(answer, silence(40, known=True), "r1").ask is False
    assert status_plan(answer, silence(10), "r1").next_in_s == 20.0
    assert [status_plan(answer, silence(40, asked), "r1").next_in_s for asked in (0, 1)] == [10.0, 20.0]
    over = status_plan(answer, silence(99, 2), "r1")
    assert (over.ask, over.fault) == (False, True)
    with pytest.raises(ValueError, match="are no numbers"):
        status_plan({"tries": True}, silence(1), "r1")


def test_when_a_silent_connector_is_told_of() -> None:
    assert missing_plan(60.0, silence(10)).next_in_s == 50.0
    assert missing_plan(0.5, silence(10, known=True)).next_in_s == 1.0
    assert missing_plan(60.0, silence(60)).fault is True


class Chain(FakeCsms):
    """Plugins that answer, fail, or have no opinion, by their names."""

    async def _consult(self, plugin: str, hook: str, timeout_s: float, **question: Any) -> Any:
        if plugin == "broken":
            raise PluginFailed("broken: no answer within 3 s")
        return Authorization(AuthorizationStatus.ACCEPTED) if plugin == "knows" else None


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        ({"accept": True}, AuthorizationStatus.ACCEPTED, "decided by rule r"),
        ({"accept": False}, AuthorizationStatus.INVALID, "decided by rule r"),
        ({"status": "Blocked", "reason": "stolen"}, AuthorizationStatus.BLOCKED, "stolen"),
        ({"ask": ["silent", "knows"]}, AuthorizationStatus.ACCEPTED, ""),
        ({"ask": ["broken", "knows"]}, AuthorizationStatus.ACCEPTED, ""),
        ({"ask": ["broken", "knows"], "on_error": "deny"}, AuthorizationStatus.INVALID, "rule r: broken: no answer"),
        (
            {"ask": ["silent", "flow_rules"], "otherwise": "Unknown"},
            AuthorizationStatus.UNKNOWN,
            "rule r: no plugin knows",
        ),
        ({"ask": ["silent"]}, None, ""),
    ],
)
def test_a_chain_of_plugins(tmp_path: Path, answer: dict[str, Any], status: object, reason: str) -> None:
    csms = Chain(tmp_path).csms
    found = result(authorization(csms, answer, QUESTION, "r"))
    assert (found.status if found else None) is status
    assert found is None or found.reason.startswith(reason)


def test_a_chain_that_is_no_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="and no list of plugins"):
        result(authorization(Chain(tmp_path).csms, {"ask": "rfid_list"}, QUESTION, "r"))


# Functions and views


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("len", ("abc",), 3),
        ("len", (5,), None),
        ("lower", ("ABC",), "abc"),
        ("lower", (5,), None),
        ("startswith", ("abc", "ab"), True),
        ("startswith", (5, "ab"), False),
        ("count", ([1, None, False, 0],), 2),
        ("count", (None,), 0),
        ("last", ([1, 2, 3],), 3),
        ("last", ([],), None),
        ("last", (7,), 7),
        ("sum", ([1, "x", 2.5], 1), 4.5),
        ("sum", ("x",), None),
        ("sum", (10**400, 1.0), None),
        ("any", ([0, 1], None), True),
        ("any", (), False),
    ],
)
def test_functions_of_odd_values(name: str, given: tuple[Any, ...], value: object) -> None:
    assert FUNCTIONS[name](*given) == value


def test_functions_that_look_at_the_event() -> None:
    readings = [{"sampled": [{"measurand": "SoC", "value": 40}, {"measurand": "SoC", "value": 41, "phase": "L1"}]}]
    names = {
        "now": {"unix": NOON.timestamp()},
        "station": {"tags": ["depot"]},
        "run": {"request_id": 7},
        "event": {"values": "none"},
        "msg": {"meter_values": [*readings, "odd"]},
    }
    assert CONTEXTUAL["age"](names, "2026-03-02T11:59:00Z") == 60.0
    assert CONTEXTUAL["age"](names, "2026-03-02T11:59:00") == 60.0
    assert CONTEXTUAL["age"](names, "yesterday") is None
    assert CONTEXTUAL["age"](names, "2026-03-02T12:59:00+01:00") == 60.0
    assert CONTEXTUAL["age"](names, 7) is None
    assert CONTEXTUAL["age"]({}, "2026-03-02T11:59:00Z") is None
    assert (CONTEXTUAL["meter"](names, "SoC"), CONTEXTUAL["meter"](names, "SoC", "L1")) == (40, 41)
    assert CONTEXTUAL["meter"]({"event": {"values": readings}}, "SoC") == 40
    assert CONTEXTUAL["meter"]({}, "SoC") is None
    assert CONTEXTUAL["has_tag"](names, "depot")
    assert not CONTEXTUAL["has_tag"]({"station": None}, "depot")
    assert CONTEXTUAL["new_request_id"](names) == 7
    assert CONTEXTUAL["new_request_id"]({}) is None
    assert CONTEXTUAL["new_request_id"]({"run": {"request_id": "7"}}) is None


def test_anything_becomes_plain() -> None:
    readings = TransactionEvent("T1", "Updated", NOON, "Clock", "1", meter_values=())  # type: ignore[arg-type]
    assert plain(readings)["meter_values"] == []
    assert plain({1: (ConnectorStatus.FAULTED, None), "b": {NOON}}) == {
        "1": ["Faulted", None],
        "b": ["2026-03-02T12:00:00Z"],
    }
    assert plain(Path("x")) == "x"
