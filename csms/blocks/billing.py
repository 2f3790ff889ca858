"""Makes each transaction's bill what its events say; one whose bill is behind its events is found in the database, not in memory.

So a bill is never lost by a crash, never written twice, and a failing price never delays an event: it is asked again later. What people decide about
bills (release, write off, correct, cancel) is done here, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from csms.blocks.pricing import UNCHANGED, Priced, Pricing
from csms.model.billing import Bill, BillChange, BillIssued, BillRefused, BillStatus, UnknownBill
from csms.model.station import StationRef
from csms.model.transactions import Completeness, Transaction, TransactionEnded
from csms.running import run_guarded
from csms.store import Issuing, Store, StoreFault

SWEEP_S = 10.0
BATCH = 100
Writing = Callable[[Bill, Issuing], Awaitable[Sequence[Bill]]]


class BillingBlock:
    """Sweeps the transactions that are due for a bill, at once when one ends and every few seconds for what was missed."""

    log = Logger()

    def __init__(
        self,
        pricing: Pricing,
        store: Store,
        issuing: Callable[[str, datetime], Issuing],
        tell: Callable[[object], None],
        clock: IReactorTime,
        now: Callable[[], datetime],
    ) -> None:
        self._pricing = pricing
        self._store = store
        self._issuing = issuing
        self._tell = tell
        self._clock = clock
        self._now = now
        self._sweeping = defer.DeferredLock()
        self._wanted = False
        self._again = False
        self._timer = LoopingCall(self._sweep_guarded)
        self._timer.clock = clock

    def start(self) -> None:
        """Begin with what a crash left over."""
        self._timer.start(SWEEP_S, now=True)

    def stop(self) -> None:
        """No more sweeps."""
        if self._timer.running:
            self._timer.stop()

    def on_event(self, event: object) -> None:
        """A transaction ended: its bill is due."""
        if isinstance(event, TransactionEnded) and not self._wanted:
            self._wanted = True
            self._clock.callLater(0, self._sweep_guarded)

    def _sweep_guarded(self) -> None:
        self._wanted = False
        if self._sweeping.locked:
            self._again = True
        else:
            run_guarded(self.sweep, self.log)

    async def sweep(self) -> None:
        """Bill everything that is due now."""
        if not self._pricing.possible:
            return
        await self._sweeping.acquire()
        try:
            last = 0
            while due := await self._store.transactions.due_bills(BATCH, after=last):
                for transaction, revision in due:
                    await self._bill_guarded(transaction, revision)
                last = due[-1][0].id
        finally:
            self._sweeping.release()
        if self._again:
            self._again = False
            self._clock.callLater(0, self._sweep_guarded)

    async def _bill_guarded(self, transaction: Transaction, revision: int) -> None:
        """One that cannot be billed must not keep the others waiting; raises StoreFault where the whole database is unwell."""
        try:
            await self._bill(transaction, revision)
        except Exception as fault:
            if isinstance(fault, StoreFault) and fault.kind != "other":
                raise
            self.log.failure("transaction {id} cannot be billed now", id=transaction.id)

    async def _bill(self, transaction: Transaction, revision: int) -> None:
        priced = await self._pricing.priced(transaction)
        if priced is None:
            return
        now = self._now()
        draft = _draft(priced, now)
        issuing = self._issuing(transaction.station, now)
        self._told(await self._store.bills.settle(draft, revision, issuing), now)

    # What people decide

    async def release(self, id: int, *, by: str, reason: str, change: BillChange = UNCHANGED) -> Sequence[Bill]:
        """Issue a bill that is held or provisional, as it is or changed; raises BillRefused."""
        return await self._by_hand(id, self._store.bills.release, by, reason, change)

    async def write_off(self, id: int, *, by: str, reason: str) -> Sequence[Bill]:
        """Never issue a bill that is held or provisional; raises BillRefused."""
        return await self._by_hand(id, self._store.bills.write_off, by, reason, UNCHANGED)

    async def correct(self, id: int, *, by: str, reason: str, change: BillChange = UNCHANGED) -> Sequence[Bill]:
        """Take a final bill back and issue it anew, priced again; raises BillRefused. Gives the credit note and the new bill."""
        return await self._by_hand(id, self._store.bills.correct, by, reason, change, again=True)

    async def cancel(self, id: int, *, by: str, reason: str) -> Sequence[Bill]:
        """Take a final bill back; raises BillRefused. Gives the credit note."""
        return await self._by_hand(id, self._store.bills.cancel, by, reason, UNCHANGED)

    async def _by_hand(
        self, id: int, write: Writing, by: str, reason: str, change: BillChange, *, again: bool = False
    ) -> Sequence[Bill]:
        """Nothing is swept meanwhile, so that what is written is what was looked at."""
        await self._sweeping.acquire()
        try:
            bill = await self._store.bills.by_id(id)
            if bill is None:
                raise UnknownBill(f"there is no bill {id}")
            if again or not change.empty:
                bill = await self._priced_again(bill, change)
            now = self._now()
            given = replace(bill, by=by, reason=reason)
            written = await write(given, self._issuing(bill.station, now))
        finally:
            self._sweeping.release()
        self._told(written, now)
        return written

    async def _priced_again(self, bill: Bill, change: BillChange) -> Bill:
        transaction = await self._store.transactions.get(bill.transaction)
        priced = await self._pricing.priced(transaction, change) if transaction else None
        if priced is None:
            raise BillRefused("no plugin gave a price: it is in the log, or no plugin prices")
        if priced.price.hold:
            raise BillRefused(priced.price.hold)
        return replace(_draft(priced, self._now()), id=bill.id, by_hand=bill.by_hand or not change.empty)

    def _told(self, written: Sequence[Bill], now: datetime) -> None:
        for bill in written:
            self._tell(BillIssued(StationRef(bill.station), now, bill))


def _draft(priced: Priced, now: datetime) -> Bill:
    """The bill that follows from the events: provisional while some may come, held while something speaks against it, else final."""
    transaction = priced.transaction
    waiting = transaction.completeness in (Completeness.ONGOING, Completeness.INCOMPLETE)
    held = BillStatus.QUARANTINED if priced.hold else BillStatus.FINAL
    return Bill(
        transaction=transaction.id,
        station=transaction.station,
        status=BillStatus.PROVISIONAL if waiting else held,
        price=priced.price,
        energy_wh=transaction.energy_wh,
        meter_start_wh=transaction.meter_start_wh,
        meter_stop_wh=transaction.meter_stop_wh,
        started_at=transaction.started_at,
        ended_at=transaction.ended_at,
        issued_at=now,
        evidence=priced.evidence,
        reason=priced.hold,
    )
