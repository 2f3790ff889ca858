"""The ledger's law: whatever the order, the same set of events gives the same state."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.ledger import Evidence, Standing, Variant, absorb, facts_of, fold, gaps, last_register, stops, summary, wants
from csms.model.authorization import IdToken
from csms.model.metering import MeterValue, SampledValue
from csms.model.transactions import Completeness, EventType, Transaction, TransactionEvent

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event(
    seq: int, kind: EventType, wh: int | None = None, context: str = "Sample.Periodic", **more: object
) -> TransactionEvent:
    at = NOON + timedelta(minutes=seq)
    values = () if wh is None else (MeterValue(at, (SampledValue(Decimal(wh), context=context),)),)
    given_: dict[str, object] = {
        "trigger": "MeterValuePeriodic",
        "evse": 1,
        "connector": 1,
        "meter_values": values,
        **more,
    }
    return TransactionEvent("T1", kind, at, key=str(seq), seq_no=seq, **given_)  # type: ignore[arg-type]


def session(length: int = 6) -> list[TransactionEvent]:
    start = event(
        0, EventType.STARTED, 1000, "Transaction.Begin", id_token=IdToken("TAG"), charging_state="EVConnected"
    )
    middle = [event(n, EventType.UPDATED, 1000 + n * 10, charging_state="Charging") for n in range(1, length - 1)]
    end = event(length - 1, EventType.ENDED, 2000, "Transaction.End", stopped_reason="Local", id_token=IdToken("OTHER"))
    return [start, *middle, end]


def state(events: list[TransactionEvent]) -> Transaction:
    evidence: Evidence | None = None
    for one in events:
        evidence = absorb(evidence, facts_of(one))
    assert evidence is not None
    return summary(1, "CP1", "T1", evidence)


def test_a_whole_session_is_complete_and_bills_end_minus_start() -> None:
    whole = state(session())
    assert whole.completeness is Completeness.COMPLETE
    assert whole.energy_wh == 1000
    assert (whole.id_token, whole.stop_token) == (IdToken("TAG"), IdToken("OTHER"))
    assert (whole.started_at, whole.ended_at) == (NOON, NOON + timedelta(minutes=5))
    assert (whole.stopped_reason, whole.charging_state, whole.review) == ("Local", "Charging", "")


def test_evse_and_connector_are_those_of_the_event_that_says_most() -> None:
    bare, whole = replace(session()[0], evse=2, connector=None), replace(session()[1], evse=2, connector=3)
    assert (state([bare]).evse, state([bare]).connector) == (2, None)
    assert (state([bare, whole]).evse, state([bare, whole]).connector) == (2, 3)


def test_every_order_of_a_short_session_ends_in_the_same_state() -> None:
    clean = state(session(5))
    for order in itertools.permutations(session(5)):
        assert state(list(order)) == clean


@given(st.integers(4, 40), st.randoms(use_true_random=False), st.data())
def test_any_subset_in_any_order_agrees_and_names_its_holes(
    length: int, dice: random.Random, data: st.DataObject
) -> None:
    events = session(length)
    kept = data.draw(st.lists(st.sampled_from(events), unique_by=lambda one: one.key, min_size=1))
    shuffled = list(kept)
    dice.shuffle(shuffled)
    assert state(shuffled) == state(kept)
    seen = {one.seq_no for one in kept if one.seq_no is not None}
    assert set(state(kept).missing) == set(range(min(seen), max(seen))) - seen


def test_an_end_without_a_start_is_kept_and_asks_for_review() -> None:
    lonely = state(session()[-1:])
    assert lonely.completeness is Completeness.INCOMPLETE
    assert (lonely.review, lonely.energy_wh) == ("no start seen", None)


def test_a_hole_makes_an_ended_transaction_incomplete() -> None:
    events = session()
    del events[2]
    assert state(events).completeness is Completeness.INCOMPLETE
    assert state(events).missing == (2,)


def test_a_huge_jump_of_numbers_stays_small() -> None:
    jumped = state([event(0, EventType.STARTED), _far()])
    assert len(jumped.missing) == 100


def _far() -> TransactionEvent:
    return TransactionEvent("T1", EventType.UPDATED, NOON, "Clock", key="far", seq_no=2**31)


@pytest.mark.parametrize(
    ("begin", "end", "review"),
    [(None, 10, "no begin register"), (10, None, "no end register"), (20, 10, "end register below begin"), (0, 0, "")],
)
def test_a_doubtful_meter_asks_for_review(begin: int | None, end: int | None, review: str) -> None:
    events = [
        event(0, EventType.STARTED, begin, "Transaction.Begin"),
        event(1, EventType.ENDED, end, "Transaction.End", stopped_reason="Local"),
    ]
    assert state(events).review == review


def test_everything_that_is_known_stands_in_the_state() -> None:
    started = event(
        3, EventType.STARTED, 1000, "Transaction.Begin", id_token=IdToken("TAG", "Central"), remote_start_id=7
    )
    moving = event(4, EventType.UPDATED, 1500, charging_state="Charging", trigger="ChargingStateChanged")
    evidence = absorb(absorb(None, facts_of(started)), facts_of(moving))
    standing = Standing("Accepted", IdToken("FAMILY", "Central"), overlaps=(8, 9), heard_at=NOON)
    assert summary(5, "CP1", "T1", evidence, standing) == Transaction(
        id=5,
        station="CP1",
        station_transaction="T1",
        completeness=Completeness.ONGOING,
        evse=1,
        connector=1,
        id_token=IdToken("TAG", "Central"),
        authorization="Accepted",
        started_at=NOON + timedelta(minutes=3),
        start_trigger="MeterValuePeriodic",
        charging_state="Charging",
        remote_start_id=7,
        meter_start_wh=Decimal(1000),
        last_meter_wh=Decimal(1500),
        last_event_at=NOON + timedelta(minutes=4),
        events=2,
        review="at the same EVSE at the same time as transaction 8, 9",
        group=IdToken("FAMILY", "Central"),
        overlaps=(8, 9),
        heard_at=NOON,
    )
    assert last_register(evidence) == (Decimal(1500), NOON + timedelta(minutes=4))
    nothing = summary(5, "CP1", "T1", {})
    assert (nothing.evse, nothing.id_token, nothing.last_event_at, nothing.events) == (None, None, None, 0)
    assert (nothing.start_trigger, nothing.stopped_reason, nothing.charging_state) == ("", "", "")
    assert (nothing.meter_start_wh, nothing.remote_start_id, last_register({})) == (None, None, None)


def test_what_one_event_says() -> None:
    told = event(2, EventType.ENDED, 83, "Transaction.End", stopped_reason="Local", id_token=IdToken("TAG"), evse=2)
    facts = facts_of(told)
    at = "2026-03-01T12:02:00.000000"
    assert (facts.at, facts.seq_no, facts.counts_as) == (at, 2, "ends")
    assert facts.lowest == [
        ("ended", [[at, "2"], at, "Local"]),
        ("stop_token", [[at, "2"], "TAG", "ISO14443"]),
        ("place", [[False, at, "2"], 2, 1]),
    ]
    assert facts.highest == [("end", [[1, at, "2"], "83"]), ("meter", [[at, "2"], "83"])]


def test_evidence_counts_and_keeps_the_first_or_the_last() -> None:
    events = [event(1, EventType.STARTED, trigger="A"), event(0, EventType.STARTED, trigger="B", connector=None)]
    evidence: Evidence = {}
    for one in events:
        before = dict(evidence)
        again = absorb(evidence, facts_of(one))
        assert evidence == before, "what is given is not changed"
        evidence = again
    assert (evidence["events"], evidence["starts"], evidence["seqs"]) == (2, 2, [[0, 1]])
    assert evidence["last"] == "2026-03-01T12:01:00.000000"
    assert evidence["started"][2] == "B", "the earlier one"
    assert evidence["place"][1:] == [1, 1], "the one that names a connector"


@pytest.mark.parametrize(
    ("kind", "context", "begin", "end"),
    [
        (EventType.STARTED, "Transaction.Begin", 0, None),
        (EventType.STARTED, "Sample.Periodic", 1, None),
        (EventType.STARTED, "Transaction.End", 1, 1),
        (EventType.UPDATED, "Transaction.Begin", 0, None),
        (EventType.UPDATED, "Sample.Periodic", None, None),
        (EventType.UPDATED, "Transaction.End", None, 1),
        (EventType.ENDED, "Transaction.Begin", 0, None),
        (EventType.ENDED, "Sample.Periodic", None, 0),
        (EventType.ENDED, "Transaction.End", None, 1),
    ],
)
def test_which_readings_can_be_begin_or_end(kind: EventType, context: str, begin: int | None, end: int | None) -> None:
    """With its rank: of several the lowest begin and the highest end count."""
    facts = facts_of(event(0, kind, 5, context))
    ranks = {name: fact[0][0] for name, fact in (*facts.lowest, *facts.highest) if name in ("begin", "end")}
    wanted = {name: rank for name, rank in (("begin", begin), ("end", end)) if rank is not None}
    assert ranks == wanted
    assert [fact for name, fact in facts.highest if name == "meter"] == [[["2026-03-01T12:00:00.000000", "0"], "5"]]


@pytest.mark.parametrize("strange", [{"unit": "W"}, {"phase": "L1"}, {"location": "EV"}])
def test_only_the_whole_register_at_the_outlet_counts(strange: dict[str, str]) -> None:
    plain = SampledValue(Decimal(5))
    values = (MeterValue(NOON, (plain._replace(**strange), plain._replace(value=Decimal(7)))),)
    facts = facts_of(event(3, EventType.UPDATED, meter_values=values))
    assert facts.highest == [("meter", [["2026-03-01T12:00:00.000000", "3"], "7"])]


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (NOON.replace(microsecond=120), "2026-03-01T12:00:00.000120"),
        (NOON.astimezone(timezone(timedelta(hours=2))), "2026-03-01T12:00:00.000000"),
        (NOON.replace(microsecond=5).astimezone(timezone(timedelta(hours=-5))), "2026-03-01T12:00:00.000005"),
    ],
)
def test_times_are_texts_of_one_width(at: datetime, text: str) -> None:
    assert facts_of(TransactionEvent("T1", EventType.UPDATED, at, "Clock", key="k")).at == text


def test_which_token_ends() -> None:
    assert stops(event(0, EventType.ENDED))
    assert stops(event(0, EventType.UPDATED, trigger="StopAuthorized"))
    assert not stops(event(0, EventType.STARTED, trigger="Authorized"))


def test_what_a_person_should_look_at_is_said_in_words() -> None:
    evidence: Evidence = {"starts": 2, "ends": 3, "conflicts": [str(one) for one in range(12)], "begin": [[], "20"]}
    evidence |= {"ended": [["t", "1"], "2026-03-01T12:00:00.000000", "Local"], "end": [[], "10"]}
    assert summary(1, "CP1", "T1", evidence, Standing(overlaps=(4,))).review.split("; ") == [
        "no start seen",
        "end register below begin",
        "started 2 times",
        "ended 3 times",
        "different contents under the same number: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        "at the same EVSE at the same time as transaction 4",
    ]


@pytest.mark.parametrize(
    ("evidence", "standing", "completeness"),
    [
        ({}, Standing(), Completeness.ONGOING),
        ({}, Standing(gave_up="silence"), Completeness.ONGOING),
        ({}, Standing(gave_up="silence", live=False), Completeness.GAVE_UP),
        ({"ended": 1}, Standing(), Completeness.INCOMPLETE),
        ({"ended": 1}, Standing(gave_up="no start"), Completeness.GAVE_UP),
        ({"ended": 1, "started": 1}, Standing(gave_up="no start"), Completeness.COMPLETE),
        ({"ended": 1, "started": 1, "seqs": [[0, 1], [3, 4]]}, Standing(), Completeness.INCOMPLETE),
    ],
)
def test_how_complete_a_transaction_is(
    evidence: dict[str, Any], standing: Standing, completeness: Completeness
) -> None:
    moment = [["t", "1"], "2026-03-01T12:00:00.000000", ""]
    given_ = {name: moment if value == 1 else value for name, value in evidence.items()}
    assert summary(1, "CP1", "T1", given_, standing).completeness is completeness


def test_gaps_are_the_ends_of_the_spans() -> None:
    evidence: Evidence = {"seqs": [[0, 1], [3, 4], [9, 9]]}
    assert gaps(evidence) == [[1, 3], [4, 9]]
    assert gaps({}) == []
    assert wants(evidence)
    assert not wants({"seqs": [[0, 4]]})


def test_of_two_contents_of_one_event_the_earlier_counts_whichever_came_first() -> None:
    early = Variant(event(1, EventType.UPDATED, 50), b"b")
    late = Variant(replace(event(1, EventType.UPDATED, 70), timestamp=NOON + timedelta(hours=1)), b"a")
    same = Variant(event(1, EventType.UPDATED, 60), b"a")
    for order in itertools.permutations((early, late, same)):
        evidence = fold(order)
        assert (evidence["events"], evidence["conflicts"], evidence["meter"][1]) == (3, ["1"], "60")
    assert "conflicts" not in fold([early])
