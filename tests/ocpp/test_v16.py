"""OCPP 1.6: every word of the schemas has its 2.x word, readings written as text are numbers or refused, refusals say what to do."""

from __future__ import annotations

import json
from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest

from csms.model.authorization import Authorization, AuthorizationStatus, IdToken
from csms.model.availability import ChangeAvailability, ConnectorStatus, TriggerMessage
from csms.model.metering import ENERGY_REGISTER, UNREADABLE, MeterValues
from csms.model.provisioning import GetVariables, Reset, ResetWhen, SetVariables, Variable, VariableValue
from csms.model.transactions import EventType, GetTransactionStatus, RequestStartTransaction, RequestStopTransaction
from csms.ocpp.dialect import NotSupportedByStation
from csms.ocpp.v16 import DIALECT

T, T1 = "2024-05-06T10:00:00Z", "2024-05-06T10:15:00Z"


def fields(action: str, version: str = "v16") -> dict[str, Any]:
    """The properties of one official schema."""
    text = files("ocpp").joinpath(version, "schemas", f"{action}.json").read_text("utf-8-sig")
    return dict(json.loads(text)["properties"])


SAMPLE = fields("MeterValues")["meterValue"]["items"]["properties"]["sampledValue"]["items"]["properties"]
V201_EVENT = json.loads(files("ocpp").joinpath("v201/schemas/TransactionEventRequest.json").read_text("utf-8-sig"))


def meter(transaction: int | None = None, connector: int = 1, **sample: str) -> Any:
    """What a MeterValues message with one reading means."""
    payload: dict[str, Any] = {"connectorId": connector}
    if transaction is not None:
        payload["transactionId"] = transaction
    payload["meterValue"] = [{"timestamp": T, "sampledValue": [{"value": "1", **sample}]}]
    return DIALECT.requests["MeterValues"].decode(payload)


def stop(**more: Any) -> Any:
    """What a StopTransaction means."""
    payload = {"transactionId": 5, "meterStop": 10, "timestamp": T1, **more}
    return DIALECT.requests["StopTransaction"].decode(payload)


def encode(command: object) -> tuple[str, dict[str, Any]]:
    return DIALECT.outgoing(command).encode(command)


@pytest.mark.parametrize("word", fields("StopTransaction")["reason"]["enum"])
def test_stop_reason_becomes_words_of_2_x(word: str) -> None:
    event, words = stop(reason=word), V201_EVENT["definitions"]
    assert event.stopped_reason in words["ReasonEnumType"]["enum"]
    assert event.trigger in words["TriggerReasonEnumType"]["enum"]
    assert event.type is EventType.ENDED


@pytest.mark.parametrize(
    ("word", "reason", "trigger"),
    [
        ("EVDisconnected", "EVDisconnected", "EVCommunicationLost"),
        ("HardReset", "ImmediateReset", "ResetCommand"),
        ("SoftReset", "ImmediateReset", "ResetCommand"),
        ("Remote", "Remote", "RemoteStop"),
        ("DeAuthorized", "DeAuthorized", "Deauthorized"),
        ("UnlockCommand", "Remote", "UnlockCommand"),
    ],
)
def test_stop_reason_when_the_words_differ(word: str, reason: str, trigger: str) -> None:
    event = stop(reason=word)
    assert (event.stopped_reason, event.trigger) == (reason, trigger)


def test_stop_when_the_transaction_never_got_an_id() -> None:
    """Two such stops are two transactions, a repeat is the same one."""
    first, again, other = stop(transactionId=-1), stop(transactionId=-1), stop(transactionId=-1, meterStop=11)
    assert first == again
    assert first.transaction != other.transaction


def test_start_when_repeated_with_other_case_has_the_same_key() -> None:
    decode = DIALECT.requests["StartTransaction"].decode
    start = {"connectorId": 1, "idTag": "ab", "meterStart": 3, "timestamp": T}
    assert decode(start).key == decode(start | {"idTag": "AB", "timestamp": "2024-05-06T10:00:00.000z"}).key
    assert decode(start).key != decode(start | {"meterStart": 4}).key


@pytest.mark.parametrize("word", fields("StatusNotification")["status"]["enum"])
def test_status_becomes_one_of_five(word: str) -> None:
    payload = {"connectorId": 1, "errorCode": "NoError", "status": word, "timestamp": T}
    status = DIALECT.requests["StatusNotification"].decode(payload)
    occupied = word in {"Preparing", "Charging", "SuspendedEV", "SuspendedEVSE", "Finishing"}
    assert status.status == ("Occupied" if occupied else word)
    assert isinstance(status.status, ConnectorStatus)
    assert status.detail == word


@pytest.mark.parametrize("word", fields("StatusNotification")["errorCode"]["enum"])
def test_error_code(word: str) -> None:
    payload = {"connectorId": 1, "errorCode": word, "status": "Faulted", "timestamp": T}
    assert DIALECT.requests["StatusNotification"].decode(payload).error_code == ("" if word == "NoError" else word)


@pytest.mark.parametrize("word", fields("DiagnosticsStatusNotification")["status"]["enum"])
def test_diagnostics_status_is_a_log_status_of_2_x(word: str) -> None:
    text = files("ocpp").joinpath("v201/schemas/LogStatusNotificationRequest.json").read_text("utf-8-sig")
    notice = DIALECT.requests["DiagnosticsStatusNotification"].decode({"status": word})
    assert notice.kind == "LogStatusNotification"
    assert notice.payload["status"] in json.loads(text)["definitions"]["UploadLogStatusEnumType"]["enum"]


@pytest.mark.parametrize("status", AuthorizationStatus)
def test_authorization_status_is_one_of_five(status: AuthorizationStatus) -> None:
    said = DIALECT.requests["Authorize"].encode_answer(Authorization(status))["idTagInfo"]["status"]
    five = fields("AuthorizeResponse")["idTagInfo"]["properties"]["status"]["enum"]
    assert said in five
    assert (said == "Accepted") is (status is AuthorizationStatus.ACCEPTED)
    assert said == status or status not in five


@pytest.mark.parametrize("unit", SAMPLE["unit"]["enum"])
def test_unit_becomes_a_base_unit(unit: str) -> None:
    (value,) = meter(unit=unit).values
    sample = value.sampled[0]
    assert sample.value == (1000 if unit.startswith("k") else 1)
    assert sample.unit == {"Celcius": "Celsius", "Hertz": "Hz"}.get(unit, unit.removeprefix("k"))


@pytest.mark.parametrize("word", SAMPLE["measurand"]["enum"])
def test_measurand_when_no_unit_is_said(word: str) -> None:
    (value,) = meter(measurand=word).values
    assert value.sampled[0].measurand == word
    assert bool(value.sampled[0].unit) is (word != "Power.Factor")


@pytest.mark.parametrize("word", SAMPLE["context"]["enum"])
def test_context_gives_the_trigger(word: str) -> None:
    known = {"Sample.Clock": "MeterValueClock", "Trigger": "Trigger"}
    assert meter(7, context=word).trigger == known.get(word, "MeterValuePeriodic")


@pytest.mark.parametrize("text", ["0", "-1.5", "+2", " 3 ", "1e3", ".5", "5.", "0.10"])
def test_number(text: str) -> None:
    (value,) = meter(value=text).values
    assert value.sampled[0].value == Decimal(text)


@pytest.mark.parametrize(
    "text", ["", "NaN", "Infinity", "-inf", "sNaN", "1,5", "1_000", "٣", "0x10", "1e999", "9" * 65, "12 kWh"]
)
def test_what_is_no_number_is_kept_and_is_no_register(text: str) -> None:
    (value,) = meter(value=text).values
    assert (value.sampled[0].measurand, value.sampled[0].signed) == (UNREADABLE, text)


def test_signed_block_is_kept_and_is_no_register() -> None:
    (value,) = meter(value='{"signedMeterData":"T0NNRg=="}', format="SignedData", measurand=ENERGY_REGISTER).values
    assert value.sampled[0].signed == '{"signedMeterData":"T0NNRg=="}'
    assert value.sampled[0].measurand != ENERGY_REGISTER


def test_meter_values_of_a_transaction_are_told_apart_by_content() -> None:
    assert meter(7).key == meter(7).key
    assert meter(7).key != meter(7, value="2").key
    assert meter(7).key != meter(7, connector=2).key
    assert meter(7, connector=0).evse == 0


@pytest.mark.parametrize("transaction", [None, -1])
def test_meter_values_without_a_transaction_are_telemetry(transaction: int | None) -> None:
    assert isinstance(meter(transaction), MeterValues)


@pytest.mark.parametrize(
    "command",
    [
        Reset(ResetWhen.IMMEDIATE, evse=1),
        RequestStartTransaction(IdToken("t" * 21)),
        RequestStopTransaction("tx-1"),
        RequestStopTransaction("1_0"),
        RequestStopTransaction("-1@2024-05-06T10:15:00+00:00/9"),
        ChangeAvailability(operative=True, evse=1, connector=2),
        TriggerMessage("PublishFirmwareStatusNotification"),
        GetTransactionStatus("1"),
        SetVariables((VariableValue(Variable("A", "n"), "v" * 501),)),
        SetVariables((VariableValue(Variable("A", "n"), "v"), VariableValue(Variable("A", "m"), "v"))),
        SetVariables((VariableValue(Variable("A", "n"), "v", attribute="Target"),)),
    ],
    ids=repr,
)
def test_command_when_1_6_has_no_word_for_it(command: object) -> None:
    with pytest.raises(NotSupportedByStation) as refused:
        encode(command)
    assert str(refused.value)


def test_set_variables_is_said_in_several_calls() -> None:
    values = tuple(VariableValue(Variable("A", name), "1") for name in "xyz")
    command = SetVariables(values)
    parts = DIALECT.outgoing(command).split(command, None)
    assert [encode(part) for part in parts] == [("ChangeConfiguration", {"key": name, "value": "1"}) for name in "xyz"]


def test_get_variables_asks_for_no_more_keys_than_the_station_takes() -> None:
    command = GetVariables(tuple(Variable("A", name) for name in "xyz"))
    parts = DIALECT.outgoing(command).split(command, 2)
    assert [encode(part)[1]["key"] for part in parts] == [["x", "y"], ["z"]]


@pytest.mark.parametrize("word", fields("TriggerMessage", "v16")["requestedMessage"]["enum"])
def test_every_message_of_1_6_can_be_asked_for(word: str) -> None:
    asked = "LogStatusNotification" if word == "DiagnosticsStatusNotification" else word
    assert encode(TriggerMessage(asked)) == ("TriggerMessage", {"requestedMessage": word})
