"""Connectors of OCPP 1.6: its nine statuses become the five of 2.x, connector n is EVSE n, and commands go the other way."""

from __future__ import annotations

from collections.abc import Mapping

from csms.model.availability import (
    ChangeAvailability,
    ConnectorStatus,
    StatusNotification,
    TriggerMessage,
    UnlockConnector,
)
from csms.model.commands import CommandAnswer
from csms.ocpp.dialect import Incoming, NotSupportedByStation, Outgoing, Payload
from csms.ocpp.errors import V16
from csms.ocpp.times import UNKNOWN_TIME, parse_time
from csms.ocpp.v16 import certificates
from csms.ocpp.v16.metering import place
from csms.ocpp.v201.answers import decode_answer, nothing

STATUSES: Mapping[str, ConnectorStatus] = {
    "Available": ConnectorStatus.AVAILABLE,
    "Preparing": ConnectorStatus.OCCUPIED,
    "Charging": ConnectorStatus.OCCUPIED,
    "SuspendedEV": ConnectorStatus.OCCUPIED,
    "SuspendedEVSE": ConnectorStatus.OCCUPIED,
    "Finishing": ConnectorStatus.OCCUPIED,
    "Reserved": ConnectorStatus.RESERVED,
    "Unavailable": ConnectorStatus.UNAVAILABLE,
    "Faulted": ConnectorStatus.FAULTED,
}

TRIGGERS: Mapping[str, str] = {
    "BootNotification": "BootNotification",
    "FirmwareStatusNotification": "FirmwareStatusNotification",
    "Heartbeat": "Heartbeat",
    "LogStatusNotification": "DiagnosticsStatusNotification",
    "MeterValues": "MeterValues",
    "StatusNotification": "StatusNotification",
    "TransactionEvent": "MeterValues",
}
"""The 1.6 message that tells what a 2.x one would."""
EXTENDED_TRIGGERS: Mapping[str, str] = {"SignChargingStationCertificate": "SignChargePointCertificate"}
"""Those that the security extension added."""
INNER_TRIGGERS = frozenset({"SignV2GCertificate", "SignCombinedCertificate"})
"""Those of ISO 15118, inside DataTransfer."""


def decode_status(payload: Payload) -> StatusNotification:
    """A connector's status, its own word in ``detail``; UNKNOWN_TIME when it says no time, no error code for NoError."""
    evse, connector = place(payload["connectorId"])
    said, time = payload["errorCode"], payload.get("timestamp")
    notes = (payload.get("info", ""), payload.get("vendorErrorCode", ""))
    return StatusNotification(
        timestamp=parse_time(time) if time is not None else UNKNOWN_TIME,
        status=STATUSES[payload["status"]],
        evse=evse,
        connector=connector,
        detail=payload["status"],
        error_code="" if said == "NoError" else said,
        info=", ".join(note for note in notes if note),
    )


def _connector(evse: int | None, connector: int | None) -> int:
    """The 1.6 connector of a place, 0 for the whole station; raises NotSupportedByStation for a second connector of an EVSE."""
    if connector not in (None, 0, 1):
        raise NotSupportedByStation(
            f"connector {connector} of EVSE {evse}: in {V16} every connector is an EVSE of its own"
        )
    return evse or 0


def _encode_change(command: ChangeAvailability) -> tuple[str, Payload]:
    kind = "Operative" if command.operative else "Inoperative"
    return "ChangeAvailability", {"connectorId": _connector(command.evse, command.connector), "type": kind}


def _encode_unlock(command: UnlockConnector) -> tuple[str, Payload]:
    return "UnlockConnector", {"connectorId": _connector(command.evse, command.connector)}


def _encode_trigger(command: TriggerMessage) -> tuple[str, Payload]:
    connector = _connector(command.evse, command.connector)
    if command.requested in EXTENDED_TRIGGERS:
        asked: Payload = {"requestedMessage": EXTENDED_TRIGGERS[command.requested]}
        return "ExtendedTriggerMessage", {**asked, "connectorId": connector} if connector else asked
    if command.requested in INNER_TRIGGERS:
        return certificates.wrapped("TriggerMessage", {"requestedMessage": command.requested})
    if command.requested not in TRIGGERS:
        words = ", ".join(sorted({*TRIGGERS, *EXTENDED_TRIGGERS, *INNER_TRIGGERS}))
        raise NotSupportedByStation(f"{V16} cannot be asked for {command.requested!r}, only for {words}")
    payload: Payload = {"requestedMessage": TRIGGERS[command.requested]}
    return "TriggerMessage", {**payload, "connectorId": connector} if connector else payload


def _decode_trigger(command: TriggerMessage, payload: Payload) -> CommandAnswer:
    if command.requested in INNER_TRIGGERS:
        return certificates.decode_wrapped("TriggerMessage")(command, payload)
    return decode_answer(command, payload)


REQUESTS: Mapping[str, Incoming] = {"StatusNotification": Incoming(decode_status, nothing)}
COMMANDS: Mapping[type, Outgoing] = {
    ChangeAvailability: Outgoing(_encode_change, decode_answer),
    UnlockConnector: Outgoing(_encode_unlock, decode_answer),
    TriggerMessage: Outgoing(_encode_trigger, _decode_trigger),
}
