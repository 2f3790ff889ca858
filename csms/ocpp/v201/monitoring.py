"""Block N of OCPP 2.0.1: alerts by NotifyEvent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csms.model.monitoring import EventData, NotifyEvent
from csms.ocpp.dialect import Incoming, common
from csms.ocpp.quick import time_of
from csms.ocpp.v201.answers import nothing
from csms.ocpp.v201.provisioning import read_variable


def read_event(said: Any) -> NotifyEvent:
    """One message of a series of alerts."""
    observed = tuple([_observation(data) for data in said.eventData])
    return NotifyEvent(time_of(said.generatedAt), said.seqNo, said.tbc or False, observed)


def _observation(data: Any) -> EventData:
    return EventData(
        event_id=data.eventId,
        timestamp=time_of(data.timestamp),
        trigger=data.trigger,
        actual_value=data.actualValue,
        variable=read_variable(data),
        notification_type=data.eventNotificationType,
        cause=data.cause,
        tech_code=data.techCode or "",
        tech_info=data.techInfo or "",
        cleared=data.cleared,
        transaction=data.transactionId,
        monitoring_id=data.variableMonitoringId,
    )


REQUESTS: Mapping[str, Incoming] = {"NotifyEvent": common(read_event, nothing)}
