"""The API's callers in the database: people with a password hash, keys by the digest of their secret, and what they did."""

from __future__ import annotations

import builtins
import sqlite3
from datetime import datetime, timedelta
from typing import Any

import orjson

from csms.model.authorization import IdToken
from csms.model.people import ApiKey, AuditEntry, Caller, DoneRequest, Person, Role
from csms.store.columns import json_text, micros, micros_or_none, moment, moment_or_none
from csms.store.connections import Readers
from csms.store.people_tables import ApiKey as KeyRow
from csms.store.people_tables import Audit
from csms.store.people_tables import DoneRequest as DoneRow
from csms.store.people_tables import Person as PersonRow
from csms.store.statements import Q, compiled, insertion, once, upsert
from csms.store.writer import Writer

PERSON = PersonRow.select(
    PersonRow.name, PersonRow.role, PersonRow.sites, PersonRow.id_tokens, PersonRow.enabled, PersonRow.created_at
)
GET_PERSON = compiled(PERSON.where(PersonRow.key == Q))
SECRET = compiled(PersonRow.select(PersonRow.password_hash).where(PersonRow.key == Q))
PUT_PERSON = upsert(PersonRow, PersonRow.key)
SET_PASSWORD = compiled(PersonRow.update({PersonRow.password_hash: Q}).where(PersonRow.key == Q))
FORGET_PERSON = compiled(PersonRow.delete().where(PersonRow.key == Q))
KEY = KeyRow.select(
    KeyRow.id,
    KeyRow.name,
    KeyRow.role,
    KeyRow.sites,
    KeyRow.person,
    KeyRow.created_at,
    KeyRow.created_by,
    KeyRow.expires,
    KeyRow.revoked_at,
)
BY_DIGEST = compiled(KEY.where(KeyRow.digest == Q))
GET_KEY = compiled(KEY.where(KeyRow.id == Q))
NEW_KEY = compiled(insertion(KeyRow, without=("id",)))
REVOKE = compiled(KeyRow.update({KeyRow.revoked_at: Q}).where(KeyRow.id == Q, KeyRow.revoked_at.is_null()))
END_SESSIONS = compiled(
    KeyRow.update({KeyRow.revoked_at: Q}).where(KeyRow.person == Q, KeyRow.revoked_at.is_null(), KeyRow.id != Q)
)
NEW_AUDIT = compiled(insertion(Audit, without=("id",)))
CLOSE_AUDIT = compiled(Audit.update({Audit.status: Q}).where(Audit.id == Q))
BEGIN = once(DoneRow, DoneRow.caller, DoneRow.key)
DONE = compiled(
    DoneRow.select(DoneRow.digest, DoneRow.at, DoneRow.status, DoneRow.headers, DoneRow.body).where(
        DoneRow.caller == Q, DoneRow.key == Q
    )
)
FINISH = compiled(
    DoneRow.update({DoneRow.status: Q, DoneRow.headers: Q, DoneRow.body: Q}).where(
        DoneRow.caller == Q, DoneRow.key == Q
    )
)
DROP = compiled(DoneRow.delete().where(DoneRow.caller == Q, DoneRow.key == Q))
OLD = compiled(DoneRow.delete().where(DoneRow.at < Q))
NOBODY = -1


def name_key(name: str) -> str:
    """A person's name as it is compared."""
    return name.casefold()


class PersonRows:
    """People by name."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def get(self, name: str) -> Person | None:
        """The person, or None."""
        row = self._readers.one(GET_PERSON, (name_key(name),))
        return None if row is None else _person(row)

    async def password_hash(self, name: str) -> str | None:
        """The hash of the person's password, or None for nobody; an empty hash fits no password."""
        row = self._readers.one(SECRET, (name_key(name),))
        return None if row is None else str(row[0])

    async def put(self, person: Person, at: datetime, *, password_hash: str | None = None) -> None:
        """Write all of a person; without a hash the password stays. A person who is switched off, or gets a new password, is logged out."""
        key = name_key(person.name)

        def unit(connection: sqlite3.Connection) -> None:
            row = connection.execute(SECRET, (key,)).fetchone()
            kept = password_hash if password_hash is not None else str(row[0]) if row else ""
            known = connection.execute(GET_PERSON, (key,)).fetchone()
            created = known[5] if known else micros(at)
            tokens = json_text([[token.value, token.type] for token in person.id_tokens])
            facts = (person.role.value, json_text(person.sites), tokens, kept, int(person.enabled), created)
            connection.execute(PUT_PERSON, (key, person.name, *facts))
            if password_hash is not None or not person.enabled:
                connection.execute(END_SESSIONS, (micros(at), key, NOBODY))

        await self._writer.submit(unit)

    async def set_password(self, name: str, password_hash: str, at: datetime, *, but: int | None = None) -> None:
        """A new password ends the person's sessions, except the one that it came by."""
        key = name_key(name)

        def unit(connection: sqlite3.Connection) -> None:
            connection.execute(SET_PASSWORD, (password_hash, key))
            connection.execute(END_SESSIONS, (micros(at), key, NOBODY if but is None else but))

        await self._writer.submit(unit)

    async def delete(self, name: str, at: datetime) -> bool:
        """Forget a person and end their sessions; False if there is none."""
        key = name_key(name)

        def unit(connection: sqlite3.Connection) -> bool:
            connection.execute(END_SESSIONS, (micros(at), key, NOBODY))
            return connection.execute(FORGET_PERSON, (key,)).rowcount == 1

        return await self._writer.submit(unit)

    async def list(self, *, after: str = "", limit: int = 100) -> builtins.list[Person]:
        """People by name, those after ``after``."""
        query = PERSON.where(PersonRow.key > name_key(after)).order_by(PersonRow.key).limit(limit)
        return await self._readers.many(query, _person)


class KeyRows:
    """Keys by number, and by the digest of their secret."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def add(self, digest: bytes, key: ApiKey) -> ApiKey:
        """Keep a new key; it gets its number."""
        person = None if key.person is None else name_key(key.person)
        row = (
            digest,
            key.name,
            key.role.value,
            json_text(key.sites),
            person,
            micros(key.created_at),
            key.created_by,
            micros_or_none(key.expires),
            None,
        )

        def unit(connection: sqlite3.Connection) -> ApiKey:
            id = connection.execute(NEW_KEY, row).lastrowid
            return _key(connection.execute(GET_KEY, (id,)).fetchone())

        return await self._writer.submit(unit)

    async def holder(self, digest: bytes, at: datetime) -> Caller | None:
        """Who may call with the secret of this digest now; a session counts for what its person may now."""
        row = self._readers.one(BY_DIGEST, (digest,))
        if row is None:
            return None
        key = _key(row)
        if key.revoked_at is not None or (key.expires is not None and key.expires <= at):
            return None
        if key.person is None:
            return Caller(key.name, key.role, key.sites, key=key.id)
        person = self._readers.one(GET_PERSON, (key.person,))
        if person is None or not person[4]:
            return None
        found = _person(person)
        return Caller(found.name, found.role, found.sites, found.id_tokens, key.id, found.name)

    async def get(self, id: int) -> ApiKey | None:
        """The key with this number, or None."""
        row = self._readers.one(GET_KEY, (id,))
        return None if row is None else _key(row)

    async def revoke(self, id: int, at: datetime) -> bool:
        """The key is worth nothing from now on; False if it was not."""
        values = (micros(at), id)
        return await self._writer.submit(lambda connection: connection.execute(REVOKE, values).rowcount == 1)

    async def list(self, *, after: int = 0, limit: int = 100) -> builtins.list[ApiKey]:
        """Keys by number, those after ``after``."""
        query = KEY.where(KeyRow.id > after).order_by(KeyRow.id).limit(limit)
        return await self._readers.many(query, _key)


class AuditRows:
    """The trail; only ever written, never changed but for the status."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def begin(
        self, at: datetime, caller: str, role: str, address: str, method: str, path: str, detail: str
    ) -> int:
        """A request begins; its number."""
        row = (micros(at), caller, role, address, method, path, None, detail)
        return await self._writer.submit(lambda connection: connection.execute(NEW_AUDIT, row).lastrowid or 0)

    async def end(self, id: int, status: int) -> None:
        """It was answered."""
        await self._writer.submit(lambda connection: connection.execute(CLOSE_AUDIT, (status, id)).rowcount)

    async def list(self, *, caller: str | None = None, before: int = 0, limit: int = 100) -> builtins.list[AuditEntry]:
        """Entries, the newest first; ``before`` goes on below that number."""
        query = Audit.select().order_by(Audit.id.desc()).limit(limit)
        if caller is not None:
            query = query.where(Audit.caller == caller)
        if before:
            query = query.where(Audit.id < before)
        return await self._readers.many(query, _entry)


class DoneRows:
    """Answers by caller and Idempotency-Key."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def begin(self, caller: str, key: str, digest: bytes, at: datetime, keep: timedelta) -> DoneRequest | None:
        """Claim a key: None if it is new, else what is known of the request that has it; older ones than ``keep`` are forgotten."""
        row = (caller, key, digest, micros(at), None, "", None)

        def unit(connection: sqlite3.Connection) -> DoneRequest | None:
            connection.execute(OLD, (micros(at - keep),))
            if connection.execute(BEGIN, row).rowcount == 1:
                return None
            return _done(connection.execute(DONE, (caller, key)).fetchone())

        return await self._writer.submit(unit)

    async def finish(self, caller: str, key: str, status: int, headers: str, body: bytes | None) -> None:
        """Keep the answer."""
        row = (status, headers, body, caller, key)
        await self._writer.submit(lambda connection: connection.execute(FINISH, row).rowcount)

    async def drop(self, caller: str, key: str) -> None:
        """Nothing happened: the key is free again."""
        await self._writer.submit(lambda connection: connection.execute(DROP, (caller, key)).rowcount)


def _person(row: Any) -> Person:
    tokens = tuple(IdToken(value, type) for value, type in orjson.loads(row[3]))
    return Person(row[0], Role(row[1]), tuple(orjson.loads(row[2])), tokens, bool(row[4]), moment(row[5]))


def _key(row: Any) -> ApiKey:
    return ApiKey(
        id=row[0],
        name=row[1],
        role=Role(row[2]),
        sites=tuple(orjson.loads(row[3])),
        person=row[4],
        created_at=moment(row[5]),
        created_by=row[6],
        expires=moment_or_none(row[7]),
        revoked_at=moment_or_none(row[8]),
    )


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(row[0], moment(row[1]), *row[2:9])


def _done(row: Any) -> DoneRequest:
    return DoneRequest(row[0], moment(row[1]), row[2], row[3], row[4])
