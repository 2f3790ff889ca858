"""Block N: alerts and what they say of connectors; holes in a series; and notices that are only kept."""

from __future__ import annotations

from datetime import datetime

from csms.blocks.availability import Availability
from csms.blocks.outcome import Outcome, Received
from csms.model.availability import ConnectorStatus, StatusNotification
from csms.model.data_transfer import DataTransfer, DataTransferAnswer
from csms.model.monitoring import AlertGap, AlertReceived, EventData, Notice, NoticeReceived, NotifyEvent
from csms.model.provisioning import Acknowledged
from csms.stations import Station
from csms.store import SeriesPosition, Store

STATUS_WORDS = {status.value: status for status in ConnectorStatus}


class Monitoring:
    """Keeps alerts and tells of each, and of each hole."""

    def __init__(self, store: Store, availability: Availability) -> None:
        self._store = store
        self._availability = availability

    async def notify_event(self, station: Station, message: NotifyEvent, received: Received) -> Outcome:
        """Keep one message of a series, with the status changes it carries."""
        kept = await self._store.alerts.record(station.id, station.fence, message, received.at)
        events: list[object] = [AlertReceived(station.ref, received.at, alert) for alert in kept.new]
        for alert in kept.new:
            status = connector_status(alert)
            if status is not None:
                events += await self._availability.note(station, status, received.at)
        expected = expected_number(kept.previous, message) if kept.new or not message.data else None
        if expected is not None and expected < message.seq_no:
            events.append(await self._gap(station, message, expected, received.at))
        return Outcome(Acknowledged(), tuple(events))

    async def _gap(self, station: Station, message: NotifyEvent, expected: int, at: datetime) -> AlertGap:
        missing = message.seq_no - expected
        await self._store.alerts.mark_gap(station.id, message.generated_at, expected, message.seq_no, missing, at)
        return AlertGap(station.ref, at, message.generated_at, expected, message.seq_no, missing)

    async def notice(self, station: Station, notice: Notice, received: Received) -> Outcome:
        """Keep a message that has no policy of its own."""
        body = received.body
        await self._store.notices.record(station.id, station.fence, notice.kind, body, received.at)
        return Outcome(Acknowledged(), (NoticeReceived(station.ref, received.at, notice),))

    async def data_transfer(self, station: Station, request: DataTransfer, received: Received) -> Outcome:
        """No vendor is known here; plugins take over theirs with ``answer_call``."""
        return Outcome(DataTransferAnswer("UnknownVendorId"))


def expected_number(previous: SeriesPosition | None, message: NotifyEvent) -> int | None:
    """The sequence number that was due: the next one, or 0 where a new report begins; None when nothing can be said.

    Each report starts at 0, so a lower number than before is a new report, whose own first numbers may be missing.
    """
    if previous is None:
        return 0 if message.seq_no else None
    if message.seq_no > previous.seq_no:
        return max(previous.seq_no + 1, 0)
    return 0


def connector_status(alert: EventData) -> StatusNotification | None:
    """The status of an EVSE or connector that an alert reports as its AvailabilityState, or None."""
    variable = alert.variable
    if variable.name != "AvailabilityState" or variable.component not in ("Connector", "EVSE", "ChargingStation"):
        return None
    status = STATUS_WORDS.get(alert.actual_value)
    if status is None:
        return None
    return StatusNotification(alert.timestamp, status, variable.evse or 0, variable.connector or 0)
