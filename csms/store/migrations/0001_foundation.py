"""The first schema. A frozen copy of the tables, on purpose independent of ``csms.store.tables``, which moves on."""

from __future__ import annotations

from typing import Any

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
    BlobField,
    CompositeKey,
    FloatField,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)

ONE = SQL("1")


class Row(Model):
    class Meta:
        legacy_table_names = False
        strict_tables = True


class Presence(Row):
    station = TextField(primary_key=True)
    node = TextField(null=True)
    prev_node = TextField(null=True)
    fence = BigIntegerField()
    since = BigIntegerField()
    seen = BigIntegerField()

    class Meta:
        indexes = ((("node",), False),)


class Station(Row):
    id = TextField(primary_key=True)
    admission = TextField(index=True)
    protocol = TextField()
    vendor = TextField()
    model = TextField()
    serial_number = TextField()
    firmware = TextField()
    boot_reason = TextField()
    boot_status = TextField()
    booted_at = BigIntegerField(null=True)
    clock_skew_s = FloatField(null=True)
    heartbeat_interval_s = BigIntegerField(null=True)
    password_hash = TextField()
    created_at = BigIntegerField()


class Connector(Row):
    station = TextField()
    evse = BigIntegerField()
    connector = BigIntegerField()
    status = TextField()
    at = BigIntegerField()
    detail = TextField()
    error_code = TextField()
    info = TextField()

    class Meta:
        primary_key = CompositeKey("station", "evse", "connector")
        without_rowid = True


class Token(Row):
    key = TextField()
    type = TextField()
    value = TextField()
    status = TextField()
    group_value = TextField(null=True)
    group_type = TextField(null=True)
    expires = BigIntegerField(null=True)
    note = TextField()
    concurrent = BigIntegerField(null=True)

    class Meta:
        primary_key = CompositeKey("key", "type")
        without_rowid = True


class Transaction(Row):
    id = AutoField()
    station = TextField()
    wire_id = TextField()
    start_key = TextField(null=True)
    evse = BigIntegerField(null=True)
    token_key = TextField(null=True)
    token_type = TextField(null=True)
    authorization = TextField()
    active = IntegerField()
    started_at = BigIntegerField(null=True)
    ended_at = BigIntegerField(null=True)
    revision = BigIntegerField()
    billed_revision = BigIntegerField()
    evidence = TextField()

    class Meta:
        indexes = ((("station", "wire_id"), True), (("station", "start_key"), True), (("station",), False))


ACTIVE = Transaction.active == ONE
DUE = Transaction.revision > Transaction.billed_revision
Transaction.add_index(Transaction.index(Transaction.station, where=ACTIVE, name="transaction_active_station"))
Transaction.add_index(Transaction.index(Transaction.token_key, where=ACTIVE, name="transaction_active_token"))
Transaction.add_index(Transaction.index(Transaction.active, Transaction.id, where=DUE, name="transaction_due"))


class TransactionEvent(Row):
    id = AutoField()
    transaction = ForeignKeyField(Transaction, index=False)
    key = TextField()
    seq_no = BigIntegerField(null=True)
    protocol = TextField()
    action = TextField()
    type = TextField()
    at = BigIntegerField()
    received_at = BigIntegerField()
    offline = IntegerField()
    authorization = TextField()
    body = BlobField()

    class Meta:
        indexes = ((("transaction", "key"), True),)


class Bill(Row):
    transaction = ForeignKeyField(Transaction, primary_key=True)
    station = TextField(index=True)
    status = TextField()
    currency = TextField()
    total = TextField()
    tariff = TextField()
    note = TextField()
    lines = TextField()
    energy_wh = TextField(null=True)
    meter_start_wh = TextField(null=True)
    meter_stop_wh = TextField(null=True)
    started_at = BigIntegerField(null=True)
    ended_at = BigIntegerField(null=True)
    issued_at = BigIntegerField()
    evidence = TextField(null=True)
    revision = BigIntegerField()


class AlertMessage(Row):
    id = AutoField()
    station = TextField()
    generated_at = BigIntegerField()
    seq_no = BigIntegerField()
    digest = BlobField()
    more = IntegerField()
    received_at = BigIntegerField()

    class Meta:
        indexes = ((("station", "generated_at", "seq_no", "digest"), True),)


class Alert(Row):
    id = AutoField()
    message = ForeignKeyField(AlertMessage)
    station = TextField(index=True)
    data = TextField()


class AlertGap(Row):
    id = AutoField()
    station = TextField()
    generated_at = BigIntegerField()
    expected = BigIntegerField()
    seen = BigIntegerField()
    missing = BigIntegerField()
    at = BigIntegerField()

    class Meta:
        indexes = ((("station", "generated_at", "expected", "seen"), True),)


class Command(Row):
    id = AutoField()
    station = TextField(index=True)
    name = TextField()
    arguments = TextField()
    state = TextField(index=True)
    origin = TextField()
    created_at = BigIntegerField()
    sent_at = BigIntegerField(null=True)
    answered_at = BigIntegerField(null=True)
    closed_at = BigIntegerField(null=True)
    tries = BigIntegerField()
    wire = TextField()
    answer = TextField(null=True)
    error_code = TextField()
    error = TextField()
    node = TextField(null=True)
    fence = BigIntegerField(null=True)
    due = BigIntegerField(null=True)
    deadline = BigIntegerField(null=True)
    idem = TextField(null=True, unique=True)


class Variable(Row):
    station = TextField()
    component = TextField()
    component_instance = TextField()
    evse = BigIntegerField()
    connector = BigIntegerField()
    name = TextField()
    instance = TextField()
    attribute = TextField()
    value = TextField(null=True)
    mutability = TextField()
    data_type = TextField()
    unit = TextField()
    at = BigIntegerField()

    class Meta:
        primary_key = CompositeKey(
            "station", "component", "component_instance", "evse", "connector", "name", "instance", "attribute"
        )
        without_rowid = True


class ReportPart(Row):
    station = TextField()
    request_id = BigIntegerField()
    seq_no = BigIntegerField()
    generated_at = BigIntegerField()
    more = IntegerField()
    whole = IntegerField()
    received_at = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("station", "request_id", "seq_no")
        without_rowid = True


class Telemetry(Row):
    id = AutoField()
    station = TextField()
    evse = BigIntegerField()
    at = BigIntegerField()
    digest = BlobField()
    body = BlobField()

    class Meta:
        indexes = ((("station", "digest"), True),)


class Notice(Row):
    id = AutoField()
    station = TextField(index=True)
    kind = TextField(index=True)
    at = BigIntegerField()
    body = BlobField()


class Note(Row):
    plugin = TextField()
    key = TextField()
    value = TextField()
    at = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("plugin", "key")
        without_rowid = True


TABLES = (
    Presence,
    Station,
    Connector,
    Token,
    Transaction,
    TransactionEvent,
    Bill,
    AlertMessage,
    Alert,
    AlertGap,
    Command,
    Variable,
    ReportPart,
    Telemetry,
    Notice,
    Note,
)


def up(migrator: Any, db: Any) -> None:
    with db.bind_ctx(TABLES, bind_refs=False, bind_backrefs=False):
        db.create_tables(TABLES, safe=False)
