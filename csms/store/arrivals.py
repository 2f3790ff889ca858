"""What is handed to the writer with one transaction event, and what comes back: both are made with every event, and so they are tuples."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from csms.ledger import Facts, facts_of
from csms.model.authorization import Decision
from csms.model.transactions import Transaction, TransactionEvent
from csms.store.columns import micros
from csms.store.decisions import said
from csms.store.state import Kept

EventRow = tuple[object, ...]


class Recorded(NamedTuple):
    """What became of an event: ``new`` is False for a repeat; ``one_more_start`` if the transaction had another Started before.

    ``wire_id`` is the transaction's id on the wire, ``revision`` counts its events. ``wants``: something is missing now; ``differs``: the event's
    key was known with another content, and both are kept. ``transaction`` is worked out when it is asked for: most events change nothing that
    anybody looks at. ``changed``: more than its readings, so that a look at the transactions beside it is worth it; ``beside`` are those found at
    the same EVSE at the same time that were not known to be.
    """

    new: bool
    kept: Kept
    one_more_start: bool = False
    wants: bool = False
    differs: bool = False
    changed: bool = False
    beside: tuple[int, ...] = ()

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


class Arrival(NamedTuple):
    """An event as it came, what it says, and what was decided on its token."""

    station: str
    protocol: str
    action: str
    event: TransactionEvent
    body: bytes
    received_at: datetime
    facts: Facts
    decision: Decision | None = None

    def row(self) -> EventRow:
        """Its row, but for the transaction's number and the key."""
        at = micros(self.received_at)
        return _row(self.protocol, self.action, self.event, at, self.body, self.decision)


class Addition(NamedTuple):
    """An event that only adds to a transaction that goes on: that one's station and id on the wire, the event's key and row, what it says, when it
    came; and the fence of the connection that it came by."""

    transaction: tuple[str, str]
    key: str
    row: EventRow
    facts: Facts
    received_at: int
    fence: int = 0


def addition(
    station: str, fence: int, protocol: str, action: str, event: TransactionEvent, body: bytes, received_at: datetime
) -> Addition:
    """What is written for an event without a token."""
    at = micros(received_at)
    row = _row(protocol, action, event, at, body, None)
    return Addition((station, event.transaction), event.key, row, facts_of(event), at, fence)


def _row(
    protocol: str, action: str, event: TransactionEvent, received_at: int, body: bytes, decision: Decision | None
) -> EventRow:
    return (
        event.seq_no,
        protocol,
        action,
        event.type.value,
        micros(event.timestamp),
        received_at,
        int(event.offline),
        decision.authorization.status.value if decision else "",
        body,
        said(decision) if decision else None,
    )
