"""Block A: who may open a WebSocket, with which proof; and security events, our own and the stations'.

A station must show at least the profile it has shown before. A key on offer (one the station was told, and perhaps took) counts like the present one
until it is shown; from then on it is the only one. So no crash between two steps of a change can lock a station out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from twisted.logger import Logger

from csms.blocks.credentials import DECOY, hash_password, password_matches
from csms.blocks.door import DoorPolicy, Entry, Proof, refused
from csms.blocks.outcome import Outcome, Received
from csms.blocks.sentry import Sentry
from csms.hooks import Hooks
from csms.model.provisioning import Acknowledged
from csms.model.security import (
    CRITICAL,
    ClientCertificate,
    SecurityEvent,
    SecurityEventKind,
    SecurityEventNotification,
    SecurityEventRaised,
    SecurityProfile,
    SecurityProfileRaised,
)
from csms.model.station import Admission, Handshake, StationRecord, StationRef
from csms.refusals import Refusal
from csms.stations import Station
from csms.store import KeptCertificate, Standing, Store, StoreFault

CERTIFICATE_KIND = "ChargingStationCertificate"
ENROLMENT = timedelta(hours=1)
"""How long after its approval a station without a password may come and be given one."""


class Security:
    """Decides at the door, and keeps security events."""

    log = Logger()

    def __init__(
        self,
        hooks: Hooks,
        store: Store,
        sentry: Sentry,
        policy: DoorPolicy,
        now: Callable[[], datetime],
        tell: Callable[[object], None],
    ) -> None:
        self._hooks = hooks
        self._store = store
        self._sentry = sentry
        self._policy = policy
        self._now = now
        self._tell = tell
        self._noted: dict[str, str] = {}

    @property
    def open(self) -> bool:
        """Whether stations may work without any proof here, because the site file says so."""
        return self._policy.open

    @property
    def profiles(self) -> frozenset[int]:
        """The security profiles that some listener takes."""
        return self._policy.profiles

    def use(self, policy: DoorPolicy) -> None:
        """Go by another policy from now on."""
        self._policy = policy

    async def admit(self, handshake: Handshake, proof: Proof) -> Entry:
        """Whether a WebSocket may open: plugins first, then the list, the proof, and the rule for unknown stations."""
        answer = await self._hooks.ask("admit_station", handshake=handshake)
        if answer is not None and not answer.value.admit:
            no = answer.value
            return Entry(Refusal.PLUGIN, f"{answer.plugin}: {no.reason}", no.http_status)
        id = handshake.station
        record = await self._store.stations.get(id)
        current = await self._store.stations.password_hash(id)
        offered = [hash for _, hash in await self._store.security.offered(id)]
        shown = _shown(proof.password, [*([current] if current else []), *offered])
        keys = bool(current or offered)
        if record is None:
            return await self._unknown(handshake, proof, vouched=answer is not None)
        if record.admission is Admission.BLOCKED:
            return refused(Refusal.BLOCKED, f"station {id} is blocked")
        standing = await self._store.security.standing(id)
        entry = self._judge(handshake, proof, record, standing, shown=shown, keys=keys)
        if entry.admit:
            await self._note(id, proof, record, standing, entry, shown if shown in offered else "")
        return entry

    def _judge(
        self, handshake: Handshake, proof: Proof, record: StationRecord, standing: Standing, *, shown: str, keys: bool
    ) -> Entry:
        entry = self._by_certificate(proof, record)
        if entry is None and (handshake.tls and SecurityProfile.TLS_BASIC not in proof.profiles):
            entry = refused(Refusal.NO_CERTIFICATE)
        if entry is None:
            entry = self._by_password(handshake, proof, record, standing, shown=shown, keys=keys)
        if entry.admit and entry.profile < standing.profile:
            said = f"it came with security profile {entry.profile:d} and has used {standing.profile} before"
            return refused(Refusal.DOWNGRADE, said)
        return entry

    def _by_certificate(self, proof: Proof, record: StationRecord) -> Entry | None:
        certificate = proof.certificate
        if certificate is None or SecurityProfile.TLS_CERTIFICATE not in proof.profiles:
            return None
        fault = self.certificate_fault(certificate, record.id, record.serial_number)
        return refused(Refusal.CERTIFICATE, fault) if fault else Entry(profile=SecurityProfile.TLS_CERTIFICATE)

    def certificate_fault(self, certificate: ClientCertificate, id: str, serial_number: str) -> str:
        """Why a client certificate is not this station's, or an empty text."""
        names = {"identity": (id,), "serial": (serial_number,), "either": (id, serial_number)}
        if not certificate.common_name or certificate.common_name not in names[self._policy.common_name]:
            return f"the certificate's common name is {certificate.common_name[:100]!r}"
        wanted = self._policy.organization
        if wanted and certificate.organization != wanted:
            return f"the certificate's organization is {certificate.organization[:100]!r}, not {wanted!r}"
        return ""

    def _by_password(
        self, handshake: Handshake, proof: Proof, record: StationRecord, standing: Standing, *, shown: str, keys: bool
    ) -> Entry:
        basic = SecurityProfile.TLS_BASIC if handshake.tls else SecurityProfile.BASIC
        if not keys and SecurityProfile.NONE in proof.profiles and not handshake.tls:
            return Entry(profile=SecurityProfile.NONE)
        if basic not in proof.profiles:
            return refused(Refusal.LISTENER)
        if shown:
            return Entry(profile=basic)
        if not keys and not self._may_come_new(proof.password):
            return refused(Refusal.NO_PASSWORD if proof.password is None else Refusal.WRONG_PASSWORD)
        may_enrol = standing.enrol_until is not None and self._now() < standing.enrol_until
        if may_enrol and (proof.password is None or not keys):
            return Entry(profile=basic, enrolling=True)
        if keys:
            return refused(Refusal.NO_PASSWORD if proof.password is None else Refusal.WRONG_PASSWORD)
        if record.admission is Admission.PENDING:
            return Entry(profile=basic)
        return refused(Refusal.NOT_ENROLLED)

    def _may_come_new(self, password: bytes | None) -> bool:
        """Whether somebody who has no password here yet may come for one, or wait: where there is one for newcomers, only with it."""
        known = self._policy.enrolment
        return not known or (password is not None and password_matches(known, password))

    async def _note(
        self, id: str, proof: Proof, record: StationRecord, standing: Standing, entry: Entry, offered: str
    ) -> None:
        """What was shown is remembered before the station is let in."""
        if offered:
            await self._store.security.shown(id, offered)
        if record.admission is Admission.PENDING:
            await self._claim(id, proof, entry, offered)
            return
        if entry.profile.tls and entry.profile > standing.profile and not entry.enrolling:
            await self._store.security.raise_profile(id, entry.profile)
            self._tell(SecurityProfileRaised(StationRef(id), self._now(), entry.profile))
        certificate = proof.certificate
        if certificate is not None and self._noted.get(id) != certificate.fingerprint:
            self._noted[id] = certificate.fingerprint
            await self._store.security.note_certificate(
                KeptCertificate(
                    id,
                    CERTIFICATE_KIND,
                    certificate.serial_number,
                    f"CN={certificate.common_name}",
                    certificate.expires,
                    self._now(),
                )
            )

    async def _claim(self, id: str, proof: Proof, entry: Entry, offered: str) -> None:
        """A password that a waiting station shows is its own from then on: approval is of the station that showed it."""
        basic = entry.profile in (SecurityProfile.BASIC, SecurityProfile.TLS_BASIC)
        common = bool(self._policy.enrolment) and self._may_come_new(proof.password)
        if basic and proof.password and not common and not offered and not await self._store.stations.password_hash(id):
            await self._store.security.offer(id, hash_password(proof.password), self._now())

    async def _unknown(self, handshake: Handshake, proof: Proof, *, vouched: bool) -> Entry:
        rule = "accept" if vouched else self._policy.unknown
        waiting = await self._store.stations.count(Admission.PENDING)
        if rule == "pending" and waiting >= self._policy.pending_limit:
            return refused(Refusal.LIST_FULL)
        if rule == "refuse":
            return refused(Refusal.UNKNOWN)
        admission = Admission.APPROVED if rule == "accept" else Admission.PENDING
        new = StationRecord(handshake.station, admission)
        until = self._now() + ENROLMENT if admission is Admission.APPROVED else None
        entry = self._judge(handshake, proof, new, Standing(enrol_until=until), shown="", keys=False)
        if not entry.admit:
            return entry
        await self._store.stations.put(handshake.station, self._now(), admission=admission)
        if entry.enrolling:
            await self._store.security.allow_enrolment(handshake.station, until)
        if admission is Admission.PENDING:
            await self._claim(handshake.station, proof, entry, "")
            said = "{station} is new and waits for approval: csms station approve {station}"
            self.log.info(said, station=handshake.station)
        return entry

    # What is told

    async def turned_away(self, entry: Entry, station: str, address: str) -> Entry:
        """Count and keep a refusal; gives it with the time that its answer has to wait."""
        failed = self._sentry.failed(address, station)
        if failed.tell:
            refusal = entry.refusal or Refusal.UNKNOWN
            detail = f"{refusal.word}: {entry.reason}; {refusal.cure}"
            await self.raise_event(SecurityEventKind.FAILED_TO_AUTHENTICATE, station, detail, address=address)
        if failed.over and entry.status == Refusal.UNKNOWN.status:
            entry = replace(entry, status=Refusal.TOO_MANY_TRIES.status)
        return replace(entry, wait_s=failed.wait_s)

    async def arrived(self, station: str, address: str) -> None:
        """A station connected; one that comes and goes all the time is told."""
        if self._sentry.came(station):
            await self.raise_event(SecurityEventKind.FLAPPING, station, "it connects again and again", address=address)

    async def tls_failed(self, kind: str, words: str, address: str) -> None:
        """A TLS handshake failed in a way that matters; told once a minute for each address."""
        if self._sentry.failed(address, "").tell:
            await self.raise_event(kind, "", f"TLS handshake: {words}", address=address)

    async def raise_event(self, kind: str, station: str, detail: str, *, address: str = "") -> None:
        """Keep and tell a security event that the CSMS noticed; a store that takes no writes does not stop the caller."""
        event = SecurityEvent(str(kind), self._now(), "csms", station, address, detail, str(kind) in CRITICAL)
        self.log.warn(
            "security: {kind} {station} {address} {detail}",
            kind=event.kind,
            station=station,
            address=address,
            detail=detail,
        )
        try:
            number = await self._store.security_events.record(event)
        except StoreFault as fault:
            self.log.error("a security event was not kept: {fault}", fault=str(fault))
            return
        self._tell(SecurityEventRaised(StationRef(station), self._now(), replace(event, id=number)))

    async def notified(self, station: Station, request: SecurityEventNotification, received: Received) -> Outcome:
        """A station reports a security event: it is kept, then answered, then told."""
        critical = request.kind in CRITICAL
        event = SecurityEvent(
            request.kind, request.timestamp, "station", station.id, station.peer_address, request.detail, critical
        )
        number = await self._store.security_events.record(event)
        raised = SecurityEventRaised(station.ref, received.at, replace(event, id=number))
        return Outcome(Acknowledged(), (raised,))


def _shown(password: bytes | None, hashes: list[str]) -> str:
    """The hash that a password fits, or an empty text; something is compared even where there is nothing to compare with."""
    found = ""
    for hash in hashes or [DECOY]:
        if password_matches(hash, password or b"") and password is not None and hash is not DECOY:
            found = hash
    return found
