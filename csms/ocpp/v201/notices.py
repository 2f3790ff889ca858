"""OCPP 2.0.1 messages that the CSMS keeps and answers without policy of its own: firmware, log, security, limits, reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from csms.model.monitoring import Notice
from csms.ocpp.dialect import Incoming, Payload
from csms.ocpp.times import parse_time
from csms.ocpp.v201.answers import nothing


def notice(kind: str, *, time: str = "", answer: Callable[[object], Payload] = nothing) -> Incoming:
    """The row of a message that is only noted; ``time`` names the field that says when it was true."""

    def decode(payload: Payload) -> Notice:
        return Notice(kind, payload, parse_time(payload[time]) if time else None)

    return Incoming(decode, answer)


def _accepted(answer: object) -> Payload:
    return {"status": "Accepted"}


def _rejected(answer: object) -> Payload:
    """No charging profile will follow: nobody here makes one from an EV's needs."""
    return {"status": "Rejected"}


REQUESTS: Mapping[str, Incoming] = {
    "ClearedChargingLimit": notice("ClearedChargingLimit"),
    "FirmwareStatusNotification": notice("FirmwareStatusNotification"),
    "LogStatusNotification": notice("LogStatusNotification"),
    "NotifyChargingLimit": notice("NotifyChargingLimit"),
    "NotifyCustomerInformation": notice("NotifyCustomerInformation", time="generatedAt"),
    "NotifyDisplayMessages": notice("NotifyDisplayMessages"),
    "NotifyEVChargingNeeds": notice("NotifyEVChargingNeeds", answer=_rejected),
    "NotifyEVChargingSchedule": notice("NotifyEVChargingSchedule", answer=_accepted),
    "NotifyMonitoringReport": notice("NotifyMonitoringReport", time="generatedAt"),
    "PublishFirmwareStatusNotification": notice("PublishFirmwareStatusNotification"),
    "ReportChargingProfiles": notice("ReportChargingProfiles"),
    "ReservationStatusUpdate": notice("ReservationStatusUpdate"),
}
