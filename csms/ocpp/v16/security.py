"""The security extension of OCPP 1.6: the password is a configuration key, and so is the security profile."""

from __future__ import annotations

from collections.abc import Mapping

from csms.model.commands import CommandAnswer
from csms.model.security_commands import SetNetworkProfile, SetPassword
from csms.ocpp.dialect import Incoming, NotSupportedByStation, Outgoing, Payload
from csms.ocpp.v201.answers import decode_answer, nothing
from csms.ocpp.v201.security import decode_event


def _encode_password(command: SetPassword) -> tuple[str, Payload]:
    if command.password is None:
        raise NotSupportedByStation("SetPassword needs a password")
    return "ChangeConfiguration", {"key": "AuthorizationKey", "value": command.password}


def _encode_profile(command: SetNetworkProfile) -> tuple[str, Payload]:
    """1.6 knows no slots: the station goes on with the address it has."""
    return "ChangeConfiguration", {"key": "SecurityProfile", "value": str(command.security_profile)}


def _decode_set(command: SetPassword | SetNetworkProfile, payload: Payload) -> CommandAnswer:
    return decode_answer(command, payload)


REQUESTS: Mapping[str, Incoming] = {"SecurityEventNotification": Incoming(decode_event, nothing)}
COMMANDS: Mapping[type, Outgoing] = {
    SetPassword: Outgoing(_encode_password, _decode_set),
    SetNetworkProfile: Outgoing(_encode_profile, _decode_set),
}
