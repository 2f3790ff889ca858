"""Block N of OCPP 2.0.1: alerts by NotifyEvent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csms.model.monitoring import EventData, NotifyEvent
from csms.ocpp.dialect import Incoming, Payload
from csms.ocpp.times import parse_time
from csms.ocpp.v201.answers import nothing
from csms.ocpp.v201.provisioning import decode_variable


def decode_event(payload: Payload) -> NotifyEvent:
    """One message of a series of alerts."""
    return NotifyEvent(
        parse_time(payload["generatedAt"]),
        payload["seqNo"],
        payload.get("tbc", False),
        tuple(_observation(data) for data in payload["eventData"]),
    )


def _observation(data: Mapping[str, Any]) -> EventData:
    get = data.get
    return EventData(
        event_id=data["eventId"],
        timestamp=parse_time(data["timestamp"]),
        trigger=data["trigger"],
        actual_value=data["actualValue"],
        variable=decode_variable(data),
        notification_type=data["eventNotificationType"],
        cause=get("cause"),
        tech_code=get("techCode", ""),
        tech_info=get("techInfo", ""),
        cleared=get("cleared"),
        transaction=get("transactionId"),
        monitoring_id=get("variableMonitoringId"),
    )


REQUESTS: Mapping[str, Incoming] = {"NotifyEvent": Incoming(decode_event, nothing)}
