"""The tables of stations, tokens, transactions and commands, one class each; bills are in ``bill_tables``, what else is kept in ``kept_tables``.

Booleans are 0 or 1, times microseconds since 1970 UTC.
"""

from __future__ import annotations

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
    BlobField,
    CompositeKey,
    FloatField,
    ForeignKeyField,
    IntegerField,
    TextField,
)

from csms.store.kept_tables import (
    Alert,
    AlertGap,
    AlertMessage,
    Note,
    Notice,
    Outbox,
    PlanDecision,
    ReportPart,
    Telemetry,
    Variable,
)
from csms.store.people_tables import ApiKey, Audit, DoneRequest, Person
from csms.store.security_tables import TABLES as SECURITY_TABLES
from csms.store.statements import NOTHING, ONE, Row


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
    """One transaction: what is searched stands in columns, the state is in ``evidence``; ``start_key`` makes a 1.6 start findable.

    ``wants`` is 1 while something is known to be missing, ``heard_at`` when it was last heard of, ``joined_to`` the transaction that the events
    of this id belong to. What the CSMS found out by itself stands in ``gave_up`` and ``overlaps``.
    """

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
    wants = IntegerField()
    heard_at = BigIntegerField(null=True)
    gave_up = TextField()
    token_group = TextField()
    overlaps = TextField()
    joined_to = BigIntegerField(null=True)

    class Meta:
        indexes = ((("station", "wire_id"), True), (("station", "start_key"), True), (("station",), False))


ACTIVE = Transaction.active == ONE
GOING_ON = Transaction.id.in_(Transaction.select(Transaction.id).where(ACTIVE))
"""The same for lists in the order of numbers: the few are found by their own index, where ``ACTIVE`` would look at all that ever ended."""
ENDED = Transaction.active == SQL("0")
DUE = ENDED & (Transaction.revision > Transaction.billed_revision)
NOBODY_GAVE_UP = Transaction.gave_up == NOTHING
WANTING = (Transaction.wants == ONE) & NOBODY_GAVE_UP
Transaction.add_index(Transaction.index(Transaction.station, where=ACTIVE, name="transaction_active_station"))
Transaction.add_index(Transaction.index(Transaction.token_key, where=ACTIVE, name="transaction_active_token"))
Transaction.add_index(Transaction.index(Transaction.token_key, Transaction.id, name="transaction_token"))
Transaction.add_index(Transaction.index(Transaction.id, where=DUE, name="transaction_due"))
Transaction.add_index(
    Transaction.index(Transaction.station, Transaction.evse, Transaction.started_at, name="transaction_place")
)
Transaction.add_index(Transaction.index(Transaction.id, where=WANTING, name="transaction_wanting"))


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
    decision = TextField(null=True)
    repeats = BigIntegerField(constraints=[SQL("DEFAULT 0")])
    repeated_at = BigIntegerField(null=True)

    class Meta:
        indexes = ((("transaction", "key"), True),)


class Healing(Row):
    """What was missing in a transaction, how often its station was asked, and how that ended; at most one of a transaction is open.

    ``empty`` counts the answers in a row that said that nothing waits; ``next_at`` is NULL while the station is away.
    """

    id = AutoField()
    transaction = ForeignKeyField(Transaction)
    station = TextField()
    cause = TextField()
    missing = TextField()
    opened_at = BigIntegerField()
    tries = BigIntegerField()
    empty = BigIntegerField()
    asked_at = BigIntegerField(null=True)
    next_at = BigIntegerField(null=True)
    closed_at = BigIntegerField(null=True)
    outcome = TextField()
    detail = TextField()


OPEN = Healing.closed_at.is_null()
Healing.add_index(Healing.index(Healing.transaction, unique=True, where=OPEN, name="healing_open"))
Healing.add_index(Healing.index(Healing.next_at, where=OPEN, name="healing_next"))


class Decision(Row):
    """What was decided on a token outside a transaction's events; those stand with the events."""

    id = AutoField()
    station = TextField()
    at = BigIntegerField()
    token_key = TextField()
    token_type = TextField()
    purpose = TextField()
    said = TextField()

    class Meta:
        indexes = ((("token_key", "token_type", "at"), False),)


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


TABLES: tuple[type[Row], ...] = (
    Presence,
    Station,
    Connector,
    Token,
    Transaction,
    TransactionEvent,
    Healing,
    Decision,
    AlertMessage,
    Alert,
    AlertGap,
    Command,
    PlanDecision,
    Variable,
    ReportPart,
    Telemetry,
    Notice,
    Note,
    Person,
    ApiKey,
    Audit,
    DoneRequest,
    Outbox,
    *SECURITY_TABLES,
)
"""What is in the main file, but for bills."""
