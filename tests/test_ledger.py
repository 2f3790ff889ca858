"""The ledger's law: whatever the order, the same set of events gives the same state."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.ledger import Evidence, absorb, facts_of, summary
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
