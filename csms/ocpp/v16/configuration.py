"""Configuration keys of OCPP 1.6 as variables: the key is the variable's name, and one key is changed at a time."""

from __future__ import annotations

from collections.abc import Mapping

from csms.model.commands import CommandAnswer
from csms.model.provisioning import GetBaseReport, GetVariables, SetVariables, Variable, VariableValue
from csms.ocpp.dialect import NotSupportedByStation, Outgoing, Payload
from csms.ocpp.errors import V16
from csms.ocpp.v201.answers import decode_answer
from csms.ocpp.v201.variables import split_get

COMPONENT = "Configuration"
"""The component of keys that nobody asked for by a component of its own."""

LONGEST_KEY = 50
LONGEST_VALUE = 500
MOST_KEYS = Variable(COMPONENT, "GetConfigurationMaxKeys")
SECRETS = frozenset({"authorizationkey"})
"""Written and never read back, so never among the values of an answer."""


def _encode_get(command: GetVariables) -> tuple[str, Payload]:
    keys = list(dict.fromkeys(_key(variable, command.attribute) for variable in command.variables))
    if not keys:
        raise NotSupportedByStation("GetVariables needs at least one variable")
    return "GetConfiguration", {"key": keys}


def _encode_report(command: GetBaseReport) -> tuple[str, Payload]:
    return "GetConfiguration", {}


def _split_set(command: SetVariables, most: int | None) -> tuple[SetVariables, ...]:
    """One value for each call; an empty command stays as it is and is refused when it is encoded."""
    return tuple(SetVariables((value,)) for value in command.values) or (command,)


def _encode_set(command: SetVariables) -> tuple[str, Payload]:
    if len(command.values) != 1:
        raise NotSupportedByStation(f"{V16} changes one configuration key at a time, not {len(command.values)}")
    value = command.values[0]
    text = value.value or ""
    if len(text) > LONGEST_VALUE:
        raise NotSupportedByStation(f"a value in {V16} has at most {LONGEST_VALUE} characters")
    return "ChangeConfiguration", {"key": _key(value.variable, value.attribute), "value": text}


def _key(variable: Variable, attribute: str) -> str:
    if attribute != "Actual" or len(variable.name) > LONGEST_KEY:
        text = f"a configuration key in {V16} has only an Actual value and at most {LONGEST_KEY} characters"
        raise NotSupportedByStation(text)
    return variable.name


def _decode_get(command: GetVariables | GetBaseReport, payload: Payload) -> CommandAnswer:
    """The values under the variables that were asked for (keys are compared without regard to case); a no when a key is unknown."""
    asked = {one.name.casefold(): one for one in getattr(command, "variables", ())}
    values = tuple(
        VariableValue(
            asked.get(known["key"].casefold(), Variable(COMPONENT, known["key"])),
            known.get("value"),
            mutability="ReadOnly" if known["readonly"] else "ReadWrite",
        )
        for known in payload.get("configurationKey", ())
    )
    unknown = payload.get("unknownKey", ())
    if not unknown:
        return CommandAnswer(True, "", "", payload, values)
    return CommandAnswer(False, "UnknownVariable", f"unknown keys: {', '.join(unknown)}", payload, values)


def _decode_set(command: SetVariables, payload: Payload) -> CommandAnswer:
    """The values are those in force now: one that waits for a reboot is not among them; a refusal names the key."""
    answer, value = decode_answer(command, payload), command.values[0]
    secret = value.variable.name.casefold() in SECRETS
    if not answer.accepted:
        reason = f"{value.variable.name}: {answer.status}"
        return CommandAnswer(False, answer.status, reason, payload)
    values = (value,) if answer.status == "Accepted" and not secret else ()
    return CommandAnswer(True, answer.status, "", payload, values)


COMMANDS: Mapping[type, Outgoing] = {
    GetVariables: Outgoing(_encode_get, _decode_get, split_get, MOST_KEYS),
    SetVariables: Outgoing(_encode_set, _decode_set, _split_set),
    GetBaseReport: Outgoing(_encode_report, _decode_get),
}
