"""The judge of the kill test must find what it is there to find: each kind of harm, told by a server that did it."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest
from kill_books import faults
from kill_stations import Charge, KillStation, KillStation201
from kill_verdict import Judge, Verdict

ROW: dict[str, Any] = {
    "id": 1,
    "station_transaction": "tx1",
    "events": [{"seq_no": number, "timestamp": "2026-01-01T00:00:00Z"} for number in range(3)],
    "bill": {"status": "final", "total": "3.25", "energy_wh": 5000},
}


class FakeApi:
    """Tells these transactions of every station."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    def transactions(self, station: str, *, limit: int) -> list[Any]:
        """The first so many."""
        return self._rows[:limit]

    def all_transactions(self, station: str) -> list[Any]:
        """All of them."""
        return self._rows

    def all_bills(self) -> list[Any]:
        """None: they are looked at on their own below."""
        return []

    def expect(self, status: int, method: str, path: str) -> Any:
        """The one whose number ends the path."""
        return next(row for row in self._rows if path.endswith(f"/{row['id']}"))

    def until(self, path: str, fits: Callable[[Any], object], seconds: float) -> Any:
        """That one, if it fits."""
        row = self.expect(200, "GET", path)
        assert fits(row), "never"
        return row


def station_with_one_charge() -> KillStation:
    """A station whose only transaction was answered from start to end."""
    station = KillStation201("KILL-00", random.Random(1))
    charge = Charge("KILL-00", 1000, 6000, "tx1", ["0", "1", "2"], begun=True, ended=True)
    station.charges.append(charge)
    return station


def judged(*rows: dict[str, Any]) -> Verdict:
    """What the judge says after a restart and the end, of a server that tells these transactions."""
    judge = Judge(FakeApi(list(rows)))
    station = station_with_one_charge()
    judge.look(station)
    judge.finish(station)
    return judge.verdict


def changed(**more: Any) -> dict[str, Any]:
    """The right transaction with something wrong."""
    return {**copy.deepcopy(ROW), **more}


def test_nothing_is_found_when_nothing_is_wrong() -> None:
    verdict = judged(ROW)
    assert verdict.clean
    assert (verdict.bills, verdict.checked) == (1, 2)


@pytest.mark.parametrize(
    ("rows", "lost", "doubled", "wrong_bills"),
    [
        pytest.param([changed(events=ROW["events"][:2])], 2, 0, 0, id="event lost, seen twice"),
        pytest.param([changed(events=ROW["events"] + ROW["events"][:1])], 0, 2, 0, id="event doubled, seen twice"),
        pytest.param([], 6, 0, 0, id="transaction gone"),
        pytest.param([ROW, changed(id=2)], 0, 1, 0, id="transaction doubled"),
        pytest.param([ROW, changed(id=2, station_transaction="tx2")], 0, 1, 0, id="transaction from nowhere"),
        pytest.param([changed(bill=None)], 0, 0, 1, id="no bill"),
        pytest.param([changed(bill={**ROW["bill"], "status": "provisional"})], 0, 0, 1, id="bill not final"),
        pytest.param([changed(bill={**ROW["bill"], "total": "3.26"})], 0, 0, 1, id="bill too high"),
        pytest.param([changed(bill={**ROW["bill"], "energy_wh": 5001})], 0, 0, 1, id="bill of other registers"),
    ],
)
def test_harm_is_found(rows: list[dict[str, Any]], lost: int, doubled: int, wrong_bills: int) -> None:
    verdict = judged(*rows)
    assert not verdict.clean
    assert (verdict.lost, verdict.doubled, verdict.wrong_bills) == (lost, doubled, wrong_bills)


def test_a_transaction_with_newer_ones_before_it_is_looked_for_further_down() -> None:
    newer = [changed(id=number, station_transaction=f"tx{number}") for number in range(2, 8)]
    judge = Judge(FakeApi([*newer, changed(events=ROW["events"][:2])]))
    judge.look(station_with_one_charge())
    assert [fault.endswith("lost: ['2']") for fault in judge.verdict.faults] == [True]


@pytest.mark.parametrize(
    ("kept", "told", "lost", "holed"),
    [
        pytest.param("02", ("incomplete", [1]), 0, 1, id="told"),
        pytest.param("02", ("complete", []), 1, 1, id="not told"),
        pytest.param("02", ("incomplete", [1, 7]), 1, 1, id="more is told than lacks"),
        pytest.param("012", ("complete", []), 0, 0, id="it came, only its answer was lost"),
        pytest.param("012", ("incomplete", [1]), 1, 1, id="it is there, and told to lack"),
    ],
)
def test_what_is_told_to_be_missing_is_held_against_what_is(
    kept: str, told: tuple[str, list[int]], lost: int, holed: int
) -> None:
    station = station_with_one_charge()
    station.charges[0].answered.remove("1")
    station.charges[0].forgotten.append("1")
    events = [ROW["events"][int(number)] for number in kept]
    judge = Judge(FakeApi([changed(events=events, completeness=told[0], missing=told[1])]))
    judge.finish(station)
    assert (judge.verdict.lost, judge.verdict.holed) == (lost, holed)
    assert judge.verdict.clean is not bool(lost)


def bill(number: int, total: str = "3.25") -> dict[str, Any]:
    """An issued bill."""
    return {"number": f"main-2026-{number:06}", "total": total}


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({1: {"3.25"}, 2: {"3.25"}}, ""),
        ({1: {"3.25"}}, "main-2026-000002 never arrived"),
        ({1: {"3.25"}, 2: {"3.25", "9.99"}}, "arrived as 3.25, 9.99"),
        ({1: {"3.25"}, 2: {"3.25"}, 3: {"1.00"}}, "main-2026-000003 arrived, but is no bill"),
    ],
)
def test_what_is_wrong_with_deliveries_is_found(entries: dict[int, set[str]], words: str) -> None:
    seen = {f"main-2026-{number:06}": totals for number, totals in entries.items()}
    found = faults([bill(1), bill(2), {"number": "", "total": "1"}], seen)
    assert words in "".join(found)
    assert bool(words) == bool(found)


def test_a_gap_in_the_numbers_is_found() -> None:
    seen = {bill(number)["number"]: {"3.25"} for number in (1, 3)}
    assert "gaps" in "".join(faults([bill(1), bill(3)], seen))
