"""The outbox of issued bills: rows are written with the bill, in one commit, and only ever change on their way out."""

from __future__ import annotations

import builtins
from datetime import datetime, timedelta
from typing import Any

from peewee import SQL, fn

from csms.model.billing import Bill, DeliveryRecord, DeliveryState
from csms.store.bill_rows import FIELDS, bill_of
from csms.store.bill_tables import Bill as BillRow
from csms.store.bill_tables import BillDelivery as Row
from csms.store.columns import micros, moment
from csms.store.connections import Readers
from csms.store.statements import Q, compiled, turn
from csms.store.writer import Writer

RECORD = (Row.bill, Row.plugin, Row.state, Row.attempts, Row.next_at, Row.error, Row.reference)
WAITING = SQL(f"'{DeliveryState.WAITING}'")
Earlier, EarlierBill = Row.alias(), BillRow.alias()
BEFORE = (
    Earlier.select(Earlier.id)
    .join(EarlierBill, on=(Earlier.bill == EarlierBill.id))
    .where(
        Earlier.plugin == Row.plugin,
        Earlier.id < Row.id,
        Earlier.state == WAITING,
        EarlierBill.transaction == BillRow.transaction,
    )
)
DUE = compiled(
    Row.select(*RECORD, *FIELDS)
    .join(BillRow, on=(Row.bill == BillRow.id))
    .where(Row.plugin == Q, Row.state == WAITING, turn(Row.next_at), ~fn.EXISTS(BEFORE))
    .order_by(Row.id)
    .limit(Q)
)
OF_BILL = compiled(Row.select(*RECORD).where(Row.bill == Q).order_by(Row.id))
CHANGE = compiled(
    Row.update({Row.state: Q, Row.attempts: Q, Row.next_at: Q, Row.error: Q, Row.reference: Q}).where(
        Row.bill == Q, Row.plugin == Q
    )
)
AGAIN = compiled(Row.update({Row.state: Q, Row.attempts: Q, Row.next_at: Q}).where(Row.bill == Q, Row.state == Q))


class DeliveryRows:
    """Deliveries by bill and plugin."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def due(
        self, plugin: str, at: datetime, longest: timedelta, limit: int = 20
    ) -> builtins.list[tuple[DeliveryRecord, Bill]]:
        """What one backend should be given now, the oldest first; a bill waits for earlier ones of its transaction, and none for longer than
        ``longest``."""
        values = (plugin, micros(at), micros(at + longest), limit)
        return await self._readers.found(DUE, values, lambda row: (_record(row), bill_of(row[len(RECORD) :])))

    async def change(self, record: DeliveryRecord) -> None:
        """Write how far a delivery has come."""
        values = (record.state.value, record.attempts, micros(record.next_at), record.error, record.reference)
        await self._writer.submit(
            lambda connection: connection.execute(CHANGE, (*values, record.bill, record.plugin)).rowcount
        )

    async def again(self, bill: int, at: datetime) -> int:
        """Try the dead deliveries of a bill again; gives how many there were."""
        values = (DeliveryState.WAITING.value, 0, micros(at), bill, DeliveryState.DEAD.value)
        return await self._writer.submit(lambda connection: connection.execute(AGAIN, values).rowcount)

    async def list(self, bill: int) -> builtins.list[DeliveryRecord]:
        """The deliveries of a bill."""
        return await self._readers.found(OF_BILL, (bill,), _record)


def _record(row: Any) -> DeliveryRecord:
    return DeliveryRecord(row[0], row[1], DeliveryState(row[2]), row[3], moment(row[4]), row[5], row[6])
