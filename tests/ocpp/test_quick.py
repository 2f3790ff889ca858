"""The short way in and the long one mean the same: what is read quickly, the long way would have taken, and made the same request of."""

from __future__ import annotations

import json
import math
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csms.ocpp.dialect import Dialect
from csms.ocpp.errors import V201
from csms.ocpp.quick import SELDOM, QuickReader
from csms.ocpp.rpc import Call, Garbled, Peer
from csms.ocpp.schemas import schemas_of
from csms.ocpp.v16 import DIALECT as DIALECT16
from csms.ocpp.v201 import DIALECT as DIALECT201

sys.path.append(str(Path(__file__).parents[1] / "torture"))

from frame_payloads import Payloads

DIALECTS = (DIALECT16, DIALECT201)
READ = [(dialect, action) for dialect in DIALECTS for action, row in dialect.requests.items() if row.read]
TIME = "2026-03-01T12:00:00.123Z"
SAMPLE: dict[str, Any] = {"value": 12.5, "measurand": "Energy.Active.Import.Register", "unitOfMeasure": {"unit": "kWh"}}
EVENT: dict[str, Any] = {
    "eventType": "Updated",
    "timestamp": TIME,
    "triggerReason": "MeterValuePeriodic",
    "seqNo": 3,
    "transactionInfo": {"transactionId": "T1", "chargingState": "Charging"},
    "meterValue": [{"timestamp": TIME, "sampledValue": [SAMPLE, {"value": 54, "measurand": "SoC"}]}],
}


def held_together(dialect: Dialect, frame: bytes) -> bool:
    """Whether a frame is read quickly; fails where the two ways differ."""
    found = Peer(dialect.protocol, dialect.quick).receive(frame)
    long = Peer(dialect.protocol).receive(frame)
    assert found == long
    if not isinstance(found, Call) or found.request is None:
        return False
    assert isinstance(long, Call)
    assert found.body == long.body
    assert repr(found.payload) == repr(long.payload)
    request = dialect.requests[found.action].decode(long.payload)
    assert found.request == request
    # 0 and -0.0, 1 and 1.0 and True are equal, and not the same.
    assert words_of(found.request) == words_of(request)
    return True


def words_of(request: Any) -> str:
    """Everything that a request says, its readings decoded."""
    return str([getattr(request, field) for field in request.__dataclass_fields__])


def frame_of(action: str, payload: Any, id: str = "7") -> bytes:
    return json.dumps([2, id, action, payload], separators=(",", ":")).encode()


def usual(dice: random.Random, payload: Any) -> Any:
    """Mostly without what is seldom said."""
    if isinstance(payload, dict):
        return {
            field: usual(dice, value) for field, value in payload.items() if field not in SELDOM or dice.random() < 0.1
        }
    return [usual(dice, one) for one in payload] if isinstance(payload, list) else payload


def spelt(dice: random.Random, action: str, payload: Any) -> bytes:
    """A frame in one of the ways in which JSON may be written, and now and then a broken one."""
    ascii, spaces = dice.random() < 0.5, dice.choice(((",", ":"), (", ", ": "), (" ,\t", " :\n")))
    text = json.dumps([2, "7", action, payload], ensure_ascii=ascii, separators=spaces).encode()
    if dice.random() < 0.2:
        at = dice.randrange(len(text))
        text = text[:at] + dice.choice((b"", b"\\", b"0", b",", b"}", b'"', b"\0", b"\xff", b"e")) + text[at + 1 :]
    return text


@pytest.mark.parametrize(("dialect", "action"), READ, ids=lambda one: getattr(one, "protocol", one))
def test_what_the_schema_allows_and_what_it_does_not(dialect: Dialect, action: str) -> None:
    dice = random.Random(f"{dialect.protocol} {action}")
    payloads = Payloads(dialect.protocol, dice)
    quick = [held_together(dialect, spelt(dice, action, usual(dice, payloads.good(action)))) for _ in range(300)]
    assert sum(quick) > 30
    for _ in range(300):
        payload, kinds = payloads.wrong(action)
        assert not held_together(dialect, spelt(dice, action, payload)) or not kinds


def test_the_common_messages_are_read_quickly() -> None:
    assert {action for dialect, action in READ if dialect is DIALECT201} >= {
        "Authorize", "Heartbeat", "MeterValues", "NotifyEvent", "StatusNotification", "TransactionEvent"
    }  # fmt: skip
    assert held_together(DIALECT201, frame_of("TransactionEvent", EVENT))
    assert held_together(DIALECT201, frame_of("TransactionEvent", EVENT, id="x" * 36))


def left_alone() -> Iterator[tuple[str, bytes]]:
    """Frames that are right, or nearly so, and go the long way."""
    yield "a backslash", frame_of("TransactionEvent", EVENT | {"transactionInfo": {"transactionId": "a\\b"}})
    yield "a whole number with a fraction", frame_of("TransactionEvent", EVENT | {"seqNo": 3.0})
    yield "a number beyond 64 bits", frame_of("TransactionEvent", EVENT | {"seqNo": 2**63})
    yield "a reading beyond 64 bits", frame_of("MeterValues", metered({"value": 2**64}))
    yield "a field of null", frame_of("TransactionEvent", EVENT | {"offline": None})
    yield "a field that nobody knows", frame_of("TransactionEvent", EVENT | {"offLine": True})
    yield "data of a vendor", frame_of("TransactionEvent", EVENT | {"customData": {"vendorId": "x"}})
    yield "an id that is too long", frame_of("TransactionEvent", EVENT, id="x" * 37)
    yield "no id", frame_of("TransactionEvent", EVENT, id="")
    yield (
        "a power of ten that nobody means",
        frame_of("MeterValues", metered({"value": 1, "unitOfMeasure": {"multiplier": 31}})),
    )
    signed = {"signedMeterData": "x", "signingMethod": "", "encodingMethod": "OCMF", "publicKey": ""}
    yield "a signed reading", frame_of("MeterValues", metered({"value": 1, "signedMeterValue": signed}))
    yield (
        "another action",
        frame_of("BootNotification", {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}}),
    )
    yield "a message type with a fraction", frame_of("Heartbeat", {}).replace(b"[2,", b"[2.0,")
    yield "something behind it", frame_of("Heartbeat", {}) + b"x"
    yield "one part more", frame_of("Heartbeat", {})[:-1] + b",1]"
    yield "an answer", b'[3,"7",{}]'
    yield "a payload without a bottom", b'[2,"7","Heartbeat",' + b"[" * 100_000
    yield "a call without a bottom", b"[" * 100_000
    yield "a NUL", frame_of("Authorize", {"idToken": {"idToken": "a\0b", "type": "Central"}})
    for time in ("2026-03-01T12:00:60Z", "2026-02-30T12:00:00Z", "yesterday", "", 5):
        yield f"the time {time}", frame_of("TransactionEvent", EVENT | {"timestamp": time})


def metered(sample: dict[str, Any]) -> dict[str, Any]:
    return {"evseId": 1, "meterValue": [{"timestamp": TIME, "sampledValue": [sample]}]}


@pytest.mark.parametrize(("what", "frame"), list(left_alone()), ids=lambda one: one if isinstance(one, str) else "")
def test_what_is_not_plain_goes_the_long_way(what: str, frame: bytes) -> None:
    assert not held_together(DIALECT201, frame)


@pytest.mark.parametrize(
    "time",
    [
        "2026-03-01T12:00:00",
        "2026-03-01T12:00:00.1234567Z",
        "2026-03-01t12:00:00z",
        "2026-03-01T12:00:00+05:30",
        "0001-01-01 00:00:00Z",
    ],
)
def test_every_time_that_can_be_read_is_the_same_moment(time: str) -> None:
    assert held_together(DIALECT201, frame_of("TransactionEvent", EVENT | {"timestamp": time}))


def test_a_name_given_twice_counts_as_it_does_the_long_way() -> None:
    assert held_together(DIALECT201, frame_of("TransactionEvent", EVENT).replace(b'"seqNo":3', b'"seqNo":9,"seqNo":3'))


@settings(max_examples=300, deadline=None)
@given(number=st.floats() | st.integers(-(2**70), 2**70) | st.decimals(allow_nan=False, allow_infinity=False).map(str))
def test_a_number_keeps_every_digit(number: float | int | str) -> None:
    frame = frame_of("MeterValues", metered({"value": "@"})).replace(b'"@"', str(number).encode())
    plain = isinstance(number, float) and math.isfinite(number)
    assert held_together(DIALECT201, frame) or not plain


@settings(max_examples=300, deadline=None)
@given(frame=st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_nothing_that_comes_in_raises(frame: bytes) -> None:
    assert DIALECT201.quick.read(frame) is None
    assert DIALECT201.quick.read(b'[2,"7","Heartbeat",' + frame) is None


def test_without_the_short_way_everything_goes_the_long_one() -> None:
    found = Peer(V201).receive(frame_of("Heartbeat", {}))
    assert isinstance(found, Call)
    assert (found.request, found.parsed) == (None, {})


def test_a_refusal_is_the_schemas() -> None:
    wrong = Peer(V201, DIALECT201.quick).receive(
        frame_of("Authorize", {"idToken": {"idToken": "x" * 37, "type": "Central"}})
    )
    assert isinstance(wrong, Garbled)
    assert "/idToken/idToken" in wrong.description


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
def test_a_schema_becomes_a_type_that_holds_to_it_or_none(protocol: str) -> None:
    reader = QuickReader(protocol, {action: lambda said, body: said for action in schemas_of(protocol).actions})
    payloads = Payloads(protocol, random.Random(protocol))
    outcomes = Counter(made_of(reader, action, payloads) for action in sorted(schemas_of(protocol).actions))
    assert set(outcomes) <= {"read", "never read", "no type holds to", "it may have any field"}
    assert outcomes["read"] > outcomes.total() / 4


def made_of(reader: QuickReader, action: str, payloads: Payloads) -> str:
    try:
        return "read" if any(reader.read(frame_of(action, payloads.good(action))) for _ in range(20)) else "never read"
    except ValueError as why:
        return str(why).partition(": ")[2].partition(" [")[0]
