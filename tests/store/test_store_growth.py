"""What a list costs does not grow with what is in the database but not in the list: counted in steps of SQLite's machine, not in time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock

from csms.model.authorization import IdToken
from csms.model.billing import BillStatus
from csms.model.transactions import EventType, TransactionEvent
from csms.store.inline import InlineStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEPS = 10
FEW, MANY = 300, 6000
EMPTY = {"TEXT": "''", "INTEGER": "0"}
BILL = {
    "id": "k",
    "transaction_id": "t.id",
    "station": "t.station",
    "kind": "'bill'",
    "status": "'final'",
    "total": "'1'",
    "lines": "'[]'",
    "taxes": "'[]'",
    "rounding": "'0.01'",
    "issued_at": "t.started_at + k * 1000000",
    "revision": "2",
}
COMMAND = {"id": "k", "station": "t.station", "arguments": "'{}'", "state": "'accepted'", "closed_at": "t.started_at"}
TOKEN = IdToken("T1", "ISO14443")


async def charging(store: InlineStore) -> int:
    return store.transactions.charging(TOKEN, but=("CP1", "T"), most=1)


List = Callable[[InlineStore], Coroutine[Any, Any, Any]]
LISTS: dict[str, List] = {
    "transactions": lambda store: store.transactions.list(limit=20),
    "transactions that go on": lambda store: store.transactions.list(active=True, limit=20),
    "a station's transactions that go on": lambda store: store.transactions.list(station="CP1", active=True, limit=20),
    "a station's transactions": lambda store: store.transactions.list(station="CP1", limit=20),
    "all that go on": lambda store: store.transactions.active(),
    "whether a token charges elsewhere": charging,
    "bills": lambda store: store.bills.list(limit=20),
    "bills of before": lambda store: store.bills.list(until=NOON, limit=20),
    "bills of later": lambda store: store.bills.list(since=NOON.replace(year=2050), limit=20),
    "quarantined bills": lambda store: store.bills.list(status=BillStatus.QUARANTINED, limit=20),
    "another station's bills": lambda store: store.bills.list(station="CP2", limit=20),
    "due bills": lambda store: store.transactions.due_bills(20),
    "those that lack something": lambda store: store.healing.wanting(20),
    "those that are silent": lambda store: store.healing.silent(NOON, 20),
    "open commands": lambda store: store.commands.list(open_only=True, limit=20),
    "another station's commands": lambda store: store.commands.list(station="CP2", limit=20),
}


def outcome(work: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine of an inline store gives, at once."""
    found: list[Any] = []
    ensureDeferred(work).addCallback(found.append)
    (one,) = found
    return one


@pytest.fixture(scope="module")
def store() -> Iterator[InlineStore]:
    made = InlineStore(Clock())
    outcome(made.open())
    for number, kind in enumerate((EventType.STARTED, EventType.ENDED)):
        event = TransactionEvent("T", kind, NOON, "Authorized", str(number), number, evse=1, connector=1)
        outcome(made.transactions.record("CP1", 0, "ocpp2.0.1", "TransactionEvent", event, b"{}", NOON))
    yield made
    outcome(made.close())


def grown(store: InlineStore, rows: int) -> None:
    """That many ended and billed transactions of one station, with a closed command for each."""

    def unit(connection: sqlite3.Connection) -> None:
        for table in ("bill", "command"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("DELETE FROM \"transaction\" WHERE wire_id <> 'T'")
        connection.execute('UPDATE "transaction" SET billed_revision = revision, wants = 0')
        copy(connection, "transaction", {"id": "t.id + k", "wire_id": "t.wire_id || k"}, rows)
        for table, own in {"bill": BILL, "command": COMMAND}.items():
            copy(connection, table, own, rows)

    outcome(submitted(store, unit))


def copy(connection: sqlite3.Connection, table: str, own: Mapping[str, str], rows: int) -> None:
    """Rows beside the first transaction; columns that are not named are its own, or empty."""
    first = {row[1] for row in connection.execute('PRAGMA table_info("transaction")')}
    columns = connection.execute(f'PRAGMA table_info("{table}")').fetchall()
    values = {name: EMPTY[kind] if needed else "NULL" for _, name, kind, needed, _, _ in columns}
    values |= {name: f't."{name}"' for name in values if table == "transaction" and name in first} | dict(own)
    names = ", ".join(f'"{name}"' for name in values)
    connection.execute(
        f"WITH RECURSIVE copies(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM copies WHERE k < {rows}) "
        f'INSERT INTO "{table}" ({names}) SELECT {", ".join(values.values())} FROM "transaction" t, copies WHERE t.wire_id = \'T\''
    )


async def submitted(store: InlineStore, unit: Callable[[Any], None]) -> None:
    await store._writer.submit(unit)


def steps(store: InlineStore, ask: List) -> int:
    """How many times ten instructions the readers' connection runs for a list."""
    counted = [0]

    def count() -> int:
        counted[0] += 1
        return 0

    here = store._readers._here
    assert here is not None
    outcome(ask(store))
    here.set_progress_handler(count, STEPS)
    try:
        outcome(ask(store))
    finally:
        here.set_progress_handler(None, 0)
    return counted[0]


def test_what_is_not_in_a_list_costs_it_nothing(store: InlineStore) -> None:
    grown(store, FEW)
    few = {name: steps(store, ask) for name, ask in LISTS.items()}
    grown(store, MANY)
    many = {name: steps(store, ask) for name, ask in LISTS.items()}
    more = {name: (few[name], many[name]) for name in LISTS if many[name] > 2 * few[name] + 20}
    assert not more


def test_of_thousands_that_charge_with_a_token_only_as_many_are_counted_as_are_allowed(store: InlineStore) -> None:
    grown(store, FEW)
    outcome(submitted(store, _all_go_on))
    few = steps(store, charging)
    grown(store, MANY)
    outcome(submitted(store, _all_go_on))
    assert steps(store, charging) <= few + 2
    assert store.transactions.charging(TOKEN, but=("CP1", "T"), most=10) == 10
    assert store.transactions.charging(TOKEN, but=("CP1", "T"), most=10 * MANY) == MANY
    assert store.transactions.charging(TOKEN, but=("", ""), most=10 * MANY) == MANY + 1
    assert store.transactions.charging(IdToken("T2", "ISO14443"), but=("", ""), most=1) == 0


def _all_go_on(connection: sqlite3.Connection) -> None:
    connection.execute('UPDATE "transaction" SET active = 1, token_key = ?, token_type = ?', (TOKEN.key, TOKEN.type))
