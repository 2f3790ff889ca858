"""The schemas: each kind of mistake has its code and its place, numbers are decimal, times are what stations write."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csms.ocpp.errors import V16, V21, V201, ErrorCode, OcppError
from csms.ocpp.schemas import (
    USUAL_TIME,
    Problem,
    actions,
    check,
    document,
    problems,
    schemas_of,
    shortest_answer,
)
from csms.ocpp.times import parse_time

T = "2026-05-06T10:00:00Z"
Payload = dict[str, Any]
NUMBERS = [st.integers(0, 2100), *(st.integers(0, most) for most in (13, 32, 25, 61, 61))]
"""Year, month, day, hour, minute, second, each a little beyond its limits."""


def event(**changes: Any) -> Payload:
    """A 2.0.1 TransactionEvent with one sampled value."""
    return {
        "eventType": "Updated",
        "timestamp": T,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": 1,
        "transactionInfo": {"transactionId": "tx1"},
        "meterValue": [{"timestamp": T, "sampledValue": [{"value": 1.5}]}],
    } | changes


def profile(limit: Any) -> Payload:
    """A 1.6 SetChargingProfile with one period."""
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}
    return {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": schedule,
        },
    }


LIMIT = "/csChargingProfiles/chargingSchedule/chargingSchedulePeriod/0/limit"
MISTAKES: dict[str, tuple[str, str, Payload, ErrorCode, str, str]] = {
    "missing": (V16, "Authorize", {}, ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION, "", "required"),
    "type": (V16, "Authorize", {"idTag": 7}, ErrorCode.TYPE_CONSTRAINT_VIOLATION, "/idTag", "type"),
    "too long": (V16, "Authorize", {"idTag": "x" * 21}, ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, "/idTag", "maxLength"),
    "unknown field": (
        V16, "Heartbeat", {"x": 1}, ErrorCode.FORMAT_VIOLATION, "", "additionalProperties",
    ),
    "step": (V16, "SetChargingProfile", profile(8.15), ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, LIMIT, "multipleOf"),
    "text for a number": (
        V16, "SetChargingProfile", profile("8"), ErrorCode.TYPE_CONSTRAINT_VIOLATION, LIMIT, "type",
    ),
    "uri": (
        V16, "GetDiagnostics", {"location": "here you are"},
        ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, "/location", "format",
    ),
    "word": (
        V201, "TransactionEvent", event(eventType="Paused"),
        ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, "/eventType", "enum",
    ),
    "time": (
        V201, "TransactionEvent", event(timestamp="noon"),
        ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, "/timestamp", "format",
    ),
    "deep": (
        V201, "TransactionEvent", event(meterValue=[{"timestamp": T, "sampledValue": [{"value": "abc"}]}]),
        ErrorCode.TYPE_CONSTRAINT_VIOLATION, "/meterValue/0/sampledValue/0/value", "type",
    ),
    "too few": (
        V201, "TransactionEvent", event(meterValue=[]),
        ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION, "/meterValue", "minItems",
    ),
    "too many": (
        V201, "TransactionEvent", event(idToken={"idToken": "A", "type": "Central", "additionalInfo": []}),
        ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION, "/idToken/additionalInfo", "minItems",
    ),
    "integer beyond 64 bits": (
        V201, "TransactionEvent", event(seqNo=1e19), ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, "/seqNo", "maximum",
    ),
    "integer below 64 bits": (
        V16, "StartTransaction", {"connectorId": 1, "idTag": "A", "meterStart": -1e19, "timestamp": T},
        ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, "/meterStart", "minimum",
    ),
    "slash and tilde in a name": (
        V201, "Heartbeat", {"customData": {"vendorId": 1, "a~/b": 1}},
        ErrorCode.TYPE_CONSTRAINT_VIOLATION, "/customData/vendorId", "type",
    ),
}  # fmt: skip
"""Protocol, action, payload; the code, the pointer and the keyword."""


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistake_has_its_code_and_its_place(kind: str) -> None:
    protocol, action, payload, code, pointer, keyword = MISTAKES[kind]
    with pytest.raises(OcppError) as refusal:
        check(protocol, action, payload)
    assert refusal.value.code is code
    assert refusal.value.description.startswith(f"{pointer or '/'}: ")
    (problem,) = problems(protocol, action, payload)
    assert (problem.pointer, problem.keyword, problem.code) == (pointer, keyword, code)


def test_description_says_what_was_wrong() -> None:
    with pytest.raises(OcppError) as refusal:
        check(*MISTAKES["deep"][:3])
    assert refusal.value.description == '/meterValue/0/sampledValue/0/value: "abc" is not of type "number"'


def test_all_mistakes_are_found_at_once() -> None:
    found = problems(V201, "TransactionEvent", {"eventType": "Paused", "seqNo": "1", "colour": "red"})
    assert {problem.keyword for problem in found} == {"enum", "type", "additionalProperties", "required"}
    missing = {problem.message for problem in found if problem.keyword == "required"}
    assert missing == {f'"{name}" is a required property' for name in ("timestamp", "triggerReason", "transactionInfo")}


def test_pointer_escapes_names() -> None:
    wrong = event(
        customData={"vendorId": "v"}, meterValue=[{"timestamp": T, "sampledValue": [{"value": 1, "a~/b": 1}]}]
    )
    (found,) = problems(V201, "TransactionEvent", wrong)
    assert found.pointer == "/meterValue/0/sampledValue/0"
    assert "a~/b" in found.message


def test_long_value_leaves_the_reason_readable() -> None:
    (found,) = problems(V16, "Authorize", {"idTag": "x" * 100_000})
    assert len(found.message) <= 180
    assert found.message.endswith("is longer than 20 characters")


@pytest.mark.parametrize(("protocol", "count"), [(V16, 39), (V201, 64), (V21, 91)])
def test_every_action_of_a_version_is_known(protocol: str, count: int) -> None:
    assert len(actions(protocol)) == count


@pytest.mark.parametrize("protocol", [V16, V201, V21])
def test_every_schema_compiles_and_wants_an_object(protocol: str) -> None:
    for action in actions(protocol):
        for answer in (False, True) if action not in schemas_of(protocol).unconfirmed else (False,):
            (found,) = problems(protocol, action, [], answer=answer)
            assert found.keyword == "type"


def test_only_one_message_is_unconfirmed() -> None:
    unconfirmed = {protocol: schemas_of(protocol).unconfirmed for protocol in (V16, V201, V21)}
    assert unconfirmed == {V16: frozenset(), V201: frozenset(), V21: frozenset({"NotifyPeriodicEventStream"})}


@pytest.mark.parametrize(
    ("protocol", "action", "answer"),
    [
        (V16, "TransactionEvent", False),
        (V201, "StartTransaction", False),
        (V201, "", False),
        (V201, "AuthorizeRequest", False),
        (V201, "../v16/schemas/Authorize", False),
        (V201, "authorize", False),
        (V21, "NotifyPeriodicEventStream", True),
    ],
)
def test_unknown_action_is_not_implemented(protocol: str, action: str, answer: bool) -> None:
    for ask in (check, problems):
        with pytest.raises(OcppError) as refusal:
            ask(protocol, action, {}, answer=answer)
        assert refusal.value.code is ErrorCode.NOT_IMPLEMENTED


def test_answers_have_their_own_schema() -> None:
    check(V201, "Heartbeat", {"currentTime": T}, answer=True)
    with pytest.raises(OcppError):
        check(V201, "Heartbeat", {}, answer=True)


@given(st.integers(0, 4000))
def test_every_tenth_of_an_ampere_is_a_multiple(tenths: int) -> None:
    check(V16, "SetChargingProfile", profile(tenths / 10))


def test_all_tenths_up_to_400_ampere_are_multiples() -> None:
    assert [n for n in range(4001) if problems(V16, "SetChargingProfile", profile(n / 10))] == []


@given(st.integers(0, 40000).filter(lambda n: n % 10))
def test_no_hundredth_of_an_ampere_is_a_multiple(hundredths: int) -> None:
    with pytest.raises(OcppError):
        check(V16, "SetChargingProfile", profile(hundredths / 100))


@given(st.floats() | st.integers() | st.booleans() | st.none())
@settings(max_examples=300)
def test_any_number_as_a_limit_is_decided(limit: float | None) -> None:
    accepted = not problems(V16, "SetChargingProfile", profile(limit))
    if accepted:
        assert isinstance(limit, float | int)
        assert math.isfinite(limit)


@pytest.mark.parametrize("time", [T, "2026-05-06T10:00:00", "2026-05-06T10:00:00.1234567Z", "2026-05-06T10:00:00+0200"])
@pytest.mark.parametrize("protocol", [V16, V201])
def test_times_as_stations_write_them(protocol: str, time: str) -> None:
    if protocol == V16:
        check(V16, "StopTransaction", {"transactionId": 1, "meterStop": 5, "timestamp": time})
    else:
        check(V201, "TransactionEvent", event(timestamp=time))


@pytest.mark.parametrize(
    "time", ["", "now", "2026-02-30T10:00:00Z", "2026-05-06", "2026-05-06T25:00:00Z", "1778061600"]
)
def test_times_that_are_none(time: str) -> None:
    with pytest.raises(OcppError) as refusal:
        check(V16, "StopTransaction", {"transactionId": 1, "meterStop": 5, "timestamp": time})
    assert refusal.value.code is ErrorCode.PROPERTY_CONSTRAINT_VIOLATION


@pytest.mark.parametrize("unit", ["Celsius", "Celcius"])
def test_16_takes_both_spellings_of_celsius(unit: str) -> None:
    sample = {"value": "21", "measurand": "Temperature", "unit": unit}
    check(V16, "MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": T, "sampledValue": [sample]}]})


def test_what_is_no_json_is_a_mistake_and_no_crash() -> None:
    for payload in ({"idTag": b"x"}, {1: 2}):
        with pytest.raises(OcppError):
            check(V16, "Authorize", payload)
        assert problems(V16, "Authorize", payload)


def test_problem_of_an_unnamed_keyword_is_about_the_value() -> None:
    assert Problem("", "", "anything").code is ErrorCode.PROPERTY_CONSTRAINT_VIOLATION


@given(
    st.from_regex(USUAL_TIME, fullmatch=True)
    | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
    | st.builds(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}".format, *NUMBERS, st.sampled_from(["", "Z", "+14:00", "-24:00"])
    )
)
@settings(max_examples=500)
def test_time_passes_exactly_when_it_can_be_read(time: str) -> None:
    """The quick validator takes nothing that the dialects could not read."""
    payload = {"transactionId": 1, "meterStop": 5, "timestamp": time}
    try:
        parse_time(time)
    except OcppError:
        assert problems(V16, "StopTransaction", payload)
        with pytest.raises(OcppError):
            check(V16, "StopTransaction", payload)
    else:
        assert not problems(V16, "StopTransaction", payload)
        check(V16, "StopTransaction", payload)


@pytest.mark.parametrize(
    ("protocol", "action", "payload", "said"),
    [
        (
            V16,
            "ChangeConfiguration",
            {"key": "AuthorizationKey", "value": "s3cret" * 100},
            "the value is longer than 500",
        ),
        (V16, "Authorize", {"idTag": "s3cret" * 5}, "the value is longer than 20"),
        (V16, "Authorize", {"idTag": {"idTag": "s3cret"}}, 'the value is not of type "string"'),
        (V201, "Authorize", {"idToken": "s3cret"}, 'the value is not of type "object"'),
        (V201, "Authorize", {"idToken": {"idToken": "s3cret" * 7, "type": "Central"}}, "the value is longer than 36"),
        (V201, "SetVariables", {"setVariableData": "s3cret is longer than 20"}, 'the value is not of type "array"'),
        (V16, "Authorize", {"idTag": None}, 'null is not of type "string"'),
        (V16, "Reset", {"type": "Sideways"}, '"Sideways" is not one of'),
    ],
)
def test_what_a_schema_says_has_no_secret_in_it(protocol: str, action: str, payload: Any, said: str) -> None:
    with pytest.raises(OcppError) as refusal:
        check(protocol, action, payload)
    (found,) = problems(protocol, action, payload)
    for text in (refusal.value.description, found.message):
        assert said in text
        assert "s3cret" not in text


@pytest.mark.parametrize("protocol", [V16, V201])
def test_the_shortest_answer_to_every_action_is_one_that_its_schema_allows(protocol: str) -> None:
    for action in actions(protocol):
        answer = shortest_answer(protocol, action)
        check(protocol, action, answer, answer=True)
        assert answer.get("status", "Accepted") == "Accepted" or not accepts(protocol, action), action


def accepts(protocol: str, action: str) -> bool:
    """Whether a station may answer this by a plain Accepted."""
    accepted = shortest_answer(protocol, action) | {"status": "Accepted"}
    return not problems(protocol, action, accepted, answer=True)


def test_a_request_is_shown_as_it_was_published() -> None:
    reset = document(V201, "Reset")
    assert reset is not None
    assert reset["required"] == ["type"]
    assert document(V201, "NoSuchAction") is None
