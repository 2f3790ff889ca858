"""The newest status of each connector: the newest timestamp wins, whatever the order of arrival."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred

from csms.model.availability import ConnectorRecord, ConnectorStatus, StatusNotification
from csms.store.columns import micros, moment
from csms.store.connections import Readers, WritingConnection
from csms.store.presence import outdated, refuse_older
from csms.store.statements import Q, compiled, upsert
from csms.store.tables import Connector
from csms.store.writer import Writer

ALL = Connector.select(
    Connector.station,
    Connector.evse,
    Connector.connector,
    Connector.status,
    Connector.at,
    Connector.detail,
    Connector.error_code,
    Connector.info,
)
GET = compiled(ALL.where(Connector.station == Q, Connector.evse == Q, Connector.connector == Q))
LIST = compiled(ALL.where(Connector.station == Q).order_by(Connector.evse, Connector.connector))
PUT = upsert(Connector, Connector.station, Connector.evse, Connector.connector)

StatusRow = tuple[str, int, int, str, int, str, str, str]
ToldStatus = tuple[str, int, StatusNotification]
"""A station, the fence of the connection by which it told it, and the status."""


@dataclass(frozen=True, slots=True)
class StatusRecorded:
    """``changed`` says that status, detail or error code are others than before; ``current`` is what is known now."""

    changed: bool
    previous: ConnectorRecord | None
    current: ConnectorRecord


class ConnectorRows:
    """Connectors by station, EVSE and connector."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def record(
        self, station: str, fence: int, status: StatusNotification, received_at: datetime
    ) -> StatusRecorded:
        """Keep a status unless a newer one is known; of two with the same time the later received stays."""
        row = _row(station, status)

        def unit(connection: WritingConnection) -> StatusRecorded:
            refuse_older(connection, station, fence)
            return _kept(connection, row)

        return await self._writer.submit(unit)

    def record_all(self, told: Sequence[ToldStatus]) -> Deferred[builtins.list[StatusRecorded | None]]:
        """As ``record``, all in one go; None and nothing done for a station that has a newer connection than that which told it."""
        rows = [(fence, _row(station, status)) for station, fence, status in told]

        def unit(connection: WritingConnection) -> builtins.list[StatusRecorded | None]:
            return [None if outdated(connection, row[0], fence) else _kept(connection, row) for fence, row in rows]

        return self._writer.submit(unit, len(rows))

    async def list(self, station: str) -> list[ConnectorRecord]:
        """What is known of a station, by EVSE and connector."""
        return [_record(row) for row in self._readers.few(LIST, (station,))]


def _row(station: str, status: StatusNotification) -> StatusRow:
    at = micros(status.timestamp)
    return (
        station,
        status.evse,
        status.connector,
        status.status.value,
        at,
        status.detail,
        status.error_code,
        status.info,
    )


def _kept(connection: WritingConnection, row: StatusRow) -> StatusRecorded:
    known = connection.execute(GET, row[:3]).fetchone()
    previous = None if known is None else _record(known)
    if previous is not None and (known == row or row[4] < known[4]):
        return StatusRecorded(False, previous, previous)
    connection.execute(PUT, row)
    current = _record(row)
    return StatusRecorded(previous is None or _told(previous) != _told(current), previous, current)


def _told(record: ConnectorRecord) -> tuple[object, ...]:
    return record.status, record.detail, record.error_code


def _record(row: Any) -> ConnectorRecord:
    return ConnectorRecord(
        station=row[0],
        evse=row[1],
        connector=row[2],
        status=ConnectorStatus(row[3]),
        timestamp=moment(row[4]),
        detail=row[5],
        error_code=row[6],
        info=row[7],
    )
