"""What a maker makes is what the class makes."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, fields, replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from csms.model.making import maker
from csms.model.metering import MeterValue, SampledValue, Unread
from csms.model.transactions import EventType, TransactionEvent

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
VALUES = ("t1", EventType.UPDATED, AT, "MeterValuePeriodic", "7", 7, False, 1, 1, None, (), "Charging", "", None, None)


def test_it_is_equal_hashed_and_shown_like_one_of_the_class() -> None:
    made, plain = maker(TransactionEvent)(*VALUES), TransactionEvent(*VALUES)
    assert type(made) is TransactionEvent
    assert (made, hash(made), repr(made)) == (plain, hash(plain), repr(plain))
    assert [getattr(made, field.name) for field in fields(made)] == list(VALUES)


def test_it_is_frozen_and_can_be_replaced() -> None:
    made = maker(TransactionEvent)(*VALUES)
    with pytest.raises(FrozenInstanceError):
        made.trigger = "Other"  # type: ignore[misc]
    assert replace(made, trigger="Other") == TransactionEvent(*VALUES[:3], "Other", *VALUES[4:])


def test_readings_are_read_when_somebody_looks() -> None:
    value = MeterValue(AT, (SampledValue(Decimal(5)),))
    made = maker(TransactionEvent)(*VALUES[:10], Unread([1], lambda raw: (value,)), *VALUES[11:])
    assert made.meter_values == (value,)


def test_a_field_too_few_or_too_many_is_an_error() -> None:
    for values in (VALUES[:-1], (*VALUES, None)):
        with pytest.raises(TypeError):
            maker(TransactionEvent)(*values)


def test_a_class_without_slots_is_refused_when_the_first_is_made() -> None:
    @dataclass(frozen=True)
    class Loose:
        one: int

    with pytest.raises(TypeError):
        maker(Loose)(1)
