"""People, keys of the API, the audit trail and answered requests. A frozen copy of the tables, independent of ``csms.store.people_tables``."""

from __future__ import annotations

from typing import Any

from peewee import AutoField, BigIntegerField, BlobField, CompositeKey, IntegerField, Model, TextField


class Row(Model):
    class Meta:
        legacy_table_names = False
        strict_tables = True


class Person(Row):
    key = TextField(primary_key=True)
    name = TextField()
    role = TextField()
    sites = TextField()
    id_tokens = TextField()
    password_hash = TextField()
    enabled = IntegerField()
    created_at = BigIntegerField()


class ApiKey(Row):
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


TABLES = (Person, ApiKey, Audit, DoneRequest)


def up(migrator: Any, db: Any) -> None:
    with db.bind_ctx(TABLES, bind_refs=False, bind_backrefs=False):
        db.create_tables(TABLES, safe=False)
    db.execute_sql('CREATE INDEX "transaction_token" ON "transaction" ("token_key", "id")')
