"""OCPP 1.6 messages that the CSMS only keeps, those of the security extension among them, under their 2.x names and words."""

from __future__ import annotations

from collections.abc import Mapping

from csms.model.monitoring import Notice
from csms.ocpp.dialect import Incoming, Payload
from csms.ocpp.v201.answers import nothing
from csms.ocpp.v201.notices import notice

LOG_STATUSES: Mapping[str, str] = {
    "Idle": "Idle",
    "Uploaded": "Uploaded",
    "UploadFailed": "UploadFailure",
    "Uploading": "Uploading",
}


def decode_diagnostics(payload: Payload) -> Notice:
    """The state of a diagnostics upload, as 2.x says it of a log."""
    return Notice("LogStatusNotification", {**payload, "status": LOG_STATUSES[payload["status"]]})


REQUESTS: Mapping[str, Incoming] = {
    "DiagnosticsStatusNotification": Incoming(decode_diagnostics, nothing),
    "FirmwareStatusNotification": notice("FirmwareStatusNotification"),
    "LogStatusNotification": notice("LogStatusNotification"),
    "SignedFirmwareStatusNotification": notice("FirmwareStatusNotification"),
}
