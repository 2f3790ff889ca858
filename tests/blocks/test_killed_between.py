"""Kill -9 between any two steps from event to bill: after each commit, one by one, the files are kept as a kill would leave them (the write-ahead
log with them), a server is started on them, and the stations go on with whatever they had no answer to.

``tests/torture/killed_steps.py`` does it with real processes, at these and more points.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from killed_story import BOOKS, NUMBERS, SAID, TARIFF, V16, V201, with_its_number

from csms.config import load_site
from csms.model.billing import Bill
from csms.model.transactions import Completeness
from csms.rehearsal import Stage
from csms.store import verify
from csms.store.inline import InlineStore, InlineWriter
from csms.testing import FakeStation

SITE = f"""
[plugins]
enabled = ["rfid_list", "billing", "./books.py"]
{TARIFF}
[transactions]
ask_after = "1s"
ask_again = "10s"
"""
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Snapshot:
    """What a kill at this moment leaves: the folder of the files, how far the stations were, what time it was, and what the backend had."""

    folder: Path
    answered: int
    wire_id: int | None
    at: datetime
    books: str


@dataclass
class Story:
    """One run: from nothing, or from a snapshot; takes a snapshot after each commit if it has a folder for them."""

    site: Path
    snapshots: Path | None = None
    taken: list[Snapshot] = field(default_factory=list)
    answered: int = 0
    wire_id: int | None = None
    world: World | None = None

    @property
    def books(self) -> Path:
        return self.site.parent / "books.txt"

    def commit(self, file: Path) -> None:
        """The writer has committed."""
        if self.snapshots is None or self.world is None:
            return
        folder = self.snapshots / str(len(self.taken))
        folder.mkdir()
        for one in file.parent.glob(f"{file.name}*"):
            shutil.copy(one, folder)
        books = self.books.read_text() if self.books.exists() else ""
        self.taken.append(Snapshot(folder, self.answered, self.wire_id, self.world.now, books))

    def tell(self, before: Snapshot | None) -> World:
        """Tell what has no answer yet, and let everything that follows from it happen."""
        self.answered, self.wire_id = (before.answered, before.wire_id) if before else (0, None)
        if before is not None:
            self.books.write_text(before.books)
        world = World(self, before)
        self.world = world
        for protocol in (V201, V16):
            world.connect(protocol, protocol)
        while self.answered < len(SAID):
            protocol, action, _ = SAID[self.answered]
            answer = world.say(protocol, action, with_its_number(self.answered, self.wire_id))
            assert answer is not None
            self.answered += 1
            if action == "StartTransaction":
                self.wire_id = int(answer["transactionId"])
            world.pass_until(world.now + timedelta(seconds=11))
        world.pass_until(world.now + timedelta(seconds=60))
        return world


class Writer(InlineWriter):
    """Tells of each commit."""

    story: Story

    def _commit(self, batch: Any) -> Any:
        results = super()._commit(batch)
        (file,) = [row[2] for row in self._connected().execute("PRAGMA database_list") if row[1] == "main"]
        if "messages" not in file:
            self.story.commit(Path(file))
        return results


class KilledStore(InlineStore):
    """A store on what a kill has left."""

    def __init__(self, reactor: Any, story: Story, before: Snapshot | None) -> None:
        self.WRITER = type("WriterOf", (Writer,), {"story": story})  # type: ignore[misc]
        self._before = before
        super().__init__(reactor)

    async def _in_a_thread(self, work: Any) -> None:
        if self._before is None:
            await super()._in_a_thread(work)
            return
        for one in self._before.folder.iterdir():
            shutil.copy(one, self.file.parent)
        work()


class World(Stage):
    """A server on a clock that stands still."""

    def __init__(self, story: Story, before: Snapshot | None) -> None:
        import csms.rehearsal

        begin = before.at + timedelta(seconds=1) if before else NOON + timedelta(hours=1)
        plain = csms.rehearsal.InlineStore
        csms.rehearsal.InlineStore = lambda clock: KilledStore(clock, story, before)  # type: ignore[assignment, misc]
        try:
            super().__init__(load_site(story.site), "billing", begin, dry=False)
        finally:
            csms.rehearsal.InlineStore = plain  # type: ignore[misc]
        self._finish(self.house.commands.recover())
        self.house.healer.start()

    def _answer(self, station: FakeStation) -> bool:
        calls, station.calls = station.calls, []
        for _, id, _, _ in calls:
            station.send([3, id, {"messagesInQueue": True, "ongoingIndicator": False}])
        return bool(calls)

    def conclusions(self) -> dict[str, Any]:
        """What a kill may not change: the transactions, what is billed, under which numbers, and what the backend has."""
        store = self.house.store
        transactions = self._finish(store.transactions.list())
        bills: list[Bill] = self._finish(store.bills.list())
        deliveries = [one for bill in bills for one in self._finish(store.deliveries.list(bill.id))]
        return {
            "transactions": sorted((one.station, one.completeness, one.events, one.energy_wh) for one in transactions),
            "bills": sorted((one.station, one.number, one.status, one.price.total, one.price.lines) for one in bills),
            "delivered": Counter(one.state for one in deliveries),
            "verify": verify(store.file),
        }


def site_in(folder: Path) -> Path:
    folder.mkdir()
    (folder / "books.py").write_text(BOOKS)
    (folder / "csms.toml").write_text(SITE)
    return folder / "csms.toml"


def totals(books: Path) -> Mapping[str, Decimal]:
    """What the backend has, by key; the same key has the same total however often it came."""
    found: dict[str, Decimal] = {}
    for line in books.read_text().splitlines():
        key, total = line.split()
        assert found.setdefault(key, Decimal(total)) == Decimal(total)
    return found


@pytest.fixture
def clean(tmp_path: Path, installed_plugins: None) -> Iterator[tuple[Story, dict[str, Any]]]:
    """The run that nobody kills, with a snapshot after each of its commits."""
    folder = tmp_path / "snapshots"
    folder.mkdir()
    story = Story(site_in(tmp_path / "clean"), folder)
    world = story.tell(None)
    story.snapshots = None
    yield story, world.conclusions()
    world.close()


def test_a_kill_after_any_commit_loses_nothing_and_bills_nothing_twice(
    clean: tuple[Story, dict[str, Any]], tmp_path: Path
) -> None:
    story, wanted = clean
    assert wanted["verify"] == []
    assert [one[1] for one in wanted["transactions"]] == [Completeness.COMPLETE] * 2
    numbers = sorted(one[1] for one in wanted["bills"] if one[1])
    assert numbers == [f"main-2026-{number:06}" for number in range(1, NUMBERS + 1)], (
        "two bills, a credit note, a corrected bill"
    )
    assert len(story.taken) > 20
    kept = totals(story.books)
    assert sorted(kept) == numbers
    for number, snapshot in enumerate(story.taken):
        again = Story(site_in(tmp_path / f"after-{number}"))
        world = again.tell(snapshot)
        found = world.conclusions()
        world.close()
        assert found == wanted, f"after commit {number} of {len(story.taken)}"
        assert totals(again.books) == kept
