"""How a transaction's state and its events stand in rows, and how they are read back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from csms.ledger import Standing, summary
from csms.model.authorization import Decision
from csms.model.transactions import EventType, Transaction, TransactionEvent
from csms.store.columns import moment, moment_or_none
from csms.store.decisions import group_of, read
from csms.store.statements import Q, compiled
from csms.store.tables import Transaction as Row
from csms.store.tables import TransactionEvent as EventRow

STATE = (
    Row.id,
    Row.station,
    Row.wire_id,
    Row.evidence,
    Row.authorization,
    Row.revision,
    Row.token_group,
    Row.gave_up,
    Row.overlaps,
    Row.active,
    Row.joined_to,
    Row.heard_at,
)
FOUND = Row.select(*STATE)
GET = compiled(FOUND.where(Row.id == Q))
BY_WIRE_ID = compiled(FOUND.where(Row.station == Q, Row.wire_id == Q))
BY_START = compiled(FOUND.where(Row.station == Q, Row.start_key == Q))
STORED = (
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
    EventRow.decision,
    EventRow.repeats,
    EventRow.repeated_at,
    EventRow.id,
)
EVENTS = EventRow.select(*STORED).order_by(EventRow.at, EventRow.seq_no, EventRow.id)
ALL_OF = compiled(EVENTS.where(EventRow.transaction == Q))


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as it is kept; ``body`` is the station's own JSON. A second content under the same key has ``~`` and a digest behind it.

    ``repeats`` counts how often it came again, ``repeated_at`` is when last. ``number`` rises with the events' arrival.
    """

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
    decision: Decision | None = None
    repeats: int = 0
    repeated_at: datetime | None = None
    number: int = 0


Decode = Callable[[StoredEvent], TransactionEvent]


class Kept(NamedTuple):
    """A row as far as its state needs it; a tuple, for one is made with every event."""

    id: int
    station: str
    wire_id: str
    evidence: str
    authorization: str = ""
    revision: int = 0
    token_group: str = ""
    gave_up: str = ""
    overlaps: str = ""
    active: int = 1
    joined_to: int | None = None
    heard_at: int | None = None

    def grown(self, evidence: str, heard_at: int) -> Kept:
        """With one more event."""
        id, station, wire_id, _, authorization, revision, group, gave_up, overlaps, active, joined_to, _ = self
        more = revision + 1
        return Kept(
            id, station, wire_id, evidence, authorization, more, group, gave_up, overlaps, active, joined_to, heard_at
        )

    def state(self) -> Transaction:
        """The model's transaction."""
        return summary(self.id, self.station, self.wire_id, orjson.loads(self.evidence), self.standing)

    @property
    def standing(self) -> Standing:
        """What the CSMS knows beyond the events."""
        overlaps = tuple(orjson.loads(self.overlaps)) if self.overlaps else ()
        group = group_of(self.token_group)
        heard = moment_or_none(self.heard_at)
        return Standing(self.authorization, group, self.gave_up, overlaps, bool(self.active), heard)


def stored_events(connection: sqlite3.Connection, id: int) -> list[StoredEvent]:
    """All events of a transaction, in the order of their own times."""
    return [stored_event(row) for row in connection.execute(ALL_OF, (id,))]


def stored_event(row: Any) -> StoredEvent:
    """An event of its columns ``STORED``."""
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
        decision=read(row[10]),
        repeats=row[11],
        repeated_at=moment_or_none(row[12]),
        number=row[13],
    )
