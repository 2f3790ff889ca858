"""The running server as one Twisted service: opens the house and its doors, hears signals, says what listens, and closes it all."""

from __future__ import annotations

import gc
import os
import secrets
import signal
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.internet import defer, endpoints
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from csms.certificate_watch import CertificateWatch
from csms.config import SettingsReader, Site, SiteFileError
from csms.connection import station_factory
from csms.house import House
from csms.plugins import names
from csms.running import run_guarded
from csms.station_sockets import for_stations
from csms.store import SchemaFault, StoreFault
from csms.strain import Strain, raise_descriptor_limit
from csms.tls import Contexts, TlsFault, TlsFiles, wrapped
from csms.upload_door import UploadSite
from csms.watchdog import Watchdog
from csms.web import api_site

GC_THRESHOLDS = (200_000, 10, 10)
"""Hardly anything here makes cycles, and of five thousand stations some hundred thousand objects are alive in a busy turn: they would be looked
through again and again, for a tenth of the processor's time."""


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


def with_places(site: Site) -> Site:
    """The site, with a mistake noted where its database cannot be made; told with those of the plugins."""
    folder = site.database_file.parent
    reader = SettingsReader(site)
    if not folder.is_dir():
        reader.mistake(("database", "file"), f"there is no folder {folder}", f"make it: mkdir -p {folder}")
    elif not os.access(folder, os.W_OK | os.X_OK):
        cure = f"run csms as the owner of {folder}, or name another place"
        reader.mistake(("database", "file"), f"this user may not write in {folder}", cure)
    return replace(site, problems=(*site.problems, *reader.problems))


class CsmsService(Service):
    """Starts and stops the house with Twisted's application."""

    log = Logger(namespace="csms")

    def __init__(self, site: Site, reactor: Any) -> None:
        self._reactor = reactor
        self._site = site
        self.house = House(with_places(site), reactor)
        self._stopping = False
        self._ports: list[IListeningPort] = []
        self._certificates: CertificateWatch | None = None
        server, metrics = site.server, self.house.metrics
        stall_s = server.stall_warning.total_seconds()
        self._watchdog = Watchdog(reactor, stall_s, metrics.stall) if stall_s else None
        self._strain = Strain(reactor, max_memory=server.max_memory << 20)
        metrics.accepting = lambda: not self._strain.why

    def startService(self) -> None:
        """Open everything; a failure is told in plain words and stops the process with status 1."""
        super().startService()  # type: ignore[no-untyped-call]
        self._opening = defer.Deferred.fromCoroutine(self._open())
        self._opening.addErrback(self._cannot_start)

    async def _open(self) -> None:
        token = api_token(self._site)
        raise_descriptor_limit()
        await self.house.open()
        gate = self.house.gate()
        *contexts, for_uploads = tls_contexts(self._site)
        limits = self._site.api
        api = api_site(
            self.house.rooms(token), most=limits.max_connections, most_of_address=limits.max_connections_per_address
        )
        api.noisy = False
        self._strain.guarded(api, operators=True)
        sockets = for_stations(self._reactor, gate.round)
        for listener, context in zip(self._site.listeners, contexts, strict=True):
            factory = station_factory(gate, self._reactor, frozenset(listener.profiles))
            door = self._strain.guarded(_with_tls(factory, context, self._reactor))
            await self._listen(listener.listen, door, "stations", sockets)
        self._watch_certificates([context for context in (*contexts, for_uploads) if context is not None])
        await self._listen(self._site.api.listen, api, "the API", self._reactor)
        if self._site.uploads.listen:
            door = _with_tls(UploadSite(self.house.uploads, self._reactor), for_uploads, self._reactor)
            await self._listen(self._site.uploads.listen, self._strain.guarded(door), "uploads", self._reactor)
        self._heed_hangup()
        self._stop_once()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        api_port = self._ports[len(self._site.listeners)]
        self._strain.start([port for port in self._ports if port is not api_port], [api_port])
        if self._watchdog is not None:
            self._watchdog.start()
        self._announce()

    async def _listen(self, description: str, factory: Any, who: str, reactor: Any) -> None:
        if description.startswith("tcp:") and "backlog=" not in description:
            description += ":backlog=1024"
        try:
            endpoint = endpoints.serverFromString(reactor, description)  # type: ignore[no-untyped-call]
            self._ports.append(await endpoint.listen(factory))
        except Exception as fault:
            raise CannotListen(f"cannot listen for {who} on {description}: {fault}") from None

    def _watch_certificates(self, contexts: list[Contexts]) -> None:
        house = self.house
        self._certificates = CertificateWatch(contexts, self._reactor, house.now, house.security.raise_event)
        self._certificates.start()

    def _heed_hangup(self) -> None:
        """SIGHUP: read the site file again."""
        if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self.reload))

    def _stop_once(self) -> None:
        """The first SIGINT or SIGTERM is the reactor's; who is impatient is told that it is under way."""
        for number in (signal.SIGINT, signal.SIGTERM):
            stop = signal.getsignal(number)
            if callable(stop) and getattr(stop, "__self__", None) is self._reactor:
                signal.signal(number, partial(self._signalled, stop))

    def _signalled(self, stop: Callable[[int, FrameType | None], Any], number: int, frame: FrameType | None) -> None:
        if self._stopping:
            self._reactor.callFromThread(self.log.info, "csms is stopping already")
            return
        self._stopping = True
        stop(number, frame)

    def reload(self) -> None:
        """Read the site file again; mistakes are logged and change nothing."""
        run_guarded(self._reload, self.log)

    async def _reload(self) -> None:
        try:
            await self.house.reload()
        except SiteFileError:
            return

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
        if self._certificates is not None:
            self._certificates.stop()
        self._strain.stop()
        if self._watchdog is not None:
            self._watchdog.stop()
        for port in self._ports:
            await _deferred(port.stopListening())
        await self.house.close()
        self.log.info("csms has stopped")

    def stopService(self) -> defer.Deferred[None]:
        """Stop listening, close the stations' sockets, drain and close the database."""
        super().stopService()  # type: ignore[no-untyped-call]
        return defer.Deferred.fromCoroutine(self._close())


def tls_contexts(site: Site) -> list[Contexts | None]:
    """For each listener of stations its TLS, or None, and last that of uploads, or None; raises SiteFileError where the files will not do."""
    tls = site.tls
    pairs = tuple((site.folder / pair.chain, site.folder / pair.key) for pair in tls.certificates)
    files = TlsFiles(pairs, site.folder / tls.client_ca if tls.client_ca else None, tls.ciphers)
    reader = SettingsReader(site)
    made: list[Contexts | None] = []
    wanted = [frozenset(one.profiles) if one.tls else None for one in site.listeners]
    wanted.append(frozenset({2}) if site.uploads.listen and site.uploads.tls else None)
    for profiles in wanted:
        try:
            made.append(Contexts(files, profiles) if profiles else None)
        except TlsFault as fault:
            reader.mistake(("tls",), str(fault), "docs/security.md has the way in five minutes")
    reader.done()
    return made


def _with_tls(factory: Any, context: Contexts | None, reactor: Any) -> Any:
    return factory if context is None else wrapped(factory, context, reactor)


class CannotListen(Exception):
    """A port is taken or an endpoint is wrong; the text says which."""


async def _deferred(maybe: Awaitable[Any] | None) -> None:
    if maybe is not None:
        await maybe


def stop_with_failure(reactor: Any) -> None:
    """End the process with status 1 once the reactor has stopped."""
    reactor.addSystemEventTrigger("after", "shutdown", os._exit, 1)
    reactor.stop()


def announcement(site: Site, plugins: str, hosts: list[Any]) -> list[str]:
    """What an operator reads at the start: where stations connect, where the API is, which plugins run, and how to try it."""
    from csms.addresses import reachable

    api = hosts[len(site.listeners)]
    where = [
        f"{'wss' if listener.tls else 'ws'}://{address}:{host.port}{site.server.path}/<station>"
        for listener, host in zip(site.listeners, hosts, strict=False)
        for address in reachable(host.host)
    ]
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
        *(
            [f"Uploads: {site.uploads.url}/upload/ into {site.folder / site.uploads.folder}"]
            if site.uploads.url
            else []
        ),
        f"Database: {site.database_file}",
        f"Plugins: {plugins}",
        f"Unknown stations {unknown}.",
        "Try it: csms sim --station SIM1",
    ]
