"""Block I: what a charge costs so far goes to the stations that can show it, and the final cost with the answer to its end.

Nothing here runs where the site has costs switched off, and no answer to an Updated event waits for a price: running costs are sent afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from csms.blocks.pricing import Pricing
from csms.model.billing import ShowCost
from csms.model.station import StationLost
from csms.model.transactions import Completeness, Transaction, TransactionEnded, TransactionUpdated
from csms.running import run_guarded
from csms.stations import CommandFailed, Station
from csms.store import Store
from csms.switchboard import Switchboard

FINAL_WITHIN_S = 2.0
"""A station waits for the answer to its Ended event: so long it waits for a price, too."""
Key = tuple[str, str]


@dataclass(slots=True)
class _Shown:
    """How far the driver of one transaction has been told: when last, whether more is due, and whether readings have come since."""

    at_s: float = float("-inf")
    due: bool = False
    read: bool = False


class RunningCost:
    """Sends costs: at most one every ``interval_s`` for each transaction. ``everyone`` leaves out the question whether the station can show them."""

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

    def on_event(self, event: object) -> None:
        """Readings came: the cost is another one; so it is with any event where no register is read at all, and time alone is paid.

        A transaction that ended, or whose station is gone, is told nothing more.
        """
        match event:
            case TransactionUpdated(station=station, transaction_id=transaction, event=update):
                self._due((station.id, transaction), read=bool(update.meter_values))
            case TransactionEnded(station=station, transaction=ended):
                self._shown.pop((station.id, ended.station_transaction), None)
            case StationLost(station=station):
                for key in [one for one in self._shown if one[0] == station.id]:
                    del self._shown[key]

    def _due(self, key: Key, *, read: bool) -> None:
        shown = self._shown.setdefault(key, _Shown())
        shown.read |= read
        if shown.due:
            return
        shown.due = True
        wait = max(0.0, shown.at_s + self._interval_s - self._clock.seconds())
        self._clock.callLater(wait, run_guarded, lambda: self._send(key), self.log)

    async def _send(self, key: Key) -> None:
        shown = self._shown.get(key)
        station = self._switchboard.station(key[0])
        if shown is None or station is None:
            return
        read, shown.due, shown.read = shown.read, False, False
        transaction = await self._store.transactions.by_wire_id(*key)
        if transaction is None or transaction.ended_at is not None:
            self._shown.pop(key, None)  # readings that came late: nobody stands there any more
            return
        if not read and transaction.last_meter_wh is not None:
            return
        shown.at_s = self._clock.seconds()
        if not await self._can_show(station):
            return
        price = await self._pricing.cost(transaction)
        if price is None or price.hold or self._shown.get(key) is not shown:
            return
        try:
            await station.send(ShowCost(key[1], price.total))
        except CommandFailed as failed:
            self.log.info("{station} did not take a cost: {why}", station=key[0], why=str(failed))

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
