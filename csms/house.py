"""The pieces of one running CSMS, built and joined here and nowhere else; no process, no listening port and no reactor of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from twisted.internet import defer, task
from twisted.logger import Logger

from csms import hookspecs, policies
from csms.blocks.authorization import AuthorizationBlock
from csms.blocks.availability import Availability
from csms.blocks.bookkeeping import Bookkeeping
from csms.blocks.certificates import CertificatePolicy, Certificates
from csms.blocks.commands import Commands
from csms.blocks.evidence import EvidenceBlock
from csms.blocks.explanation import Explainer
from csms.blocks.healing import Healer
from csms.blocks.monitoring import Monitoring
from csms.blocks.notifications import LOG_KIND, LOG_SETTINGS, LogChannel, Notifications
from csms.blocks.people import People
from csms.blocks.planning import Planning
from csms.blocks.presence import Presence
from csms.blocks.profile_upgrade import ProfileUpgrade
from csms.blocks.provisioning import Provisioning
from csms.blocks.reception import Reception
from csms.blocks.retention import Retention
from csms.blocks.security import Security
from csms.blocks.sentry import Sentry
from csms.blocks.station_keys import StationKeys
from csms.blocks.together import Together
from csms.blocks.told_urls import ToldUrls
from csms.blocks.transactions import StopPolicy, Transactions
from csms.blocks.tx_points import TxPointsBlock
from csms.blocks.uploads import Uploads
from csms.config import Site, SiteFileError, overridden, read_site
from csms.connection import SHUTDOWN
from csms.dialects import DIALECTS, cost_action, decoded, readings
from csms.errands import Errands
from csms.facade import Csms
from csms.facades import Facades, WaysOut
from csms.gate import StationGate
from csms.hooks import Hooks
from csms.model.reloading import SiteNotReloaded, SiteReloaded
from csms.model.sites import SiteScope
from csms.ocpp.v201.transactions import decode_status
from csms.plugins import PluginHost
from csms.redaction import without_secrets
from csms.registries import OpenChannel
from csms.rounds import Round
from csms.site_changes import changes
from csms.site_map import SiteMap
from csms.store import Store
from csms.switchboard import Switchboard
from csms.web import Metrics, Rooms
from csms.wiring import lanes, listeners, routes

LOG = Logger(namespace="csms")
GOODBYE_S = 3.0


def utc_now() -> datetime:
    """The wall clock, aware UTC."""
    return datetime.now(UTC)


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
        self.hooks = Hooks(
            reactor, site.plugins.timeout.total_seconds(), self.metrics.plugin_fault, answers=hookspecs.ANSWERS
        )
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
        sentry = Sentry(reactor, policies.try_limits(site))
        self.security = Security(self.hooks, self.store, sentry, policies.door_policy(site), now, self.tell)
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
            self.hooks, self.store, self.switchboard, policies.boot_policy(site), now, open=site.open
        )
        self.authorization = AuthorizationBlock(self.hooks, self.store, now)
        self.planning = Planning(self.hooks, self.store, now)
        self.availability = Availability(
            self.hooks, self.store, self.switchboard, self.provisioning, self.planning, reactor, now
        )
        self.store.transactions.decode = decoded
        self.store.messages.clean = without_secrets
        self.evidence = EvidenceBlock(self.store, decoded, *policies.meter_rules(site))
        self.explainer = Explainer(self.hooks, self.store, self.evidence, decoded, cost_action, now)
        self.billing = Bookkeeping(
            self.hooks,
            self.store,
            self.evidence,
            self.switchboard,
            policies.bill_rules(site),
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
        upgrade = ProfileUpgrade(self.store, self.security, now)
        self.uploads = Uploads(self.store, policies.upload_rules(site), reactor, now, self.tell)
        urls = ToldUrls(self.uploads, policies.url_rules(site))
        self.commands = Commands(
            self.hooks,
            self.store,
            self.switchboard,
            self.authorization,
            self.keys,
            upgrade,
            urls,
            self.planning,
            reactor,
            now,
        )
        points = policies.point_policy(site)
        self.tx_points = TxPointsBlock(self.store, self.commands, self.switchboard, points, reactor)
        self.healer = Healer(
            self.store,
            self.commands,
            self.switchboard,
            policies.healing_policy(site),
            decode_status,
            self.tell,
            reactor,
            now,
        )
        self.presence = Presence(
            self.hooks, self.store, self.switchboard, reactor, now, offline_after=site.stations.offline_after
        )
        self.reception = Reception(self.hooks, routes(self), now, self.metrics)
        self._reloading = defer.DeferredLock()
        self.retention = Retention(policies.kept(self.store, site), policies.archive(site), reactor, now)
        self._facades = Facades(
            site,
            self._sites,
            self.store,
            self.hooks,
            self.plugins,
            self.commands,
            self.notifications,
            self.switchboard,
            WaysOut.of(site, reactor),
            Errands(reactor, site.file, site.folder),
            self.tell,
            now,
            reactor,
        )
        self._news = listeners(self)
        self.together = Together(self.reception, lanes(self), self._news.wanted, now)
        self.plugins.load(self.facade)

    def tell(self, event: object) -> None:
        """News, first to the blocks that act on it, then to the plugins."""
        self._news.tell(event)

    def site_of(self, station: str) -> SiteScope:
        """The site that a station belongs to."""
        return self._sites.of(station)

    def facade(self, plugin: str, site: str = "") -> Csms:
        """What one plugin is given; with a site, its instance for that site."""
        return self._facades.of(plugin, site)

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
        self.security.use(policies.door_policy(site))
        self.provisioning.use(policies.boot_policy(site), open=site.open)
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
            limits=policies.socket_limits(self.site),
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
            round=Round(self.together.serve),
        )

    def _logged(self, station: str, direction: str, frame: bytes) -> None:
        self.store.messages.log(station, self.now(), direction, frame)
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
            uploads=self.uploads,
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
        await self.uploads.open()
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
        self.uploads.stop()
        await self.presence.stop()
        await self.plugins.stop()
        await self.notifications.stop()
        await self.store.close()


async def _until(done: Callable[[], bool], within_s: float, reactor: Any) -> None:
    """Wait until something holds, at most so many seconds."""
    deadline = reactor.seconds() + within_s
    while not done() and reactor.seconds() < deadline:
        await task.deferLater(reactor, 0.05)
