"""Runs of many stations that wait for the same event."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from csms_plugins.flow.waits import FITS, Waiter, Waits

EVENT = "station.status"


class Stranger:
    """A run of another station: whoever looks at it has looked at too many."""

    station = "CS1"

    def __eq__(self, other: object) -> bool:
        raise AssertionError("one of another station is looked at")

    __hash__ = object.__hash__


def wanted() -> Any:
    return SimpleNamespace(event=EVENT, fail=(), where=())


@pytest.fixture
def waits() -> Waits:
    found = Waits(SimpleNamespace())  # type: ignore[arg-type]
    for _ in range(3):
        found.begin(Stranger(), wanted())  # type: ignore[arg-type]
    return found


def begun(waits: Waits, station: str) -> Waiter:
    return waits.begin(SimpleNamespace(station=station), wanted())  # type: ignore[arg-type]


def test_an_event_and_the_end_of_a_wait_look_at_the_runs_of_their_station_alone(waits: Waits) -> None:
    mine, other = begun(waits, "CS2"), begun(waits, "CS3")
    waits.hear(EVENT, "CS2", {})
    assert (mine.seen.result, other.seen.called) == (FITS, False)
    waits.end(mine)
    waits.end(other)
    waits.end(other)
    assert waits.listens(EVENT)


def test_nobody_listens_any_more_once_the_last_wait_has_ended() -> None:
    waits = Waits(SimpleNamespace())  # type: ignore[arg-type]
    both = [begun(waits, "CS2"), begun(waits, "CS2")]
    for one in both:
        assert waits.listens(EVENT)
        waits.end(one)
    assert not waits.listens(EVENT)
