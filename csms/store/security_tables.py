"""The tables of security: what stations have shown, keys on offer, security events, certificates and uploads."""

from __future__ import annotations

from peewee import SQL, AutoField, BigIntegerField, CompositeKey, IntegerField, TextField

from csms.store.statements import Row


class StationSecurity(Row):
    """The least profile a station must use, and until when it may be given its first key."""

    station = TextField(primary_key=True)
    profile = IntegerField()
    enrol_until = BigIntegerField(null=True)


class OfferedKey(Row):
    """The hash of a key that a station was told or has shown before its approval, and that is not the only one yet."""

    id = AutoField()
    station = TextField(index=True)
    hash = TextField()
    at = BigIntegerField()


class SecurityEventRow(Row):
    """A security event; ``source`` is station or csms."""

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
    """The newest certificate of each kind that a station has; ``asked_at`` is when it was last asked to renew it."""

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
    """A place where a station may leave one file, once; ``key`` is the hash of what its URL ends with."""

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
    request_id = IntegerField(constraints=[SQL("DEFAULT 0")])

    class Meta:
        table_name = "upload"


TABLES = (StationSecurity, OfferedKey, SecurityEventRow, CertificateRow, UploadRow)
