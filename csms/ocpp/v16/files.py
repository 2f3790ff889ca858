"""Firmware and logs in OCPP 1.6: GetDiagnostics and UpdateFirmware, and of the security extension signed firmware and security logs."""

from __future__ import annotations

from collections.abc import Mapping

from csms.model.commands import CommandAnswer
from csms.model.diagnostics import GetLog, LogType
from csms.model.firmware import UpdateFirmware
from csms.ocpp.dialect import NotSupportedByStation, Outgoing, Payload
from csms.ocpp.v201.answers import decode_answer
from csms.ocpp.v201.files import encode_log, firmware, given, located, tries

NOTHING = "NothingToUpload"


def _encode_log(command: GetLog) -> tuple[str, Payload]:
    """Diagnostics by the message that every station has."""
    if command.log is LogType.SECURITY:
        return encode_log(command)
    times = given(startTime=command.oldest, stopTime=command.latest)
    return "GetDiagnostics", {"location": located(command.url), **times, **tries(command)}


def _decode_log(command: GetLog, payload: Payload) -> CommandAnswer:
    """A station with nothing to send answers GetDiagnostics without a file name."""
    if command.log is LogType.DIAGNOSTICS and not payload.get("fileName"):
        return CommandAnswer(False, NOTHING, "the station has no diagnostics to send", payload)
    return decode_answer(command, payload)


def _encode_firmware(command: UpdateFirmware) -> tuple[str, Payload]:
    if command.signed:
        payload = {"requestId": command.request_id, "firmware": firmware(command), **tries(command)}
        return "SignedUpdateFirmware", payload
    if command.install_at is not None:
        raise NotSupportedByStation("OCPP 1.6 says when to install with signed firmware only: leave install_at out")
    when = given(retrieveDate=command.retrieve_at)
    return "UpdateFirmware", {"location": located(command.url), **when, **tries(command)}


COMMANDS: Mapping[type, Outgoing] = {
    GetLog: Outgoing(_encode_log, _decode_log),
    UpdateFirmware: Outgoing(_encode_firmware, decode_answer),
}
