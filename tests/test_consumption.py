"""What of a transaction is priced: which registers, which times, and since when nobody charges."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from csms.consumption import consumption_of, idle_since
from csms.model.billing import MeterPoint
from csms.model.metering import ChargingChange, MeterEvidence, Reading
from csms.model.transactions import Completeness, Transaction

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


def minutes(number: int) -> datetime:
    """So many minutes later."""
    return T0 + timedelta(minutes=number)


def reading(minute: int, wh: int) -> Reading:
    """A register reading."""
    return Reading(Decimal(wh), minutes(minute), str(minute))


def states(*names: str) -> MeterEvidence:
    """A charging state each minute."""
    return MeterEvidence(changes=tuple(ChargingChange(minutes(at), name, str(at)) for at, name in enumerate(names)))


@pytest.mark.parametrize(
    ("names", "since"),
    [
        (("EVConnected", "Charging"), None),
        (("EVConnected", "Charging", "SuspendedEV"), 2),
        (("EVConnected", "Charging", "EVConnected", "Idle"), 2),
        (("EVConnected", "Charging", "SuspendedEV", "Charging", "SuspendedEV"), 4),
        (("EVConnected", "Charging", "SuspendedEVSE"), None),
        (("EVConnected", "Charging", "SuspendedEVSE", "SuspendedEV"), 3),
        (("EVConnected", "Charging", "SuspendedEV", "SuspendedEVSE"), None),
        (("EVConnected", "SuspendedEV", "Idle"), None),
        (("EVConnected", "SuspendedEVSE", "SuspendedEV"), None),
    ],
)
def test_idle_is_who_stays_after_charging_ended_for_good(names: tuple[str, ...], since: int | None) -> None:
    assert idle_since(states(*names)) == (None if since is None else minutes(since))


@pytest.mark.parametrize(
    ("series", "since"),
    [
        (((0, 0), (10, 500), (20, 900), (30, 900), (60, 900)), 20),
        (((0, 0), (10, 500), (20, 900)), 20),
        (((0, 0), (60, 900)), None),
        (((0, 5), (10, 5), (60, 5)), None),
    ],
)
def test_a_station_without_charging_states_is_believed_by_its_register(
    series: tuple[tuple[int, int], ...], since: int | None
) -> None:
    readings = tuple(reading(*one) for one in series)
    evidence = MeterEvidence(begin=readings[0], end=readings[-1], series=readings)
    assert idle_since(evidence) == (None if since is None else minutes(since))
    assert idle_since(replace(evidence, end=None)) is None, "who still charges is not idle"


ENDED = Transaction(1, "CS1", "T1", Completeness.COMPLETE, started_at=T0, ended_at=minutes(30))
SERIES = (reading(0, 100), reading(10, 200), reading(30, 300))
EVIDENCE = MeterEvidence(begin=SERIES[0], end=SERIES[-1], series=SERIES)


def test_all_readings_of_an_ended_transaction_count_if_begin_and_end_are_known() -> None:
    found = consumption_of(ENDED, EVIDENCE)
    assert (found.begin, found.end, found.continues) == (T0, minutes(30), False)
    assert found.readings == tuple(MeterPoint(one.at, one.value_wh) for one in SERIES)
    for lost in (replace(EVIDENCE, begin=None), replace(EVIDENCE, end=None)):
        assert consumption_of(ENDED, lost).readings == ()


def test_a_running_transaction_counts_up_to_its_newest_reading_and_event() -> None:
    running = replace(ENDED, ended_at=None, last_event_at=minutes(12))
    found = consumption_of(running, replace(EVIDENCE, end=None, series=SERIES[:2]))
    assert (found.end, found.readings[-1].wh) == (minutes(12), 200)


def test_an_end_before_the_start_has_no_time() -> None:
    found = consumption_of(replace(ENDED, ended_at=minutes(-1)), EVIDENCE)
    assert (found.begin, found.end) == (None, None)
