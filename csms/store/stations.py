"""The station list: what stays of a station when its socket is gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from peewee import JOIN, SQL, fn

from csms.model.provisioning import BootNotification
from csms.model.station import Admission, StationRecord
from csms.store.columns import micros, moment, moment_or_none
from csms.store.connections import Readers, WritingConnection
from csms.store.kept_tables import ReportPart, Variable
from csms.store.presence import refuse_older
from csms.store.statements import Q, compiled, once
from csms.store.tables import Connector, Presence, Station
from csms.store.writer import Writer

SHOWN = (
    Station.id,
    Station.admission,
    Station.protocol,
    Station.vendor,
    Station.model,
    Station.serial_number,
    Station.firmware,
    Station.boot_reason,
    Station.booted_at,
    Presence.seen,
    Presence.node,
    Station.clock_skew_s,
    Station.heartbeat_interval_s,
    Station.password_hash,
    Station.created_at,
)
FOUND = Station.select(*SHOWN).join(Presence, JOIN.LEFT_OUTER, on=(Presence.station == Station.id))
GET = compiled(FOUND.where(Station.id == Q))
SECRET = compiled(Station.select(Station.password_hash).where(Station.id == Q))
BOOT_STATUS = compiled(Station.select(Station.boot_status).where(Station.id == Q))
COUNT = compiled(Station.select(fn.COUNT(SQL("*"))).where(Station.admission == Q))
COUNT_ALL = compiled(Station.select(fn.COUNT(SQL("*"))))
NEW = once(Station, Station.id)
CHANGE = compiled(
    Station.update(
        {
            Station.admission: fn.COALESCE(Q, Station.admission),
            Station.heartbeat_interval_s: fn.COALESCE(Q, Station.heartbeat_interval_s),
            Station.password_hash: fn.COALESCE(Q, Station.password_hash),
        }
    ).where(Station.id == Q)
)
BOOTED = compiled(
    Station.update(
        {
            Station.protocol: Q,
            Station.vendor: Q,
            Station.model: Q,
            Station.serial_number: Q,
            Station.firmware: Q,
            Station.boot_reason: Q,
            Station.boot_status: Q,
            Station.booted_at: Q,
        }
    ).where(Station.id == Q)
)
SKEW = compiled(Station.update({Station.clock_skew_s: Q}).where(Station.id == Q))
SEEN = compiled(Presence.update({Presence.seen: fn.MAX(Presence.seen, Q)}).where(Presence.station == Q))
FORGET = [compiled(table.delete().where(table.station == Q)) for table in (Connector, Variable, ReportPart)]
DELETE = compiled(Station.delete().where(Station.id == Q))


class StationRows:
    """Stations by identity."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def get(self, id: str) -> StationRecord | None:
        """The station, or None."""
        row = self._readers.one(GET, (id,))
        return None if row is None else _record(row)

    async def list(
        self,
        *,
        admission: Admission | None = None,
        online: bool | None = None,
        search: str = "",
        after: str = "",
        limit: int = 100,
    ) -> list[StationRecord]:
        """Stations by identity, those after ``after``; ``search`` is looked for in identity, vendor and model, ASCII case aside."""
        query = FOUND.where(Station.id > after).order_by(Station.id).limit(limit)
        if admission is not None:
            query = query.where(Station.admission == admission.value)
        if online is not None:
            query = query.where(Presence.node.is_null(not online))
        if search:
            places = (Station.id, Station.vendor, Station.model)
            query = query.where(reduce(or_, (place.contains(search) for place in places)))
        return await self._readers.many(query, _record)

    async def count(self, admission: Admission | None = None) -> int:
        """How many stations are so admitted, or all."""
        row = self._readers.one(COUNT_ALL, ()) if admission is None else self._readers.one(COUNT, (admission.value,))
        return int(row[0])

    async def put(
        self,
        id: str,
        at: datetime,
        *,
        admission: Admission | None = None,
        password_hash: str | None = None,
        heartbeat_interval_s: int | None = None,
    ) -> StationRecord:
        """Make or change a station; None leaves as it is, an empty password hash or an interval of 0 removes it. A new one is pending."""
        new = (id, Admission.PENDING.value, *[""] * 7, None, None, None, "", micros(at))
        change = (None if admission is None else admission.value, heartbeat_interval_s, password_hash, id)

        def unit(connection: sqlite3.Connection) -> StationRecord:
            connection.execute(NEW, new)
            connection.execute(CHANGE, change)
            return _record(connection.execute(GET, (id,)).fetchone())

        return await self._writer.submit(unit)

    async def password_hash(self, id: str) -> str | None:
        """The hash of the station's password, or None if it has none or is unknown."""
        row = self._readers.one(SECRET, (id,))
        return row[0] or None if row else None

    async def delete(self, id: str) -> bool:
        """Forget a station, its connectors and its device model; transactions, bills and the fence stay. False if unknown."""

        def unit(connection: sqlite3.Connection) -> bool:
            for statement in FORGET:
                connection.execute(statement, (id,))
            return connection.execute(DELETE, (id,)).rowcount == 1

        return await self._writer.submit(unit)

    async def booted(
        self, id: str, fence: int, boot: BootNotification, protocol: str, status: str, at: datetime
    ) -> None:
        """Keep what a station said at its boot, and the answer; a station that is not in the list stays out of it."""
        said = (
            protocol,
            boot.vendor,
            boot.model,
            boot.serial_number,
            boot.firmware,
            boot.reason,
            status,
            micros(at),
            id,
        )

        def unit(connection: WritingConnection) -> None:
            refuse_older(connection, id, fence)
            connection.execute(BOOTED, said)

        await self._writer.submit(unit)

    async def boot_status(self, id: str) -> str:
        """The answer to the station's last boot; empty if it never booted."""
        row = self._readers.one(BOOT_STATUS, (id,))
        return row[0] if row else ""

    async def skew(self, id: str, seconds: float) -> None:
        """Keep how far the station's clock is ahead, in seconds."""
        await self._writer.submit(lambda connection: connection.execute(SKEW, (seconds, id)).rowcount)

    async def seen(self, heard: Mapping[str, datetime]) -> None:
        """Keep when stations were last heard; an earlier time than the known one changes nothing."""
        rows = [(micros(at), id) for id, at in heard.items()]
        await self._writer.submit(lambda connection: connection.executemany(SEEN, rows).rowcount)


def _record(row: Any) -> StationRecord:
    return StationRecord(
        id=row[0],
        admission=Admission(row[1]),
        protocol=row[2],
        vendor=row[3],
        model=row[4],
        serial_number=row[5],
        firmware=row[6],
        boot_reason=row[7],
        booted_at=moment_or_none(row[8]),
        seen_at=moment_or_none(row[9]),
        online=row[10] is not None,
        clock_skew_s=row[11],
        heartbeat_interval_s=row[12] or None,
        has_password=bool(row[13]),
        created_at=moment(row[14]),
    )
