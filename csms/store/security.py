"""What security needs to remember: least profiles, keys on offer, security events and issued certificates."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import fn

from csms.model.security import SecurityEvent
from csms.store.columns import micros, moment, moment_or_none
from csms.store.connections import Readers
from csms.store.security_tables import CertificateRow, OfferedKey, SecurityEventRow, StationSecurity
from csms.store.statements import Q, compiled, insertion, once, upsert
from csms.store.tables import Station
from csms.store.writer import Writer

STANDING = compiled(
    StationSecurity.select(StationSecurity.profile, StationSecurity.enrol_until).where(StationSecurity.station == Q)
)
NEW = once(StationSecurity, StationSecurity.station)
RAISE = compiled(
    StationSecurity.update({StationSecurity.profile: fn.MAX(StationSecurity.profile, Q)}).where(
        StationSecurity.station == Q
    )
)
SET_PROFILE = compiled(StationSecurity.update({StationSecurity.profile: Q}).where(StationSecurity.station == Q))
ENROL = compiled(StationSecurity.update({StationSecurity.enrol_until: Q}).where(StationSecurity.station == Q))
KEYS = compiled(
    OfferedKey.select(OfferedKey.id, OfferedKey.hash).where(OfferedKey.station == Q).order_by(OfferedKey.id)
)
OFFER = compiled(insertion(OfferedKey, without=("id",)))
WITHDRAW = compiled(OfferedKey.delete().where(OfferedKey.id == Q, OfferedKey.station == Q))
FORGET_KEYS = compiled(OfferedKey.delete().where(OfferedKey.station == Q))
FORGET = compiled(StationSecurity.delete().where(StationSecurity.station == Q))
SET_KEY = compiled(Station.update({Station.password_hash: Q}).where(Station.id == Q))
NEW_EVENT = compiled(insertion(SecurityEventRow, without=("id",)))
CERTIFICATE = upsert(CertificateRow, CertificateRow.station, CertificateRow.kind)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a station has shown before: the least profile it must use, and until when it may be given its first key."""

    profile: int = 0
    enrol_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeptCertificate:
    """The newest certificate of one kind that a station has, as far as it is known."""

    station: str
    kind: str
    serial_number: str
    subject: str
    expires: datetime
    noted_at: datetime
    asked_at: datetime | None = None


class SecurityRows:
    """Standings, keys on offer, and certificates of stations."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def standing(self, station: str) -> Standing:
        """What is known of a station; of an unknown one, nothing."""
        row = self._readers.one(STANDING, (station,))
        return Standing() if row is None else Standing(int(row[0]), moment_or_none(row[1]))

    async def raise_profile(self, station: str, profile: int) -> None:
        """A station has shown this profile: from now on it must use it or a higher one."""
        await self._change(station, (RAISE, (profile, station)))

    async def set_profile(self, station: str, profile: int) -> None:
        """An operator says what the least profile is."""
        await self._change(station, (SET_PROFILE, (profile, station)))

    async def allow_enrolment(self, station: str, until: datetime | None) -> None:
        """Until when a station without a key may be given one."""
        await self._change(station, (ENROL, (None if until is None else micros(until), station)))

    async def _change(self, station: str, *statements: tuple[str, tuple[Any, ...]]) -> None:
        def unit(connection: sqlite3.Connection) -> None:
            connection.execute(NEW, (station, 0, None))
            for statement, values in statements:
                connection.execute(statement, values)

        await self._writer.submit(unit)

    async def offered(self, station: str) -> list[tuple[int, str]]:
        """Number and hash of the keys that the station may have been given, the oldest first."""
        rows = self._readers.few(KEYS, (station,))
        return [(int(row[0]), str(row[1])) for row in rows]

    async def offer(self, station: str, hash: str, at: datetime) -> int:
        """Remember a key before the station is told of it; gives its number."""

        def unit(connection: sqlite3.Connection) -> int:
            return int(connection.execute(OFFER, (station, hash, micros(at))).lastrowid or 0)

        return await self._writer.submit(unit)

    async def withdraw(self, station: str, key: int) -> None:
        """The station refused a key: it was never in force."""
        await self._writer.submit(lambda connection: connection.execute(WITHDRAW, (key, station)).rowcount)

    async def shown(self, station: str, hash: str) -> None:
        """The station has shown a key: from now on it is the only one, and the time to be given one is over."""

        def unit(connection: sqlite3.Connection) -> None:
            connection.execute(SET_KEY, (hash, station))
            connection.execute(FORGET_KEYS, (station,))
            connection.execute(ENROL, (None, station))

        await self._writer.submit(unit)

    async def withdraw_all(self, station: str) -> None:
        """No key is on offer any more."""
        await self._writer.submit(lambda connection: connection.execute(FORGET_KEYS, (station,)).rowcount)

    async def forget(self, station: str) -> None:
        """Forget what was shown and offered."""

        def unit(connection: sqlite3.Connection) -> None:
            connection.execute(FORGET_KEYS, (station,))
            connection.execute(FORGET, (station,))

        await self._writer.submit(unit)

    async def note_certificate(self, certificate: KeptCertificate) -> None:
        """The newest certificate of its kind that a station has."""
        row = (
            certificate.station,
            certificate.kind,
            certificate.serial_number,
            certificate.subject,
            micros(certificate.expires),
            micros(certificate.noted_at),
            None if certificate.asked_at is None else micros(certificate.asked_at),
        )
        await self._writer.submit(lambda connection: connection.execute(CERTIFICATE, row).rowcount)

    async def certificates(
        self, *, station: str | None = None, before: datetime | None = None, limit: int = 1000
    ) -> list[KeptCertificate]:
        """Certificates that expire before a time, the first to expire first."""
        query = CertificateRow.select().order_by(CertificateRow.expires).limit(limit)
        if station is not None:
            query = query.where(CertificateRow.station == station)
        if before is not None:
            query = query.where(CertificateRow.expires < micros(before))
        return await self._readers.many(query, _certificate)


class SecurityEventRows:
    """Security events, whoever noticed them."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def record(self, event: SecurityEvent) -> int:
        """Keep an event; gives its number."""
        row = (
            event.station,
            event.kind,
            event.source,
            int(event.critical),
            micros(event.at),
            event.address,
            event.detail[:1000],
        )

        def unit(connection: sqlite3.Connection) -> int:
            return int(connection.execute(NEW_EVENT, row).lastrowid or 0)

        return await self._writer.submit(unit)

    async def list(
        self,
        *,
        station: str | None = None,
        kind: str | None = None,
        critical: bool | None = None,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
    ) -> Sequence[SecurityEvent]:
        """Events by number, those after ``after``; with ``before``, the newest of those before it, the newest first."""
        query = SecurityEventRow.select().where(SecurityEventRow.id > after).limit(limit)
        query = query.order_by(SecurityEventRow.id if before is None else SecurityEventRow.id.desc())
        if before is not None:
            query = query.where(SecurityEventRow.id < before)
        if station is not None:
            query = query.where(SecurityEventRow.station == station)
        if kind is not None:
            query = query.where(SecurityEventRow.kind == kind)
        if critical is not None:
            query = query.where(SecurityEventRow.critical == int(critical))
        return await self._readers.many(query, _event)


def _event(row: Any) -> SecurityEvent:
    return SecurityEvent(
        id=row[0],
        station=row[1],
        kind=row[2],
        source=row[3],
        critical=bool(row[4]),
        at=moment(row[5]),
        address=row[6],
        detail=row[7],
    )


def _certificate(row: Any) -> KeptCertificate:
    return KeptCertificate(row[0], row[1], row[2], row[3], moment(row[4]), moment(row[5]), moment_or_none(row[6]))
