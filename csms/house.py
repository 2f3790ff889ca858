"""The pieces of one running CSMS, built and joined here and nowhere else; no process, no listening port and no reactor of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from ipaddress import ip_network
from typing import Any

from twisted.internet import defer, task
from twisted.logger import Logger

from csms.blocks.authorization import AuthorizationBlock
from csms.blocks.availability import Availability
from csms.blocks.bookkeeping import BillRules, Bookkeeping
from csms.blocks.certificates import CertificatePolicy, Certificates
from csms.blocks.commands import Commands
from csms.blocks.deliveries import DeliveryRules
from csms.blocks.evidence import EvidenceBlock, EvseRules
from csms.blocks.explanation import Explainer
from csms.blocks.healing import Healer, HealingPolicy
from csms.blocks.monitoring import Monitoring
from csms.blocks.notifications import LOG_KIND, LOG_SETTINGS, LogChannel, Notifications
from csms.blocks.outcome import Handler
from csms.blocks.people import People
from csms.blocks.presence import Presence
from csms.blocks.provisioning import BootPolicy, Provisioning
from csms.blocks.reception import Reception
from csms.blocks.retention import Retention, Rule
from csms.blocks.security import DoorPolicy, Security
from csms.blocks.sentry import Sentry, TryLimits
from csms.blocks.station_keys import StationKeys
from csms.blocks.transactions import StopPolicy, Transactions
from csms.blocks.tx_points import PointPolicy, TxPointsBlock
from csms.config import Site, SiteFileError, overridden, read_site
from csms.connection import SHUTDOWN, StationGate
from csms.evidence import MeterRules
from csms.facade import Csms, Notifier, OpenChannel
from csms.hooks import Hooks
from csms.model.authorization import Authorize, IdToken, TokenRecord
from csms.model.availability import ConnectorRecord, StatusNotification
from csms.model.billing import Bill
from csms.model.certificates import GetCertificateStatus, GetEvCertificate, SignCertificate
from csms.model.commands import CommandRecord
from csms.model.data_transfer import DataTransfer
from csms.model.metering import MeterValue, MeterValues
from csms.model.monitoring import Notice, NotifyEvent
from csms.model.provisioning import BootNotification, Heartbeat, NotifyReport
from csms.model.reloading import SiteNotReloaded, SiteReloaded
from csms.model.security import SecurityEventNotification
from csms.model.sites import SiteScope
from csms.model.station import StationRecord
from csms.model.transactions import Transaction, TransactionEvent
from csms.model.tx_points import TxPoints
from csms.ocpp import schemas
from csms.ocpp.dialect import Dialect
from csms.ocpp.strict_json import loads
from csms.ocpp.v16 import DIALECT as V16
from csms.ocpp.v201 import DIALECT as V201
from csms.ocpp.v201.transactions import decode_status
from csms.outgoing import Fetcher, Reach, dialled, http_agent
from csms.plugins import PluginHost
from csms.redaction import without_secrets
from csms.site_changes import changes
from csms.site_map import SiteMap
from csms.socket_care import Limits
from csms.store import Archive, Store, StoredEvent, Thinning, shelves
from csms.switchboard import Switchboard
from csms.web import Metrics, Rooms

DIALECTS: Mapping[str, Dialect] = {dialect.protocol: dialect for dialect in (V201, V16)}
LOG = Logger(namespace="csms")
GOODBYE_S = 3.0
BOTH_WAYS = frozenset({"DataTransfer"})
"""The actions that a station may send and be sent."""


def utc_now() -> datetime:
    """The wall clock, aware UTC."""
    return datetime.now(UTC)


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


class House:
    """All pieces of one running CSMS, joined."""

    def __init__(
        self, site: Site, reactor: Any, now: Callable[[], datetime] = utc_now, *, store: Store | None = None
    ) -> None:
        self.site = site
        self.reactor = reactor
        self.now = now
        self.metrics = Metrics()
        self._sites = SiteMap(site)
        allowed = tuple(ip_network(one) for one in site.outgoing.allow)
        self.agent = http_agent(reactor, Reach(allowed, private=True))
        self.fetch_own = Fetcher(reactor, self.agent)
        self.fetch = Fetcher(reactor, http_agent(reactor, Reach(allowed)))
        self.hooks = Hooks(reactor, site.plugins.timeout.total_seconds(), self.metrics.plugin_fault)
        self.store = store or Store(site.database_file, reactor, committed=self.metrics.commit)
        self.switchboard = Switchboard(self.store, now)
        self.notifications = Notifications(self.store, reactor, now, self.tell, self.metrics.notification, site.site.id)
        self.plugins = PluginHost(
            site,
            self.hooks,
            reactor,
            own_kinds={LOG_KIND.name: LOG_KIND},
            own_channels={"log": OpenChannel("log", LOG_SETTINGS, LogChannel())},
            use_channels=self.notifications.use,
            site_of=lambda station: self.site_of(station).id,
        )
        sentry = Sentry(reactor, _try_limits(site))
        self.security = Security(self.hooks, self.store, sentry, _door_policy(site), now, self.tell)
        self.certificates = Certificates(
            self.hooks,
            self.store,
            self.switchboard,
            self.security,
            CertificatePolicy(organization=site.tls.organization),
            reactor,
            now,
            self.tell,
        )
        self.keys = StationKeys(self.store, self.switchboard, self.security, now)
        self.provisioning = Provisioning(
            self.hooks, self.store, self.switchboard, _boot_policy(site), now, open=site.open
        )
        self.authorization = AuthorizationBlock(self.hooks, self.store, now)
        self.availability = Availability(self.hooks, self.store, self.switchboard, self.provisioning, reactor, now)
        self.store.transactions.decode = decoded
        self.evidence = EvidenceBlock(self.store, decoded, *_meter_rules(site))
        self.explainer = Explainer(self.hooks, self.store, self.evidence, decoded, now)
        self.billing = Bookkeeping(
            self.hooks,
            self.store,
            self.evidence,
            self.switchboard,
            _bill_rules(site),
            site_of=self.site_of,
            tell=self.tell,
            clock=reactor,
            now=now,
        )
        stops = StopPolicy(site.transactions.master_pass_group)
        self.transactions = Transactions(
            self.store, self.authorization, self.provisioning, stops, now, self.billing.costs
        )
        self.monitoring = Monitoring(self.store, self.availability)
        self.commands = Commands(self.hooks, self.store, self.switchboard, self.authorization, self.keys, reactor, now)
        points = PointPolicy(
            TxPoints(site.transactions.start_points, site.transactions.stop_points), site.transactions.read_points
        )
        self.tx_points = TxPointsBlock(self.store, self.commands, self.switchboard, points, reactor)
        self.healer = Healer(
            self.store, self.commands, self.switchboard, _healing_policy(site), decode_status, self.tell, reactor, now
        )
        self.presence = Presence(
            self.hooks, self.store, self.switchboard, reactor, now, offline_after=site.stations.offline_after
        )
        self.reception = Reception(self.hooks, self._routes(), now, self.metrics)
        self._reloading = defer.DeferredLock()
        self.retention = Retention(_kept(self.store, site), _archive(site), reactor, now)
        self.plugins.load(self.facade)

    def _routes(self) -> Mapping[type, Handler]:
        return {
            BootNotification: self.provisioning.boot,
            Heartbeat: self.provisioning.heartbeat,
            NotifyReport: self.provisioning.report,
            StatusNotification: self.availability.status,
            Authorize: self.authorization.authorize,
            TransactionEvent: self.transactions.event,
            MeterValues: self.transactions.meter_values,
            NotifyEvent: self.monitoring.notify_event,
            Notice: self.monitoring.notice,
            DataTransfer: self.monitoring.data_transfer,
            SecurityEventNotification: self.security.notified,
            SignCertificate: self.certificates.sign,
            GetCertificateStatus: self.certificates.status,
            GetEvCertificate: self.certificates.ev_certificate,
        }

    def tell(self, event: object) -> None:
        """News, first to the blocks that act on it, then to the plugins."""
        self.commands.on_event(event)
        self.keys.on_event(event, self.commands.send)
        self.certificates.on_event(event, self.commands.send)
        self.availability.on_event(event)
        self.presence.on_event(event)
        self.healer.on_event(event)
        self.tx_points.on_event(event)
        self.billing.on_event(event)
        self.hooks.tell(event)

    def site_of(self, station: str) -> SiteScope:
        """The site that a station belongs to."""
        return self._sites.of(station)

    def facade(self, plugin: str, site: str = "") -> Csms:
        """What one plugin is given; with a site, its instance for that site."""
        notes = self.store.notes
        own, *others = self._sites.shown()
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
            sites=self._sites.shown,
            site_of=self._sites.shown_of,
            agent=self.agent,
            fetch=self.fetch,
            fetch_own=self.fetch_own,
            dial=partial(dialled, self.reactor),
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
            here = self.site_of(station).id if station else self.site.site.id
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

    async def reload(self) -> SiteReloaded:
        """Read the site file again and take over what can change while the server runs, all of it or none; raises SiteFileError."""
        await self._reloading.acquire()
        try:
            again = read_site(self.site.file, folder=self.site.folder)
            found = changes(self.site, overridden(again, self.site.overrides))
            with self._sites.offering(found.live):
                moved = await self.plugins.reload(found.live, self.facade)
                self._go_to(found.live)
        except SiteFileError as wrong:
            self._not_reloaded(wrong)
            raise
        finally:
            self._reloading.release()
        return self._reloaded(SiteReloaded(self.now(), (*found.changed, *moved), found.needs_restart))

    def _go_to(self, site: Site) -> None:
        self.site = site
        self._sites.use(site)
        self.security.use(_door_policy(site))
        self.provisioning.use(_boot_policy(site), open=site.open)
        self.presence.offline_after = site.stations.offline_after

    def _reloaded(self, done: SiteReloaded) -> SiteReloaded:
        self.metrics.reload("done")
        LOG.info("reloaded: {what}", what="; ".join(done.changed) or "nothing is different")
        if done.needs_restart:
            LOG.warn("these need a restart: {what}", what="; ".join(done.needs_restart))
        self.tell(done)
        return done

    def _not_reloaded(self, wrong: SiteFileError) -> None:
        self.metrics.reload("refused")
        LOG.error("the site file has mistakes, everything stays as it was: {what}", what=str(wrong))
        self.tell(SiteNotReloaded(self.now(), tuple(map(str, wrong.problems))))

    def gate(self) -> StationGate:
        """What each station's socket is given."""
        wanted = [DIALECTS[name] for name in self.site.stations.protocols]
        return StationGate(
            path=self.site.server.path,
            dialects={dialect.protocol: dialect for dialect in wanted},
            limits=_limits(self.site),
            hooks=self.hooks,
            security=self.security,
            provisioning=self.provisioning,
            switchboard=self.switchboard,
            answer=self.reception.answer,
            tell=self.tell,
            seen=self.presence.seen,
            logged=self._logged,
            now=self.now,
            clock=self.reactor,
        )

    def _logged(self, station: str, direction: str, frame: str | bytes) -> None:
        self.store.messages.log(station, self.now(), direction, without_secrets(frame))
        self.metrics.message(direction)

    def rooms(self, token: str) -> Rooms:
        """What the HTTP API is given."""
        return Rooms(
            site=self.site,
            store=self.store,
            people=People(self.store, token, self.reactor, self.now),
            audit=self.store.audit,
            done_requests=self.store.done_requests,
            site_of=lambda station: self.site_of(station).id,
            stations=self.provisioning,
            commands=self.commands,
            notifications=self.notifications,
            reload=self.reload,
            switchboard=self.switchboard,
            bills=self.billing.bills,
            deliveries=self.billing.deliveries,
            readings=readings,
            explain=self.explainer.explain,
            plugins=self.plugins,
            metrics=self.metrics,
            now=self.now,
            clock=self.reactor,
        )

    async def open(self) -> None:
        """Open the database, finish what a stop or crash left over, start plugins and timers."""
        await self.store.open()
        await self.commands.recover()
        await self.plugins.start()
        self.notifications.start()
        self.certificates.start(self.commands.send)
        self.presence.start()
        self.billing.start()
        self.healer.start()
        self.retention.start()

    async def close(self) -> None:
        """Say goodbye to the stations, let what is being written be written, close the database."""
        for station in self.switchboard.stations():
            station.drop(SHUTDOWN)
        await _until(lambda: self.switchboard.count == 0, GOODBYE_S, self.reactor)
        self.certificates.stop()
        self.billing.stop()
        self.healer.stop()
        self.retention.stop()
        await self.presence.stop()
        await self.plugins.stop()
        await self.notifications.stop()
        await self.store.close()


def decoded(event: StoredEvent) -> TransactionEvent:
    """A stored event read again from the evidence."""
    row = DIALECTS[event.protocol].requests[event.action]
    return row.decode(_parsed(event.body))  # type: ignore[no-any-return]


def readings(event: StoredEvent) -> list[MeterValue]:
    """The meter values in a stored event, decoded from the evidence."""
    return list(decoded(event).meter_values)


def _parsed(body: bytes) -> dict[str, Any]:
    parsed = loads(body)
    assert isinstance(parsed, dict)
    return parsed


def _boot_policy(site: Site) -> BootPolicy:
    stations = site.stations
    return BootPolicy(
        heartbeat_interval_s=int(stations.heartbeat_interval.total_seconds()),
        pending_interval_s=int(stations.pending_interval.total_seconds()),
        max_clock_skew_s=stations.max_clock_skew.total_seconds(),
    )


def _bill_rules(site: Site) -> BillRules:
    bills = site.bills
    return BillRules(
        series=bills.series,
        credit_series=bills.credit_series,
        running_cost=bills.running_cost,
        cost_interval_s=bills.cost_interval.total_seconds(),
        deliveries=DeliveryRules(
            timeout_s=bills.delivery_timeout.total_seconds(),
            retry_s=bills.delivery_retry.total_seconds(),
            most_s=bills.delivery_retry_most.total_seconds(),
            attempts=bills.delivery_attempts,
        ),
    )


def _door_policy(site: Site) -> DoorPolicy:
    return DoorPolicy(
        unknown=site.stations.unknown,
        pending_limit=site.stations.pending_limit,
        organization=site.tls.organization,
        common_name=site.tls.common_name,
        open=site.open,
    )


def _try_limits(site: Site) -> TryLimits:
    server = site.server
    return TryLimits(
        window_s=server.failed_tries_window.total_seconds(),
        per_address=2 * server.failed_tries,
        per_identity=server.failed_tries,
        penalty_s=min(4.0, 0.8 * server.handshake_timeout.total_seconds()),
        flaps=server.failed_tries,
    )


def _healing_policy(site: Site) -> HealingPolicy:
    table = site.transactions
    return HealingPolicy(table.silence, table.ask_after, table.ask_again, table.ask_tries)


def _meter_rules(site: Site) -> tuple[MeterRules, tuple[EvseRules, ...]]:
    """What meters may say everywhere, and where something else holds."""
    table = site.transactions
    exceptions = (
        EvseRules(
            one.station,
            one.evse,
            None if one.max_power_kw is None else Decimal(one.max_power_kw),
            None if one.register is None else one.register == "lifetime",
        )
        for one in table.evse
    )
    return MeterRules(Decimal(table.max_power_kw), table.register == "lifetime"), tuple(exceptions)


def _kept(store: Store, site: Site) -> list[Rule]:
    """The rules of the site file; what is kept for ever has none."""
    keep, main = site.retention, store.shelves
    rules = [
        Rule(store.log_shelves, shelves.MESSAGES, keep.messages),
        Rule(main, shelves.NOTICES, keep.notices),
        Rule(main, shelves.ALERTS, keep.alerts),
        Rule(main, shelves.ALERT_GAPS, keep.alerts),
        Rule(main, shelves.METER_VALUES, keep.meter_values),
        Rule(
            main,
            shelves.METER_VALUES,
            keep.meter_values_thinned,
            Thinning(keep.meter_values_every, ("station", "evse")),
        ),
        Rule(main, shelves.COMMANDS, keep.commands),
        Rule(main, shelves.SECURITY_EVENTS, keep.security_events),
        Rule(main, shelves.AUDIT, keep.audit),
    ]
    return [rule for rule in rules if rule.keep]


def _archive(site: Site) -> Archive | None:
    return Archive(site.folder / site.retention.archive) if site.retention.archive else None


def _limits(site: Site) -> Limits:
    server = site.server
    return Limits(
        max_message=server.max_message,
        max_header=server.max_header,
        handshake_s=server.handshake_timeout.total_seconds(),
        ping_interval_s=server.ping_interval.total_seconds(),
        ping_timeout_s=server.ping_timeout.total_seconds(),
        call_timeout_s=server.call_timeout.total_seconds(),
        max_unauthenticated=server.max_unauthenticated,
        max_unauthenticated_per_address=server.max_unauthenticated_per_address,
        max_rate=server.max_rate,
        compression=server.compression,
        browsers=server.browsers,
    )


async def _until(done: Callable[[], bool], within_s: float, reactor: Any) -> None:
    """Wait until something holds, at most so many seconds."""
    deadline = reactor.seconds() + within_s
    while not done() and reactor.seconds() < deadline:
        await task.deferLater(reactor, 0.05)
