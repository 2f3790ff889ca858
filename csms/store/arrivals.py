"""What is handed to the writer with one transaction event, and what comes back: both are made with every event, and so they are tuples."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from csms.ledger import Facts
from csms.model.authorization import Decision
from csms.model.transactions import Transaction, TransactionEvent
from csms.store.columns import micros
from csms.store.decisions import said
from csms.store.state import Kept


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

    def row(self) -> tuple[object, ...]:
        """Its row, but for the transaction's number and the key."""
        event, decision = self.event, self.decision
        return (
            event.seq_no,
            self.protocol,
            self.action,
            event.type.value,
            micros(event.timestamp),
            micros(self.received_at),
            int(event.offline),
            decision.authorization.status.value if decision else "",
            self.body,
            said(decision) if decision else None,
        )
