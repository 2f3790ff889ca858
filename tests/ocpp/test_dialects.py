"""Golden messages in both directions, checked against the official schemas, and what holds for every dialect alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import TypeAdapter

from csms.model import (
    authorization,
    availability,
    billing,
    certificates,
    commands,
    data_transfer,
    diagnostics,
    firmware,
    metering,
    monitoring,
    ocsp,
    provisioning,
    security,
    security_commands,
    transactions,
)
from csms.ocpp.dialect import Dialect, NotSupportedByStation
from csms.ocpp.v16 import DIALECT as V16
from csms.ocpp.v201 import DIALECT as V201

SAMPLES = Path(__file__).parent.parent / "samples"
DIALECTS = {"v16": V16, "v201": V201}
WORDS: dict[str, type] = {
    name: word
    for block in (
        authorization,
        availability,
        billing,
        certificates,
        commands,
        data_transfer,
        diagnostics,
        firmware,
        metering,
        monitoring,
        ocsp,
        provisioning,
        security,
        security_commands,
        transactions,
    )
    for name, word in vars(block).items()
    if isinstance(word, type)
}


def build(name: str, fields: dict[str, Any]) -> Any:
    """A word of the model from the JSON of a sample."""
    return TypeAdapter(WORDS[name]).validate_python(fields)


def schema(version: str, action: str, *, answer: bool) -> Any:
    """The validator of one official schema."""
    name = f"{action}{'Response' if answer else '' if version == 'v16' else 'Request'}.json"
    text = files("ocpp").joinpath(version, "schemas", name).read_text("utf-8-sig")
    return jsonschema_rs.validator_for(json.loads(text))


def samples(key: str) -> list[Any]:
    """All samples of both versions that have this key."""
    return list(_samples(key))


def _samples(key: str) -> Iterator[Any]:
    for path in sorted(SAMPLES.glob("v*/*.json")):
        for number, sample in enumerate(json.loads(path.read_text())):
            if key in sample:
                version = path.parent.name
                yield pytest.param(version, path.stem, sample, id=f"{version}-{path.stem}-{number}")


@pytest.mark.parametrize(("version", "action", "sample"), samples("model"))
def test_request_when_received(version: str, action: str, sample: Any) -> None:
    schema(version, action, answer=False).validate(sample["payload"])
    before = json.dumps(sample["payload"])
    model = DIALECTS[version].requests[action].decode(sample["payload"])
    assert model == build(sample["type"], sample["model"])
    assert json.dumps(sample["payload"]) == before


@pytest.mark.parametrize(("version", "action", "sample"), samples("answered"))
def test_answer_when_sent(version: str, action: str, sample: Any) -> None:
    answered = sample["answered"]
    payload = DIALECTS[version].requests[action].encode_answer(build(answered["type"], answered["model"]))
    assert payload == answered["payload"]
    schema(version, action, answer=True).validate(payload)


@pytest.mark.parametrize(("version", "action", "sample"), samples("command"))
def test_command_when_sent_and_answered(version: str, action: str, sample: Any) -> None:
    command = build(sample["command"], sample["arguments"])
    outgoing = DIALECTS[version].outgoing(command)
    assert outgoing.encode(command) == (action, sample["payload"])
    schema(version, action, answer=False).validate(sample["payload"])
    schema(version, action, answer=True).validate(sample["answer"])
    says = build("CommandAnswer", sample["says"])
    assert outgoing.decode_answer(command, sample["answer"]) == replace(says, payload=sample["answer"])


@pytest.mark.parametrize("version", DIALECTS)
def test_every_row_has_a_sample(version: str) -> None:
    found = [(path.stem, json.loads(path.read_text())) for path in (SAMPLES / version).glob("*.json")]
    assert {name for name, many in found if any("model" in one for one in many)} == set(DIALECTS[version].requests)
    commanded = {WORDS[one["command"]] for _, many in found for one in many if "command" in one}
    assert commanded == set(DIALECTS[version].commands)


@pytest.mark.parametrize("version", DIALECTS)
def test_actions_are_spelt_as_in_the_schemas(version: str) -> None:
    for action in DIALECTS[version].requests:
        schema(version, action, answer=False)
        schema(version, action, answer=True)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_tables_cannot_be_changed(dialect: Dialect) -> None:
    with pytest.raises(TypeError):
        dialect.requests["Authorize"] = None  # type: ignore[index]


@pytest.mark.parametrize(
    "command",
    [
        provisioning.Reset(),
        provisioning.GetVariables(()),
        provisioning.SetVariables(()),
        provisioning.GetVariables((provisioning.Variable("A", "n" * 51),)),
        provisioning.GetVariables((provisioning.Variable("A", "n"),), attribute="Average"),
        provisioning.SetVariables((provisioning.VariableValue(provisioning.Variable("A", "n"), "v" * 1001),)),
        availability.TriggerMessage("Coffee"),
        transactions.RequestStartTransaction(authorization.IdToken("t" * 37), remote_start_id=1),
        transactions.RequestStopTransaction("t" * 37),
    ],
    ids=repr,
)
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_command_when_the_version_cannot_say_it(dialect: Dialect, command: object) -> None:
    outgoing = dialect.outgoing(command)
    with pytest.raises(NotSupportedByStation):
        [outgoing.encode(part) for part in outgoing.split(command, None)]


def test_session_when_told_in_both_versions_means_the_same() -> None:
    """One policy for all versions needs equal words: only the ids, keys and sequence numbers may differ."""
    tag, begin, end = "04A1B2C3", "2024-05-06T10:00:00Z", "2024-05-06T12:00:00+01:00"
    data = [{"timestamp": begin, "sampledValue": [{"value": "7.4", "measurand": "Power.Active.Import", "unit": "kW"}]}]
    old = [
        V16.requests["StartTransaction"].decode(
            {"connectorId": 1, "idTag": tag, "meterStart": 100, "timestamp": begin}
        ),
        V16.requests["StopTransaction"].decode(
            {"transactionId": 5, "idTag": tag, "meterStop": 1600, "timestamp": end, "transactionData": data}
        ),
    ]
    token = {"idToken": tag, "type": "ISO14443"}
    power = {"value": 74, "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "W", "multiplier": 2}}
    registers = [
        {"timestamp": begin, "sampledValue": [{"value": 100, "context": "Transaction.Begin"}]},
        {"timestamp": begin, "sampledValue": [power]},
        {
            "timestamp": end,
            "sampledValue": [{"value": 1.6, "context": "Transaction.End", "unitOfMeasure": {"unit": "kWh"}}],
        },
    ]
    shared = {"transactionInfo": {"transactionId": "5"}, "idToken": token}
    decode = V201.requests["TransactionEvent"].decode
    new = [
        decode(
            {
                **shared,
                "eventType": "Started",
                "timestamp": begin,
                "triggerReason": "Authorized",
                "seqNo": 0,
                "evse": {"id": 1, "connectorId": 1},
                "meterValue": registers[:1],
            }
        ),
        decode(
            {
                **shared,
                "eventType": "Ended",
                "timestamp": end,
                "triggerReason": "StopAuthorized",
                "seqNo": 1,
                "meterValue": registers[1:],
            }
        ),
    ]
    assert [replace(event, transaction="", key="", seq_no=None) for event in old] == [
        replace(event, transaction="", key="", seq_no=None) for event in new
    ]


def test_expired_token_is_expired_in_both_versions() -> None:
    answer = authorization.Authorization(authorization.AuthorizationStatus.EXPIRED)
    assert V16.requests["Authorize"].encode_answer(answer)["idTagInfo"]["status"] == "Expired"
    assert V201.requests["Authorize"].encode_answer(answer)["idTokenInfo"]["status"] == "Expired"
