"""What is missing in transactions and what was asked about it: the healer's memory, so that a restart forgets nothing."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from peewee import JOIN

from csms.model.transactions import Transaction
from csms.store.columns import micros, moment, moment_or_none
from csms.store.connections import Readers, WritingConnection
from csms.store.neighbours import DUE_AGAIN
from csms.store.state import FOUND, GET, Kept
from csms.store.statements import ONE, Q, compiled, insertion, turn
from csms.store.tables import ACTIVE, GOING_ON, OPEN, WANTING
from csms.store.tables import Healing as Row
from csms.store.tables import Transaction as TransactionRow
from csms.store.writer import Writer

FIELDS = (
    Row.id,
    Row.transaction,
    Row.station,
    Row.cause,
    Row.missing,
    Row.opened_at,
    Row.tries,
    Row.empty,
    Row.asked_at,
    Row.next_at,
    Row.closed_at,
    Row.outcome,
    Row.detail,
)
ALL = Row.select(*FIELDS)
NEW = compiled(insertion(Row, without=("id",)).on_conflict(action="nothing"))
UNASKED = FOUND.join(Row, JOIN.LEFT_OUTER, on=(Row.transaction == TransactionRow.id) & OPEN).where(Row.id.is_null())
WANTING_UNASKED = compiled(UNASKED.where(WANTING).order_by(TransactionRow.id).limit(Q))
SILENT = UNASKED.where(TransactionRow.heard_at <= Q).order_by(TransactionRow.id).limit(Q)
SILENT_UNASKED = compiled(SILENT.where(GOING_ON))
SILENT_OF_STATION = compiled(SILENT.where(ACTIVE, TransactionRow.station == Q))
DUE = compiled(ALL.where(OPEN, turn(Row.next_at)).order_by(Row.next_at, Row.id).limit(Q))
OF_TRANSACTION = compiled(ALL.where(Row.transaction == Q).order_by(Row.id))
ASKED = compiled(Row.update({Row.tries: Row.tries + ONE, Row.asked_at: Q, Row.next_at: Q}).where(OPEN, Row.id == Q))
ANSWERED = compiled(Row.update({Row.empty: Q}).where(OPEN, Row.id == Q))
LATER = compiled(Row.update({Row.next_at: Q}).where(OPEN, Row.id == Q))
WAKE = compiled(Row.update({Row.next_at: Q}).where(OPEN, Row.station == Q))
CLOSE = compiled(Row.update({Row.next_at: Q, Row.closed_at: Q, Row.outcome: Q, Row.detail: Q}).where(OPEN, Row.id == Q))
HEARD = compiled(TransactionRow.update({TransactionRow.heard_at: Q}).where(TransactionRow.id == Q))
GIVE_UP = compiled(
    TransactionRow.update({TransactionRow.active: Q, TransactionRow.gave_up: Q}).where(
        TransactionRow.id == Q, TransactionRow.revision == Q
    )
)


@dataclass(frozen=True, slots=True)
class Healing:
    """One time that something was missing: since when, what, how often it was asked for, and how it ended (``outcome`` empty: it has not).

    ``empty`` counts the answers in a row that said that no message waits. ``next_at`` None: not before the station is back.
    """

    id: int
    transaction: int
    station: str
    cause: str
    missing: str
    opened_at: datetime
    tries: int = 0
    empty: int = 0
    asked_at: datetime | None = None
    next_at: datetime | None = None
    closed_at: datetime | None = None
    outcome: str = ""
    detail: str = ""


class HealingRows:
    """Healings by number, by transaction, and by when their turn is."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def wanting(self, limit: int) -> list[Transaction]:
        """Transactions that lack something, and that nobody has begun to ask about."""
        return await self._states(WANTING_UNASKED, (limit,))

    async def silent(
        self, heard_before: datetime, limit: int, *, station: str | None = None
    ) -> builtins.list[Transaction]:
        """Transactions that go on, were not heard of since, and that nobody has begun to ask about: of a station, or of all."""
        if station is None:
            return await self._states(SILENT_UNASKED, (micros(heard_before), limit))
        return await self._states(SILENT_OF_STATION, (micros(heard_before), station, limit))

    async def _states(self, sql: str, values: tuple[object, ...]) -> builtins.list[Transaction]:
        return await self._readers.found(sql, values, lambda row: Kept(*row).state())

    async def open(self, transaction: Transaction, cause: str, missing: str, at: datetime, next_at: datetime) -> bool:
        """Begin to ask about a transaction; False if somebody has already."""
        times = (micros(at), 0, 0, None, micros(next_at), None)
        row = (transaction.id, transaction.station, cause, missing, *times, "", "")
        return await self._writer.submit(lambda connection: connection.execute(NEW, row).rowcount == 1)

    async def due(self, now: datetime, limit: int, longest: timedelta) -> builtins.list[Healing]:
        """Those whose turn has come, the longest waiting first; nothing waits for longer than ``longest``."""
        return await self._readers.found(DUE, (micros(now), micros(now + longest), limit), _healing)

    async def of(self, transaction: int) -> builtins.list[Healing]:
        """All of a transaction, the oldest first."""
        return await self._readers.found(OF_TRANSACTION, (transaction,), _healing)

    async def asked(self, id: int, at: datetime, next_at: datetime) -> None:
        """The station is asked once more, and again at ``next_at`` if nothing else comes of it."""
        values = (micros(at), micros(next_at), id)
        await self._writer.submit(lambda connection: connection.execute(ASKED, values).rowcount)

    async def answered(self, id: int, empty: int) -> None:
        """So many answers in a row have said that nothing waits."""
        await self._writer.submit(lambda connection: connection.execute(ANSWERED, (empty, id)).rowcount)

    async def put_off(self, id: int, until: datetime | None) -> None:
        """Its turn comes later; None: when the station is back."""
        values = (None if until is None else micros(until), id)
        await self._writer.submit(lambda connection: connection.execute(LATER, values).rowcount)

    async def wake(self, station: str, at: datetime) -> None:
        """The station is back: the turn of its transactions comes then."""
        values = (micros(at), station)
        await self._writer.submit(lambda connection: connection.execute(WAKE, values).rowcount)

    async def close(self, healing: Healing, outcome: str, detail: str, at: datetime) -> None:
        """It has ended; a transaction that goes on counts as heard of."""

        def unit(connection: WritingConnection) -> None:
            connection.execute(CLOSE, (None, micros(at), outcome, detail, healing.id))
            connection.execute(HEARD, (micros(at), healing.transaction))

        await self._writer.submit(unit)

    async def give_up(
        self, healing: Healing, transaction: Transaction, why: str, at: datetime, *, over: bool
    ) -> Transaction | None:
        """Expect nothing more, and count the transaction as ended if it is ``over``; None, and nothing is done, if an event came meanwhile."""
        ended = over or transaction.ended_at is not None

        def unit(connection: WritingConnection) -> Transaction | None:
            values = (int(not ended), why, transaction.id, transaction.events)
            if connection.execute(GIVE_UP, values).rowcount == 0:
                return None
            connection.execute(CLOSE, (None, micros(at), "gave_up", why, healing.id))
            connection.execute(DUE_AGAIN, (transaction.id,))
            return Kept(*connection.execute(GET, (transaction.id,)).fetchone()).state()

        return await self._writer.submit(unit)


def _healing(row: Any) -> Healing:
    return Healing(
        id=row[0],
        transaction=row[1],
        station=row[2],
        cause=row[3],
        missing=row[4],
        opened_at=moment(row[5]),
        tries=row[6],
        empty=row[7],
        asked_at=moment_or_none(row[8]),
        next_at=moment_or_none(row[9]),
        closed_at=moment_or_none(row[10]),
        outcome=row[11],
        detail=row[12],
    )
