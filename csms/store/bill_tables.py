"""The tables of bills and of their way to backends, one class each.

Booleans are 0 or 1, times microseconds; amounts are text, so that no digit is lost.
"""

from __future__ import annotations

from peewee import SQL, AutoField, BigIntegerField, ForeignKeyField, IntegerField, TextField

from csms.store.statements import Row
from csms.store.tables import Transaction


class Bill(Row):
    """Bills and credit notes. At most one row of a transaction is open (no number yet); ``revision`` is the transaction's when it was priced."""

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
    issued_at = BigIntegerField(index=True)
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
    """The last number given out in each series."""

    series = TextField(primary_key=True)
    last = BigIntegerField()


class BillStep(Row):
    """What happened to each bill, in order; rows are never changed."""

    id = AutoField()
    transaction = ForeignKeyField(Transaction)
    bill = BigIntegerField()
    at = BigIntegerField()
    what = TextField()
    by = TextField()
    reason = TextField()


class BillDelivery(Row):
    """The outbox: each issued bill on its way to each backend."""

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


BILL_TABLES: tuple[type[Row], ...] = (Bill, BillSeries, BillStep, BillDelivery)
