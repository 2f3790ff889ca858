"""The tables of what stations and plugins report and the CSMS keeps; the others are in ``tables``. Booleans are 0 or 1, times microseconds."""

from __future__ import annotations

from peewee import AutoField, BigIntegerField, BlobField, CompositeKey, ForeignKeyField, IntegerField, TextField

from csms.store.statements import Row


class PlanDecision(Row):
    """What a plan decided about a station; ``command`` is the number of the command that it was about."""

    id = AutoField()
    station = TextField()
    at = BigIntegerField()
    said = TextField()
    plugin = TextField()
    reason = TextField()
    command = IntegerField(null=True)
    evse = IntegerField(null=True)

    class Meta:
        indexes = ((("station", "at"), False),)


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


class Outbox(Row):
    """Notifications on their way; ``key`` is the caller's own name for one, ``once`` the text that is not told twice until ``once_until``."""

    id = AutoField()
    channel = TextField()
    key = TextField(null=True)
    notification = TextField()
    state = TextField()
    tries = BigIntegerField()
    due = BigIntegerField()
    closed_at = BigIntegerField(null=True)
    error = TextField()
    once = TextField(null=True)
    once_until = BigIntegerField(null=True)

    class Meta:
        indexes = ((("channel", "key"), True), (("channel", "state", "due"), False), (("channel", "once"), False))


class MessageChunk(Row):
    """The message log, in a file of its own: what one station and the CSMS said to each other within one flush.

    ``id`` is the number of the first message, ``marks`` has a word for each one and ``frames`` their bytes in a row (``csms.store.messages``).
    """

    id = AutoField()
    station = TextField(index=True)
    first_at = BigIntegerField()
    last_at = BigIntegerField()
    count = IntegerField()
    marks = TextField()
    frames = BlobField()
