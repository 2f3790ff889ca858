"""How often a silent connector is asked, and what is written at boot."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from csms_plugins.status_retry import StatusRetry
from fake_csms import NOON, OLD_STATION, STATION, FakeCsms

from csms.api import (
    BootNotification,
    BootStatus,
    CommandState,
    SetVariables,
    StationBooted,
    StationRef,
    StatusCheckPlan,
    StatusSilence,
    Variable,
    VariableValue,
)


def booted(station: StationRef = STATION, status: BootStatus = BootStatus.ACCEPTED) -> StationBooted:
    return StationBooted(station, NOON, BootNotification("PowerUp", "ACME", "One"), status)


def silence(asked: int, *, known: bool = False, seconds: float = 30.0) -> StatusSilence:
    return StatusSilence(STATION, 1, 1, seconds, asked, known)


def test_a_missing_status_is_asked_for_with_longer_pauses_and_then_is_a_fault(tmp_path: Path) -> None:
    plugin = StatusRetry(StatusRetry.Settings(), FakeCsms(tmp_path).csms)
    plans = [plugin.plan_status_check(silence(asked)) for asked in range(4)]
    assert plans == [
        StatusCheckPlan(ask=True, next_in_s=60.0, reason="request 1 of 3"),
        StatusCheckPlan(ask=True, next_in_s=90.0, reason="request 2 of 3"),
        StatusCheckPlan(ask=True, next_in_s=135.0, reason="request 3 of 3"),
        StatusCheckPlan(ask=False, fault=True, reason="3 requests were in vain"),
    ]


def test_a_known_status_is_nobodys_business_unless_it_is_stale(tmp_path: Path) -> None:
    plain = StatusRetry(StatusRetry.Settings(), FakeCsms(tmp_path).csms)
    assert plain.plan_status_check(silence(0, known=True, seconds=1e6)) is None
    stale = StatusRetry(StatusRetry.Settings(stale_after=timedelta(hours=1)), FakeCsms(tmp_path).csms)
    assert stale.plan_status_check(silence(0, known=True, seconds=3000)) == StatusCheckPlan(ask=False, next_in_s=600.0)
    ask = StatusCheckPlan(ask=True, next_in_s=60.0, reason="request 1 of 3")
    assert stale.plan_status_check(silence(0, known=True, seconds=3600)) == ask


def test_the_pause_never_passes_a_day(tmp_path: Path) -> None:
    plugin = StatusRetry(StatusRetry.Settings(attempts=100, backoff=100.0), FakeCsms(tmp_path).csms)
    plan = plugin.plan_status_check(silence(99))
    assert plan == StatusCheckPlan(ask=True, next_in_s=86400.0, reason="request 100 of 100")


def test_an_accepted_boot_writes_the_stations_own_attempts(tmp_path: Path) -> None:
    fake = FakeCsms(tmp_path, "status_retry")
    settings = StatusRetry.Settings(message_attempts=5, message_attempt_interval=timedelta(minutes=1))
    plugin = StatusRetry(settings, fake.csms)
    assert plugin.listens_to == (StationBooted,)
    plugin.on_event(booted())
    assert fake.sent == [], "the boot's answer does not wait for this"
    fake.settle()
    instance = "TransactionEvent"
    expected = SetVariables(
        (
            VariableValue(Variable("OCPPCommCtrlr", "MessageAttempts", instance=instance), "5"),
            VariableValue(Variable("OCPPCommCtrlr", "MessageAttemptInterval", instance=instance), "60"),
        )
    )
    assert fake.sent == [("CS1", expected, "plugin status_retry")]
    assert fake.said("warn") == []


def test_a_pending_boot_or_an_old_station_is_written_nothing(tmp_path: Path) -> None:
    fake = FakeCsms(tmp_path)
    plugin = StatusRetry(StatusRetry.Settings(message_attempts=5), fake.csms)
    plugin.on_event(booted(status=BootStatus.PENDING))
    plugin.on_event(booted(OLD_STATION))
    fake.settle()
    assert fake.sent == []


def test_a_refusal_is_logged_in_words(tmp_path: Path) -> None:
    fake = FakeCsms(tmp_path)
    plugin = StatusRetry(StatusRetry.Settings(message_attempts=5), fake.csms)
    fake.states = [CommandState.REJECTED]
    plugin.on_event(booted())
    fake.settle()
    assert "CS1 did not take over" in fake.said("warn")[0]
    assert "MessageAttempts=5" in fake.said("warn")[0]
    assert "not now" in fake.said("warn")[0]


def test_without_message_settings_no_news_are_wanted(tmp_path: Path) -> None:
    assert StatusRetry(StatusRetry.Settings(), FakeCsms(tmp_path).csms).listens_to == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": -1},
        {"interval": timedelta(0)},
        {"backoff": 0.5},
        {"stale_after": timedelta(-1)},
        {"message_attempts": -1},
        {"message_attempt_interval": timedelta(-1)},
    ],
)
def test_wrong_settings_are_told_in_words(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StatusRetry.Settings(**wrong)  # type: ignore[arg-type]
