"""The outbox of notifications."""

from __future__ import annotations

from typing import Any

from peewee import AutoField, BigIntegerField, Model, TextField


class Outbox(Model):
    class Meta:
        legacy_table_names = False
        strict_tables = True
        indexes = ((("channel", "key"), True), (("channel", "state", "due"), False), (("channel", "once"), False))

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


def up(migrator: Any, db: Any) -> None:
    with db.bind_ctx((Outbox,), bind_refs=False, bind_backrefs=False):
        db.create_tables((Outbox,), safe=False)
