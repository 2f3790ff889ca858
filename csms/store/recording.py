"""One transaction event is written: found or new row, once per key, the state that follows, and what it changes beside its own transaction.

Everything here runs in the writer's thread, inside the commit that the station's answer waits for.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from peewee import SQL

from csms.ledger import Evidence, Variant, absorb, fold, gaps, stops, wants
from csms.model.authorization import Decision, IdToken
from csms.model.transactions import EventType
from csms.store.arrivals import Addition, Arrival, Recorded
from csms.store.columns import digest, micros, micros_or_none
from csms.store.connections import WritingConnection
from csms.store.decisions import group_text
from csms.store.state import BY_START, BY_WIRE_ID, GET, Decode, Kept, StoredEvent, stored_events
from csms.store.statements import ONE, Q, compiled, insertion, once
from csms.store.tables import ACTIVE
from csms.store.tables import Transaction as Row
from csms.store.tables import TransactionEvent as EventRow

NEXT_ID = 'SELECT COALESCE(MAX("id"), 0) + 1 FROM "transaction"'
NEW = compiled(insertion(Row))
NEW_EVENT = once(EventRow, EventRow.transaction, EventRow.key, without=("id", "repeats", "repeated_at"))
BODY = compiled(EventRow.select(EventRow.body).where(EventRow.transaction == Q, EventRow.key == Q))
MOST_REMEMBERED = 20_000
NOTHING = SQL("''")
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
            Row.revision: Q,
            Row.evidence: Q,
            Row.wants: Q,
            Row.heard_at: Q,
            Row.gave_up: Q,
            Row.token_group: Q,
        }
    ).where(Row.id == Q)
)
ADD = compiled(
    Row.update({Row.revision: Row.revision + ONE, Row.evidence: Q, Row.heard_at: Q}).where(
        Row.id == Q, Row.revision == Q, ACTIVE, Row.gave_up == NOTHING
    )
)
"""Does nothing if the row is not as it is thought to be."""
REPEATED = compiled(
    EventRow.update({EventRow.repeats: EventRow.repeats + ONE, EventRow.repeated_at: Q}).where(
        EventRow.transaction == Q, EventRow.key == Q
    )
)
TAKE_BACK = compiled(EventRow.delete().where(EventRow.transaction == Q, EventRow.key == Q))


def keep(connection: WritingConnection, arrival: Arrival, row: tuple[object, ...], decode: Decode) -> Recorded:
    """Keep an event; a repeat is counted and changes nothing, another content under a known key is kept beside the first."""
    event = arrival.event
    if event.type is EventType.UPDATED and event.id_token is None:
        name = (arrival.station, event.transaction)
        more = added(connection, Addition(name, event.key, row, arrival.facts, micros(arrival.received_at)))
        if more is not None:
            return Recorded(True, more.kept())
    kept, key = row_for(connection, arrival), event.key
    if connection.execute(NEW_EVENT, (kept.id, key, *row)).rowcount == 1:
        return _absorbed(connection, kept, arrival)
    (body,) = connection.execute(BODY, (kept.id, key)).fetchone()
    if body == arrival.body or _plain(body) == _plain(arrival.body):
        return _repeated(connection, kept, key, arrival)
    other = f"{key}~{digest(_plain(arrival.body)).hex()}"
    if connection.execute(NEW_EVENT, (kept.id, other, *row)).rowcount == 0:
        return _repeated(connection, kept, other, arrival)
    now = refolded(connection, kept, decode, arrival.received_at)
    return Recorded(False, now, wants=wants(orjson.loads(now.evidence)), differs=True, changed=True)


def _repeated(connection: WritingConnection, kept: Kept, key: str, arrival: Arrival) -> Recorded:
    connection.execute(REPEATED, (micros(arrival.received_at), kept.id, key))
    return Recorded(False, kept)


def added(connection: WritingConnection, addition: Addition) -> Remembered | None:
    """One more event of a transaction that goes on and is remembered; None, and nothing is done, where there is more to it than that."""
    name, key, row, facts, received_at, _ = addition
    known: Remembered | None = connection.transactions.get(name)
    if known is None:
        return None
    before = known.evidence
    evidence = absorb(before, facts)
    if wants(evidence) or evidence.get("place") != before.get("place"):
        return None
    if connection.execute(NEW_EVENT, (known.id, key, *row)).rowcount == 0:
        return None
    text = orjson.dumps(evidence).decode()
    if connection.execute(ADD, (text, received_at, known.id, known.revision)).rowcount == 0:
        connection.transactions.pop(name)
        connection.execute(TAKE_BACK, (known.id, key))
        return None
    known.grown(evidence, text, received_at)
    return known


class Remembered:
    """A transaction that goes on and lacks nothing, as its row is: its next event will most likely change nothing else."""

    __slots__ = ("_began", "_heard_at", "_text", "evidence", "id", "revision", "wire_id")

    def __init__(self, kept: Kept, evidence: Evidence) -> None:
        self.id = kept.id
        self.wire_id = kept.wire_id
        self.revision = kept.revision
        self.evidence = evidence
        self._began = kept
        self._text = kept.evidence
        self._heard_at = kept.heard_at

    def grown(self, evidence: Evidence, text: str, heard_at: int) -> None:
        """One more event is in its row."""
        self.revision += 1
        self.evidence, self._text, self._heard_at = evidence, text, heard_at

    def kept(self) -> Kept:
        """Its row."""
        return self._began._replace(evidence=self._text, revision=self.revision, heard_at=self._heard_at)


def _remember(connection: WritingConnection, name: tuple[str, str], kept: Kept, evidence: Evidence) -> None:
    if len(connection.transactions) >= MOST_REMEMBERED:
        connection.transactions.clear()
    if kept.active and not kept.gave_up and not wants(evidence):
        connection.transactions[name] = Remembered(kept, evidence)


def _plain(body: bytes) -> bytes:
    """The same for the same content, whatever the order of the fields and the spaces between them."""
    return orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)


def row_for(connection: WritingConnection, arrival: Arrival) -> Kept:
    """The row of the event's transaction, made if it is not there."""
    event, station = arrival.event, arrival.station
    if not event.transaction:
        row = connection.execute(BY_START, (station, event.key)).fetchone()
        return Kept(*row) if row else _made(connection, arrival, "", event.key)
    row = connection.execute(BY_WIRE_ID, (station, event.transaction)).fetchone()
    if row is None:
        return _made(connection, arrival, event.transaction, None)
    kept = Kept(*row)
    return kept if kept.joined_to is None else Kept(*connection.execute(GET, (kept.joined_to,)).fetchone())


def _made(connection: WritingConnection, arrival: Arrival, wire_id: str, start_key: str | None) -> Kept:
    """A new row. Without an id on the wire it gets its own number, unless the station has used that one before: then the next."""
    (id,) = connection.execute(NEXT_ID).fetchone()
    while not wire_id and connection.execute(BY_WIRE_ID, (arrival.station, str(id))).fetchone() is not None:
        id += 1
    wire_id = wire_id or str(id)
    place_and_times = (None, None, None, "", 1, None, None)
    found_out = (0, None, "", "", "", None)
    connection.execute(NEW, (id, arrival.station, wire_id, start_key, *place_and_times, 0, 0, "{}", *found_out))
    return Kept(id, arrival.station, wire_id, "{}")


def _absorbed(connection: WritingConnection, kept: Kept, arrival: Arrival) -> Recorded:
    """Write the state that follows from one more event."""
    event = arrival.event
    before: Evidence = orjson.loads(kept.evidence)
    evidence = absorb(before, arrival.facts)
    text = orjson.dumps(evidence).decode()
    heard = micros(arrival.received_at)
    now = kept.grown(text, heard)
    lacks = len(evidence.get("seqs", ())) > 1 or wants(evidence)
    if not kept.gave_up and kept.active and lacks == wants(before) and _same(evidence, before):
        connection.execute(ADD, (text, heard, kept.id, kept.revision))
        _remember(connection, (arrival.station, event.transaction), now, evidence)
        return Recorded(True, now, wants=lacks)
    connection.transactions.pop((arrival.station, event.transaction), None)
    if evidence.get("token") != before.get("token"):
        now = now._replace(**_deciding(arrival.decision))
    if kept.gave_up and _expects_again(kept, before, evidence):
        now = now._replace(gave_up="")
    now = _written(connection, now, evidence)
    more = event.type is EventType.STARTED and "started" in before
    return Recorded(True, now, more, wants=lacks, changed=True)


def _same(evidence: Evidence, before: Evidence) -> bool:
    return all(evidence.get(fact) == before.get(fact) for fact in QUERIED)


def _deciding(decision: Decision | None) -> dict[str, Any]:
    if decision is None:
        return {"authorization": "", "token_group": ""}
    made = decision.authorization
    return {"authorization": made.status.value, "token_group": group_text(made.group)}


def _expects_again(kept: Kept, before: Evidence, after: Evidence) -> bool:
    """Whether an event makes what was given up worth asking for again: it is other than before, or the transaction goes on after all.

    Nothing lacked before, and yet it was given up: its silence was all there was, and now it is broken.
    """
    goes_on = not kept.active and "ended" not in before
    return goes_on or not wants(before) or gaps(before) != gaps(after) or ("started" in before) != ("started" in after)


def _written(connection: WritingConnection, now: Kept, evidence: Evidence) -> Kept:
    """Write a whole row; what the CSMS has given up on stays given up."""
    over = "ended" in evidence or (bool(now.gave_up) and not now.active)
    now = now._replace(active=int(not over))
    state = now.state()
    token: IdToken | None = state.id_token
    connection.execute(
        CHANGE,
        (
            state.evse,
            token.key if token else None,
            token.type if token else None,
            now.authorization,
            now.active,
            micros_or_none(state.started_at),
            micros_or_none(state.ended_at),
            now.revision,
            now.evidence,
            int(wants(evidence)),
            now.heard_at,
            now.gave_up,
            now.token_group,
            now.id,
        ),
    )
    return now


def refolded(connection: WritingConnection, kept: Kept, decode: Decode, heard_at: datetime) -> Kept:
    """Work the state out anew from all events that are kept, and write it."""
    stored = stored_events(connection, kept.id)
    variants = [variant(one, decode) for one in stored]
    evidence = fold(variants)
    now = kept._replace(
        evidence=orjson.dumps(evidence).decode(),
        revision=len(stored),
        gave_up="",
        heard_at=micros(heard_at),
        **_deciding(_decision_on(evidence, stored, variants)),
    )
    return _written(connection, now, evidence)


def variant(stored: StoredEvent, decode: Decode) -> Variant:
    """A stored event as ``fold`` takes it."""
    return Variant(decode(stored), digest(_plain(stored.body)))


def _decision_on(evidence: Evidence, stored: list[StoredEvent], variants: list[Variant]) -> Decision | None:
    """What was decided on the transaction's token, with the event that brought it."""
    fact = evidence.get("token")
    for one, variant in zip(stored, variants, strict=True):
        token = variant.event.id_token
        if fact and token and not stops(variant.event) and [variant.event.key, token.value] == [fact[0][1], fact[1]]:
            return one.decision
    return None
