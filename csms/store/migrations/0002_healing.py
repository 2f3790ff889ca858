"""Healing and explaining: what a transaction lacks, what was asked about it, and how its tokens were decided on."""

from __future__ import annotations

from typing import Any

from peewee import SQL, AutoField, BigIntegerField, ForeignKeyField, IntegerField, Model, TextField

ONE, NOTHING = SQL("1"), SQL("''")


class Row(Model):
    class Meta:
        legacy_table_names = False
        strict_tables = True


class Transaction(Row):
    id = AutoField()
    station = TextField()
    evse = BigIntegerField(null=True)
    started_at = BigIntegerField(null=True)
    wants = IntegerField()
    gave_up = TextField()


class Healing(Row):
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


class Decision(Row):
    id = AutoField()
    station = TextField()
    at = BigIntegerField()
    token_key = TextField()
    token_type = TextField()
    purpose = TextField()
    said = TextField()

    class Meta:
        indexes = ((("token_key", "token_type", "at"), False),)


OPEN = Healing.closed_at.is_null()
Healing.add_index(Healing.index(Healing.transaction, unique=True, where=OPEN, name="healing_open"))
Healing.add_index(Healing.index(Healing.next_at, where=OPEN, name="healing_next"))
INDEXES = (
    Transaction.index(Transaction.station, Transaction.evse, Transaction.started_at, name="transaction_place"),
    Transaction.index(
        Transaction.id, where=(Transaction.wants == ONE) & (Transaction.gave_up == NOTHING), name="transaction_wanting"
    ),
)
COLUMNS = (
    ('"transaction"', '"wants" INTEGER NOT NULL DEFAULT 0'),
    ('"transaction"', '"heard_at" INTEGER'),
    ('"transaction"', "\"gave_up\" TEXT NOT NULL DEFAULT ''"),
    ('"transaction"', "\"token_group\" TEXT NOT NULL DEFAULT ''"),
    ('"transaction"', "\"overlaps\" TEXT NOT NULL DEFAULT ''"),
    ('"transaction"', '"joined_to" INTEGER'),
    ('"transaction_event"', '"decision" TEXT'),
)


def up(migrator: Any, db: Any) -> None:
    for table, column in COLUMNS:
        db.execute_sql(f"ALTER TABLE {table} ADD COLUMN {column}")
    with db.bind_ctx((Transaction, Healing, Decision), bind_refs=False, bind_backrefs=False):
        db.create_tables((Healing, Decision), safe=False)
        for index in INDEXES:
            db.execute(index)
    db.execute_sql(WANTING)
    for name, type in (("starts", "Started"), ("ends", "Ended")):
        db.execute_sql(COUNTED, (f"$.{name}", type, type))


WANTING = """
    UPDATE "transaction" SET "heard_at" = COALESCE("ended_at", "started_at"), "wants" =
        COALESCE(json_array_length("evidence", '$.seqs'), 0) > 1
        OR (json_type("evidence", '$.ended') IS NOT NULL AND json_type("evidence", '$.started') IS NULL)
"""
COUNTED = """
    UPDATE "transaction" SET "evidence" = json_set("evidence", ?,
        (SELECT COUNT(*) FROM "transaction_event" e WHERE e."transaction_id" = "transaction"."id" AND e."type" = ?))
    WHERE EXISTS (SELECT 1 FROM "transaction_event" e WHERE e."transaction_id" = "transaction"."id" AND e."type" = ?)
"""
