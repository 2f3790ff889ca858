"""What a kill may not do: lose an answered event, keep one twice, begin a transaction twice, or bill it wrongly. Asks the server through its API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, Protocol

from kill_books import arrived, faults, wait_for
from kill_stations import Charge, KillStation

PER_KWH, PER_START = Decimal("0.45"), Decimal("1.00")
BILL_S = 30.0
NEWEST = 100
"""So many of a station's newest transactions are looked through for one that should be there: far more than fit between two looks."""


@dataclass(slots=True)
class Verdict:
    """What was found wrong, in sentences; ``lost`` and ``doubled`` count events, the rest transactions. ``holed`` is no harm: a reading that its
    station forgot is told to be missing."""

    checked: int = 0
    lost: int = 0
    doubled: int = 0
    bills: int = 0
    wrong_bills: int = 0
    holed: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Nothing is wrong."""
        return not self.faults


class Telling(Protocol):
    """What the judge asks of the server; ``Api`` does it."""

    def transactions(self, station: str, *, limit: int) -> list[Any]:
        """The newest transactions of a station."""

    def all_transactions(self, station: str) -> list[Any]:
        """All transactions of a station."""

    def all_bills(self) -> list[Any]:
        """All bills and credit notes."""

    def expect(self, status: int, method: str, path: str) -> Any:
        """The body of one answer."""

    def until(self, path: str, fits: Callable[[Any], object], seconds: float) -> Any:
        """The body of an answer once it fits; AssertionError when it never does."""


class Judge:
    """Compares what the stations remember with what the server tells."""

    def __init__(self, api: Telling) -> None:
        self._api = api
        self.verdict = Verdict()

    def look(self, station: KillStation) -> None:
        """Right after a restart: every answered event of the unsettled transactions must be there; ended ones are then settled."""
        waiting = [charge for charge in station.charges if charge.begun and not charge.settled]
        if not waiting:
            return
        numbers = self._newest(station, waiting)
        for charge in waiting:
            ids = numbers.get(charge.wire_id, [])
            if not ids:
                self._fault(f"{charge.station}: transaction {charge.wire_id} is gone", lost=len(charge.answered))
            for id in ids:
                self._events(charge, self._api.expect(200, "GET", f"/api/v1/transactions/{id}"))
            charge.settled = charge.ended

    def _newest(self, station: KillStation, wanted: list[Charge]) -> dict[str, list[Any]]:
        """The station's newest transactions; no more than needed, for telling them takes the server long."""
        few = _numbers(self._api.transactions(station.name, limit=len(wanted) + 2))
        if all(charge.wire_id in few for charge in wanted):
            return few
        return _numbers(self._api.transactions(station.name, limit=NEWEST))

    def finish(self, station: KillStation) -> None:
        """At the very end: every transaction is there once, whole, with one right bill."""
        numbers = _numbers(self._api.all_transactions(station.name))
        for wire_id, ids in numbers.items():
            if len(ids) != 1:
                self._fault(f"{station.name}: {len(ids)} transactions {wire_id}", doubled=len(ids) - 1)
        known = {charge.wire_id for charge in station.charges}
        for wire_id in numbers.keys() - known:
            self._fault(f"{station.name}: transaction {wire_id} is none of the station's", doubled=1)
        for charge in station.charges:
            self._whole(charge, numbers)

    def books(self, folder: Path) -> None:
        """At the very end: the backend has every issued bill, and no number is missing."""
        bills = self._api.all_bills()
        wait_for(folder, [bill["number"] for bill in bills if bill["number"]])
        for fault in faults(bills, arrived(folder)):
            self._fault(fault, wrong_bills=1)

    def _whole(self, charge: Charge, numbers: dict[str, list[Any]]) -> None:
        ids = numbers.get(charge.wire_id, [])
        if not ids:
            self._fault(f"{charge.station}: transaction {charge.wire_id} is gone", lost=len(charge.answered))
            return
        path = f"/api/v1/transactions/{ids[0]}"
        if charge.forgotten:
            row = self._api.expect(200, "GET", path)
            self._events(charge, row)
            if self._says_what_is_missing(charge, row):
                return
        try:
            row = self._api.until(path, lambda row: (row["bill"] or {}).get("status") == "final", BILL_S)
        except AssertionError as late:
            self._fault(f"{charge.station}: no final bill of {charge.wire_id}: {late}", wrong_bills=1)
            return
        self._events(charge, row)
        self._bill(charge, row["bill"])

    def _says_what_is_missing(self, charge: Charge, row: Any) -> bool:
        """Whether something forgotten never came; if so, exactly that is told to be missing."""
        stored = {event_key(event) for event in row["events"]}
        holes = sorted(int(key) for key in charge.forgotten if key not in stored)
        if not holes and not row["missing"]:
            return False
        self.verdict.holed += 1
        if sorted(row["missing"]) != holes or row["completeness"] not in ("incomplete", "gave_up"):
            told = f"{row['completeness']}, without {row['missing']}"
            self._fault(f"{charge.station} {charge.wire_id}: lacks {holes}, but is told to be {told}", lost=1)
        return True

    def _events(self, charge: Charge, row: Any) -> None:
        self.verdict.checked += 1
        stored = Counter(event_key(event) for event in row["events"])
        lost = sorted(set(charge.answered) - stored.keys())
        doubled = sorted(key for key, times in stored.items() if times > 1)
        if lost:
            self._fault(f"{charge.station} {charge.wire_id}: answered, but lost: {lost}", lost=len(lost))
        if doubled:
            self._fault(f"{charge.station} {charge.wire_id}: kept twice: {doubled}", doubled=len(doubled))

    def _bill(self, charge: Charge, bill: Any) -> None:
        self.verdict.bills += 1
        energy = charge.end_wh - charge.begin_wh
        price = PER_START + (PER_KWH * energy / 1000).quantize(Decimal("0.01"), ROUND_HALF_UP)
        if Decimal(bill["total"]) != price or Decimal(str(bill["energy_wh"])) != energy:
            text = f"{bill['energy_wh']} Wh for {bill['total']}, expected {energy} Wh for {price}"
            self._fault(f"{charge.station} {charge.wire_id}: billed {text}", wrong_bills=1)

    def _fault(self, text: str, *, lost: int = 0, doubled: int = 0, wrong_bills: int = 0) -> None:
        self.verdict.faults.append(text)
        self.verdict.lost += lost
        self.verdict.doubled += doubled
        self.verdict.wrong_bills += wrong_bills


def _numbers(rows: list[Any]) -> dict[str, list[Any]]:
    """The server's numbers of transactions by their id on the wire."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(str(row["station_transaction"]), []).append(row["id"])
    return found


def event_key(event: Any) -> str:
    """The natural key of a stored event: its seqNo in 2.0.1, its own time in 1.6 (the stations here never use one twice)."""
    if event.get("seq_no") is not None:
        return str(event["seq_no"])
    at = datetime.fromisoformat(event["timestamp"]).astimezone(UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
