"""Block A of OCPP 2.0.1: a station's password and network profile, and the security events it reports."""

from __future__ import annotations

from collections.abc import Mapping

from csms.model.commands import CommandAnswer
from csms.model.provisioning import SetVariables, Variable, VariableValue
from csms.model.security import SecurityEventNotification
from csms.model.security_commands import SetNetworkProfile, SetPassword
from csms.ocpp.dialect import Incoming, NotSupportedByStation, Outgoing, Payload
from csms.ocpp.times import parse_time
from csms.ocpp.v201 import variables
from csms.ocpp.v201.answers import decode_answer, nothing

PASSWORD = Variable("SecurityCtrlr", "BasicAuthPassword")
NETWORK_PRIORITY = Variable("OCPPCommCtrlr", "NetworkConfigurationPriority")
LONGEST_URL = 512


def decode_event(payload: Payload) -> SecurityEventNotification:
    """What the station noticed; 1.6 says it in the same words."""
    return SecurityEventNotification(payload["type"], parse_time(payload["timestamp"]), payload.get("techInfo", ""))


def as_variables(command: SetPassword) -> SetVariables:
    """A new password as the variable it is."""
    if command.password is None:
        raise NotSupportedByStation("SetPassword needs a password")
    return SetVariables((VariableValue(PASSWORD, command.password),))


def _encode_password(command: SetPassword) -> tuple[str, Payload]:
    return variables.encode_set(as_variables(command))


def _decode_password(command: SetPassword, payload: Payload) -> CommandAnswer:
    return variables.decode_set(as_variables(command), payload)


def _encode_profile(command: SetNetworkProfile) -> tuple[str, Payload]:
    if not 1 <= command.security_profile <= 3 or len(command.url) > LONGEST_URL:
        raise NotSupportedByStation(
            f"a security profile of 1 to 3 and an address of at most {LONGEST_URL} characters are wanted"
        )
    data = {
        "ocppVersion": command.ocpp_version,
        "ocppTransport": "JSON",
        "ocppCsmsUrl": command.url,
        "messageTimeout": command.message_timeout_s,
        "securityProfile": command.security_profile,
        "ocppInterface": command.interface,
    }
    return "SetNetworkProfile", {"configurationSlot": command.slot, "connectionData": data}


REQUESTS: Mapping[str, Incoming] = {"SecurityEventNotification": Incoming(decode_event, nothing)}
COMMANDS: Mapping[type, Outgoing] = {
    SetPassword: Outgoing(_encode_password, _decode_password),
    SetNetworkProfile: Outgoing(_encode_profile, decode_answer),
}
