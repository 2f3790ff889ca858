"""Bills get numbers, history, corrections and an outbox. A frozen copy of the tables, on purpose independent of ``csms.store.tables``."""

from __future__ import annotations

from typing import Any

from peewee import SQL, AutoField, BigIntegerField, ForeignKeyField, IntegerField, Model, TextField

OLD = "bill_of_0001"
SERIES = "old"
"""The series of bills that were final before there were numbers."""


class Row(Model):
    class Meta:
        legacy_table_names = False
        strict_tables = True


class Transaction(Row):
    id = AutoField()


class Bill(Row):
    id = AutoField()
    transaction = ForeignKeyField(Transaction)
    station = TextField(index=True)
    kind = TextField()
    status = TextField()
    series = TextField(null=True)
    serial = BigIntegerField(null=True)
    number = TextField(null=True, unique=True)
    corrects = BigIntegerField(null=True)
    reason = TextField()
    by = TextField()
    by_hand = IntegerField()
    currency = TextField()
    total = TextField()
    tariff = TextField()
    note = TextField()
    lines = TextField()
    taxes = TextField()
    taxes_included = IntegerField()
    rounding = TextField()
    energy_wh = TextField(null=True)
    meter_start_wh = TextField(null=True)
    meter_stop_wh = TextField(null=True)
    started_at = BigIntegerField(null=True)
    ended_at = BigIntegerField(null=True)
    issued_at = BigIntegerField()
    evidence = TextField(null=True)
    revision = BigIntegerField()

    class Meta:
        indexes = ((("series", "serial"), True), (("status", "id"), False))


Bill.add_index(
    Bill.index(
        Bill.transaction, unique=True, where=SQL("\"status\" IN ('provisional', 'quarantined')"), name="bill_open"
    )
)


class BillSeries(Row):
    series = TextField(primary_key=True)
    last = BigIntegerField()


class BillStep(Row):
    id = AutoField()
    transaction = ForeignKeyField(Transaction)
    bill = BigIntegerField()
    at = BigIntegerField()
    what = TextField()
    by = TextField()
    reason = TextField()


class BillDelivery(Row):
    id = AutoField()
    bill = ForeignKeyField(Bill)
    plugin = TextField()
    state = TextField()
    attempts = BigIntegerField()
    next_at = BigIntegerField()
    error = TextField()
    reference = TextField()

    class Meta:
        indexes = ((("bill", "plugin"), True), (("state", "plugin", "next_at"), False))


TABLES = (Bill, BillSeries, BillStep, BillDelivery)
COPY = f"""
    INSERT INTO "bill" (
        "transaction_id", "station", "kind", "status", "series", "serial", "number", "corrects", "reason", "by", "by_hand", "currency", "total",
        "tariff", "note", "lines", "taxes", "taxes_included", "rounding", "energy_wh", "meter_start_wh", "meter_stop_wh", "started_at",
        "ended_at", "issued_at", "evidence", "revision"
    )
    SELECT
        "transaction_id", "station", 'bill', "status", CASE WHEN "status" = 'final' THEN '{SERIES}' END,
        CASE WHEN "status" = 'final' THEN ROW_NUMBER() OVER (PARTITION BY "status" ORDER BY "transaction_id") END,
        CASE WHEN "status" = 'final'
            THEN '{SERIES}-' || printf('%06d', ROW_NUMBER() OVER (PARTITION BY "status" ORDER BY "transaction_id")) END,
        NULL, '', '', 0, "currency", "total", "tariff", "note", "lines", '[]', 1, '0', "energy_wh", "meter_start_wh", "meter_stop_wh",
        "started_at", "ended_at", "issued_at", "evidence", "revision"
    FROM "{OLD}" ORDER BY "transaction_id"
"""
LAST = 'INSERT INTO "bill_series" ("series", "last") SELECT "series", MAX("serial") FROM "bill" WHERE "series" IS NOT NULL GROUP BY "series"'


def up(migrator: Any, db: Any) -> None:
    db.execute_sql('DROP INDEX IF EXISTS "bill_station"')
    db.execute_sql(f'ALTER TABLE "bill" RENAME TO "{OLD}"')
    with db.bind_ctx(TABLES, bind_refs=False, bind_backrefs=False):
        db.create_tables(TABLES, safe=False)
    db.execute_sql(COPY)
    db.execute_sql(LAST)
    db.execute_sql(f'DROP TABLE "{OLD}"')
