"""Block G of OCPP 2.0.1, with unlocking and triggering: status of connectors and the commands about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csms.model.availability import (
    ChangeAvailability,
    ConnectorStatus,
    StatusNotification,
    TriggerMessage,
    UnlockConnector,
)
from csms.ocpp.dialect import Incoming, NotSupportedByStation, Outgoing, Payload, common
from csms.ocpp.errors import V201
from csms.ocpp.quick import time_of
from csms.ocpp.v201.answers import decode_answer, nothing

TRIGGERS = frozenset(
    {
        "BootNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "PublishFirmwareStatusNotification",
        "SignChargingStationCertificate",
        "SignCombinedCertificate",
        "SignV2GCertificate",
        "StatusNotification",
        "TransactionEvent",
    }
)


def read_status(said: Any) -> StatusNotification:
    """A connector's status."""
    status = ConnectorStatus(said.connectorStatus)
    return StatusNotification(time_of(said.timestamp), status, said.evseId, said.connectorId)


def _place(evse: int | None, connector: int | None) -> Payload:
    """The ``evse`` part of a command; empty for the whole station, an EVSE alone when connector is None or 0."""
    if not evse:
        return {}
    return {"evse": {"id": evse, "connectorId": connector}} if connector else {"evse": {"id": evse}}


def _encode_change(command: ChangeAvailability) -> tuple[str, Payload]:
    status = "Operative" if command.operative else "Inoperative"
    return "ChangeAvailability", {"operationalStatus": status, **_place(command.evse, command.connector)}


def _encode_unlock(command: UnlockConnector) -> tuple[str, Payload]:
    return "UnlockConnector", {"evseId": command.evse, "connectorId": command.connector}


def _encode_trigger(command: TriggerMessage) -> tuple[str, Payload]:
    if command.requested not in TRIGGERS:
        words = ", ".join(sorted(TRIGGERS))
        raise NotSupportedByStation(f"{V201} cannot be asked for {command.requested!r}, only for {words}")
    return "TriggerMessage", {"requestedMessage": command.requested, **_place(command.evse, command.connector)}


REQUESTS: Mapping[str, Incoming] = {"StatusNotification": common(read_status, nothing)}
COMMANDS: Mapping[type, Outgoing] = {
    ChangeAvailability: Outgoing(_encode_change, decode_answer),
    UnlockConnector: Outgoing(_encode_unlock, decode_answer),
    TriggerMessage: Outgoing(_encode_trigger, decode_answer),
}
