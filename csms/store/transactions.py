"""Transactions and their events: each event is kept once, for ever, with the station's own JSON; the state follows from the set of them.

The natural key is (station, transaction, event key), so that no station touches another's and a repeat changes nothing.
"""

from __future__ import annotations

import builtins
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any

import orjson
from peewee import SQL

from csms.ledger import Evidence, absorb, last_register, summary
from csms.model.authorization import IdToken
from csms.model.transactions import EventType, Transaction, TransactionEvent
from csms.store.columns import micros, micros_or_none, moment
from csms.store.connections import Readers, WritingConnection
from csms.store.presence import refuse_older
from csms.store.statements import ONE, Q, compiled, insertion, once
from csms.store.tables import ACTIVE, DUE
from csms.store.tables import Transaction as Row
from csms.store.tables import TransactionEvent as EventRow
from csms.store.writer import Writer

STATE = (Row.id, Row.station, Row.wire_id, Row.evidence, Row.authorization, Row.revision)
FOUND = Row.select(*STATE)
GET = compiled(FOUND.where(Row.id == Q))
BY_WIRE_ID = compiled(FOUND.where(Row.station == Q, Row.wire_id == Q))
BY_START = compiled(FOUND.where(Row.station == Q, Row.start_key == Q))
NEXT_ID = 'SELECT COALESCE(MAX("id"), 0) + 1 FROM "transaction"'
NEW = compiled(insertion(Row))
NEW_EVENT = once(EventRow, EventRow.transaction, EventRow.key, without=("id",))
QUERIED = ("place", "token", "started", "ended")
"""Facts of the evidence that stand in columns of their own too."""
CHANGE = compiled(
    Row.update(
        {
            Row.evse: Q,
            Row.token_key: Q,
            Row.token_type: Q,
            Row.authorization: Q,
            Row.active: Q,
            Row.started_at: Q,
            Row.ended_at: Q,
            Row.revision: Row.revision + ONE,
            Row.evidence: Q,
        }
    ).where(Row.id == Q)
)
ADD = compiled(Row.update({Row.revision: Row.revision + ONE, Row.evidence: Q}).where(Row.id == Q))
ACTIVE_OF_STATION = compiled(FOUND.where(ACTIVE, Row.station == Q).order_by(Row.id))
ACTIVE_OF_TOKEN = compiled(FOUND.where(ACTIVE, Row.token_key == Q, Row.token_type == Q).order_by(Row.id))
EARLIER = compiled(
    Row.select(Row.id, Row.evidence)
    .where(Row.station == Q, Row.evse == Q, Row.started_at < Q)
    .order_by(Row.started_at.desc())
    .limit(SQL("8"))
)
EVENTS = EventRow.select(
    EventRow.key,
    EventRow.seq_no,
    EventRow.protocol,
    EventRow.action,
    EventRow.type,
    EventRow.at,
    EventRow.received_at,
    EventRow.offline,
    EventRow.authorization,
    EventRow.body,
).order_by(EventRow.at, EventRow.seq_no, EventRow.id)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as it is kept; ``body`` is the station's own JSON."""

    key: str
    seq_no: int | None
    protocol: str
    action: str
    type: EventType
    timestamp: datetime
    received_at: datetime
    offline: bool
    authorization: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Kept:
    """A row as far as its state needs it."""

    id: int
    station: str
    wire_id: str
    evidence: str
    authorization: str
    revision: int

    def state(self) -> Transaction:
        """The model's transaction."""
        evidence = orjson.loads(self.evidence)
        return summary(self.id, self.station, self.wire_id, evidence, authorization=self.authorization)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of an event: ``new`` is False for a repeat; ``one_more_start`` if the transaction had another Started before.

    ``wire_id`` is the transaction's id on the wire, ``revision`` counts its events. ``transaction`` is worked out when it is asked for: most
    events change nothing that anybody looks at.
    """

    new: bool
    kept: _Kept
    one_more_start: bool = False

    @property
    def wire_id(self) -> str:
        """The id on the wire; of a 1.6 start the one it was given."""
        return self.kept.wire_id

    @property
    def revision(self) -> int:
        """How many events the transaction has."""
        return self.kept.revision

    @property
    def transaction(self) -> Transaction:
        """The state after this event."""
        return self.kept.state()


class TransactionRows:
    """Transactions by number, and by station and id on the wire."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def record(
        self,
        station: str,
        fence: int,
        protocol: str,
        action: str,
        event: TransactionEvent,
        body: bytes,
        received_at: datetime,
        *,
        authorization: str = "",
    ) -> Recorded:
        """Keep an event. A 1.6 start without an id gets the row's number; an unknown transaction gets a row like any other."""
        facts = (
            event.key,
            event.seq_no,
            protocol,
            action,
            event.type.value,
            micros(event.timestamp),
            micros(received_at),
            int(event.offline),
            authorization,
            body,
        )

        def unit(connection: WritingConnection) -> Recorded:
            refuse_older(connection, station, fence)
            kept = _row_for(connection, station, event)
            if connection.execute(NEW_EVENT, (kept.id, *facts)).rowcount == 0:
                return Recorded(False, kept)
            return _absorbed(connection, kept, event, authorization)

        return await self._writer.submit(unit)

    async def get(self, id: int) -> Transaction | None:
        """The transaction with this number, or None."""
        row = self._readers.one(GET, (id,))
        return None if row is None else _state(row)

    async def by_wire_id(self, station: str, wire_id: str) -> Transaction | None:
        """The station's transaction with this id on the wire, or None."""
        row = self._readers.one(BY_WIRE_ID, (station, wire_id))
        return None if row is None else _state(row)

    async def active(
        self, *, station: str | None = None, token: IdToken | None = None, evse: int | None = None
    ) -> list[Transaction]:
        """Transactions that have not ended: of a station, of a token, at an EVSE, or all; the oldest first."""
        if token is not None:
            rows = self._readers.few(ACTIVE_OF_TOKEN, (token.key, token.type))
        elif station is not None:
            rows = self._readers.few(ACTIVE_OF_STATION, (station,))
        else:
            query = FOUND.where(ACTIVE) if evse is None else FOUND.where(ACTIVE, Row.evse == evse)
            return await self._readers.many(query.order_by(Row.id), _state)
        found = (_state(row) for row in rows if station is None or row[1] == station)
        return [one for one in found if evse is None or one.evse == evse]

    async def events(self, id: int) -> list[StoredEvent]:
        """All events of a transaction, in the order of their own times."""
        return await self._readers.many(EVENTS.where(EventRow.transaction == id), stored_event)

    async def register_before(self, station: str, evse: int, at: datetime) -> tuple[int, Decimal, datetime] | None:
        """Where an EVSE's register stood last before a time, told by a transaction that began earlier: its number, Wh and when."""
        rows = self._readers.few(EARLIER, (station, evse, micros(at)))
        told = [(id, *found) for id, evidence in rows if (found := last_register(orjson.loads(evidence))) is not None]
        past = [one for one in told if one[2] <= at]
        return max(past, key=lambda one: (one[2], one[0]), default=None)

    async def due_bills(self, limit: int, *, after: int = 0) -> list[tuple[Transaction, int]]:
        """Ended transactions that have events newer than their bill, with the revision to bill; ``after`` goes on behind that number."""
        query = FOUND.where(DUE, Row.active == 0, Row.id > after).order_by(Row.id).limit(limit)
        return await self._readers.many(query, lambda row: (_state(row), int(row[5])))

    async def of_tokens(
        self, tokens: Sequence[IdToken], *, after: int = 0, limit: int = 100
    ) -> builtins.list[Transaction]:
        """Transactions that were begun with one of these tokens, the newest first; ``after`` goes on below that number."""
        if not tokens:
            return []
        mine = reduce(or_, ((Row.token_key == token.key) & (Row.token_type == token.type) for token in tokens))
        query = FOUND.where(mine).order_by(Row.id.desc()).limit(limit)
        return await self._readers.many(query.where(Row.id < after) if after else query, _state)

    async def list(
        self, *, station: str | None = None, active: bool | None = None, after: int = 0, limit: int = 100
    ) -> list[Transaction]:
        """Transactions, the newest first; ``after`` goes on behind (below) that number."""
        query = FOUND.order_by(Row.id.desc()).limit(limit)
        if station is not None:
            query = query.where(Row.station == station)
        if active is not None:
            query = query.where(Row.active == int(active))
        if after:
            query = query.where(Row.id < after)
        return await self._readers.many(query, _state)


def _row_for(connection: sqlite3.Connection, station: str, event: TransactionEvent) -> _Kept:
    """The row of the event's transaction, made if it is not there."""
    if event.transaction:
        row = connection.execute(BY_WIRE_ID, (station, event.transaction)).fetchone()
        return _Kept(*row) if row else _made(connection, station, event.transaction, None)
    row = connection.execute(BY_START, (station, event.key)).fetchone()
    return _Kept(*row) if row else _made(connection, station, "", event.key)


def _made(connection: sqlite3.Connection, station: str, wire_id: str, start_key: str | None) -> _Kept:
    """A new row. Without an id on the wire it gets its own number, unless the station has used that one before: then the next."""
    (id,) = connection.execute(NEXT_ID).fetchone()
    while not wire_id and connection.execute(BY_WIRE_ID, (station, str(id))).fetchone() is not None:
        id += 1
    wire_id = wire_id or str(id)
    connection.execute(NEW, (id, station, wire_id, start_key, None, None, None, "", 1, None, None, 0, 0, "{}"))
    return _Kept(id, station, wire_id, "{}", "", 0)


def _absorbed(connection: sqlite3.Connection, kept: _Kept, event: TransactionEvent, authorization: str) -> Recorded:
    """Write the state that follows from one more event."""
    before: Evidence = orjson.loads(kept.evidence)
    evidence = absorb(before, event)
    if evidence.get("token") == before.get("token"):
        authorization = kept.authorization
    text = orjson.dumps(evidence).decode()
    now = _Kept(kept.id, kept.station, kept.wire_id, text, authorization, kept.revision + 1)
    if all(evidence.get(fact) == before.get(fact) for fact in QUERIED):
        connection.execute(ADD, (text, kept.id))
    else:
        connection.execute(CHANGE, (*_queried(now.state()), text, kept.id))
    return Recorded(True, now, event.type is EventType.STARTED and "started" in before)


def _queried(now: Transaction) -> tuple[object, ...]:
    """What stands in columns of its own, because lists ask for it."""
    token = now.id_token
    return (
        now.evse,
        token.key if token else None,
        token.type if token else None,
        now.authorization,
        int(now.ended_at is None),
        micros_or_none(now.started_at),
        micros_or_none(now.ended_at),
    )


def _state(row: Any) -> Transaction:
    return _Kept(*row).state()


def stored_event(row: Any) -> StoredEvent:
    """A row of EVENTS."""
    return StoredEvent(
        key=row[0],
        seq_no=row[1],
        protocol=row[2],
        action=row[3],
        type=EventType(row[4]),
        timestamp=moment(row[5]),
        received_at=moment(row[6]),
        offline=bool(row[7]),
        authorization=row[8],
        body=row[9],
    )
