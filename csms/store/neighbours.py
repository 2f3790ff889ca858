"""What an event changes beside its own transaction: a parked stop joins its start, and two transactions at one EVSE at one time are noted.

Runs in the writer's thread, in the commit of the event.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import orjson
from peewee import SQL

from csms.ledger import Evidence
from csms.model.transactions import EventType, TransactionEvent
from csms.store.columns import json_text, micros
from csms.store.connections import WritingConnection
from csms.store.recording import refolded
from csms.store.state import FOUND, Decode, Kept
from csms.store.statements import NOTHING, ONE, Q, compiled
from csms.store.tables import ACTIVE
from csms.store.tables import Transaction as Row

SLACK_US = 60_000_000
"""Stations round times and end a transaction a moment late: so much of an overlap is none."""
NEAR = 20
"""So many transactions before one at the same EVSE are looked at."""
UNJOINED = Row.joined_to.is_null()
PARKED = compiled(
    FOUND.where(Row.station == Q, UNJOINED, Row.started_at.is_null(), Row.evse.is_null(), Row.ended_at.is_null(False))
)
STARTS = FOUND.where(Row.station == Q, Row.started_at.is_null(False), Row.revision == ONE)
OPEN_STARTS = compiled(STARTS.where(ACTIVE))
GIVEN_UP_STARTS = compiled(STARTS.where(Row.gave_up != NOTHING, Row.ended_at.is_null(), Row.active == SQL("0")))
"""Only looked for when a stop has come under an id that nobody gave, for they have no index of their own."""
MOVE = 'UPDATE "transaction_event" SET "transaction_id" = ? WHERE "transaction_id" = ?'
JOIN = """
    UPDATE "transaction" SET "joined_to" = ?, "evidence" = '{}', "revision" = 0, "billed_revision" = 0, "active" = 0, "wants" = 0,
        "token_key" = NULL, "token_type" = NULL, "started_at" = NULL, "ended_at" = NULL WHERE "id" = ?
"""
TAKE_OVER = (
    """UPDATE "healing" SET "closed_at" = ?, "next_at" = NULL, "outcome" = 'healed', "detail" = 'it belongs to a start that is there'
        WHERE "closed_at" IS NULL AND "transaction_id" = ?""",
    *(
        f'UPDATE "{table}" SET "transaction_id" = ? WHERE "transaction_id" = ?'
        for table in ("healing", "bill", "bill_step")
    ),
)
"""What was asked about a parked stop, and a bill that was written of it, become those of the transaction that it belongs to."""
OPEN = """SELECT "id" FROM "bill" WHERE "transaction_id" = ? AND "status" IN ('provisional', 'quarantined')"""
SAME_BILL = 'UPDATE "bill_step" SET "bill" = ? WHERE "bill" = ?'
DROP_BILL = 'DELETE FROM "bill" WHERE "id" = ?'
DUE_AGAIN = 'UPDATE "transaction" SET "billed_revision" = MIN("billed_revision", "revision" - 1) WHERE "id" = ?'
PLACED = (Row.id, Row.started_at, Row.ended_at, Row.overlaps)
AT_EVSE = Row.select(*PLACED).where(
    Row.station == Q, Row.evse == Q, Row.started_at.is_null(False), UNJOINED, Row.id != Q
)
BEFORE = compiled(AT_EVSE.where(Row.started_at <= Q).order_by(Row.started_at.desc()).limit(SQL(str(NEAR))))
AFTER = compiled(AT_EVSE.where(Row.started_at > Q, Row.started_at < Q).order_by(Row.started_at).limit(SQL(str(NEAR))))
STILL_ACTIVE = compiled(AT_EVSE.where(ACTIVE))
ONE_PLACE = compiled(Row.select(Row.station, Row.evse, *PLACED).where(Row.id == Q))
NOTE_OVERLAPS = 'UPDATE "transaction" SET "overlaps" = ? WHERE "id" = ?'


# Parked stops


def join_parked(
    connection: WritingConnection, kept: Kept, event: TransactionEvent, decode: Decode, at: datetime
) -> Kept:
    """Join a start whose answer was lost with the stop that came under an id that nobody gave, if it is clear which; gives the event's row."""
    if event.seq_no is not None or event.type is EventType.UPDATED:
        return kept
    ended = event.type is EventType.ENDED
    if ended and "started" in _read(kept):
        return kept
    starts = [Kept(*row) for row in connection.execute(OPEN_STARTS, (kept.station,))]
    if ended:
        starts += [Kept(*row) for row in connection.execute(GIVEN_UP_STARTS, (kept.station,))]
    stops = [Kept(*row) for row in connection.execute(PARKED, (kept.station,))]
    pairs = [(start, stop) for start in starts for stop in stops if _belong(_read(start), _read(stop))]
    mine = [pair for pair in pairs if kept.id in (pair[0].id, pair[1].id)]
    if len(mine) != 1:
        return kept
    start, stop = mine[0]
    if sum(start.id == one.id or stop.id == other.id for one, other in pairs) != 1:
        return kept
    return _joined(connection, start, stop, decode, at)


def _joined(connection: WritingConnection, start: Kept, stop: Kept, decode: Decode, at: datetime) -> Kept:
    connection.execute(MOVE, (start.id, stop.id))
    connection.execute(JOIN, (start.id, stop.id))
    close, *move = TAKE_OVER
    connection.execute(close, (micros(at), stop.id))
    _make_one_bill(connection, start, stop)
    for sql in move:
        connection.execute(sql, (start.id, stop.id))
    return refolded(connection, start, decode, at)


def _make_one_bill(connection: WritingConnection, start: Kept, stop: Kept) -> None:
    """Of two that nobody was sent yet one goes on, with the story of both: a transaction has one open bill at most."""
    goes_on, goes = (connection.execute(OPEN, (one.id,)).fetchone() for one in (start, stop))
    if goes_on and goes:
        connection.execute(SAME_BILL, (*goes_on, *goes))
        connection.execute(DROP_BILL, goes)


def _read(kept: Kept) -> Evidence:
    evidence: Evidence = orjson.loads(kept.evidence)
    return evidence


def _belong(start: Evidence, stop: Evidence) -> bool:
    """Whether a stop can be that of a start: later, not below its register, and by the same tag if it names one."""
    tag, token = stop.get("stop_token"), start.get("token")
    if "started" not in start or "ended" not in stop or start["started"][1] > stop["ended"][1]:
        return False
    begin, end = start.get("begin"), stop.get("end")
    if begin is not None and end is not None and Decimal(end[1]) < Decimal(begin[1]):
        return False
    return tag is None or (token is not None and tag[1].casefold() == token[1].casefold())


# One vehicle per EVSE


@dataclass(frozen=True, slots=True)
class Stay:
    """How long a transaction was at its EVSE; ``ended`` None: for ever, as far as is known."""

    id: int
    started: int
    ended: int | None
    overlaps: frozenset[int]

    def clashes(self, other: Stay) -> bool:
        """Whether this one was wrong to be there with the other; of one that never ended the other is not guilty."""
        first, second = (self, other) if (self.started, self.id) < (other.started, other.id) else (other, self)
        if first.ended is None:
            return self is first
        return first.ended > second.started + SLACK_US


def note_overlaps(connection: WritingConnection, id: int) -> tuple[int, ...]:
    """Note which transactions at the same EVSE overlap with this one, on both; gives those that are new, on either."""
    station, evse, *place = connection.execute(ONE_PLACE, (id,)).fetchone()
    if not evse or place[1] is None:
        return ()
    mine = _stay(place)
    clashing: set[int] = set()
    news: set[int] = set()
    for other in _near(connection, station, evse, mine):
        theirs = other.overlaps | {id} if other.clashes(mine) else other.overlaps - {id}
        if mine.clashes(other):
            clashing.add(other.id)
        if _note(connection, other, theirs):
            news.add(other.id)
    if _note(connection, mine, frozenset(clashing)):
        news |= clashing - mine.overlaps
    return tuple(sorted(news))


def _near(connection: WritingConnection, station: str, evse: int, mine: Stay) -> Iterator[Stay]:
    """The transactions at the same EVSE that may overlap, and those that were thought to."""
    values = (station, evse, mine.id)
    rows = [
        *connection.execute(BEFORE, (*values, mine.started)),
        *connection.execute(AFTER, (*values, mine.started, mine.ended or 2**62)),
        *connection.execute(STILL_ACTIVE, values),
        *(connection.execute(ONE_PLACE, (one,)).fetchone()[2:] for one in mine.overlaps),
    ]
    return iter({row[0]: _stay(row) for row in rows}.values())


def _stay(row: tuple[int, int, int | None, str] | list[object]) -> Stay:
    id, started, ended, overlaps = row
    return Stay(id, started, ended, frozenset(orjson.loads(overlaps) if overlaps else ()))  # type: ignore[arg-type]


def _note(connection: WritingConnection, stay: Stay, overlaps: frozenset[int]) -> bool:
    """Write what overlaps if it is other than before; True if one came to it."""
    if overlaps == stay.overlaps:
        return False
    connection.execute(NOTE_OVERLAPS, (json_text(sorted(overlaps)) if overlaps else "", stay.id))
    connection.execute(DUE_AGAIN, (stay.id,))
    return bool(overlaps - stay.overlaps)
