"""Transactions and their events: each event is kept once, for ever, with the station's own JSON; the state follows from the set of them.

The natural key is (station, transaction, event key), so that no station touches another's and a repeat changes nothing.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any

import orjson
from peewee import SQL
from twisted.internet.defer import Deferred

from csms.ledger import facts_of, last_register
from csms.model.authorization import AuthorizationStatus, Decision, IdToken
from csms.model.transactions import Transaction, TransactionEvent
from csms.store.arrivals import Addition, Arrival, Recorded
from csms.store.columns import micros
from csms.store.connections import Readers, WritingConnection
from csms.store.decisions import read
from csms.store.neighbours import UNJOINED, join_parked, note_overlaps
from csms.store.presence import outdated, refuse_older
from csms.store.recording import added, keep
from csms.store.state import ALL_OF, BY_WIRE_ID, FOUND, GET, Decode, Kept, StoredEvent, stored_event
from csms.store.statements import NOTHING, ONE, Q, compiled
from csms.store.tables import ACTIVE, DUE, GOING_ON
from csms.store.tables import Transaction as Row
from csms.store.tables import TransactionEvent as EventRow
from csms.store.writer import Writer

ACTIVE_OF_STATION = compiled(FOUND.where(ACTIVE, Row.station == Q).order_by(Row.id))
ACTIVE_OF_TOKEN = compiled(FOUND.where(ACTIVE, Row.token_key == Q, Row.token_type == Q).order_by(Row.id))
CHARGING = compiled(
    Row.select(ONE)
    .where(
        ACTIVE,
        Row.token_key == Q,
        Row.token_type == Q,
        (Row.authorization == NOTHING) | (Row.authorization == SQL(f"'{AuthorizationStatus.ACCEPTED.value}'")),
        (Row.station != Q) | (Row.wire_id != Q),
    )
    .limit(Q)
)
ALL_ACTIVE = compiled(FOUND.where(GOING_ON).order_by(Row.id))
DUE_BILLS = compiled(FOUND.where(DUE, Row.id > Q).order_by(Row.id).limit(Q))
DECIDED = compiled(
    EventRow.select(EventRow.decision, EventRow.body)
    .join(Row)
    .where(Row.station == Q, (Row.wire_id == Q) | (Row.start_key == Q), EventRow.key == Q)
)
EARLIER = compiled(
    Row.select(Row.id, Row.evidence)
    .where(Row.station == Q, Row.evse == Q, Row.started_at < Q)
    .order_by(Row.started_at.desc())
    .limit(SQL("8"))
)


class TransactionRows:
    """Transactions by number, and by station and id on the wire."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self.decode: Decode = _undecoded
        """Reads a stored event again; whoever builds the house says how, because the store knows no dialect."""
        self._readers = readers
        self._writer = writer

    def record(
        self,
        station: str,
        fence: int,
        protocol: str,
        action: str,
        event: TransactionEvent,
        body: bytes,
        received_at: datetime,
        *,
        decision: Decision | None = None,
    ) -> Deferred[Recorded]:
        """Keep an event. A 1.6 start without an id gets the row's number; an unknown transaction gets a row like any other."""
        arrival = Arrival(station, protocol, action, event, body, received_at, facts_of(event), decision)
        row = arrival.row()

        def unit(connection: WritingConnection) -> Recorded:
            refuse_older(connection, station, fence)
            recorded = keep(connection, arrival, row, self.decode)
            return _looked_around(connection, recorded, arrival, self.decode) if recorded.changed else recorded

        return self._writer.submit(unit)

    def record_all(self, additions: Sequence[Addition]) -> Deferred[builtins.list[str | None]]:
        """Keep events that only add to transactions that go on, all in one go; for each the transaction's id on the wire.

        None and nothing done where there is more to it, so that it needs ``record``: a repeat, an unknown transaction, a newer connection.
        """

        def unit(connection: WritingConnection) -> builtins.list[str | None]:
            return [_added(connection, one) for one in additions]

        return self._writer.submit(unit, len(additions))

    def decided(self, station: str, event: TransactionEvent, body: bytes) -> Decision | None:
        """What was decided on the token of this very message when it came before; None if it is new, or another decision is due."""
        values = (station, event.transaction or None, None if event.transaction else event.key, event.key)
        row = self._readers.one(DECIDED, values)
        return read(row[0]) if row is not None and row[1] == body else None

    async def get(self, id: int) -> Transaction | None:
        """The transaction with this number, or None."""
        return self._joined(self._readers.one(GET, (id,)))

    async def by_wire_id(self, station: str, wire_id: str) -> Transaction | None:
        """The station's transaction with this id on the wire, or None."""
        return self._joined(self._readers.one(BY_WIRE_ID, (station, wire_id)))

    def _joined(self, row: Any) -> Transaction | None:
        """The transaction of a row; of a parked stop that has joined its start, that start's."""
        if row is None:
            return None
        kept = Kept(*row)
        return kept.state() if kept.joined_to is None else self._joined(self._readers.one(GET, (kept.joined_to,)))

    async def active(
        self, *, station: str | None = None, token: IdToken | None = None, evse: int | None = None
    ) -> list[Transaction]:
        """Transactions that have not ended: of a station, of a token, at an EVSE, or all; the oldest first."""
        if token is not None:
            rows = self._readers.few(ACTIVE_OF_TOKEN, (token.key, token.type))
        elif station is not None:
            rows = self._readers.few(ACTIVE_OF_STATION, (station,))
        else:
            return [
                one for one in await self._readers.found(ALL_ACTIVE, (), _state) if evse is None or one.evse == evse
            ]
        found = (_state(row) for row in rows if station is None or row[1] == station)
        return [one for one in found if evse is None or one.evse == evse]

    def charging(self, token: IdToken, *, but: tuple[str, str], most: int) -> int:
        """How many transactions of a token go on and were not refused, counted up to ``most``; without one, by station and id on the wire."""
        return len(self._readers.few(CHARGING, (token.key, token.type, *but, most)))

    async def events(self, id: int) -> list[StoredEvent]:
        """All events of a transaction, in the order of their own times."""
        return await self._readers.found(ALL_OF, (id,), stored_event)

    async def register_before(self, station: str, evse: int, at: datetime) -> tuple[int, Decimal, datetime] | None:
        """Where an EVSE's register stood last before a time, told by a transaction that began earlier: its number, Wh and when."""
        rows = self._readers.few(EARLIER, (station, evse, micros(at)))
        told = [(id, *found) for id, evidence in rows if (found := last_register(orjson.loads(evidence))) is not None]
        past = [one for one in told if one[2] <= at]
        return max(past, key=lambda one: (one[2], one[0]), default=None)

    async def due_bills(self, limit: int, *, after: int = 0) -> list[tuple[Transaction, int]]:
        """Ended transactions that have events newer than their bill, with the revision to bill; ``after`` goes on behind that number."""
        return await self._readers.found(DUE_BILLS, (after, limit), lambda row: (_state(row), int(row[5])))

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
        query = FOUND.where(UNJOINED).order_by(Row.id.desc()).limit(limit)
        if station is not None:
            query = query.where(Row.station == station)
        if active:
            query = query.where(GOING_ON)
        elif active is not None:
            query = query.where(Row.active == 0)
        if after:
            query = query.where(Row.id < after)
        return await self._readers.many(query, _state)


def _undecoded(event: StoredEvent) -> TransactionEvent:
    raise LookupError(f"nobody has said how {event.action} is read")


def _added(connection: WritingConnection, addition: Addition) -> str | None:
    if outdated(connection, addition.transaction[0], addition.fence):
        return None
    known = added(connection, addition)
    return None if known is None else known.wire_id


def _looked_around(connection: WritingConnection, recorded: Recorded, arrival: Arrival, decode: Decode) -> Recorded:
    """What the event changes beside its own transaction."""
    kept = join_parked(connection, recorded.kept, arrival.event, decode, arrival.received_at)
    beside = note_overlaps(connection, kept.id)
    if not beside and kept is recorded.kept:
        return recorded
    fresh = Kept(*connection.execute(GET, (kept.id,)).fetchone())
    return recorded._replace(kept=fresh, beside=beside)


def _state(row: Any) -> Transaction:
    return Kept(*row).state()
