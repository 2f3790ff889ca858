"""Makes a transaction's story from what the store has of it: a pure function. Steps are in the order in which the CSMS came to know of them.

The money part is in ``csms.explained_bills``, what was ordered in ``csms.explained_orders``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from csms.explained_bills import BillFacts, bill_steps, when
from csms.explained_orders import BEFORE, OrderFacts, command_steps
from csms.model.authorization import Decision
from csms.model.explanation import Chapter, Explanation, Step, StoryNote
from csms.model.metering import ENERGY_REGISTER
from csms.model.transactions import Judgement, Transaction, TransactionEvent
from csms.store import Healing, StoredDecision, StoredEvent

LATE = timedelta(minutes=1)
AFTER = timedelta(minutes=10)
CSMS = "csms"
ORDER = {chapter: place for place, chapter in enumerate(Chapter)}


@dataclass(frozen=True, slots=True)
class Told:
    """One stored event and what it says; None where it cannot be read any more."""

    stored: StoredEvent
    event: TransactionEvent | None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of a transaction; orders and decisions may be those of others at the same station, too."""

    transaction: Transaction
    judgement: Judgement
    events: Sequence[Told]
    decisions: Sequence[StoredDecision] = ()
    orders: OrderFacts = field(default_factory=OrderFacts)
    healings: Sequence[Healing] = ()
    bills: BillFacts = field(default_factory=BillFacts)
    notes: Sequence[tuple[str, StoryNote]] = ()


def story(facts: Facts) -> Explanation:
    """The story that follows from the facts."""
    transaction = facts.transaction
    steps = [
        *_event_steps(facts.events),
        *(step for told in facts.events for step in _decision_steps(told)),
        *(step for one in facts.decisions if (step := _asked_before(one, transaction))),
        *(_note_step(plugin, note) for plugin, note in facts.notes),
        *(step for healing in facts.healings for step in _gap_steps(healing)),
        *command_steps(facts.orders, transaction),
        *bill_steps(facts.bills),
    ]
    return Explanation(
        transaction=transaction.id,
        station=transaction.station,
        station_transaction=transaction.station_transaction,
        completeness=transaction.completeness,
        state=tuple(_state(facts)),
        held=facts.judgement.quarantine,
        steps=tuple(sorted(steps, key=lambda step: (step.at, ORDER[step.chapter]))),
    )


def span(
    events: Sequence[StoredEvent], healings: Sequence[Healing], now: datetime, *, over: bool
) -> tuple[datetime, datetime]:
    """From when until when something may have to do with a transaction."""
    times = [at for event in events for at in (event.timestamp, event.received_at)]
    times += [at for healing in healings for at in (healing.opened_at, healing.closed_at) if at is not None]
    last = max(times, default=now) if over else max([now, *times])
    return min(times, default=now) - BEFORE, last + AFTER


# What it is now


def _state(facts: Facts) -> Iterator[str]:
    transaction = facts.transaction
    yield f"{transaction.completeness.value.replace('_', ' ')}: {facts.judgement.nature.value.replace('_', ' ')}"
    if transaction.started_at is None:
        yield "the start is missing"
    if transaction.missing:
        yield f"missing are the events {', '.join(map(str, transaction.missing))}"
    if transaction.gave_up:
        yield f"nobody expects the rest: {transaction.gave_up}"
    if transaction.review:
        yield f"a person should look: {transaction.review}"
    points = facts.judgement.points
    if points.start or points.stop:
        yield f"the station begins transactions at {', '.join(points.start)}, and ends them at {', '.join(points.stop)}"


# Events


def _event_steps(events: Sequence[Told]) -> Iterator[Step]:
    """Every event as it arrived; its place among the others is part of its story."""
    newest: datetime | None = None
    for told in sorted(events, key=lambda one: (one.stored.received_at, one.stored.number)):
        stored = told.stored
        overtaken = newest is not None and stored.timestamp < newest
        newest = stored.timestamp if newest is None else max(newest, stored.timestamp)
        details = (*_arrival(stored, overtaken=overtaken), *_said(told))
        text = f"{stored.type.value}, event {stored.key.partition('~')[0]}, of {when(stored.timestamp)}"
        yield Step(stored.received_at, Chapter.EVENT, text, details, event=stored.key)


def _arrival(stored: StoredEvent, *, overtaken: bool) -> Iterator[str]:
    delay = stored.received_at - stored.timestamp
    way = "the station was offline" if stored.offline else "online"
    yield f"{stored.action} of {stored.protocol}, {way}"
    if delay > LATE:
        yield f"late: it arrived {span_text(delay)} after its time"
    elif delay < -LATE:
        yield f"its time is {span_text(-delay)} ahead of the clock of the CSMS"
    if overtaken:
        yield "out of order: events of a later time were there before it"
    if "~" in stored.key:
        yield f"conflict: event {stored.key.partition('~')[0]} was there before with another content; both are kept"
    if stored.repeats:
        times = "once" if stored.repeats == 1 else f"{stored.repeats} times"
        last = f", last {when(stored.repeated_at)}" if stored.repeated_at else ""
        yield f"duplicate: it came again {times}{last}, and that changed nothing"


def _said(told: Told) -> Iterator[str]:
    event = told.event
    if event is None:
        yield "its content cannot be read any more; it is kept as it came"
        return
    facts = {
        "trigger": event.trigger,
        "charging state": event.charging_state,
        "token": event.id_token.end if event.id_token else "",
        "reason to stop": event.stopped_reason,
        "remote start": event.remote_start_id,
    }
    words = [f"{name} {value}" for name, value in facts.items() if value not in ("", None)]
    if words:
        yield ", ".join(words)
    for value in event.readings_of(ENERGY_REGISTER):
        for sample in value.sampled:
            signed = ", signed" if sample.signed else ""
            yield f"register {sample.value} {sample.unit} at {when(value.timestamp)} ({sample.context}{signed})"


# Decisions


def _decision_steps(told: Told) -> Iterator[Step]:
    decision = told.stored.decision
    if decision is not None:
        token = told.event.id_token if told.event else None
        text = f"token {token.end if token else ''}: {decision.authorization.status.value}"
        at, details = told.stored.received_at, tuple(_why(decision))
        yield Step(at, Chapter.DECISION, text, details, decision.plugin or CSMS, told.stored.key)


def _asked_before(stored: StoredDecision, transaction: Transaction) -> Step | None:
    """A decision that led to the transaction: on its token, at its station, before its start or its end."""
    tokens = {one.key: one.end for one in (transaction.id_token, transaction.stop_token) if one}
    if stored.station != transaction.station or stored.id_token.key not in tokens:
        return None
    text = f"token {tokens[stored.id_token.key]} was asked about ({stored.purpose.value.replace('_', ' ')}): "
    decision = stored.decision
    text += decision.authorization.status.value
    return Step(stored.at, Chapter.DECISION, text, tuple(_why(decision)), decision.plugin or CSMS)


def _why(decision: Decision) -> Iterator[str]:
    made = decision.authorization
    yield f"decided by {f'the plugin {decision.plugin}' if decision.plugin else 'the CSMS itself'}"
    if decision.because:
        yield decision.because
    if made.reason:
        yield made.reason
    if made.group:
        yield f"group {made.group.end}"


def _note_step(plugin: str, note: StoryNote) -> Step:
    return Step(note.at, Chapter.PLUGIN, note.text, note.details, plugin, note.event)


# What was missing


def _gap_steps(healing: Healing) -> Iterator[Step]:
    text = "nothing was heard of it any more" if healing.cause == "silence" else f"missing: {healing.missing}"
    yield Step(healing.opened_at, Chapter.GAP, text, who=CSMS)
    asked = f"asked {healing.tries} times, last {when(healing.asked_at)}" if healing.asked_at else "nobody had to ask"
    if healing.closed_at is not None:
        outcomes = {"healed": "closed", "ongoing": "it goes on", "gave_up": "given up"}
        text = f"{outcomes.get(healing.outcome, healing.outcome)}: {healing.detail}"
        yield Step(healing.closed_at, Chapter.GAP, text, (asked,), CSMS)
    elif healing.asked_at is not None:
        later = f"again {when(healing.next_at)}" if healing.next_at else "again when the station is back"
        yield Step(healing.asked_at, Chapter.GAP, "still missing", (asked, later), CSMS)


# Words


def span_text(took: timedelta) -> str:
    """A duration in the two largest units that it has."""
    seconds = int(took.total_seconds())
    parts = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"
