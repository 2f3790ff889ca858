"""Blocks M and A02: certificates of stations are made, renewed and told. Contracts and OCSP go to plugins, and are denied without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from twisted.internet import task
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from csms.blocks.outcome import Outcome, Received
from csms.blocks.security import Security
from csms.blocks.sentry import Counter
from csms.blocks.station_keys import Send
from csms.certificates import CertificateFault, Csr, common_name, made_for, read_csr
from csms.hooks import Hooks
from csms.model.availability import TriggerMessage
from csms.model.certificates import (
    CertificateInstalled,
    CertificateSigned,
    CertificateStatusAnswer,
    CertificateUse,
    EvCertificateAnswer,
    GetCertificateStatus,
    GetEvCertificate,
    SignCertificate,
    SignCertificateAnswer,
    SignedCertificate,
    SigningRequest,
    SigningWanted,
)
from csms.model.commands import CommandState
from csms.model.provisioning import BootStatus, StationBooted
from csms.model.security import SecurityEventKind
from csms.running import run_guarded
from csms.stations import Station
from csms.store import KeptCertificate, Store
from csms.switchboard import Switchboard

REQUESTS_AN_HOUR = 6
LOOK_EVERY_S = 3600.0
ASK_AGAIN = timedelta(days=1)
URGENT = timedelta(days=7)
TRIGGERS = {
    CertificateUse.CHARGING_STATION: "SignChargingStationCertificate",
    CertificateUse.V2G: "SignV2GCertificate",
}


@dataclass(frozen=True, slots=True)
class CertificatePolicy:
    """How long before its end a certificate is renewed, and which organization a request has to name (empty: any)."""

    renew_before: timedelta = timedelta(days=30)
    organization: str = ""


class Certificates:
    """Requests in, certificates out, and what expires is renewed in time."""

    log = Logger()

    def __init__(
        self,
        hooks: Hooks,
        store: Store,
        switchboard: Switchboard,
        security: Security,
        policy: CertificatePolicy,
        clock: IReactorTime,
        now: Callable[[], datetime],
        tell: Callable[[object], None],
    ) -> None:
        self._hooks = hooks
        self._store = store
        self._switchboard = switchboard
        self._security = security
        self._policy = policy
        self._now = now
        self._tell = tell
        self._asked = Counter(clock, 3600.0, REQUESTS_AN_HOUR)
        self._looking: task.LoopingCall | None = None
        self._clock = clock
        self._warned: dict[tuple[str, str], datetime] = {}
        self.busy = False

    # What stations ask

    async def sign(self, station: Station, request: SignCertificate, received: Received) -> Outcome:
        """Take a request that is well, and have it signed once the answer is out; else say why not."""
        try:
            wanted = await self._checked(station, request, received.at)
        except CertificateFault as fault:
            kind = SecurityEventKind.CERTIFICATE_REFUSED
            await self._security.raise_event(kind, station.id, f"{request.use}: {fault}", address=station.peer_address)
            return Outcome(SignCertificateAnswer(False, str(fault)))
        return Outcome(SignCertificateAnswer(True), (SigningWanted(station.ref, received.at, wanted),))

    async def _checked(self, station: Station, request: SignCertificate, at: datetime) -> SigningRequest:
        if not self._hooks.has("sign_certificate"):
            raise CertificateFault("no plugin signs certificates here; see local_ca")
        if self._asked.note(station.id) > REQUESTS_AN_HOUR:
            raise CertificateFault(f"more than {REQUESTS_AN_HOUR} requests in an hour")
        csr = read_csr(request.csr)
        if request.use is CertificateUse.CHARGING_STATION:
            await self._check_subject(station, csr)
        return SigningRequest(station.ref, request.use, request.csr, csr.common_name, csr.organization, at)

    async def _check_subject(self, station: Station, csr: Csr) -> None:
        record = await self._store.stations.get(station.id)
        serial = record.serial_number if record else ""
        if not csr.common_name or csr.common_name not in (station.id, serial):
            raise CertificateFault(
                f"the common name {csr.common_name[:64]!r} is not the station's identity or serial number"
            )
        wanted = self._policy.organization
        if wanted and csr.organization != wanted:
            raise CertificateFault(f"the organization is {csr.organization[:64]!r}, not {wanted!r}")

    async def status(self, station: Station, request: GetCertificateStatus, received: Received) -> Outcome:
        """An OCSP response, from whoever fetches one."""
        answer = await self._hooks.ask("certificate_status", station=station.ref, request=request)
        reason = "no plugin asks OCSP responders here; see plug_and_charge"
        return Outcome(answer.value if answer else CertificateStatusAnswer(reason=reason))

    async def ev_certificate(self, station: Station, request: GetEvCertificate, received: Received) -> Outcome:
        """A contract certificate for a car, from whoever has them."""
        answer = await self._hooks.ask("ev_certificate", station=station.ref, request=request)
        reason = "no plugin has contract certificates here; see plug_and_charge"
        return Outcome(answer.value if answer else EvCertificateAnswer(reason=reason))

    # Signing

    def on_event(self, event: object, send: Send) -> None:
        """News: a request was taken, or a station is here whose certificate may have to be renewed."""
        match event:
            case SigningWanted():
                run_guarded(lambda: self._make(event.request, send), self.log)
            case StationBooted(status=BootStatus.ACCEPTED) if self._hooks.has("sign_certificate"):
                run_guarded(lambda: self.renew(send, event.station.id), self.log)

    async def _make(self, request: SigningRequest, send: Send) -> None:
        answer = await self._hooks.ask("sign_certificate", request=request)
        signed: SignedCertificate = answer.value if answer else SignedCertificate(reason="no plugin signed it")
        id = request.station.id
        try:
            if not signed.chain:
                raise CertificateFault(signed.reason or "refused")
            leaf = made_for(read_csr(request.csr), signed.chain, self._now())
        except CertificateFault as fault:
            await self._refused(id, request, str(fault))
            return
        record = await send(id, CertificateSigned(signed.chain, request.use), origin="certificates")
        if record.state not in (CommandState.EFFECTIVE, CommandState.ACCEPTED):
            await self._refused(id, request, f"the station did not take it ({record.error or record.state})")
            return
        expires = leaf.not_valid_after_utc
        kept = KeptCertificate(
            id, request.use.value, f"{leaf.serial_number:x}", f"CN={common_name(leaf)}", expires, self._now()
        )
        await self._store.security.note_certificate(kept)
        said = f"{request.use}, number {kept.serial_number}, until {expires:%Y-%m-%d}"
        await self._security.raise_event(SecurityEventKind.CERTIFICATE_ISSUED, id, said)
        self._tell(CertificateInstalled(request.station, self._now(), request.use, expires))

    async def _refused(self, id: str, request: SigningRequest, why: str) -> None:
        await self._security.raise_event(SecurityEventKind.CERTIFICATE_REFUSED, id, f"{request.use}: {why}")

    # Renewing

    def start(self, send: Send) -> None:
        """Look every hour for what expires."""
        self._looking = task.LoopingCall(lambda: run_guarded(lambda: self._renew(send), self.log))
        self._looking.clock = self._clock
        self._looking.start(LOOK_EVERY_S, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._looking is not None and self._looking.running:
            self._looking.stop()

    async def _renew(self, send: Send) -> None:
        """One look at a time: a station that does not answer keeps the next look waiting."""
        if self.busy:
            return
        self.busy = True
        try:
            await self.renew(send)
        finally:
            self.busy = False

    async def renew(self, send: Send, only: str | None = None) -> None:
        """Ask connected stations for a new request in time, once a day; tell where it becomes urgent, of stations that are away too."""
        now = self._now()
        for one in await self._store.security.certificates(station=only, before=now + self._policy.renew_before):
            station = self._switchboard.station(one.station)
            if station is None:
                if one.expires > now:
                    await self._warn(one)
                continue
            if one.asked_at is not None and now - one.asked_at < ASK_AGAIN:
                continue
            await self._store.security.note_certificate(replace(one, asked_at=now))
            await self._warn(one)
            if self._hooks.has("sign_certificate"):
                trigger = TriggerMessage(TRIGGERS[CertificateUse(one.kind)])
                await send(one.station, trigger, origin="certificates")

    async def _warn(self, one: KeptCertificate) -> None:
        """A security event, once a day in the last week."""
        now, key = self._now(), (one.station, one.kind)
        if one.expires - now >= URGENT or now - self._warned.get(key, now - ASK_AGAIN) < ASK_AGAIN:
            return
        self._warned[key] = now
        text = f"its {one.kind} expires on {one.expires:%Y-%m-%d}"
        await self._security.raise_event(SecurityEventKind.CERTIFICATE_EXPIRES, one.station, text)
