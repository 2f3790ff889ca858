"""Block B: who may boot, how often a station says that it lives, and what operators change about that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from twisted.logger import Logger

from csms.blocks.credentials import generate_password, hash_password
from csms.blocks.outcome import Outcome, Received
from csms.blocks.security import ENROLMENT
from csms.hooks import Hooks
from csms.model.availability import TriggerMessage
from csms.model.commands import CommandFailed
from csms.model.provisioning import (
    Acknowledged,
    BootAnswer,
    BootDecision,
    BootNotification,
    BootStatus,
    Heartbeat,
    HeartbeatAnswer,
    NotifyReport,
    ReportReceived,
    StationBooted,
)
from csms.model.security import SecurityProfile
from csms.model.station import Admission, StationRecord
from csms.stations import Station
from csms.store import Store
from csms.switchboard import Switchboard


@dataclass(frozen=True, slots=True)
class BootPolicy:
    """What the site file says about stations; intervals in seconds."""

    heartbeat_interval_s: int = 300
    pending_interval_s: int = 60
    max_clock_skew_s: float = 60.0


class Provisioning:
    """Admits, boots, approves and blocks stations."""

    log = Logger()

    def __init__(
        self,
        hooks: Hooks,
        store: Store,
        switchboard: Switchboard,
        policy: BootPolicy,
        now: Callable[[], datetime],
        *,
        open: bool = False,
    ) -> None:
        self._open = open
        self._hooks = hooks
        self._store = store
        self._switchboard = switchboard
        self._policy = policy
        self._now = now

    def use(self, policy: BootPolicy, *, open: bool) -> None:
        """Go by another policy from now on."""
        self._policy = policy
        self._open = open

    # The connection

    async def connected(self, station: Station) -> None:
        """A station that booted before may go on where it was, without a new boot."""
        record = await self._store.stations.get(station.id)
        if record is None:
            return
        station.became(vendor=record.vendor, model=record.model, firmware=record.firmware)
        approved = record.admission is not Admission.BLOCKED
        status = await self._store.stations.boot_status(station.id)
        station.accepted = approved and status == BootStatus.ACCEPTED and not station.enrolling

    # What stations say

    async def boot(self, station: Station, boot: BootNotification, received: Received) -> Outcome:
        """Accept, hold or reject; the answer carries the interval in seconds."""
        record = await self._store.stations.get(station.id)
        station.became(vendor=boot.vendor, model=boot.model, firmware=boot.firmware)
        decision = await self._decide(station, boot, record)
        await self._store.stations.booted(
            station.id, station.fence, boot, station.protocol, decision.status.value, received.at
        )
        station.accepted = decision.status is BootStatus.ACCEPTED
        station.reported.clear()
        station.boots += 1
        interval_s = self._interval(decision, record)
        station.heartbeat_s = interval_s if station.accepted else None
        answer = BootAnswer(decision.status, interval_s, received.at)
        return Outcome(answer, (StationBooted(station.ref, received.at, boot, decision.status),))

    async def _decide(self, station: Station, boot: BootNotification, record: StationRecord | None) -> BootDecision:
        if record is None or record.admission is Admission.BLOCKED:
            return BootDecision(BootStatus.REJECTED)
        if station.enrolling:
            return BootDecision(BootStatus.PENDING)
        answer = await self._hooks.ask("decide_boot", station=station.ref, boot=boot)
        if answer is not None:
            return answer.value  # type: ignore[no-any-return]
        approved = record.admission is Admission.APPROVED
        return BootDecision(BootStatus.ACCEPTED if approved else BootStatus.PENDING)

    def _interval(self, decision: BootDecision, record: StationRecord | None) -> int:
        if decision.interval_s is not None:
            return decision.interval_s
        if decision.status is not BootStatus.ACCEPTED:
            return self._policy.pending_interval_s
        own = record.heartbeat_interval_s if record else None
        return own or self._policy.heartbeat_interval_s

    async def heartbeat(self, station: Station, request: Heartbeat, received: Received) -> Outcome:
        """The time; that the station lives is noted by the connection, for every message."""
        return Outcome(HeartbeatAnswer(received.at))

    async def report(self, station: Station, report: NotifyReport, received: Received) -> Outcome:
        """Keep one part of the device model."""
        whole = await self._store.variables.report_part(station.id, station.fence, report, received.at)
        events = (ReportReceived(station.ref, received.at, report.request_id),) if whole else ()
        return Outcome(Acknowledged(), events)

    def clock_moved(self, station: Station, told: datetime, now: datetime) -> bool:
        """Whether a message that carries the station's present time says something new of its clock."""
        return station.skew_s is None or abs((told - now).total_seconds() - station.skew_s) >= 1.0

    async def measure_clock(self, station: Station, told: datetime, now: datetime) -> None:
        """Note how far a station's clock is off."""
        skew = (told - now).total_seconds()
        first_time_off = abs(skew) > self._policy.max_clock_skew_s >= abs(station.skew_s or 0.0)
        station.skew_s = skew
        await self._store.stations.skew(station.id, skew)
        if first_time_off:
            self.log.warn("the clock of {station} is {skew:.0f} s off", station=station.id, skew=skew)

    # What operators change

    async def provision(
        self,
        id: str,
        *,
        approved: bool | None = None,
        blocked: bool | None = None,
        password: str | None = None,
        heartbeat_interval_s: int | None = None,
        security_profile: int | None = None,
    ) -> StationRecord:
        """Create or change a station; approving asks a waiting one to boot again, blocking or a new password disconnects it."""
        before = await self._store.stations.get(id)
        hash = hash_password(password) if password else password
        record = await self._store.stations.put(
            id,
            self._now(),
            admission=_admission(approved, blocked, before),
            password_hash=hash,
            heartbeat_interval_s=heartbeat_interval_s,
        )
        if security_profile is not None:
            await self._store.security.set_profile(id, security_profile)
        await self._keys(id, record, approved=bool(approved) or before is None, password_hash=hash)
        station = self._switchboard.station(id)
        if station is not None:
            await self._carry_out(station, record, password_changed=password is not None)
        return replace(record, online=station is not None)

    async def _keys(self, id: str, record: StationRecord, *, approved: bool, password_hash: str | None) -> None:
        """A password set by a person is the only one; an approved station without any may come for one."""
        if password_hash:
            await self._store.security.shown(id, password_hash)
        elif password_hash == "":
            await self._store.security.withdraw_all(id)
        if record.admission is not Admission.APPROVED or not approved or record.has_password or self._open:
            return
        if not await self._store.security.offered(id):
            await self._store.security.allow_enrolment(id, self._now() + ENROLMENT)

    async def _carry_out(self, station: Station, record: StationRecord, *, password_changed: bool) -> None:
        if record.admission is Admission.BLOCKED:
            station.drop("this station is blocked")
        elif password_changed:
            station.drop("the password changed")
        elif record.admission is Admission.APPROVED and not station.accepted:
            station.enrolling = await self._without_key(station, record)
            try:
                await station.send(TriggerMessage("BootNotification"))
            except CommandFailed as failed:
                self.log.info("{station} will boot later by itself: {why}", station=station.id, why=str(failed))

    async def _without_key(self, station: Station, record: StationRecord) -> bool:
        """Whether a station has no proof of who it is yet, and has to be given one before it may work."""
        if self._open or record.has_password or station.profile is SecurityProfile.TLS_CERTIFICATE:
            return False
        return not await self._store.security.offered(station.id)

    async def remove(self, id: str) -> bool:
        """Forget a station; its transactions and bills stay."""
        station = self._switchboard.station(id)
        if station is not None:
            station.drop("this station was removed")
        await self._store.security.forget(id)
        return await self._store.stations.delete(id)

    def generate_password(self) -> str:
        """A new random password of 20 bytes as hex, which every station can store (OCPP allows 16 to 40 characters)."""
        return generate_password()


def _admission(approved: bool | None, blocked: bool | None, before: StationRecord | None) -> Admission | None:
    match blocked, approved:
        case True, _:
            return Admission.BLOCKED
        case _, True:
            return Admission.APPROVED
        case _, False:
            return Admission.PENDING
        case False, None if before is not None and before.admission is Admission.BLOCKED:
            return Admission.APPROVED
    return Admission.APPROVED if before is None else None
