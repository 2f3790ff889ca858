"""Security: least profiles, keys on offer, security events, certificates and uploads. A frozen copy, as the first migration is."""

from __future__ import annotations

from typing import Any

from peewee import AutoField, BigIntegerField, CompositeKey, IntegerField, Model, TextField


class Row(Model):
    class Meta:
        legacy_table_names = False
        strict_tables = True


class StationSecurity(Row):
    station = TextField(primary_key=True)
    profile = IntegerField()
    enrol_until = BigIntegerField(null=True)


class OfferedKey(Row):
    id = AutoField()
    station = TextField(index=True)
    hash = TextField()
    at = BigIntegerField()


class SecurityEventRow(Row):
    id = AutoField()
    station = TextField(index=True)
    kind = TextField(index=True)
    source = TextField()
    critical = IntegerField()
    at = BigIntegerField()
    address = TextField()
    detail = TextField()

    class Meta:
        table_name = "security_event"


class CertificateRow(Row):
    station = TextField()
    kind = TextField()
    serial_number = TextField()
    subject = TextField()
    expires = BigIntegerField(index=True)
    noted_at = BigIntegerField()
    asked_at = BigIntegerField(null=True)

    class Meta:
        table_name = "station_certificate"
        primary_key = CompositeKey("station", "kind")
        without_rowid = True


class UploadRow(Row):
    id = AutoField()
    station = TextField(index=True)
    kind = TextField()
    key = TextField(unique=True)
    created_at = BigIntegerField()
    expires_at = BigIntegerField()
    begun_at = BigIntegerField(null=True)
    ended_at = BigIntegerField(null=True)
    file = TextField()
    size = BigIntegerField()

    class Meta:
        table_name = "upload"


TABLES = (StationSecurity, OfferedKey, SecurityEventRow, CertificateRow, UploadRow)


def up(migrator: Any, db: Any) -> None:
    with db.bind_ctx(TABLES, bind_refs=False, bind_backrefs=False):
        db.create_tables(TABLES, safe=False)
