"""The tables as peewee models, one row class each, and the way from a peewee query to the SQL text that sqlite3 runs.

Models describe and compile; no row object ever leaves the store. Columns have no defaults: who writes a row says all of it. Booleans are 0 or 1.
"""

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
    SqliteDatabase,
    TextField,
)

FIELD_TYPES = {"BIGINT": "INTEGER"}
"""STRICT tables of SQLite know one word for whole numbers, and it has 64 bits."""
COMPILER = SqliteDatabase(None, field_types=FIELD_TYPES)
"""Never connected: it knows the dialect that statements are compiled for."""
Q = SQL("?")
"""The place of a value that is given when the statement runs."""
ONE = SQL("1")


class Row(Model):  # type: ignore[misc]
    """What all tables have in common."""

    class Meta:
        database = COMPILER
        legacy_table_names = False
        strict_tables = True


class Presence(Row):
    """Which connection holds a station; the fence only grows and outlives the station's own row."""

    station = TextField(primary_key=True)
    node = TextField(null=True)
    prev_node = TextField(null=True)
    fence = BigIntegerField()
    since = BigIntegerField()
    seen = BigIntegerField()

    class Meta:
        indexes = ((("node",), False),)


class Station(Row):
    """The station list."""

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
    """The newest status of each connector."""

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
    """The CSMS's own token list; ``key`` is the value as it is compared."""

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
    """One transaction: what is searched stands in columns, the state is in ``evidence``; ``start_key`` makes a 1.6 start findable."""

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
    last_event_at = BigIntegerField(null=True)
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
    """Every event of every transaction, once, with the station's own JSON."""

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
    """One bill per transaction; ``revision`` is the transaction's when it was priced."""

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
    """One NotifyEvent message; the digest keeps two messages apart that a coarse clock gave the same name."""

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
    """One observation of a message."""

    id = AutoField()
    message = ForeignKeyField(AlertMessage)
    station = TextField(index=True)
    data = TextField()


class AlertGap(Row):
    """A jump inside a series."""

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
    """The command ledger; node, fence, due, deadline and idem are for a fleet."""

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
    """The device model; ``evse`` and ``connector`` are -1 for the station's own, because NULL is never equal to NULL in a key."""

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
    """Which parts of a device-model report came; ``whole`` marks the one that made it complete."""

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
    """Meter values outside transactions, the station's own JSON."""

    id = AutoField()
    station = TextField()
    evse = BigIntegerField()
    at = BigIntegerField()
    digest = BlobField()
    body = BlobField()

    class Meta:
        indexes = ((("station", "digest"), True),)


class Notice(Row):
    """Messages without policy, the station's own JSON."""

    id = AutoField()
    station = TextField(index=True)
    kind = TextField(index=True)
    at = BigIntegerField()
    body = BlobField()


class Note(Row):
    """Small texts of plugins."""

    plugin = TextField()
    key = TextField()
    value = TextField()
    at = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("plugin", "key")
        without_rowid = True


class Message(Row):
    """The message log, in a file of its own."""

    id = AutoField()
    station = TextField(index=True)
    at = BigIntegerField()
    direction = TextField()
    frame = TextField()


TABLES: tuple[type[Row], ...] = (
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
"""What is in the main file."""


def compiled(query: Any) -> str:
    """The SQL text of a peewee query whose values are all ``Q``; anything else in it is a mistake."""
    sql, values = query.sql()
    if values:
        raise ValueError(f"values stand in a statement that is compiled once: {values}")
    return str(sql)


def insertion(table: type[Row], *, without: tuple[str, ...] = ()) -> Any:
    """An insert of a whole row, its values given in the order of the model's fields; ``without`` names those SQLite makes."""
    fields = [field for field in table._meta.sorted_fields if field.name not in without]
    return table.insert(dict.fromkeys(fields, Q))


def once(table: type[Row], *key: Any, without: tuple[str, ...] = ()) -> str:
    """The SQL of an insertion that does nothing where the key exists already; any other fault of the row is still a fault."""
    return compiled(insertion(table, without=without).on_conflict(action="nothing", conflict_target=list(key)))


def upsert(table: type[Row], *key: Any) -> str:
    """The SQL of an insertion of a whole row that replaces every other column where the key exists already."""
    names = {field.name for field in key}
    rest = [field for field in table._meta.sorted_fields if field.name not in names]
    return compiled(insertion(table).on_conflict(conflict_target=list(key), preserve=rest))
