"""Bills and credit notes: an issued one is never changed, its number has no gaps in its series, and its deliveries are written in its own commit.

Everything here is one unit of the writer: a crash leaves a whole step or none of it.
"""

from __future__ import annotations

import builtins
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from csms.model.billing import Bill, BillKind, BillRefused, BillStatus, BillStep, UnknownBill
from csms.store.bill_rows import ALL, GET, PUT, bill_of, credit_of, fields_of, same_price, step_of
from csms.store.bill_tables import Bill as Row
from csms.store.bill_tables import BillDelivery as DeliveryRow
from csms.store.bill_tables import BillSeries
from csms.store.bill_tables import BillStep as StepRow
from csms.store.columns import micros
from csms.store.connections import Readers
from csms.store.faults import Untouched
from csms.store.statements import ONE, Q, compiled, insertion
from csms.store.tables import Transaction
from csms.store.writer import Writer

LAST = 2**63 - 1
OF_TRANSACTION = compiled(ALL.where(Row.transaction == Q).order_by(Row.id))
BY_NUMBER = compiled(ALL.where(Row.number == Q))
STATUS = compiled(Row.update({Row.status: Q}).where(Row.id == Q))
STEP = compiled(insertion(StepRow, without=("id",)))
STEPS = compiled(
    StepRow.select(StepRow.bill, StepRow.at, StepRow.what, StepRow.by, StepRow.reason)
    .where(StepRow.transaction == Q)
    .order_by(StepRow.id)
)
DELIVERY = compiled(insertion(DeliveryRow, without=("id",)))
NEXT = (
    compiled(
        insertion(BillSeries).on_conflict(
            conflict_target=[BillSeries.series], update={BillSeries.last: BillSeries.last + ONE}
        )
    )
    + ' RETURNING "last"'
)
MARK = compiled(
    Transaction.update({Transaction.billed_revision: Q}).where(Transaction.id == Q, Transaction.billed_revision < Q)
)
BILLED = compiled(Transaction.select(Transaction.billed_revision, Transaction.revision).where(Transaction.id == Q))


class _Refused(BillRefused, Untouched):
    """A refusal that has written nothing."""


class _Unknown(UnknownBill, Untouched):
    """There is nothing to write to."""


@dataclass(frozen=True, slots=True)
class Issuing:
    """How bills are issued: the series of bills and of credit notes, the plugins they are delivered to, and the time."""

    series: str
    credit_series: str
    deliver_to: Sequence[str]
    at: datetime


class BillRows:
    """Bills by transaction and by id."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def settle(self, draft: Bill, revision: int, issuing: Issuing) -> builtins.list[Bill]:
        """Make a transaction's bill what its events say as of a revision; gives what was written, nothing if that was known already.

        An issued bill stays as it is if it says the same; else a final draft corrects it, and any other waits beside it.
        """

        def unit(connection: sqlite3.Connection) -> builtins.list[Bill]:
            billed, known = connection.execute(BILLED, (draft.transaction,)).fetchone() or (0, revision)
            # Fewer events than were priced: a parked stop that has joined its start meanwhile.
            if billed >= revision or known < revision:
                return []
            written = _Books(connection, issuing).settle(draft, revision)
            connection.execute(MARK, (revision, draft.transaction, revision))
            return written

        return await self._writer.submit(unit)

    async def skip(self, transaction: int, revision: int) -> None:
        """Nothing is to be billed up to this revision."""
        values = (revision, transaction, revision)
        await self._writer.submit(lambda connection: connection.execute(MARK, values).rowcount)

    async def release(self, bill: Bill, issuing: Issuing) -> builtins.list[Bill]:
        """Issue an open bill as it is given; raises BillRefused unless it is open."""
        return await self._by_hand(bill.id, issuing, lambda books, open: books.release(open, bill), open_only=True)

    async def write_off(self, bill: Bill, issuing: Issuing) -> builtins.list[Bill]:
        """Never issue an open bill; raises BillRefused unless it is open."""
        return await self._by_hand(bill.id, issuing, lambda books, open: books.write_off(open, bill), open_only=True)

    async def correct(self, bill: Bill, issuing: Issuing) -> builtins.list[Bill]:
        """Take an issued bill back and issue this one in its place; raises BillRefused unless it counts now."""
        fresh = replace(bill, id=0)
        return await self._by_hand(bill.id, issuing, lambda books, known: books.replaced(known, fresh, ""))

    async def cancel(self, bill: Bill, issuing: Issuing) -> builtins.list[Bill]:
        """Take an issued bill back; raises BillRefused unless it counts now."""
        return await self._by_hand(bill.id, issuing, lambda books, known: [books.credit(known, bill)])

    async def _by_hand(
        self,
        id: int,
        issuing: Issuing,
        change: Callable[[_Books, Bill], builtins.list[Bill]],
        *,
        open_only: bool = False,
    ) -> builtins.list[Bill]:
        def unit(connection: sqlite3.Connection) -> builtins.list[Bill]:
            row = connection.execute(GET, (id,)).fetchone()
            known = bill_of(row) if row else None
            if known is None:
                raise _Unknown(f"there is no bill {id}")
            if open_only and not known.status.open:
                raise _Refused(f"bill {known.number or id} is {known.status.value}: it is not waiting for anybody")
            if not open_only and (known.status is not BillStatus.FINAL or known.kind is BillKind.CREDIT):
                what = "a credit note" if known.kind is BillKind.CREDIT else known.status.value.replace("_", " ")
                raise _Refused(f"bill {known.number or id} is {what}: only a final bill can be taken back")
            return change(_Books(connection, issuing), known)

        return await self._writer.submit(unit)

    async def get(self, transaction: int) -> Bill | None:
        """The bill of a transaction that counts: the final one, else the open one, else the newest."""
        bills = [bill_of(row) for row in self._readers.few(OF_TRANSACTION, (transaction,))]
        bills = [one for one in bills if one.kind is BillKind.BILL]
        final = [one for one in bills if one.status is BillStatus.FINAL]
        open = [one for one in bills if one.status.open]
        return next(reversed(final or open or bills), None)

    async def by_id(self, id: int) -> Bill | None:
        """The bill with this id, or None."""
        row = self._readers.one(GET, (id,))
        return None if row is None else bill_of(row)

    async def by_number(self, number: str) -> Bill | None:
        """The bill with this number, or None."""
        row = self._readers.one(BY_NUMBER, (number,))
        return None if row is None else bill_of(row)

    async def list(
        self,
        *,
        station: str | None = None,
        transaction: int | None = None,
        status: BillStatus | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> builtins.list[Bill]:
        """Bills, the newest first; ``after`` goes on behind (below) that id. ``since`` and ``until`` are of the time of issue."""
        found = Row.select(Row.id).order_by(Row.id.desc()).limit(limit)
        wanted = {Row.station: station, Row.transaction: transaction, Row.status: status and status.value}
        for field, value in wanted.items():
            if value is not None:
                found = found.where(field == value)
        if since is not None or until is not None:
            # Both ends, so that the index of times is used; the numbers alone are sorted, and never whole bills.
            earliest, latest = (0 if since is None else micros(since)), (LAST if until is None else micros(until))
            found = found.where(Row.issued_at >= earliest, Row.issued_at < latest)
        if after:
            found = found.where(Row.id < after)
        return await self._readers.many(ALL.where(Row.id.in_(found)).order_by(Row.id.desc()), bill_of)

    async def history(self, transaction: int) -> builtins.list[BillStep]:
        """Everything that happened to the bills of a transaction, in order."""
        return await self._readers.found(STEPS, (transaction,), step_of)


class _Books:
    """One unit's work on the bills of one transaction."""

    def __init__(self, connection: sqlite3.Connection, issuing: Issuing) -> None:
        self._connection = connection
        self._issuing = issuing

    def settle(self, draft: Bill, revision: int) -> list[Bill]:
        bills = self._bills_of(draft.transaction)
        open = next((one for one in bills if one.status.open), None)
        finals = _counting(bills)
        final = finals[0] if finals else None
        if final is not None and len(finals) == 1 and same_price(final, draft):
            reason = f"the events say what bill {final.number} says"
            return self.write_off(open, replace(open, by="", reason=reason)) if open else []
        draft = replace(_with_the_past(draft, finals, bills), id=open.id if open else 0)
        if draft.status is not BillStatus.FINAL:
            return [self._put(draft, revision)]
        return self.replaced(final, draft, "new events") if final else [self._issue(draft, revision)]

    def release(self, open: Bill, released: Bill) -> list[Bill]:
        """In place of the bill that counts now, which need not be the one that counted when the open one was priced."""
        finals = _counting(self._bills_of(open.transaction))
        if len(finals) > 1:
            raise _Refused(_of_one_charge(finals))
        return self.replaced(finals[0], released, "") if finals else [self._issue(replace(released, corrects=None))]

    def write_off(self, open: Bill, given: Bill) -> list[Bill]:
        return [self._put(replace(given, id=open.id, status=BillStatus.WRITTEN_OFF))]

    def replaced(self, final: Bill, draft: Bill, reason: str) -> list[Bill]:
        """A credit note for the bill that counted, and the bill that counts from now on."""
        reason = draft.reason or reason
        credit = self.credit(final, replace(draft, reason=reason), BillStatus.CORRECTED)
        return [credit, self._issue(replace(draft, corrects=final.id, reason=reason))]

    def credit(self, final: Bill, asked: Bill, status: BillStatus = BillStatus.CANCELLED) -> Bill:
        self._connection.execute(STATUS, (status.value, final.id))
        self._step(final, status.value, asked)
        credit = credit_of(final, self._issuing.at, asked.reason, asked.by)
        return self._issue(credit, series=self._issuing.credit_series)

    def _issue(self, bill: Bill, revision: int | None = None, series: str = "") -> Bill:
        """A final row with the next number of its series, and its way to every backend."""
        series = series or self._issuing.series
        (serial,) = self._connection.execute(NEXT, (series, 1)).fetchone()
        final = replace(bill, status=BillStatus.FINAL, number=f"{series}-{serial:06}", issued_at=self._issuing.at)
        made = self._put(final, revision, (series, serial))
        for plugin in self._issuing.deliver_to:
            self._connection.execute(DELIVERY, (made.id, plugin, "waiting", 0, micros(self._issuing.at), "", ""))
        return made

    def _put(
        self, bill: Bill, revision: int | None = None, number: tuple[str | None, int | None] = (None, None)
    ) -> Bill:
        """Write a row; an open one keeps its id whatever becomes of it."""
        if revision is None:
            revision = self._revision(bill.transaction)
        cursor = self._connection.execute(PUT, (bill.id or None, *fields_of(bill, *number, revision)))
        made = replace(bill, id=bill.id or cursor.lastrowid or 0)
        self._step(made, "credited" if bill.kind is BillKind.CREDIT else bill.status.value, bill)
        return made

    def _bills_of(self, transaction: int) -> list[Bill]:
        return [bill_of(row) for row in self._connection.execute(OF_TRANSACTION, (transaction,))]

    def _revision(self, transaction: int) -> int:
        billed, _ = self._connection.execute(BILLED, (transaction,)).fetchone()
        return int(billed)

    def _step(self, bill: Bill, what: str, asked: Bill) -> None:
        values = (bill.transaction, bill.id, micros(self._issuing.at), what, asked.by, asked.reason)
        self._connection.execute(STEP, values)


def _counting(bills: list[Bill]) -> list[Bill]:
    """The bills that count: one, but where a start and its stop were issued apart."""
    return [one for one in bills if one.status is BillStatus.FINAL and one.kind is BillKind.BILL]


def _of_one_charge(finals: list[Bill]) -> str:
    return f"bills {', '.join(one.number for one in finals)} are of one charge: cancel all but one"


def _with_the_past(draft: Bill, finals: list[Bill], bills: list[Bill]) -> Bill:
    """What a person decided is not undone by an event: then the draft waits for a person, too. So it does where a start and its stop were issued
    apart, before anybody knew that they are one charge."""
    if finals:
        final, *more = finals
        draft = replace(draft, corrects=final.id)
        if more:
            return replace(draft, status=BillStatus.QUARANTINED, reason=_of_one_charge(finals))
        if final.by_hand:
            reason = f"bill {final.number} was changed by hand, and there are new events"
            return replace(draft, status=BillStatus.QUARANTINED, reason=reason)
        return draft
    decided = next((one for one in reversed(bills) if one.status in _DECIDED), None)
    if decided is None:
        return draft
    reason = (
        f"bill {decided.number or decided.id} was {decided.status.value.replace('_', ' ')}, and there are new events"
    )
    return replace(draft, status=BillStatus.QUARANTINED, reason=reason)


_DECIDED = (BillStatus.WRITTEN_OFF, BillStatus.CANCELLED)
