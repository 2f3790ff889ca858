"""Everything about money in one piece: prices, bills, their way to backends, costs at the station. Only joins; each part has its own module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from twisted.internet.interfaces import IReactorTime

from csms.blocks.billing import BillingBlock
from csms.blocks.deliveries import Deliveries, DeliveryRules
from csms.blocks.evidence import EvidenceBlock
from csms.blocks.pricing import Pricing
from csms.blocks.running_cost import RunningCost
from csms.hooks import Hooks
from csms.model.billing import BillIssued
from csms.model.sites import SiteScope
from csms.model.station import StationLost
from csms.model.transactions import TransactionEnded, TransactionUpdated
from csms.news import News
from csms.store import Issuing, Store
from csms.switchboard import Switchboard


@dataclass(frozen=True, slots=True)
class BillRules:
    """What the site file says of bills; in ``series`` stand {site}, {station}, {year} and {month}, on the clock of the station's site."""

    series: str = "{site}-{year}"
    credit_series: str = ""
    running_cost: Literal["off", "shown", "all"] = "off"
    cost_interval_s: float = 30.0
    deliveries: DeliveryRules = field(default_factory=DeliveryRules)


class Bookkeeping:
    """The parts, each by name; ``costs`` is None where the site shows none."""

    def __init__(
        self,
        hooks: Hooks,
        store: Store,
        evidence: EvidenceBlock,
        switchboard: Switchboard,
        rules: BillRules,
        *,
        site_of: Callable[[str], SiteScope],
        tell: Callable[[object], None],
        clock: IReactorTime,
        now: Callable[[], datetime],
    ) -> None:
        self._hooks = hooks
        self._rules = rules
        self._site_of = site_of
        self.pricing = Pricing(hooks, store, evidence, now)
        self.bills = BillingBlock(self.pricing, store, self._issuing, tell, clock, now)
        self.deliveries = Deliveries(hooks, store, rules.deliveries, tell, clock, now)
        self.costs: RunningCost | None = None
        if rules.running_cost != "off":
            everyone = rules.running_cost == "all"
            self.costs = RunningCost(
                self.pricing, store, switchboard, clock, interval_s=rules.cost_interval_s, everyone=everyone
            )

    def _issuing(self, station: str, at: datetime) -> Issuing:
        site = self._site_of(station)
        day = at.astimezone(ZoneInfo(site.timezone))
        places = {"site": site.id, "station": station, "year": day.year, "month": f"{day.month:02}"}
        series = self._rules.series.format(**places)
        credit = self._rules.credit_series.format(**places) or series
        return Issuing(series, credit, self._hooks.answerers("deliver_bill"), at)

    def start(self) -> None:
        """Begin with what a stop or crash left over."""
        self.bills.start()
        self.deliveries.start()
        if self.costs is not None:
            self.costs.start()

    def stop(self) -> None:
        """Begin nothing more."""
        self.bills.stop()
        self.deliveries.stop()
        if self.costs is not None:
            self.costs.stop()

    def listen(self, news: News) -> None:
        """Let those parts hear news that act on it."""
        news.add(self.bills.on_event, TransactionEnded)
        news.add(self.deliveries.on_event, BillIssued)
        if self.costs is not None:
            news.add(self.costs.on_event, TransactionUpdated, TransactionEnded, StationLost)
