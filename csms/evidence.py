"""What a transaction's events say of its energy, and what speaks against billing it: pure functions, whatever the order of the events.

``meter_evidence`` takes the readings apart into those that count and those that do not, each with its reason; begin and end are chosen as
``csms.ledger`` chooses them. ``doubts`` holds the result against the register's past and against what the EVSE can deliver.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from csms.model.metering import (
    ENERGY_REGISTER,
    UNREADABLE,
    ChargingChange,
    MeterEvidence,
    MeterValue,
    Reading,
    RejectedReading,
    SampledValue,
)
from csms.model.transactions import EventType, TransactionEvent
from csms.model.tx_points import Nature

CHARGING = "Charging"
BEGIN, END = "Transaction.Begin", "Transaction.End"
CLOCK_SLACK = timedelta(seconds=60)
"""Stations round times and send readings late: this much longer is allowed before a power counts as impossible."""


@dataclass(frozen=True, slots=True)
class MeterRules:
    """What is possible at an EVSE: its greatest power, and whether its register counts for life or from 0 in each transaction."""

    max_power_kw: Decimal = Decimal(500)
    lifetime: bool = True


@dataclass(frozen=True, slots=True)
class KnownRegister:
    """Where an EVSE's register stood before a transaction, and which transaction told it."""

    value_wh: Decimal
    at: datetime
    transaction: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A register reading with what decides whether it may be begin or end."""

    reading: Reading
    kind: EventType

    @property
    def order(self) -> tuple[datetime, str, Decimal]:
        return self.reading.at, self.reading.event, self.reading.value_wh


def meter_evidence(events: Iterable[TransactionEvent], rules: MeterRules = MeterRules()) -> MeterEvidence:
    """The evidence in a set of events."""
    said = sorted(events, key=lambda event: (event.timestamp, event.seq_no or 0, event.key))
    rejected: list[RejectedReading] = []
    candidates = sorted(_candidates(said, rejected), key=lambda one: one.order)
    begin, end = _begin(candidates), _end(candidates)
    series = _accepted(candidates, begin, end, rules, rejected)
    return MeterEvidence(
        begin=begin,
        end=end,
        series=tuple(series),
        changes=tuple(_changes(said)),
        rejected=tuple(
            sorted(rejected, key=lambda one: (one.reading.at, one.reading.event, one.reading.value_wh, one.why))
        ),
        signed=tuple(_signed(said)),
    )


def doubts(evidence: MeterEvidence, known: KnownRegister | None, rules: MeterRules) -> tuple[str, ...]:
    """Sentences that say why the energy must not be billed as it stands; none when nothing speaks against it.

    That a reading is missing, or that the end is below the begin, the ledger itself says (``Transaction.review``).
    """
    begin, end = evidence.begin, evidence.end
    found: list[str] = []
    if begin is not None and known is not None and rules.lifetime:
        found += _against_the_past(begin, known)
    if begin is not None and end is not None:
        found += _against_the_power(begin, end, rules)
    return tuple(found)


def nature_of(evidence: MeterEvidence, *, authorized: bool) -> Nature:
    """What a transaction was: energy flowed, as the station says or the register; or not, with somebody authorized or nobody."""
    rose = len(evidence.series) > 1 and evidence.series[-1].value_wh > evidence.series[0].value_wh
    if rose or any(change.state == CHARGING for change in evidence.changes):
        return Nature.CHARGE
    return Nature.NO_ENERGY if authorized else Nature.VISIT


def _against_the_past(begin: Reading, known: KnownRegister) -> Iterator[str]:
    stood = f"it stood at {known.value_wh} Wh after transaction {known.transaction}"
    if begin.value_wh >= known.value_wh:
        return
    if begin.value_wh == 0:
        yield f"the register began at 0 Wh, and {stood}: was it reset?"
    else:
        yield f"the register fell to {begin.value_wh} Wh, and {stood}: was the meter changed?"


def _against_the_power(begin: Reading, end: Reading, rules: MeterRules) -> Iterator[str]:
    energy, took = end.value_wh - begin.value_wh, end.at - begin.at
    if _impossible(energy, took, rules):
        yield f"{energy} Wh in {max(took.total_seconds(), 0):.0f} s is more than {rules.max_power_kw} kW can give"


def _impossible(energy_wh: Decimal, took: timedelta, rules: MeterRules) -> bool:
    hours = Decimal((max(took, timedelta(0)) + CLOCK_SLACK).total_seconds()) / 3600
    return energy_wh > rules.max_power_kw * 1000 * hours


# Which readings there are


def _candidates(events: Sequence[TransactionEvent], rejected: list[RejectedReading]) -> Iterator[_Candidate]:
    for event, value, sample in _samples(events):
        if sample.measurand not in (ENERGY_REGISTER, UNREADABLE):
            continue
        reading = _reading(event, value, sample)
        why = _unfit(sample)
        if why:
            rejected.append(RejectedReading(reading, why))
        else:
            yield _Candidate(reading, event.type)


def _samples(events: Iterable[TransactionEvent]) -> Iterator[tuple[TransactionEvent, MeterValue, SampledValue]]:
    for event in events:
        for value in event.meter_values:
            for sample in value.sampled:
                yield event, value, sample


def _reading(event: TransactionEvent, value: MeterValue, sample: SampledValue) -> Reading:
    return Reading(
        value_wh=sample.value,
        at=value.timestamp,
        event=event.key,
        context=sample.context,
        measurand=sample.measurand,
        location=sample.location,
        phase=sample.phase,
        offline=event.offline,
        signed=sample.signed,
    )


def _unfit(sample: SampledValue) -> str:
    if sample.measurand == UNREADABLE:
        return f"not a number: {sample.signed[:60]}"
    if sample.phase:
        return f"of phase {sample.phase} only"
    if sample.location != "Outlet":
        return f"measured at the {sample.location}, not at the outlet"
    return "" if sample.unit == "Wh" else f"in {sample.unit}, which is no energy"


def _signed(events: Sequence[TransactionEvent]) -> list[Reading]:
    found = [_reading(*one) for one in _samples(events) if one[2].signed and one[2].measurand != UNREADABLE]
    return sorted(found, key=lambda one: (one.at, one.event, one.signed))


def _changes(events: Sequence[TransactionEvent]) -> Iterator[ChargingChange]:
    state = ""
    for event in events:
        if event.charging_state and event.charging_state != state:
            state = event.charging_state
            yield ChargingChange(event.timestamp, state, event.key)


# Which of them count


def _begin(candidates: Sequence[_Candidate]) -> Reading | None:
    """The earliest Transaction.Begin reading, else the earliest of the Started event."""
    named = [one.reading for one in candidates if one.reading.context == BEGIN]
    told = [one.reading for one in candidates if one.kind is EventType.STARTED]
    return next(iter(named or told), None)


def _end(candidates: Sequence[_Candidate]) -> Reading | None:
    """The latest Transaction.End reading, else the latest of the Ended event."""
    named = [one.reading for one in candidates if one.reading.context == END]
    told = [one.reading for one in candidates if one.kind is EventType.ENDED and one.reading.context != BEGIN]
    return next(reversed(named or told), None)


def _accepted(
    candidates: Sequence[_Candidate],
    begin: Reading | None,
    end: Reading | None,
    rules: MeterRules,
    rejected: list[RejectedReading],
) -> list[Reading]:
    """The longest run of readings that never falls and asks no impossible power, from begin to end; the others are rejected."""
    between = []
    for one in candidates:
        if one.reading is begin or one.reading is end:
            continue
        why = _outside(one.reading, begin, end, rules)
        if why:
            rejected.append(RejectedReading(one.reading, why))
        else:
            between.append(one.reading)
    kept = _never_falling(between)
    for number, reading in enumerate(between):
        if number not in kept:
            rejected.append(RejectedReading(reading, "the readings before and after it say otherwise"))
    middle = [between[number] for number in sorted(kept)]
    falls = begin is not None and end is not None and end.value_wh < begin.value_wh
    return [] if falls else [*([begin] if begin else []), *middle, *([end] if end else [])]


def _outside(reading: Reading, begin: Reading | None, end: Reading | None, rules: MeterRules) -> str:
    if begin is not None:
        if reading.at < begin.at:
            return "taken before the transaction's begin reading"
        if reading.value_wh < begin.value_wh:
            return f"below the begin register of {begin.value_wh} Wh"
        if _impossible(reading.value_wh - begin.value_wh, reading.at - begin.at, rules):
            return f"asks more than {rules.max_power_kw} kW since the begin reading"
    if end is not None:
        if reading.at > end.at:
            return "taken after the transaction's end reading"
        if reading.value_wh > end.value_wh:
            return f"above the end register of {end.value_wh} Wh"
    return ""


def _never_falling(readings: Sequence[Reading]) -> set[int]:
    """The places of a longest run of values that never falls."""
    tails: list[Decimal] = []
    places: list[int] = []
    before: list[int] = []
    for number, reading in enumerate(readings):
        length = bisect_right(tails, reading.value_wh)
        before.append(places[length - 1] if length else -1)
        if length == len(tails):
            tails.append(reading.value_wh)
            places.append(number)
        else:
            tails[length], places[length] = reading.value_wh, number
    kept: set[int] = set()
    place = places[-1] if places else -1
    while place >= 0:
        kept.add(place)
        place = before[place]
    return kept
