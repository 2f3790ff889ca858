"""OCPP 2.0.1: every word of the schemas is understood, units become base units exactly, times are never a crash."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.model.authorization import Authorization, AuthorizationStatus
from csms.model.metering import UNREADABLE
from csms.model.provisioning import Reset, ResetWhen
from csms.ocpp.errors import ErrorCode, OcppError
from csms.ocpp.quick import Said
from csms.ocpp.times import parse_time, print_time
from csms.ocpp.v201 import DIALECT
from csms.ocpp.v201.metering import read_sample
from csms.ocpp.v201.units import BASE_UNITS

T = "2024-05-06T10:00:00Z"


def words(name: str, action: str = "TransactionEvent") -> list[str]:
    """The words of one enum in the request of an action."""
    text = files("ocpp").joinpath(f"v201/schemas/{action}Request.json").read_text("utf-8-sig")
    return list(json.loads(text)["definitions"][name]["enum"])


def event(**changes: Any) -> dict[str, Any]:
    """A transaction event's payload."""
    info = {"transactionId": "tx1"}
    return {
        "eventType": "Updated",
        "timestamp": T,
        "triggerReason": "Trigger",
        "seqNo": 1,
        "transactionInfo": info,
    } | changes


def decode(payload: dict[str, Any]) -> Any:
    return DIALECT.requests["TransactionEvent"].decode(payload)


@pytest.mark.parametrize("word", words("TriggerReasonEnumType"))
def test_trigger_reason(word: str) -> None:
    assert decode(event(triggerReason=word)).trigger == word


@pytest.mark.parametrize("word", words("ReasonEnumType"))
def test_stopped_reason(word: str) -> None:
    info = {"transactionId": "tx1", "stoppedReason": word}
    assert decode(event(eventType="Ended", transactionInfo=info)).stopped_reason == word


@pytest.mark.parametrize("word", words("ChargingStateEnumType"))
def test_charging_state(word: str) -> None:
    assert decode(event(transactionInfo={"transactionId": "tx1", "chargingState": word})).charging_state == word


@pytest.mark.parametrize("word", words("TransactionEventEnumType"))
def test_event_type(word: str) -> None:
    assert decode(event(eventType=word)).type == word


@pytest.mark.parametrize("word", words("IdTokenEnumType"))
def test_token_type(word: str) -> None:
    assert decode(event(idToken={"idToken": "", "type": word})).id_token.type == word


@pytest.mark.parametrize("word", words("MeasurandEnumType"))
def test_measurand_when_no_unit_is_said(word: str) -> None:
    sample = read_sample(Said({"value": 1, "measurand": word}))
    assert sample.measurand == word
    assert bool(sample.unit) is (word != "Power.Factor")
    assert (sample.unit == "Wh") is word.startswith("Energy.")


@pytest.mark.parametrize("status", AuthorizationStatus)
def test_authorization_status(status: AuthorizationStatus) -> None:
    assert DIALECT.requests["Authorize"].encode_answer(Authorization(status)) == {"idTokenInfo": {"status": status}}


@pytest.mark.parametrize("word", words("ConnectorStatusEnumType", "StatusNotification"))
def test_connector_status(word: str) -> None:
    payload = {"timestamp": T, "connectorStatus": word, "evseId": 1, "connectorId": 1}
    assert DIALECT.requests["StatusNotification"].decode(payload).status == word


@pytest.mark.parametrize("word", words("BootReasonEnumType", "BootNotification"))
def test_boot_reason(word: str) -> None:
    payload = {"reason": word, "chargingStation": {"vendorName": "Acme", "model": "One"}}
    assert DIALECT.requests["BootNotification"].decode(payload).reason == word


def test_message_when_too_long_is_cut() -> None:
    answer = Authorization(AuthorizationStatus.ACCEPTED, message="x" * 600)
    said = DIALECT.requests["Authorize"].encode_answer(answer)["idTokenInfo"]["personalMessage"]
    assert said == {"format": "UTF8", "content": "x" * 512}


def test_reset_is_said_in_the_version_s_words() -> None:
    command = Reset(ResetWhen.ON_IDLE)
    assert DIALECT.outgoing(command).encode(command) == ("Reset", {"type": "OnIdle"})


@given(
    number=st.one_of(
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15),
    ),
    unit=st.sampled_from(["Wh", "kWh", "W", "kW", "varh", "kvarh", "VA", "kVA", "KWH", "A", "Ohm"]),
    multiplier=st.integers(-30, 30),
)
def test_units_when_scaled_stay_exact(number: float, unit: str, multiplier: int) -> None:
    sample = read_sample(Said({"value": number, "unitOfMeasure": {"unit": unit, "multiplier": multiplier}}))
    kilo = unit[0] in "kK"
    sign, digits, exponent = Decimal(json.dumps(number)).as_tuple()
    assert isinstance(exponent, int)
    exact = Decimal((sign, digits, exponent + multiplier + (3 if kilo else 0)))
    assert sample.value.compare_total(exact) == 0 or sample.value == exact
    assert sample.unit == ("Wh" if unit == "KWH" else unit.removeprefix("k"))


def test_unit_when_normalised_again_stays() -> None:
    for base, _ in BASE_UNITS.values():
        assert BASE_UNITS[base.casefold()] == (base, 0)


def test_number_is_the_one_the_station_wrote() -> None:
    assert str(read_sample(Said({"value": 0.1})).value) == "0.1"
    assert str(read_sample(Said({"value": 12.345, "unitOfMeasure": {"unit": "kWh"}})).value) == "12345.000"


@pytest.mark.parametrize("multiplier", [31, -31, 2**62, -(2**62)])
def test_multiplier_when_out_of_reason(multiplier: int) -> None:
    sample = read_sample(Said({"value": 1, "unitOfMeasure": {"multiplier": multiplier}}))
    assert (sample.value, sample.measurand) == (0, UNREADABLE)
    assert str(multiplier) in sample.signed


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-06T10:00:00Z", (10, 0)),
        ("2024-05-06t10:00:00z", (10, 0)),
        ("2024-05-06T10:00:00.123Z", (10, 123000)),
        ("2024-05-06T10:00:00.123456789Z", (10, 123456)),
        ("2024-05-06T10:00:00.1234567890123z", (10, 123456)),
        ("2024-05-06T10:00:00", (10, 0)),
        ("2024-05-06T10:00:00.5", (10, 500000)),
        ("2024-05-06T12:00:00+02:00", (10, 0)),
        ("2024-05-06T07:30:00-02:30", (10, 0)),
        ("2024-05-06 10:00:00Z", (10, 0)),
    ],
)
def test_time_when_written_in_many_ways(text: str, moment: tuple[int, int]) -> None:
    parsed = parse_time(text)
    assert parsed == datetime(2024, 5, 6, moment[0], 0, 0, moment[1], UTC)
    assert parsed.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2024-05-06",
        "20240506T100000Z",
        "20240506T100000.000000Z",
        "2024-W19-1T10:00:00Z",
        "2024-05-06T10:00:60Z",
        "2024-05-06T24:00:00Z",
        "2024-13-06T10:00:00Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-01:00",
        "2024-05-06T10:00:00+99:00",
        "2024-05-06T10:00:00ZZ",
        "x" * 100000,
    ],
    ids=lambda text: text[:30],
)
def test_time_when_it_is_none(text: str) -> None:
    with pytest.raises(OcppError) as refused:
        parse_time(text)
    assert refused.value.code is ErrorCode.PROPERTY_CONSTRAINT_VIOLATION
    assert len(str(refused.value)) < 200


@given(st.text(alphabet="0123456789-:.TZtz+ W", max_size=40))
def test_time_is_never_a_crash(text: str) -> None:
    with suppress(OcppError):
        assert parse_time(text).tzinfo is UTC


@given(st.datetimes(timezones=st.just(UTC)))
def test_time_when_printed_comes_back_to_the_millisecond(moment: datetime) -> None:
    text = print_time(moment)
    assert len(text) == len("2024-05-06T10:00:00.000Z")
    assert timedelta(0) <= moment - parse_time(text) < timedelta(milliseconds=1)


MEASURANDS = ("Energy.Active.Import.Register", "Power.Active.Import", "Voltage")
SAMPLES = st.lists(
    st.builds(
        lambda value, more: {"value": value, **more},
        st.integers(0, 9),
        st.sampled_from([{"measurand": one} for one in MEASURANDS] + [{}]),
    ),
    min_size=1,
    max_size=4,
)


@given(st.lists(SAMPLES, min_size=1, max_size=3), st.sampled_from(MEASURANDS), st.booleans())
def test_readings_of_one_measurand_are_those_of_all_whether_they_were_read_before_or_not(
    values: list[list[dict[str, Any]]], measurand: str, read_before: bool
) -> None:
    raw = [{"timestamp": T, "sampledValue": samples} for samples in values]
    unread, read = decode(event(meterValue=raw)), decode(event(meterValue=raw))
    all_of_them = tuple(
        (value.timestamp, tuple(one for one in value.sampled if one.measurand == measurand))
        for value in read.meter_values
    )
    assert (read if read_before else unread).readings_of(measurand) == all_of_them
    assert isinstance(unread.meter_values, tuple)
    assert unread == read
