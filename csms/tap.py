"""The composition root: the only place that builds the pieces and joins them. ``twistd csms``, ``twist csms`` and ``csms run`` all come here."""

from __future__ import annotations

import gc
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet import defer, endpoints, task
from twisted.internet.base import ReactorBase
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python import usage

from csms.blocks.authorization import AuthorizationBlock
from csms.blocks.availability import Availability
from csms.blocks.billing import BillingBlock
from csms.blocks.commands import Commands
from csms.blocks.monitoring import Monitoring
from csms.blocks.outcome import Handler
from csms.blocks.presence import Presence
from csms.blocks.provisioning import BootPolicy, Provisioning
from csms.blocks.reception import Reception
from csms.blocks.transactions import Transactions
from csms.config import Site, SiteFileError, load_site
from csms.connection import SHUTDOWN, Limits, StationGate, station_factory
from csms.facade import Csms
from csms.hooks import Hooks
from csms.model.authorization import Authorize, IdToken, TokenRecord
from csms.model.availability import ConnectorRecord, StatusNotification
from csms.model.billing import Bill
from csms.model.data_transfer import DataTransfer
from csms.model.metering import MeterValue, MeterValues
from csms.model.monitoring import Notice, NotifyEvent
from csms.model.provisioning import BootNotification, Heartbeat, NotifyReport
from csms.model.station import StationRecord
from csms.model.transactions import Transaction, TransactionEvent
from csms.ocpp.dialect import Dialect
from csms.ocpp.strict_json import loads
from csms.ocpp.v16 import DIALECT as V16
from csms.ocpp.v201 import DIALECT as V201
from csms.plugins import PluginHost, names
from csms.running import run_guarded
from csms.store import SchemaFault, Store, StoredEvent, StoreFault
from csms.switchboard import Switchboard
from csms.web import Metrics, Rooms, api_site

# Timers follow the monotonic clock: with wall time, a clock set back by an hour would freeze every timer for an hour.
ReactorBase.seconds = staticmethod(time.monotonic)

DIALECTS: Mapping[str, Dialect] = {dialect.protocol: dialect for dialect in (V201, V16)}
LOG = Logger(namespace="csms")
PRUNE_EVERY_S = 3600.0
GOODBYE_S = 3.0


class Options(usage.Options):
    """``twistd csms [--site FILE]``."""

    synopsis = "[--site FILE]"
    optParameters = [
        ["site", "s", None, "the site file (default: csms.toml here if there is one, else built-in defaults)"]
    ]
    longdesc = "Charging Station Management System for OCPP 2.0.1 and 1.6-J. Make a site file with: csms init"


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


class House:
    """All pieces of one running CSMS, joined."""

    def __init__(self, site: Site, reactor: Any, now: Callable[[], datetime] = utc_now) -> None:
        self.site = site
        self.reactor = reactor
        self.now = now
        self.metrics = Metrics()
        self.hooks = Hooks(reactor, site.plugins.timeout.total_seconds(), self.metrics.plugin_fault)
        self.store = Store(site.database_file, reactor, committed=self.metrics.commit)
        self.switchboard = Switchboard(self.store, now)
        self.plugins = PluginHost(site, self.hooks, reactor)
        self.provisioning = Provisioning(self.hooks, self.store, self.switchboard, _boot_policy(site), now)
        self.authorization = AuthorizationBlock(self.hooks, self.store, now)
        self.availability = Availability(self.hooks, self.store, self.switchboard, self.provisioning, reactor, now)
        self.transactions = Transactions(self.store, self.authorization, self.provisioning, now)
        self.monitoring = Monitoring(self.store, self.availability)
        self.commands = Commands(self.hooks, self.store, self.switchboard, self.authorization, reactor, now)
        self.billing = BillingBlock(self.hooks, self.store, reactor, now)
        self.presence = Presence(
            self.hooks, self.store, self.switchboard, reactor, now, offline_after=site.stations.offline_after
        )
        self.reception = Reception(self.hooks, self._routes(), now)
        self._pruning = task.LoopingCall(self._prune)
        self._pruning.clock = reactor
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
        }

    def tell(self, event: object) -> None:
        """News, first to the blocks that act on it, then to the plugins."""
        self.commands.on_event(event)
        self.availability.on_event(event)
        self.presence.on_event(event)
        self.billing.on_event(event)
        self.hooks.tell(event)

    def facade(self, plugin: str) -> Csms:
        """What one plugin is given."""
        notes = self.store.notes
        return Csms(
            plugin=plugin,
            site=self.site.site.id,
            timezone=self.site.site.timezone,
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
            take=lambda key, value: notes.take(plugin, key, value, self.now()),
            actions=lambda: self.plugins.actions,
            conditions=lambda: self.plugins.conditions,
        )

    def gate(self) -> StationGate:
        """What each station's socket is given."""
        wanted = [DIALECTS[name] for name in self.site.stations.protocols]
        return StationGate(
            path=self.site.server.path,
            dialects={dialect.protocol: dialect for dialect in wanted},
            limits=_limits(self.site),
            hooks=self.hooks,
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
        self.store.messages.log(station, self.now(), direction, frame)
        self.metrics.message(direction)

    def rooms(self, token: str) -> Rooms:
        """What the HTTP API is given."""
        return Rooms(
            site=self.site,
            token=token,
            store=self.store,
            stations=self.provisioning,
            commands=self.commands,
            switchboard=self.switchboard,
            readings=readings,
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
        self.presence.start()
        self.billing.start()
        if self.site.database.messages:
            self._pruning.start(PRUNE_EVERY_S)

    def _prune(self) -> None:
        run_guarded(lambda: self.store.messages.prune(self.now() - self.site.database.messages), LOG)

    async def close(self) -> None:
        """Say goodbye to the stations, let what is being written be written, close the database."""
        for station in self.switchboard.stations():
            station.drop(SHUTDOWN)
        await _until(lambda: self.switchboard.count == 0, GOODBYE_S, self.reactor)
        self.billing.stop()
        if self._pruning.running:
            self._pruning.stop()
        await self.presence.stop()
        await self.plugins.stop()
        await self.store.close()


def readings(event: StoredEvent) -> list[MeterValue]:
    """The meter values in a stored event, decoded from the evidence."""
    row = DIALECTS[event.protocol].requests[event.action]
    decoded = row.decode(_parsed(event.body))
    return list(decoded.meter_values)


def _parsed(body: bytes) -> dict[str, Any]:
    parsed = loads(body)
    assert isinstance(parsed, dict)
    return parsed


def _boot_policy(site: Site) -> BootPolicy:
    stations = site.stations
    return BootPolicy(
        unknown=stations.unknown,
        pending_limit=stations.pending_limit,
        heartbeat_interval_s=int(stations.heartbeat_interval.total_seconds()),
        pending_interval_s=int(stations.pending_interval.total_seconds()),
        max_clock_skew_s=stations.max_clock_skew.total_seconds(),
    )


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
        compression=server.compression,
    )


async def _until(done: Callable[[], bool], within_s: float, reactor: Any) -> None:
    """Wait until something holds, at most so many seconds."""
    deadline = reactor.seconds() + within_s
    while not done() and reactor.seconds() < deadline:
        await task.deferLater(reactor, 0.05)


def api_token(site: Site) -> str:
    """The API's token: the site file's, else one made once and kept in ``csms.token`` beside the database, mode 0600."""
    if site.api.token:
        return site.api.token
    path = site.token_file
    if path.exists() and (kept := path.read_text().strip()):
        return kept
    path.unlink(missing_ok=True)
    token = secrets.token_urlsafe(32)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token + "\n")
    return token


class CsmsService(Service):
    """Starts and stops the house with Twisted's application."""

    log = Logger(namespace="csms")

    def __init__(self, site: Site, reactor: Any) -> None:
        self._reactor = reactor
        self._site = site
        self.house = House(site, reactor)
        self._ports: list[IListeningPort] = []

    def startService(self) -> None:
        """Open everything; a failure is told in plain words and stops the process with status 1."""
        super().startService()  # type: ignore[no-untyped-call]
        self._opening = defer.Deferred.fromCoroutine(self._open())
        self._opening.addErrback(self._cannot_start)

    async def _open(self) -> None:
        token = api_token(self._site)
        await self.house.open()
        stations = station_factory(self.house.gate(), self._reactor)
        api = api_site(self.house.rooms(token))
        api.noisy = False
        await self._listen(self._site.server.listen, stations, "stations")
        await self._listen(self._site.api.listen, api, "the API")
        gc.collect()
        gc.freeze()
        self._announce()

    async def _listen(self, description: str, factory: Any, who: str) -> None:
        if description.startswith("tcp:") and "backlog=" not in description:
            description += ":backlog=1024"
        try:
            endpoint = endpoints.serverFromString(self._reactor, description)  # type: ignore[no-untyped-call]
            self._ports.append(await endpoint.listen(factory))
        except Exception as fault:
            raise CannotListen(f"cannot listen for {who} on {description}: {fault}") from None

    def _announce(self) -> None:
        for line in announcement(
            self._site, names(self.house.plugins.loaded), [port.getHost() for port in self._ports]
        ):
            self.log.info("{line}", line=line)

    def _cannot_start(self, failure: Any) -> None:
        self.log.critical("csms cannot start: {why}", why=failure.value)
        if not isinstance(failure.value, CannotListen | SiteFileError | SchemaFault | StoreFault | OSError):
            self.log.critical("{trace}", trace=failure.getTraceback())
        self._reactor.callWhenRunning(stop_with_failure, self._reactor)

    async def _close(self) -> None:
        for port in self._ports:
            await _deferred(port.stopListening())
        await self.house.close()
        self.log.info("csms has stopped")

    def stopService(self) -> defer.Deferred[None]:
        """Stop listening, close the stations' sockets, drain and close the database."""
        super().stopService()  # type: ignore[no-untyped-call]
        return defer.Deferred.fromCoroutine(self._close())


class CannotListen(Exception):
    """A port is taken or an endpoint is wrong; the text says which."""


async def _deferred(maybe: Awaitable[Any] | None) -> None:
    if maybe is not None:
        await maybe


def stop_with_failure(reactor: Any) -> None:
    """End the process with status 1 once the reactor has stopped."""
    reactor.addSystemEventTrigger("after", "shutdown", os._exit, 1)
    reactor.stop()


def find_site_file() -> Path | None:
    """``csms.toml`` in the present folder, if there is one."""
    path = Path("csms.toml")
    return path if path.is_file() else None


def makeService(options: Mapping[str, Any]) -> CsmsService:
    """Twisted's door: a service from command line options; a wrong site file ends with its mistakes in prose."""
    from twisted.internet import reactor

    given = options.get("site")
    try:
        return CsmsService(load_site(Path(given) if given else find_site_file()), reactor)
    except SiteFileError as wrong:
        raise SystemExit(str(wrong)) from None


def run_in_foreground(site: Site) -> int:
    """``csms run``: start, log to the terminal, stop on SIGTERM or Ctrl-C; gives the exit code."""
    import sys

    from twisted.internet import reactor
    from twisted.logger import FilteringLogObserver, LogLevelFilterPredicate, globalLogBeginner, textFileLogObserver

    terminal = FilteringLogObserver(textFileLogObserver(sys.stdout), [LogLevelFilterPredicate()])
    globalLogBeginner.beginLoggingTo([terminal], redirectStandardIO=False)
    loop: Any = reactor
    service = CsmsService(site, loop)
    loop.callWhenRunning(service.startService)
    loop.addSystemEventTrigger("before", "shutdown", service.stopService)
    loop.run()
    return 0


def announcement(site: Site, plugins: str, hosts: list[Any]) -> list[str]:
    """What an operator reads at the start: where stations connect, where the API is, which plugins run, and how to try it."""
    from csms.addresses import reachable

    stations, api = hosts[0], hosts[-1]
    where = [f"ws://{address}:{stations.port}{site.server.path}/<station>" for address in reachable(stations.host)]
    file = str(site.file) if site.file else "built-in defaults (make a site file with: csms init)"
    key = "the site file ([api] token)" if site.api.token else str(site.token_file)
    unknown = {
        "pending": "wait for approval (csms station list, csms station approve ID)",
        "refuse": "are refused",
        "accept": "are let in: this site accepts every station",
    }[site.stations.unknown]
    return [
        f"csms is ready. Site: {file}",
        "Stations connect to: " + "  ".join(where),
        f"API: http://{api.host}:{api.port}/api/v1/  its token is in {key}",
        f"Database: {site.database_file}",
        f"Plugins: {plugins}",
        f"Unknown stations {unknown}.",
        "Try it: csms sim --station SIM1",
    ]
