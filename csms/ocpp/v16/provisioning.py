"""Boot, heartbeat and resets of OCPP 1.6."""

from __future__ import annotations

from collections.abc import Mapping

from csms.model.provisioning import BootNotification, Reset, ResetWhen
from csms.ocpp.dialect import Incoming, NotSupportedByStation, Outgoing, Payload, common
from csms.ocpp.errors import V16
from csms.ocpp.v201.answers import decode_answer
from csms.ocpp.v201.provisioning import encode_boot_answer, encode_heartbeat_answer, read_heartbeat

RESETS: Mapping[ResetWhen, str] = {ResetWhen.IMMEDIATE: "Hard", ResetWhen.ON_IDLE: "Soft"}


def decode_boot(payload: Payload) -> BootNotification:
    """What a station says of itself when it starts; 1.6 gives no reason, so it is Unknown."""
    get = payload.get
    return BootNotification(
        reason="Unknown",
        vendor=payload["chargePointVendor"],
        model=payload["chargePointModel"],
        serial_number=get("chargePointSerialNumber") or get("chargeBoxSerialNumber", ""),
        firmware=get("firmwareVersion", ""),
        iccid=get("iccid", ""),
        imsi=get("imsi", ""),
    )


def _encode_reset(command: Reset) -> tuple[str, Payload]:
    if command.evse:
        raise NotSupportedByStation(f"{V16} cannot reset one EVSE; reset the whole station")
    if command.when is None:
        raise NotSupportedByStation("a Reset needs to say when: Immediate or OnIdle")
    return "Reset", {"type": RESETS[command.when]}


REQUESTS: Mapping[str, Incoming] = {
    "BootNotification": Incoming(decode_boot, encode_boot_answer),
    "Heartbeat": common(read_heartbeat, encode_heartbeat_answer),
}
COMMANDS: Mapping[type, Outgoing] = {Reset: Outgoing(_encode_reset, decode_answer)}
