"""The writer: batches, the isolation of a bad unit, faults of the disk, and what is on the disk when a Deferred fires."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred

from csms.store import Store, StoreFault
from csms.store.connections import WritingConnection, writing
from csms.store.faults import Untouched, fault_of
from csms.store.writer import MAX_BATCH, Writer

T0 = datetime(2026, 3, 1, tzinfo=UTC)
INSERT = "INSERT INTO fact VALUES (?)"


class Limited:
    """Makes the writer's connections to a file, whose size can be limited like that of a disk."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.made: list[sqlite3.Connection] = []

    def __call__(self) -> sqlite3.Connection:
        self.made.append(writing(self.file, "FULL"))
        return self.made[-1]


class Batches:
    """What the writer told of its commits."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, writes: int, seconds: float) -> None:
        self.sizes.append(writes)


@pytest.fixture
def limited(tmp_path: Path) -> Limited:
    return Limited(tmp_path / "facts.sqlite")


@pytest.fixture
def batches() -> Batches:
    return Batches()


@pytest.fixture
def writer(limited: Limited, batches: Batches) -> Iterator[Writer]:
    """A writer on a file with one table of one number; not started yet."""
    connection = limited()
    connection.execute("CREATE TABLE fact (n INTEGER PRIMARY KEY) STRICT")
    connection.close()
    made = Writer(limited, reactor, "test", batches)
    yield made
    pytest_twisted.blockon(ensureDeferred(made.stop()))


def add(n: object) -> object:
    return lambda connection: connection.execute(INSERT, (n,)).rowcount


def facts(limited: Limited) -> list[int]:
    with sqlite3.connect(limited.file) as connection:
        return [n for (n,) in connection.execute("SELECT n FROM fact ORDER BY n")]


def refuse(connection: sqlite3.Connection) -> None:
    raise Untouched("not today")


def held(writer: Writer, *units: object) -> DeferredList:
    """Hand units over while the writer does not run yet, so that they make one batch."""
    writer._open = True
    waiting = [writer.submit(unit) for unit in units]  # type: ignore[arg-type]
    writer.start()
    return DeferredList(waiting, consumeErrors=True)


@pytest_twisted.ensureDeferred
async def test_what_has_gathered_is_one_commit(writer: Writer, limited: Limited, batches: Batches) -> None:
    results = await held(writer, *(add(n) for n in range(40)))
    assert all(ok and value == 1 for ok, value in results)
    assert batches.sizes == [40]
    assert facts(limited) == list(range(40))


@pytest_twisted.ensureDeferred
async def test_a_batch_has_a_largest_size(writer: Writer, batches: Batches) -> None:
    await held(writer, *(add(n) for n in range(MAX_BATCH + 1)))
    assert batches.sizes == [MAX_BATCH, 1]


@pytest_twisted.ensureDeferred
async def test_a_batch_ends_with_the_unit_that_makes_it_large_enough(writer: Writer, batches: Batches) -> None:
    writer._open = True
    writer.submit(add(1), MAX_BATCH - 1)
    writer.submit(add(2), 7)
    writer.submit(add(3))
    last = writer.submit(add(1), 5)
    writer.start()
    with pytest.raises(StoreFault):
        await last
    assert batches.sizes == [MAX_BATCH + 6, 1], "messages, and of those that failed none"


@pytest_twisted.ensureDeferred
async def test_only_the_bad_unit_of_a_batch_fails(writer: Writer, limited: Limited) -> None:
    def bug(connection: sqlite3.Connection) -> None:
        connection.execute(INSERT, (99,))
        raise ZeroDivisionError

    results = await held(writer, add(1), bug, add("text"), add(2), add(1), refuse)
    assert [ok for ok, _ in results] == [True, False, False, True, False, False]
    assert results[1][1].check(ZeroDivisionError)
    assert results[2][1].value.kind == "other"
    assert results[5][1].check(Untouched)
    assert facts(limited) == [1, 2]
    assert writer.healthy


@pytest_twisted.ensureDeferred
async def test_a_refusal_does_not_undo_the_batch(writer: Writer, batches: Batches) -> None:
    results = await held(writer, add(1), refuse, add(2))
    assert [ok for ok, _ in results] == [True, False, True]
    assert batches.sizes == [2]


@pytest_twisted.ensureDeferred
async def test_a_full_disk_is_named_and_the_writer_recovers_alone(writer: Writer, limited: Limited) -> None:
    def fill(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        connection.executemany(INSERT, [(n,) for n in range(100, 20_000)])

    results = await held(writer, add(1), fill, add(2))
    assert results[1][1].value.kind == "disk_full"
    assert "disk is full" in str(results[1][1].value)
    assert not writer.healthy
    assert writer.last_fault is not None
    assert writer.last_fault.kind == "disk_full"
    assert facts(limited) == [1]
    limited.made[-1].execute("PRAGMA max_page_count = 1000000")
    assert await writer.submit(add(3)) == 1  # type: ignore[arg-type]
    assert writer.healthy
    assert facts(limited) == [1, 3]


@pytest_twisted.ensureDeferred
async def test_an_unwell_database_is_noticed_to_be_well_without_a_write(
    writer: Writer, limited: Limited, monkeypatch: pytest.MonkeyPatch
) -> None:
    probed: Deferred[None] = Deferred()
    monkeypatch.setattr("csms.store.writer.PROBE_S", 0.001)
    writer._unwell = StoreFault("io")
    probe = writer._probe

    def told() -> None:
        probe()
        reactor.callFromThread(probed.callback, None)  # type: ignore[attr-defined]

    monkeypatch.setattr(writer, "_probe", told)
    writer.start()
    await probed
    assert writer.healthy
    assert facts(limited) == []


@pytest_twisted.ensureDeferred
async def test_a_locked_database_fails_the_batch(limited: Limited, writer: Writer) -> None:
    other = sqlite3.connect(limited.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def impatient() -> sqlite3.Connection:
        connection = limited()
        connection.execute("PRAGMA busy_timeout = 1")
        return connection

    writer._connect = impatient
    ((ok, failure),) = await held(writer, add(1))
    assert (ok, failure.value.kind, writer.healthy) == (False, "locked", False)
    other.execute("ROLLBACK")
    other.close()
    assert await writer.submit(add(1)) == 1  # type: ignore[arg-type]
    assert writer.healthy


@pytest_twisted.ensureDeferred
async def test_stopping_commits_what_has_gathered_and_takes_nothing_more(writer: Writer, limited: Limited) -> None:
    gathered = held(writer, add(1), add(2))
    await writer.stop()
    await gathered
    assert facts(limited) == [1, 2]
    with pytest.raises(StoreFault) as raised:
        await writer.submit(add(3))  # type: ignore[arg-type]
    assert raised.value.kind == "closed"
    assert not writer.healthy


def test_the_cause_is_found_behind_a_failed_rollback(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "small.sqlite", isolation_level=None)
    connection.execute("CREATE TABLE fact (n)")
    connection.execute("PRAGMA max_page_count = 2")
    connection.execute("BEGIN")

    def fill() -> None:
        try:
            connection.executemany(INSERT, [("x" * 4000,)] * 10)
        except sqlite3.Error:
            connection.execute("ROLLBACK")

    with pytest.raises(sqlite3.OperationalError, match="no transaction is active") as raised:
        fill()
    connection.close()
    fault = fault_of(raised.value)
    assert isinstance(fault, StoreFault)
    assert fault.kind == "disk_full"


def test_what_is_no_fault_of_the_database_stays_what_it_is() -> None:
    bug = KeyError("x")
    assert fault_of(bug) is bug


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "csms.sqlite").write_bytes(b"this is a letter to a friend, not a database" * 100)
    with pytest.raises(StoreFault) as raised:
        await Store(tmp_path / "csms.sqlite", reactor).open()
    assert raised.value.kind == "corrupt"


@pytest_twisted.ensureDeferred
async def test_reading_from_a_closed_store_is_a_fault(tmp_path: Path) -> None:
    store = Store(tmp_path / "csms.sqlite", reactor)
    with pytest.raises(StoreFault) as raised:
        await store.stations.get("CP1")
    assert raised.value.kind == "closed"
    with pytest.raises(StoreFault):
        await store.stations.list()
    with pytest.raises(StoreFault):
        await store.stations.put("CP1", T0)
    assert not store.healthy
    await store.close()


CRASHING = """
    import os, sys
    from datetime import UTC, datetime
    from twisted.internet import defer, reactor
    from csms.store import Store

    async def work() -> None:
        store = Store(sys.argv[1], reactor)
        await store.open()
        at = datetime(2026, 3, 1, tzinfo=UTC)
        await defer.gatherResults([defer.ensureDeferred(store.stations.put(f"CP{n}", at)) for n in range(200)])
        print("answered", flush=True)
        store.stations.put("late", at).send(None)
        os._exit(9)

    reactor.callWhenRunning(lambda: defer.ensureDeferred(work()))
    reactor.run()
"""


@pytest_twisted.ensureDeferred
async def test_answered_rows_survive_the_end_of_the_process(tmp_path: Path) -> None:
    file = tmp_path / "csms.sqlite"
    ended = subprocess.run(  # noqa: ASYNC221
        [sys.executable, "-c", textwrap.dedent(CRASHING), str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert (ended.returncode, ended.stdout.strip()) == (9, "answered"), ended.stderr
    store = Store(file, reactor)
    await store.open()
    found = {one.id for one in await store.stations.list(limit=1000)}
    await store.close()
    assert found >= {f"CP{n}" for n in range(200)}


@pytest_twisted.ensureDeferred
async def test_what_the_connection_remembers_is_dropped_when_it_may_be_untrue(writer: Writer, limited: Limited) -> None:
    def remember(connection: WritingConnection) -> int:
        connection.fences["CP1"] = 7
        return connection.execute(INSERT, (len(connection.fences) + len(facts(limited)),)).rowcount

    def remembered(connection: WritingConnection) -> int | None:
        return connection.fences.get("CP1")

    writer.start()
    await writer.submit(remember)
    assert await writer.submit(remembered) == 7
    await writer.submit(add(50))
    assert await writer.submit(remembered) == 7
    with pytest.raises(StoreFault):
        await writer.submit(add(50))
    assert await writer.submit(remembered) is None
    await writer.submit(remember)
    with sqlite3.connect(limited.file) as other:
        other.execute(INSERT, (99,))
    assert await writer.submit(remembered) is None
