"""Alerts as stations report them by NotifyEvent, and the holes in their series."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from csms.model.monitoring import EventData, NotifyEvent
from csms.model.provisioning import Variable
from csms.store.columns import digest, json_text, micros, moment
from csms.store.connections import Readers, WritingConnection
from csms.store.kept_tables import Alert, AlertGap, AlertMessage
from csms.store.presence import refuse_older
from csms.store.statements import compiled, insertion, once
from csms.store.writer import Writer

KEY = (AlertMessage.station, AlertMessage.generated_at, AlertMessage.seq_no, AlertMessage.digest)
NEW_MESSAGE = once(AlertMessage, *KEY, without=("id",))
NEW_ALERT = compiled(insertion(Alert, without=("id",)))
BEFORE = (
    'SELECT "generated_at", "seq_no", "more" FROM "alert_message" '
    'WHERE "station" = ? AND ("generated_at", "seq_no") < (?, ?) ORDER BY "generated_at" DESC, "seq_no" DESC LIMIT 1'
)
NEW_GAP = once(AlertGap, AlertGap.station, AlertGap.generated_at, AlertGap.expected, AlertGap.seen, without=("id",))
ALL = Alert.select(
    Alert.id,
    Alert.station,
    AlertMessage.generated_at,
    AlertMessage.seq_no,
    AlertMessage.received_at,
    Alert.data,
).join(AlertMessage)


@dataclass(frozen=True, slots=True)
class SeriesPosition:
    """A message's place in the station's alerts; ``more`` says that its report went on."""

    generated_at: datetime
    seq_no: int
    more: bool


@dataclass(frozen=True, slots=True)
class AlertRecorded:
    """``new`` are the observations kept for the first time (none for a repeat); ``previous`` is the message before this one.

    Before in the station's own order (generated at, number), whatever the order of arrival, so that a late message is no hole.
    """

    new: tuple[EventData, ...]
    previous: SeriesPosition | None


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """One observation as it is kept, with the message it came in."""

    id: int
    station: str
    generated_at: datetime
    seq_no: int
    received_at: datetime
    alert: EventData


@dataclass(frozen=True, slots=True)
class StoredGap:
    """A hole as it was seen: ``expected`` was due when ``seen`` came."""

    id: int
    station: str
    generated_at: datetime
    expected: int
    seen: int
    missing: int
    at: datetime


class AlertRows:
    """Alerts by number."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def record(self, station: str, fence: int, message: NotifyEvent, received_at: datetime) -> AlertRecorded:
        """Keep one message of a series; the same message again changes nothing."""
        generated_at = micros(message.generated_at)
        data = [json_text(alert) for alert in message.data]
        key = (station, generated_at, message.seq_no, digest(*(text.encode() for text in data)))
        row = (*key, int(message.more), micros(received_at))

        def unit(connection: WritingConnection) -> AlertRecorded:
            refuse_older(connection, station, fence)
            before = connection.execute(BEFORE, (station, generated_at, message.seq_no)).fetchone()
            previous = SeriesPosition(moment(before[0]), before[1], bool(before[2])) if before else None
            kept = connection.execute(NEW_MESSAGE, row)
            if kept.rowcount == 0:
                return AlertRecorded((), previous)
            connection.executemany(NEW_ALERT, [(kept.lastrowid, station, text) for text in data])
            return AlertRecorded(message.data, previous)

        return await self._writer.submit(unit)

    async def list(self, *, station: str | None = None, after: int = 0, limit: int = 100) -> builtins.list[StoredAlert]:
        """Observations by number, those after ``after``."""
        query = ALL.where(Alert.id > after).order_by(Alert.id).limit(limit)
        if station is not None:
            query = query.where(Alert.station == station)
        return await self._readers.many(query, _alert)

    async def mark_gap(
        self, station: str, generated_at: datetime, expected: int, seen: int, missing: int, at: datetime
    ) -> None:
        """Keep that a series jumped; the same jump again changes nothing."""
        row = (station, micros(generated_at), expected, seen, missing, micros(at))
        await self._writer.submit(lambda connection: connection.execute(NEW_GAP, row).rowcount)

    async def gaps(self, station: str) -> builtins.list[StoredGap]:
        """The jumps in a station's series, by number."""
        query = AlertGap.select().where(AlertGap.station == station).order_by(AlertGap.id)
        return await self._readers.many(query, _gap)


def _gap(row: Any) -> StoredGap:
    return StoredGap(row[0], row[1], moment(row[2]), row[3], row[4], row[5], moment(row[6]))


def _alert(row: Any) -> StoredAlert:
    data = orjson.loads(row[5])
    data["timestamp"] = datetime.fromisoformat(data["timestamp"])
    data["variable"] = Variable(**data["variable"])
    return StoredAlert(row[0], row[1], moment(row[2]), row[3], moment(row[4]), EventData(**data))
