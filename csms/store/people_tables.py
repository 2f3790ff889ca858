"""The tables of the API's callers. Booleans are 0 or 1, times microseconds, lists JSON text; of secrets only digests and hashes."""

from __future__ import annotations

from peewee import AutoField, BigIntegerField, BlobField, CompositeKey, IntegerField, TextField

from csms.store.statements import Row


class Person(Row):
    """People; ``key`` is the name as it is compared."""

    key = TextField(primary_key=True)
    name = TextField()
    role = TextField()
    sites = TextField()
    id_tokens = TextField()
    password_hash = TextField()
    enabled = IntegerField()
    created_at = BigIntegerField()


class ApiKey(Row):
    """Keys of programs and sessions of people, by the digest of the secret."""

    id = AutoField()
    digest = BlobField(unique=True)
    name = TextField()
    role = TextField()
    sites = TextField()
    person = TextField(null=True, index=True)
    created_at = BigIntegerField()
    created_by = TextField()
    expires = BigIntegerField(null=True)
    revoked_at = BigIntegerField(null=True)


class Audit(Row):
    """What callers of the API changed."""

    id = AutoField()
    at = BigIntegerField(index=True)
    caller = TextField()
    role = TextField()
    address = TextField()
    method = TextField()
    path = TextField()
    status = BigIntegerField(null=True)
    detail = TextField()


class DoneRequest(Row):
    """Requests with an Idempotency-Key, kept for a day."""

    caller = TextField()
    key = TextField()
    digest = BlobField()
    at = BigIntegerField(index=True)
    status = BigIntegerField(null=True)
    headers = TextField()
    body = BlobField(null=True)

    class Meta:
        primary_key = CompositeKey("caller", "key")
        without_rowid = True
