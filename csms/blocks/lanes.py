"""What is answered together: updates of transactions, meter values outside of them, and statuses, where keeping them is all there is to do.

Each lane does what its block does for one message (``Transactions.event``, ``Transactions.meter_values``, ``Availability.status``), and leaves to it
whatever needs more than that.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from csms.blocks.availability import Availability, changed
from csms.blocks.outcome import Received
from csms.blocks.provisioning import Provisioning
from csms.model.availability import StatusChanged, StatusNotification
from csms.model.making import maker
from csms.model.metering import READINGS, MeterValues, MeterValuesReceived
from csms.model.provisioning import Acknowledged
from csms.model.transactions import EventType, TransactionAnswer, TransactionEvent, TransactionUpdated
from csms.ocpp.times import UNKNOWN_TIME
from csms.stations import Station
from csms.store import Addition, StatusRecorded, Store, ToldStatus, ToldValues, addition

UPDATED = maker(TransactionUpdated)


class Updates:
    """Updated events without a token, of stations whose clock is where it was."""

    answer = TransactionAnswer("")
    """The station knows the transaction's id."""
    tells = TransactionUpdated

    def __init__(self, store: Store, provisioning: Provisioning) -> None:
        self._store = store
        self._provisioning = provisioning

    def take(self, station: Station, event: TransactionEvent, received: Received) -> Addition | None:
        """The event, if it can only add to its transaction."""
        if event.type is not EventType.UPDATED or event.id_token is not None:
            return None
        if event.tells_the_time and self._provisioning.clock_moved(station, event.timestamp, received.at):
            return None
        action, body = received.action, received.body
        return addition(station.id, station.fence, station.protocol, action, event, body, received.at)

    def write(self, works: list[Addition]) -> Deferred[list[str | None]]:
        """Keep them; of each its transaction by the id on the wire, or None where that has to be looked at."""
        return self._store.transactions.record_all(works)

    def news(
        self, station: Station, event: TransactionEvent, received: Received, written: str
    ) -> tuple[TransactionUpdated, ...]:
        """It is kept for the first time."""
        return (UPDATED(station.ref, received.at, written, event),)


class Telemetry:
    """Meter values outside transactions, any of them."""

    answer = Acknowledged()
    tells = MeterValuesReceived

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, station: Station, values: MeterValues, received: Received) -> ToldValues:
        """The message as it came."""
        return station.id, station.fence, values.evse, received.body, received.at

    def write(self, works: list[ToldValues]) -> Deferred[list[bool | None]]:
        """Keep them; False where the same was told before."""
        return self._store.telemetry.record_all(works)

    def news(
        self, station: Station, values: MeterValues, received: Received, written: bool
    ) -> tuple[MeterValuesReceived, ...]:
        """It is kept, now or before."""
        return (MeterValuesReceived(station.ref, received.at, values.evse, READINGS.held(values)),)


class Statuses:
    """Statuses that say when, by a clock that is where it was."""

    answer = Acknowledged()
    tells = StatusChanged

    def __init__(self, store: Store, provisioning: Provisioning, availability: Availability) -> None:
        self._store = store
        self._provisioning = provisioning
        self._availability = availability

    def take(self, station: Station, status: StatusNotification, received: Received) -> ToldStatus | None:
        """The status, if its time needs no thought."""
        at = status.timestamp
        if at == UNKNOWN_TIME or self._provisioning.clock_moved(station, at, received.at):
            return None
        self._availability.heard(station, status)
        return station.id, station.fence, status

    def write(self, works: list[ToldStatus]) -> Deferred[list[StatusRecorded | None]]:
        """Keep those that are newer than what is known."""
        return self._store.availability.record_all(works)

    def news(
        self, station: Station, status: StatusNotification, received: Received, written: StatusRecorded
    ) -> tuple[StatusChanged, ...]:
        """It may be another one than before."""
        return changed(station, written, received.at)
