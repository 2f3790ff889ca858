"""Writes one bill per transaction, priced by the plugins; a transaction whose bill is behind its events is found in the database, not in memory.

So a bill is never lost by a crash, never written twice, and a failing price never delays an event: it is asked again later.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from csms.consumption import consumption_of
from csms.hooks import Hooks
from csms.model.billing import Bill, BillIssued, BillStatus, TariffChoice, TariffQuestion
from csms.model.station import StationRef
from csms.model.transactions import Completeness, Transaction, TransactionEnded
from csms.running import run_guarded
from csms.store import Store

SWEEP_S = 10.0
BATCH = 100


class BillingBlock:
    """Sweeps the transactions that are due for a bill, at once when one ends and every few seconds for what was missed."""

    log = Logger()

    def __init__(self, hooks: Hooks, store: Store, clock: IReactorTime, now: Callable[[], datetime]) -> None:
        self._hooks = hooks
        self._store = store
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
        if not self._hooks.has("price"):
            return
        await self._sweeping.acquire()
        try:
            last = 0
            while due := await self._store.transactions.due_bills(BATCH, after=last):
                for transaction, revision in due:
                    await self._bill(transaction, revision)
                last = due[-1][0].id
        finally:
            self._sweeping.release()
        if self._again:
            self._again = False
            self._clock.callLater(0, self._sweep_guarded)

    async def _bill(self, transaction: Transaction, revision: int) -> None:
        choice = await self._choice(transaction)
        question = {"transaction": transaction, "consumption": consumption_of(transaction), "choice": choice}
        answer = await self._hooks.ask("price", **question)
        if answer is None:
            return
        complete = transaction.completeness is Completeness.COMPLETE and not transaction.review
        bill = Bill(
            transaction=transaction.id,
            station=transaction.station,
            status=BillStatus.FINAL if complete else BillStatus.PROVISIONAL,
            price=answer.value,
            energy_wh=transaction.energy_wh,
            meter_start_wh=transaction.meter_start_wh,
            meter_stop_wh=transaction.meter_stop_wh,
            started_at=transaction.started_at,
            ended_at=transaction.ended_at,
            issued_at=self._now(),
            evidence={"priced_by": answer.plugin, "review": transaction.review},
        )
        await self._store.bills.put(bill, revision)
        self._hooks.tell(BillIssued(StationRef(transaction.station), bill.issued_at, bill))

    async def _choice(self, transaction: Transaction) -> TariffChoice | None:
        """The tariff that the plugins choose for a transaction, if any does."""
        if not self._hooks.has("choose_tariff"):
            return None
        token = await self._store.tokens.get(transaction.id_token) if transaction.id_token else None
        question = TariffQuestion(
            await self._station(transaction.station),
            transaction,
            transaction.started_at or transaction.last_event_at or self._now(),
            token.group if token else None,
        )
        answer = await self._hooks.ask("choose_tariff", question=question)
        chosen: TariffChoice | None = answer.value if answer else None
        return chosen

    async def _station(self, id: str) -> StationRef:
        record = await self._store.stations.get(id)
        if record is None:
            return StationRef(id)
        return StationRef(id, record.protocol, record.vendor, record.model, record.firmware, record.online)
