"""A transaction's state as a pure function of the set of its events: any order gives the same state.

``facts_of`` says what an event says, and ``absorb`` adds that to the evidence; it is commutative, and the store never gives it the same event
twice. ``summary`` reads the state off the evidence. Evidence is a JSON-able dict, so that it can be kept beside the events; nothing here knows a
database or a socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

from csms.model.authorization import IdToken
from csms.model.metering import ENERGY_REGISTER, SampledValue
from csms.model.transactions import Completeness, EventType, Transaction, TransactionEvent

Evidence = dict[str, Any]
Fact = list[Any]
"""``[rank, value...]``: of two facts of the same kind the one with the lower (or higher) rank stays."""

MISSING_SHOWN = 100
WITH_MICROSECONDS = len("2026-01-01T00:00:00.000000+00:00")
STOP_AUTHORIZED = "StopAuthorized"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the CSMS knows of a transaction beyond its events; ``live`` is False once it has given up on the end."""

    authorization: str = ""
    group: IdToken | None = None
    gave_up: str = ""
    overlaps: tuple[int, ...] = ()
    live: bool = True
    heard_at: datetime | None = None


NO_STANDING = Standing()


class Facts(NamedTuple):
    """What one event says, as evidence has it: its time, its number, what it counts as (``starts``, ``ends`` or nothing), and facts by name, of
    which the lowest or the highest stays."""

    at: str
    seq_no: int | None
    counts_as: str
    lowest: list[tuple[str, Fact]]
    highest: list[tuple[str, Fact]]


def facts_of(event: TransactionEvent) -> Facts:
    """What an event says; all that is read of it is read here, once."""
    at = _text(event.timestamp)
    rank = [at, event.key]
    counts_as = ""
    lowest: list[tuple[str, Fact]] = []
    highest: list[tuple[str, Fact]] = []
    match event.type:
        case EventType.STARTED:
            counts_as = "starts"
            lowest.append(("started", [rank, at, event.trigger]))
        case EventType.ENDED:
            counts_as = "ends"
            lowest.append(("ended", [rank, at, event.stopped_reason]))
    if event.id_token:
        name = "stop_token" if stops(event) else "token"
        lowest.append((name, [rank, event.id_token.value, event.id_token.type]))
    if event.evse is not None:
        lowest.append(("place", [[event.connector is None, *rank], event.evse, event.connector]))
    if event.charging_state:
        highest.append(("state", [rank, event.charging_state]))
    if event.remote_start_id is not None:
        lowest.append(("remote", [rank, event.remote_start_id]))
    for moment, samples in event.readings_of(ENERGY_REGISTER):
        stamp = at if moment == event.timestamp else _text(moment)
        for sample in samples:
            if sample.unit == "Wh" and not sample.phase and sample.location == "Outlet":
                _add_register(event, stamp, sample, lowest, highest)
    return Facts(at, event.seq_no, counts_as, lowest, highest)


def absorb(evidence: Evidence | None, facts: Facts) -> Evidence:
    """The evidence with what one more event says; the given evidence is not changed."""
    new: Evidence = {} if evidence is None else dict(evidence)
    at, seq_no, counts_as, lowest, highest = facts
    new["events"] = new.get("events", 0) + 1
    if at > new.get("last", ""):
        new["last"] = at
    if seq_no is not None:
        new["seqs"] = _with(new.get("seqs", []), seq_no)
    if counts_as:
        new[counts_as] = new.get(counts_as, 0) + 1
    for name, fact in lowest:
        if name not in new or fact < new[name]:
            new[name] = fact
    for name, fact in highest:
        if name not in new or fact > new[name]:
            new[name] = fact
    return new


def stops(event: TransactionEvent) -> bool:
    """Whether the event's token is one that ends the charging, and not the one that is charged for."""
    return event.type is EventType.ENDED or event.trigger == STOP_AUTHORIZED


@dataclass(frozen=True, slots=True)
class Variant:
    """One stored content of an event; ``digest`` is the same for the same content only."""

    event: TransactionEvent
    digest: bytes


def fold(variants: Iterable[Variant]) -> Evidence:
    """The evidence of all contents that are kept, where a station said different things in one event.

    Of those with the same key and type the one with the earliest time counts, then that with the lowest digest: which came first does not matter.
    """
    kept = list(variants)
    chosen: dict[tuple[str, EventType], Variant] = {}
    for one in sorted(kept, key=lambda one: (one.event.timestamp, one.digest)):
        chosen.setdefault((one.event.key, one.event.type), one)
    evidence: Evidence = {}
    for one in chosen.values():
        evidence = absorb(evidence, facts_of(one.event))
    keys = [one.event.key for one in kept]
    evidence["events"] = len(kept)
    if conflicts := sorted({key for key in keys if keys.count(key) > 1}):
        evidence["conflicts"] = conflicts
    return evidence


def gaps(evidence: Evidence) -> list[list[int]]:
    """The ends of the spans of numbers seen, but for the first begin and the last end: the same as long as the same numbers are missing."""
    spans: list[list[int]] = evidence.get("seqs", [])
    return [[before, after] for (_, before), (after, _) in pairwise(spans)]


def wants(evidence: Evidence) -> bool:
    """Whether something is known to be missing: numbers between those seen, or the start of a transaction that has ended."""
    return len(evidence.get("seqs", ())) > 1 or ("ended" in evidence and "started" not in evidence)


def summary(id: int, station: str, wire_id: str, evidence: Evidence, standing: Standing = NO_STANDING) -> Transaction:
    """The state that follows from the evidence; ``review`` says in words what a person should look at, or is empty."""
    started, ended = evidence.get("started"), evidence.get("ended")
    missing = tuple(_holes(evidence.get("seqs", [])))
    begin, end, last = (evidence.get(name) for name in ("begin", "end", "meter"))
    place, remote = evidence.get("place"), evidence.get("remote")
    return Transaction(
        id=id,
        station=station,
        station_transaction=wire_id,
        completeness=_completeness(evidence, standing),
        evse=place[1] if place else None,
        connector=place[2] if place else None,
        id_token=_token(evidence.get("token")),
        stop_token=_token(evidence.get("stop_token")),
        authorization=standing.authorization,
        started_at=_time(started[1]) if started else None,
        ended_at=_time(ended[1]) if ended else None,
        start_trigger=started[2] if started else "",
        stopped_reason=ended[2] if ended else "",
        charging_state=evidence["state"][1] if "state" in evidence else "",
        remote_start_id=remote[1] if remote else None,
        meter_start_wh=Decimal(begin[1]) if begin else None,
        meter_stop_wh=Decimal(end[1]) if end else None,
        last_meter_wh=Decimal(last[1]) if last else None,
        last_event_at=_time(evidence["last"]) if evidence.get("last") else None,
        events=evidence.get("events", 0),
        missing=missing,
        review="; ".join(_review(evidence, standing)),
        group=standing.group,
        gave_up=standing.gave_up,
        overlaps=standing.overlaps,
        heard_at=standing.heard_at,
    )


def _completeness(evidence: Evidence, standing: Standing) -> Completeness:
    ended = "ended" in evidence
    if ended and not wants(evidence):
        return Completeness.COMPLETE
    if standing.gave_up and (ended or not standing.live):
        return Completeness.GAVE_UP
    return Completeness.INCOMPLETE if ended else Completeness.ONGOING


def last_register(evidence: Evidence) -> tuple[Decimal, datetime] | None:
    """The newest reading of the energy register and its time, or None."""
    fact = evidence.get("meter")
    return (Decimal(fact[1]), _time(fact[0][0])) if fact else None


def _add_register(
    event: TransactionEvent,
    stamp: str,
    sample: SampledValue,
    lowest: list[tuple[str, Fact]],
    highest: list[tuple[str, Fact]],
) -> None:
    """What a reading of the energy register at the outlet says. The begin register is the Transaction.Begin reading, else the first one in the
    Started event; the end likewise."""
    value, context = str(sample.value), sample.context
    if context == "Transaction.Begin":
        lowest.append(("begin", [[0, stamp, event.key], value]))
    elif event.type is EventType.STARTED:
        lowest.append(("begin", [[1, stamp, event.key], value]))
    if context == "Transaction.End":
        highest.append(("end", [[1, stamp, event.key], value]))
    elif event.type is EventType.ENDED and context != "Transaction.Begin":
        highest.append(("end", [[0, stamp, event.key], value]))
    highest.append(("meter", [[stamp, event.key], value]))


def _review(evidence: Evidence, standing: Standing) -> Iterator[str]:
    """What a person should look at: contradictions, and what is missing in a transaction that has ended."""
    begin, end, ended = evidence.get("begin"), evidence.get("end"), "ended" in evidence
    if "started" not in evidence:
        yield "no start seen"
    elif ended and (begin is None or end is None):
        yield f"no {'begin' if begin is None else 'end'} register"
    if begin is not None and end is not None and Decimal(end[1]) < Decimal(begin[1]):
        yield "end register below begin"
    for name, what in (("starts", "started"), ("ends", "ended")):
        if evidence.get(name, 0) > 1:
            yield f"{what} {evidence[name]} times"
    if evidence.get("conflicts"):
        yield f"different contents under the same number: {', '.join(evidence['conflicts'][:10])}"
    if standing.overlaps:
        yield f"at the same EVSE at the same time as transaction {', '.join(map(str, standing.overlaps))}"


def _with(spans: list[list[int]], number: int) -> list[list[int]]:
    """The sorted spans of numbers seen, with one more number; the usual case is one longer last span."""
    if spans and spans[-1][1] + 1 == number:
        return [*spans[:-1], [spans[-1][0], number]]
    numbers = sorted([*spans, [number, number]])
    joined: list[list[int]] = []
    for low, high in numbers:
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = [joined[-1][0], max(high, joined[-1][1])]
        else:
            joined.append([low, high])
    return joined


def _holes(spans: list[list[int]]) -> Iterator[int]:
    """The numbers between the spans, at most MISSING_SHOWN of them."""
    shown = 0
    for (_, before), (after, _) in pairwise(spans):
        for number in range(before + 1, after):
            if shown == MISSING_SHOWN:
                return
            shown += 1
            yield number


def _token(fact: Fact | None) -> IdToken | None:
    return IdToken(fact[1], fact[2]) if fact else None


def _text(at: datetime) -> str:
    """Fixed width, so that text order is time order."""
    text = (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat()
    return text[:26] if len(text) == WITH_MICROSECONDS else f"{text[:19]}.000000"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
