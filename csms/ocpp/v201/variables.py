"""Block B of OCPP 2.0.1, its variables: reading and writing the device model, with one status for each variable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from csms.model.commands import CommandAnswer
from csms.model.provisioning import GetVariables, SetVariables, Variable, VariableValue
from csms.ocpp.dialect import NotSupportedByStation, Outgoing, Payload
from csms.ocpp.errors import V201
from csms.ocpp.v201.answers import YES, reason_of
from csms.ocpp.v201.provisioning import decode_variable, encode_variable

T = TypeVar("T")
ATTRIBUTES = frozenset({"Actual", "Target", "MinSet", "MaxSet"})
LONGEST_NAME = 50
LONGEST_VALUE = 1000
SECRETS = frozenset({"BasicAuthPassword"})
"""Written and never read back, so never among the values of an answer."""


MOST_READ = Variable("DeviceDataCtrlr", "ItemsPerMessage", instance="GetVariables")
MOST_WRITTEN = Variable("DeviceDataCtrlr", "ItemsPerMessage", instance="SetVariables")


def _parts(items: tuple[T, ...], most: int | None) -> list[tuple[T, ...]]:
    """The items in order, at most so many together; no items are one empty part, which is refused when it is encoded."""
    size = most or len(items) or 1
    return [items[start : start + size] for start in range(0, len(items), size)] or [()]


def split_get(command: GetVariables, most: int | None) -> tuple[GetVariables, ...]:
    """A question for each part that a station takes; 1.6 does it the same way."""
    return tuple(GetVariables(part, command.attribute) for part in _parts(command.variables, most))


def _split_set(command: SetVariables, most: int | None) -> tuple[SetVariables, ...]:
    return tuple(SetVariables(part) for part in _parts(command.values, most))


def _encode_get(command: GetVariables) -> tuple[str, Payload]:
    wanted = [_named(variable, command.attribute) for variable in command.variables]
    if not wanted:
        raise NotSupportedByStation("GetVariables needs at least one variable")
    return "GetVariables", {"getVariableData": wanted}


def encode_set(command: SetVariables) -> tuple[str, Payload]:
    """Values to write."""
    data = []
    for value in command.values:
        text = value.value or ""
        if len(text) > LONGEST_VALUE:
            raise NotSupportedByStation(f"a value in {V201} has at most {LONGEST_VALUE} characters")
        data.append({**_named(value.variable, value.attribute), "attributeValue": text})
    if not data:
        raise NotSupportedByStation("SetVariables needs at least one value")
    return "SetVariables", {"setVariableData": data}


def _named(variable: Variable, attribute: str) -> Payload:
    """A variable and its attribute; the usual one, Actual, is not said."""
    names = (variable.component, variable.name, variable.component_instance, variable.instance)
    if any(len(name) > LONGEST_NAME for name in names) or attribute not in ATTRIBUTES:
        text = f"names in {V201} have at most {LONGEST_NAME} characters, attributes are {', '.join(sorted(ATTRIBUTES))}"
        raise NotSupportedByStation(text)
    named = encode_variable(variable)
    return named if attribute == "Actual" else {**named, "attributeType": attribute}


def _decode_get(command: GetVariables, payload: Payload) -> CommandAnswer:
    results = payload["getVariableResult"]
    values = tuple(
        VariableValue(decode_variable(result), result.get("attributeValue"), result.get("attributeType", "Actual"))
        for result in results
        if result["attributeStatus"] == "Accepted"
    )
    return _answer(results, payload, values)


def decode_set(command: SetVariables, payload: Payload) -> CommandAnswer:
    """The values are those that are in force now: a value that waits for a reboot is not among them."""
    sent = {(value.variable, value.attribute): value.value or "" for value in command.values}
    results = payload["setVariableResult"]
    values = []
    for result in results:
        variable, attribute = decode_variable(result), result.get("attributeType", "Actual")
        known = (variable, attribute) in sent and variable.name not in SECRETS
        if known and result["attributeStatus"] == "Accepted":
            values.append(VariableValue(variable, sent[variable, attribute], attribute))
    return _answer(results, payload, tuple(values))


def _answer(results: list[Mapping[str, Any]], payload: Payload, values: tuple[VariableValue, ...]) -> CommandAnswer:
    """Accepted when every variable is; the status is the first that is not Accepted, the reason tells all that were refused."""
    statuses = [result["attributeStatus"] for result in results]
    refused = [result for result in results if result["attributeStatus"] not in YES]
    first = (
        refused[0]["attributeStatus"] if refused else next((one for one in statuses if one != "Accepted"), "Accepted")
    )
    return CommandAnswer(not refused, first, "; ".join(_refusals(refused)), payload, values)


def _refusals(refused: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for result in refused:
        info = reason_of(result.get("attributeStatusInfo"))
        said = f"{result['component']['name']}.{result['variable']['name']}: {result['attributeStatus']}"
        yield f"{said} ({info})" if info else said


COMMANDS: Mapping[type, Outgoing] = {
    GetVariables: Outgoing(_encode_get, _decode_get, split_get, MOST_READ),
    SetVariables: Outgoing(encode_set, decode_set, _split_set, MOST_WRITTEN),
}
