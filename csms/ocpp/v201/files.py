"""Blocks L and N of OCPP 2.0.1: commands with which a station fetches firmware or sends a log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from csms.model.diagnostics import GetLog
from csms.model.firmware import UpdateFirmware
from csms.ocpp.dialect import NotSupportedByStation, Outgoing, Payload
from csms.ocpp.times import print_time
from csms.ocpp.v201.answers import decode_answer

LONGEST_URL = 512
LONGEST_CERTIFICATE, LONGEST_SIGNATURE = 5500, 800


def tries(command: GetLog | UpdateFirmware) -> Payload:
    """How often the station tries, and how many seconds it waits in between; 1.6 has the same words."""
    return given(retries=command.retries, retryInterval=command.retry_interval_s)


def given(**facts: Any) -> Payload:
    """What is known, moments as text."""
    return {
        name: print_time(value) if isinstance(value, datetime) else value
        for name, value in facts.items()
        if value is not None and value != ""
    }


def encode_log(command: GetLog) -> tuple[str, Payload]:
    """The security extension of 1.6 says it in the same words."""
    where = given(remoteLocation=located(command.url), oldestTimestamp=command.oldest, latestTimestamp=command.latest)
    return "GetLog", {"logType": command.log.value, "requestId": command.request_id, "log": where, **tries(command)}


def located(url: str | None) -> str:
    """A place that fits into a message; raises NotSupportedByStation."""
    if not url or len(url) > LONGEST_URL:
        raise NotSupportedByStation(f"a place of at most {LONGEST_URL} characters is wanted")
    return url


def encode_firmware(command: UpdateFirmware) -> tuple[str, Payload]:
    """The station checks the signature with the certificate before it installs."""
    return "UpdateFirmware", {"requestId": command.request_id, "firmware": firmware(command), **tries(command)}


def firmware(command: UpdateFirmware) -> Payload:
    """What is to be fetched, when, and by whom it is signed; the security extension of 1.6 has the same words."""
    if len(command.signing_certificate) > LONGEST_CERTIFICATE or len(command.signature) > LONGEST_SIGNATURE:
        raise NotSupportedByStation(
            f"a certificate of at most {LONGEST_CERTIFICATE} and a signature of at most {LONGEST_SIGNATURE} characters are wanted"
        )
    return given(
        location=located(command.url),
        retrieveDateTime=command.retrieve_at,
        installDateTime=command.install_at,
        signingCertificate=command.signing_certificate,
        signature=command.signature,
    )


COMMANDS: Mapping[type, Outgoing] = {
    GetLog: Outgoing(encode_log, decode_answer),
    UpdateFirmware: Outgoing(encode_firmware, decode_answer),
}
