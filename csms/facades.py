"""What a plugin is given of the house: readers, senders and doors to the world, each as narrow as it can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from twisted.logger import Logger
from twisted.web.iweb import IAgent

from csms.blocks.commands import Commands
from csms.blocks.notifications import Notifications
from csms.config import Site
from csms.dialects import DIALECTS
from csms.errands import Errands
from csms.facade import Csms, Notifier
from csms.hooks import Hooks
from csms.model.authorization import IdToken, TokenRecord
from csms.model.availability import ConnectorRecord
from csms.model.billing import Bill
from csms.model.commands import CommandRecord
from csms.model.station import StationRecord
from csms.model.transactions import Transaction
from csms.ocpp import schemas
from csms.outgoing import Fetcher
from csms.plugins import PluginHost
from csms.reach import Reach, dialled, http_agent
from csms.site_map import SiteMap
from csms.store import Store
from csms.switchboard import Switchboard

BOTH_WAYS = frozenset({"DataTransfer"})
"""The actions that a station may send and be sent."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What plugins may read: the store's readers, and nothing that writes."""

    store: Store

    async def station(self, station: str) -> StationRecord | None:
        return await self.store.stations.get(station)

    async def stations(self) -> list[StationRecord]:
        return await self.store.stations.list(limit=1000)

    async def connectors(self, station: str) -> list[ConnectorRecord]:
        return await self.store.availability.list(station)

    async def token(self, token: IdToken) -> TokenRecord | None:
        return await self.store.tokens.get(token)

    async def transaction(self, station: str, transaction: str) -> Transaction | None:
        return await self.store.transactions.by_wire_id(station, transaction)

    async def active_transactions(
        self, *, station: str | None = None, token: IdToken | None = None
    ) -> list[Transaction]:
        return await self.store.transactions.active(station=station, token=token)

    async def bill(self, transaction: int) -> Bill | None:
        return await self.store.bills.get(transaction)

    async def command_of(self, origin: str) -> CommandRecord | None:
        return await self.store.commands.of(origin)


@dataclass(frozen=True, slots=True)
class Words:
    """The OCPP of the versions that a site speaks."""

    protocols: tuple[str, ...]

    def calls(self, protocol: str) -> frozenset[str]:
        return schemas.actions(protocol) - (self.heard(protocol) - BOTH_WAYS)

    def heard(self, protocol: str) -> frozenset[str]:
        return frozenset(DIALECTS[protocol].requests)

    def schema(self, protocol: str, action: str) -> Mapping[str, Any] | None:
        return schemas.document(protocol, action)


@dataclass(frozen=True, slots=True)
class WaysOut:
    """How plugins reach other hosts: those that the operator named, and public ones that somebody else did."""

    agent: IAgent
    fetch_own: Fetcher
    fetch: Fetcher

    @classmethod
    def of(cls, site: Site, reactor: Any) -> WaysOut:
        """As far as the site file allows."""
        allowed = site.outgoing.allow
        agent = http_agent(reactor, Reach.allowing(allowed, private=True))
        return cls(agent, Fetcher(reactor, agent), Fetcher(reactor, http_agent(reactor, Reach.allowing(allowed))))


@dataclass(frozen=True, slots=True)
class Facades:
    """Makes the facade of each plugin from the pieces of the house."""

    site: Site
    sites: SiteMap
    store: Store
    hooks: Hooks
    plugins: PluginHost
    commands: Commands
    notifications: Notifications
    switchboard: Switchboard
    out: WaysOut
    errands: Errands
    tell: Callable[[object], None]
    now: Callable[[], datetime]
    reactor: Any

    def of(self, plugin: str, site: str = "") -> Csms:
        """What one plugin is given; with a site, its instance for that site."""
        notes = self.store.notes
        own, *others = self.sites.shown()
        scope = next((one for one in others if one.id == site), own)
        return Csms(
            plugin=plugin,
            site=scope.id,
            timezone=scope.timezone,
            folder=self.site.folder,
            clock=self.reactor,
            now=self.now,
            log=Logger(namespace=f"csms.plugin.{plugin}"),
            send=self.commands.send,
            read=Readings(self.store),
            tell=self.tell,
            connected=self.switchboard.connected,
            station=self.switchboard.ref,
            keep=lambda key, value: notes.keep(plugin, key, value, self.now()),
            kept=lambda key: notes.kept(plugin, key),
            keep_all=lambda texts: notes.keep_all(plugin, texts, self.now()),
            kept_under=lambda prefix: notes.kept_under(plugin, prefix),
            take=lambda key, value: notes.take(plugin, key, value, self.now()),
            ask=self._ask,
            consult=self._consult,
            answerers=self.plugins.answerers,
            listen=lambda kinds: self.hooks.listen(plugin, kinds),
            ocpp=Words(self.site.stations.protocols),
            actions=lambda: self.plugins.actions,
            conditions=lambda: self.plugins.conditions,
            events=lambda: self.plugins.events,
            questions=lambda: self.plugins.questions,
            presets=lambda: self.plugins.presets,
            notify=self._notifier(plugin),
            channels=self._channels,
            sites=self.sites.shown,
            site_of=self.sites.shown_of,
            agent=self.out.agent,
            fetch=self.out.fetch,
            fetch_own=self.out.fetch_own,
            dial=partial(dialled, self.reactor),
            errand=self.errands.run,
        )

    async def _ask(self, name: str, question: object) -> Mapping[str, Any] | None:
        answer = await self.hooks.ask("answer_question", name=name, question=question)
        return answer.value if answer else None

    async def _consult(self, plugin: str, hook: str, timeout_s: float, **question: Any) -> Any:
        return await self.hooks.consult(plugin, hook, timeout_s, question)

    def _channels(self) -> Mapping[str, str]:
        """The kinds of the channels by the names that rules give them, without the site."""
        return {name.rpartition("/")[2]: one.settings.kind for name, one in self.plugins.channels.items()}

    def _notifier(self, plugin: str) -> Notifier:
        async def notify(
            channel: str,
            text: str,
            *,
            level: str = "info",
            title: str = "",
            once_s: float | None = None,
            key: str = "",
            station: str = "",
            data: Mapping[str, object] | None = None,
        ) -> bool:
            here = self.sites.of(station).id if station else self.site.site.id
            return await self.notifications.notify(
                f"{here}/{channel}" if f"{here}/{channel}" in self.notifications.channels() else channel,
                text,
                level=level,
                title=title,
                once_s=once_s,
                key=f"{plugin}:{key}" if key else "",
                station=station,
                site=here,
                origin=plugin,
                data=data,
            )

        return notify
