"""Block I: what a charge costs so far goes to the stations that can show it, and the final cost with the answer to its end.

Nothing here runs where the site has costs switched off, and no answer to an Updated event waits for a price: running costs are sent afterwards.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from csms.blocks.pricing import Pricing
from csms.model.billing import ShowCost
from csms.model.commands import CommandFailed, CommandState
from csms.model.station import StationLost
from csms.model.transactions import Completeness, Transaction, TransactionEnded, TransactionUpdated
from csms.running import run_guarded
from csms.stations import Station
from csms.store import Store, StoreFault
from csms.switchboard import Switchboard

FINAL_WITHIN_S = 2.0
"""A station waits for the answer to its Ended event: so long it waits for a price, too."""
NEARLY = 0.9
"""Who was told a little after the look before has his turn in this one, not only in the next."""
Key = tuple[str, str]


@dataclass(slots=True)
class _Shown:
    """How far the driver of one transaction has been told: when last, how much, whether more is due, and whether a cost is on its way."""

    at_s: float = float("-inf")
    total: Decimal | None = None
    due: bool = False
    sending: bool = False


class RunningCost:
    """Sends costs: at most one every ``interval_s`` for each transaction, when it has become another one, by an event or by time alone.

    ``everyone`` leaves out the question whether the station can show them. Which transactions go on is read from the database, also after a restart.
    """

    log = Logger()

    def __init__(
        self,
        pricing: Pricing,
        store: Store,
        switchboard: Switchboard,
        clock: IReactorTime,
        *,
        interval_s: float,
        everyone: bool,
    ) -> None:
        self._pricing = pricing
        self._store = store
        self._switchboard = switchboard
        self._clock = clock
        self._interval_s = interval_s
        self._everyone = everyone
        self._shown: dict[Key, _Shown] = {}
        self._looking = False
        self._timer = LoopingCall(lambda: run_guarded(self.look, self.log))
        self._timer.clock = clock

    def start(self) -> None:
        """Begin to look, every interval, what time alone has made dearer."""
        self._timer.start(self._interval_s, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._timer.running:
            self._timer.stop()

    def on_event(self, event: object) -> None:
        """With each event the cost may be another one. A transaction that ended, or whose station is gone, is told nothing more."""
        match event:
            case TransactionUpdated(station=station, transaction_id=transaction):
                self._due((station.id, transaction))
            case TransactionEnded(station=station, transaction=ended):
                self._shown.pop((station.id, ended.station_transaction), None)
            case StationLost(station=station):
                for key in [one for one in self._shown if one[0] == station.id]:
                    del self._shown[key]

    def _due(self, key: Key) -> None:
        shown = self._shown.setdefault(key, _Shown())
        if shown.due:
            return
        shown.due = True
        wait = max(0.0, shown.at_s + self._interval_s - self._clock.seconds())
        self._clock.callLater(wait, run_guarded, lambda: self._send(key), self.log)

    async def look(self) -> None:
        """Tell of each transaction that goes on and was told nothing for an interval, one after the other; a slow look delays the next."""
        able = {one.id for one in self._switchboard.stations() if ShowCost in one.dialect.commands}
        if self._looking or not able:
            return
        self._looking = True
        try:
            active = [(one.station, one.station_transaction) for one in await self._store.transactions.active()]
            self._forget_all_but(active)
            for key in active:
                if key[0] in able:
                    await self._by_time(key)
        finally:
            self._looking = False

    def _forget_all_but(self, active: Collection[Key]) -> None:
        """Nothing stays behind of a transaction whose end was told in no news."""
        going_on = set(active)
        for key in [key for key, shown in self._shown.items() if not shown.due and key not in going_on]:
            del self._shown[key]

    async def _by_time(self, key: Key) -> None:
        shown = self._shown.setdefault(key, _Shown())
        if not shown.due and shown.at_s + NEARLY * self._interval_s <= self._clock.seconds():
            shown.due = True
            await self._send_guarded(key)

    async def _send_guarded(self, key: Key) -> None:
        """One that cannot be priced must not keep the others waiting; raises StoreFault where the whole database is unwell."""
        try:
            await self._send(key)
        except Exception as fault:
            if isinstance(fault, StoreFault) and fault.kind != "other":
                raise
            self.log.failure(
                "what transaction {transaction} of {station} costs cannot be told", station=key[0], transaction=key[1]
            )

    async def _send(self, key: Key) -> None:
        """Send what it costs now, unless that has been told, or the station has not answered the cost before."""
        shown = self._shown.get(key)
        station = self._switchboard.station(key[0])
        if shown is None or station is None:
            return
        shown.due = False
        transaction = await self._store.transactions.by_wire_id(*key)
        if transaction is None or transaction.ended_at is not None:
            self._shown.pop(key, None)  # events that came late: nobody stands there any more
            return
        shown.at_s = self._clock.seconds()
        if shown.sending or not await self._can_show(station):
            return
        price = await self._pricing.cost(transaction)
        if price is None or price.hold or price.total == shown.total or self._shown.get(key) is not shown:
            return
        shown.total, shown.sending = price.total, True
        run_guarded(lambda: self._told(station, ShowCost(key[1], price.total), shown), self.log)

    async def _told(self, station: Station, cost: ShowCost, shown: _Shown) -> None:
        try:
            await station.send(cost)
        except CommandFailed as failed:
            self.log.info("{station} did not take a cost: {why}", station=station.id, why=str(failed))
            if failed.state is not CommandState.REJECTED:
                shown.total = None
        finally:
            shown.sending = False

    async def final(self, station: Station, transaction: Transaction) -> Decimal | None:
        """The total of an ended transaction if it is final, within FINAL_WITHIN_S; None lets the station say that the bill comes later."""
        if transaction.completeness is not Completeness.COMPLETE:
            return None
        asked = defer.Deferred.fromCoroutine(self._final(station, transaction))
        try:
            return await asked.addTimeout(FINAL_WITHIN_S, self._clock)
        except Exception as fault:
            self.log.warn("{station} is told no cost: {fault}", station=station.id, fault=fault)
            return None

    async def _final(self, station: Station, transaction: Transaction) -> Decimal | None:
        if not await self._can_show(station):
            return None
        priced = await self._pricing.priced(transaction)
        return None if priced is None or priced.hold else priced.price.total

    async def _can_show(self, station: Station) -> bool:
        """Whether the station's version has a word for costs, and it said in its report that it shows them."""
        if ShowCost not in station.dialect.commands:
            return False
        if self._everyone:
            return True
        values = await self._store.variables.list(station.id, component="TariffCostCtrlr")
        said = {one.variable.name: one.value for one in values if one.variable.instance == "Cost"}
        return (said.get("Enabled") or said.get("Available") or "").lower() == "true"
