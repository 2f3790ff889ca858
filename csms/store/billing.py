"""Bills: one row per transaction, and in the same commit the mark that says up to which event it is billed."""

from __future__ import annotations

import builtins
import sqlite3
from decimal import Decimal
from typing import Any

import orjson
from peewee import EXCLUDED

from csms.model.billing import Bill, BillLine, BillStatus, Price
from csms.store.columns import (
    decimal_or_none,
    json_text,
    micros,
    micros_or_none,
    moment,
    moment_or_none,
    text_or_none,
)
from csms.store.connections import Readers
from csms.store.statements import Q, compiled, insertion
from csms.store.tables import Bill as Row
from csms.store.tables import Transaction
from csms.store.writer import Writer

FIELDS = [field for field in Row._meta.sorted_fields if field.name != "revision"]
ALL = Row.select(*FIELDS)
GET = compiled(ALL.where(Row.transaction == Q))
PUT = compiled(
    insertion(Row).on_conflict(
        conflict_target=[Row.transaction],
        preserve=[*FIELDS[1:], Row.revision],
        where=(Row.revision <= EXCLUDED.revision),
    )
)
MARK = compiled(
    Transaction.update({Transaction.billed_revision: Q}).where(Transaction.id == Q, Transaction.billed_revision < Q)
)


class BillRows:
    """Bills by transaction."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def put(self, bill: Bill, revision: int) -> None:
        """Write a transaction's bill as of a revision; one of an older revision than the written bill changes nothing."""
        row = (*_row(bill), revision)

        def unit(connection: sqlite3.Connection) -> None:
            connection.execute(PUT, row)
            connection.execute(MARK, (revision, bill.transaction, revision))

        await self._writer.submit(unit)

    async def skip(self, transaction: int, revision: int) -> None:
        """Nothing is to be billed up to this revision."""
        values = (revision, transaction, revision)
        await self._writer.submit(lambda connection: connection.execute(MARK, values).rowcount)

    async def get(self, transaction: int) -> Bill | None:
        """The transaction's bill, or None."""
        row = self._readers.one(GET, (transaction,))
        return None if row is None else _bill(row)

    async def list(self, *, station: str | None = None, after: int = 0, limit: int = 100) -> builtins.list[Bill]:
        """Bills by transaction number, those after ``after``."""
        query = ALL.where(Row.transaction > after).order_by(Row.transaction).limit(limit)
        if station is not None:
            query = query.where(Row.station == station)
        return await self._readers.many(query, _bill)


def _row(bill: Bill) -> tuple[object, ...]:
    return (
        bill.transaction,
        bill.station,
        bill.status.value,
        bill.price.currency,
        str(bill.price.total),
        bill.price.tariff,
        bill.price.note,
        json_text(bill.price.lines),
        text_or_none(bill.energy_wh),
        text_or_none(bill.meter_start_wh),
        text_or_none(bill.meter_stop_wh),
        micros_or_none(bill.started_at),
        micros_or_none(bill.ended_at),
        micros(bill.issued_at),
        None if bill.evidence is None else json_text(bill.evidence),
    )


def _bill(row: Any) -> Bill:
    lines = tuple(_line(line) for line in orjson.loads(row[7]))
    return Bill(
        transaction=row[0],
        station=row[1],
        status=BillStatus(row[2]),
        price=Price(currency=row[3], lines=lines, total=Decimal(row[4]), tariff=row[5], note=row[6]),
        energy_wh=decimal_or_none(row[8]),
        meter_start_wh=decimal_or_none(row[9]),
        meter_stop_wh=decimal_or_none(row[10]),
        started_at=moment_or_none(row[11]),
        ended_at=moment_or_none(row[12]),
        issued_at=moment(row[13]),
        evidence=None if row[14] is None else orjson.loads(row[14]),
    )


def _line(line: dict[str, str]) -> BillLine:
    return BillLine(
        text=line["text"],
        quantity=Decimal(line["quantity"]),
        unit=line["unit"],
        unit_price=Decimal(line["unit_price"]),
        amount=Decimal(line["amount"]),
    )
