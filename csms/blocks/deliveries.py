"""Carries issued bills to the backends that plugins speak to: each in its own time, until it answers or a person is needed.

The outbox is in the database and written with the bill. A crash between a backend's yes and our note of it makes the same delivery come again with
the same key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from csms.facade import PluginFailed
from csms.hooks import Hooks
from csms.model.billing import (
    Bill,
    BillDelivered,
    BillDelivery,
    BillIssued,
    BillNotDelivered,
    DeliveryRecord,
    DeliveryState,
)
from csms.model.station import StationRef
from csms.running import run_guarded
from csms.store import Store

LOOK_S = 5.0
LONGEST_TEXT = 500


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """How long a backend may take, and how often and after which pauses it is tried: each pause is twice the one before, at most ``most_s``."""

    timeout_s: float = 30.0
    retry_s: float = 10.0
    most_s: float = 3600.0
    attempts: int = 20

    @property
    def longest(self) -> timedelta:
        """No pause is longer."""
        return timedelta(seconds=max(self.most_s, self.retry_s))

    def pause_s(self, attempts: int) -> float:
        """How long to wait after so many attempts."""
        return min(self.most_s, self.retry_s * 2.0 ** min(attempts - 1, 40))


class Deliveries:
    """Looks for what is due, for each backend on its own: a slow one keeps nobody waiting but itself."""

    log = Logger()

    def __init__(
        self,
        hooks: Hooks,
        store: Store,
        rules: DeliveryRules,
        tell: Callable[[object], None],
        clock: IReactorTime,
        now: Callable[[], datetime],
    ) -> None:
        self._hooks = hooks
        self._store = store
        self._rules = rules
        self._tell = tell
        self._now = now
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._timer = LoopingCall(self.look)
        self._timer.clock = clock

    def start(self) -> None:
        """Begin with what a stop or crash left over."""
        self._timer.start(LOOK_S, now=True)

    def stop(self) -> None:
        """Begin no more deliveries."""
        if self._timer.running:
            self._timer.stop()

    def on_event(self, event: object) -> None:
        """A bill was issued: it may go out at once."""
        if isinstance(event, BillIssued) and event.bill.number:
            self.look()

    def look(self) -> None:
        """Deliver what is due to each backend that is not at work already."""
        for plugin in self._hooks.answerers("deliver_bill"):
            if plugin in self._busy:
                self._again.add(plugin)
            else:
                self._busy.add(plugin)
                run_guarded(lambda plugin=plugin: self._serve(plugin), self.log)  # type: ignore[misc]

    async def _serve(self, plugin: str) -> None:
        try:
            while due := await self._store.deliveries.due(plugin, self._now(), self._rules.longest):
                self._again.discard(plugin)
                for record, bill in due:
                    await self._deliver(record, bill)
        finally:
            self._busy.discard(plugin)
        if plugin in self._again:
            self._again.discard(plugin)
            self.look()

    async def _deliver(self, record: DeliveryRecord, bill: Bill) -> None:
        attempt = record.attempts + 1
        question = {"delivery": BillDelivery(bill.number, attempt, bill)}
        try:
            answer = await self._hooks.consult(record.plugin, "deliver_bill", self._rules.timeout_s, question)
        except PluginFailed as failed:
            await self._failed(replace(record, attempts=attempt, error=str(failed)[:LONGEST_TEXT]), bill)
            return
        state = DeliveryState.DELIVERED if isinstance(answer, BillDelivered) else DeliveryState.NOT_WANTED
        reference = answer.reference[:LONGEST_TEXT] if isinstance(answer, BillDelivered) else ""
        done = replace(record, state=state, attempts=attempt, next_at=self._now(), error="", reference=reference)
        await self._store.deliveries.change(done)

    async def _failed(self, record: DeliveryRecord, bill: Bill) -> None:
        now = self._now()
        if record.attempts < self._rules.attempts:
            later = now + timedelta(seconds=self._rules.pause_s(record.attempts))
            await self._store.deliveries.change(replace(record, next_at=later))
            return
        await self._store.deliveries.change(replace(record, state=DeliveryState.DEAD, next_at=now))
        self.log.error(
            "bill {number} was not delivered by {plugin} after {attempts} attempts: {error}",
            number=bill.number,
            plugin=record.plugin,
            attempts=record.attempts,
            error=record.error,
        )
        self._tell(BillNotDelivered(StationRef(bill.station), now, bill, record.plugin, record.error))

    async def again(self, bill: int) -> int:
        """Try a bill's dead deliveries again, from now on; gives how many there are."""
        count = await self._store.deliveries.again(bill, self._now())
        self.look()
        return count
