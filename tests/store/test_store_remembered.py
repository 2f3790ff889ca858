"""What the writer remembers of running transactions makes no difference: the same events leave the same rows as with nothing remembered."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from csms.model.authorization import IdToken
from csms.model.metering import MeterValue, SampledValue
from csms.model.transactions import EventType, TransactionEvent
from csms.store import Store

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROWS = ('SELECT * FROM "transaction" ORDER BY "id"', 'SELECT * FROM "transaction_event" ORDER BY "id"')
MEDDLING = (
    'UPDATE "transaction" SET "gave_up" = \'nobody answers\', "active" = 0 WHERE "id" = ?',
    'UPDATE "transaction" SET "heard_at" = 5 WHERE "id" = ?',
    'UPDATE "transaction" SET "billed_revision" = "revision" WHERE "id" = ?',
)
Told = tuple[TransactionEvent, bytes]


def story(dice: random.Random) -> list[Told]:
    """The events of three transactions, mixed, some repeated, some changed under the same number, some never told."""
    told = [_event(dice, f"tx-{number}", seq_no) for number in range(3) for seq_no in range(12) if dice.random() < 0.95]
    if dice.random() < 0.5:
        told.sort(key=lambda one: one[0].timestamp)
    else:
        dice.shuffle(told)
    again = [one for one in told if dice.random() < 0.1]
    other = [
        (replace(event, charging_state="SuspendedEV"), body + b" ") for event, body in told if dice.random() < 0.05
    ]
    for one in (*again, *((event, body.replace(b"{", b'{"other":1,')) for event, body in other)):
        told.insert(dice.randrange(len(told)), one)
    return told


def _event(dice: random.Random, transaction: str, seq_no: int) -> Told:
    at = T0 + timedelta(minutes=seq_no)
    kind = EventType.STARTED if seq_no == 0 else EventType.ENDED if seq_no == 11 else EventType.UPDATED
    event = TransactionEvent(
        transaction,
        kind,
        at,
        dice.choice(("MeterValuePeriodic", "StopAuthorized")),
        str(seq_no),
        seq_no,
        evse=dice.choice((None, None, 1, 2)),
        id_token=IdToken("T") if dice.random() < 0.2 else None,
        meter_values=(MeterValue(at, (SampledValue(Decimal(100 * seq_no)),)),),
        charging_state=dice.choice(("", "Charging")),
    )
    return event, b'{"seqNo":%d,"transactionInfo":"%b"}' % (seq_no, transaction.encode())


@pytest.mark.parametrize("seed", range(30))
@pytest_twisted.ensureDeferred
async def test_the_rows_are_those_of_a_writer_that_remembers_nothing(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    told, meddled = story(dice), {dice.randrange(30): dice.choice(MEDDLING) for _ in range(3)}
    by_body = {(event.transaction, body): event for event, body in told}
    remembered, rows = [], []
    for remembers in (True, False):
        store = Store(tmp_path / f"{remembers}.sqlite", reactor)
        store.transactions.decode = lambda stored: by_body[_transaction(stored.body), stored.body]
        await store.open()
        said = []
        for number, (event, body) in enumerate(told):
            if not remembers:
                await store._writer.submit(lambda connection: connection.forget())
            if number in meddled:
                _meddle(store.file, meddled[number], number % 3 + 1)
            recorded = await store.transactions.record("CP1", 0, "ocpp2.0.1", "TransactionEvent", event, body, T0)
            said.append(recorded)
        remembered.append(said)
        rows.append(_rows(store.file))
        await store.close()
    assert rows[0] == rows[1]
    assert [(one._replace(kept=None), one.transaction) for one in remembered[0]] == [
        (one._replace(kept=None), one.transaction) for one in remembered[1]
    ]


def _transaction(body: bytes) -> str:
    return body.decode().partition('"transactionInfo":"')[2][:4]


def _meddle(file: Path, sql: str, id: int) -> None:
    """Another process changes a row."""
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute(sql, (id,))


def _rows(file: Path) -> list[Any]:
    with sqlite3.connect(file) as connection:
        return [connection.execute(sql).fetchall() for sql in ROWS]


@pytest_twisted.ensureDeferred
async def test_what_has_ended_is_forgotten(store: Store) -> None:
    for seq_no in (0, 1, 11):
        event, body = _event(random.Random(0), "tx-0", seq_no)
        event = replace(event, seq_no=min(seq_no, 2), key=str(min(seq_no, 2)), evse=None)
        await store.transactions.record("CP1", 0, "ocpp2.0.1", "TransactionEvent", event, body, T0)
    assert await store._writer.submit(lambda connection: len(connection.transactions)) == 0


@pytest_twisted.ensureDeferred
async def test_a_row_that_changed_behind_the_memory_is_read_again(store: Store) -> None:
    events = [_event(random.Random(0), "tx-0", seq_no) for seq_no in range(4)]
    plain = [(replace(event, id_token=None, evse=None, trigger="Trigger"), body) for event, body in events]

    async def keep(number: int) -> int:
        event, body = plain[number]
        recorded = await store.transactions.record("CP1", 0, "ocpp2.0.1", "TransactionEvent", event, body, T0)
        return recorded.kept.id

    for number in (0, 1):
        id = await keep(number)
    assert await store._writer.submit(lambda connection: len(connection.transactions)) == 1
    changed = 'UPDATE "transaction" SET "gave_up" = \'silent\', "active" = 0 WHERE "id" = ?'
    await store._writer.submit(lambda connection: connection.execute(changed, (id,)).rowcount)
    assert await keep(2) == id
    state = await store.transactions.by_wire_id("CP1", "tx-0")
    assert state is not None
    assert (state.events, state.gave_up) == (3, "")
    assert len(await store.transactions.events(id)) == 3
