"""Block B: who may connect, who may boot, how often a station says that it lives, and what operators change about that.

Unknown stations wait in a bounded approval list; a plugin may decide otherwise, a blocked station is never asked about.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from twisted.logger import Logger

from csms.blocks.outcome import Outcome, Received
from csms.hooks import Hooks
from csms.model.availability import TriggerMessage
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
from csms.model.station import Admission, AdmitDecision, Handshake, StationRecord
from csms.stations import CommandFailed, Station
from csms.store import Store
from csms.switchboard import Switchboard


@dataclass(frozen=True, slots=True)
class BootPolicy:
    """What the site file says about stations; intervals in seconds."""

    unknown: str = "pending"
    pending_limit: int = 100
    heartbeat_interval_s: int = 300
    pending_interval_s: int = 60
    max_clock_skew_s: float = 60.0


def hash_password(password: str) -> str:
    """Salted SHA-256 as ``salt$digest`` in hex: enough for random keys of 16 bytes, and quick when thousands reconnect."""
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}${hashlib.sha256(salt + password.encode()).hexdigest()}"


def password_matches(kept: str, given: str) -> bool:
    """Whether a password is the one that was hashed; takes the same time either way."""
    salt, _, digest = kept.partition("$")
    tried = hashlib.sha256(bytes.fromhex(salt) + given.encode()).hexdigest()
    return hmac.compare_digest(tried, digest)


class Provisioning:
    """Admits, boots, approves and blocks stations."""

    log = Logger()

    def __init__(
        self, hooks: Hooks, store: Store, switchboard: Switchboard, policy: BootPolicy, now: Callable[[], datetime]
    ) -> None:
        self._hooks = hooks
        self._store = store
        self._switchboard = switchboard
        self._policy = policy
        self._now = now

    # The handshake

    async def admit(self, handshake: Handshake, password: str | None) -> AdmitDecision:
        """Whether a WebSocket may open: plugins first, then the list, the password, and the rule for unknown stations."""
        answer = await self._hooks.ask("admit_station", handshake=handshake)
        if answer is not None and not answer.value.admit:
            return answer.value  # type: ignore[no-any-return]
        record = await self._store.stations.get(handshake.station)
        if record is None:
            vouched = answer is not None
            return await self._admit_unknown(handshake, "accept" if vouched else self._policy.unknown)
        if record.admission is Admission.BLOCKED:
            return AdmitDecision(False, 404, f"station {record.id} is blocked")
        kept = await self._store.stations.password_hash(record.id)
        if kept and (password is None or not password_matches(kept, password)):
            return AdmitDecision(
                False, 401, "wrong password" if password is not None else "this station needs a password"
            )
        return AdmitDecision(True)

    async def _admit_unknown(self, handshake: Handshake, rule: str) -> AdmitDecision:
        match rule:
            case "accept":
                await self._store.stations.put(handshake.station, self._now(), admission=Admission.APPROVED)
                return AdmitDecision(True)
            case "pending" if await self._store.stations.count(Admission.PENDING) < self._policy.pending_limit:
                await self._store.stations.put(handshake.station, self._now(), admission=Admission.PENDING)
                self.log.info(
                    "{station} is new and waits for approval: csms station approve {station}", station=handshake.station
                )
                return AdmitDecision(True)
            case "pending":
                return AdmitDecision(False, 404, "unknown station, and the approval list is full")
            case _:
                return AdmitDecision(False, 404, "unknown station")

    async def connected(self, station: Station) -> None:
        """A station that booted before may go on where it was, without a new boot."""
        record = await self._store.stations.get(station.id)
        if record is None:
            return
        station.became(vendor=record.vendor, model=record.model, firmware=record.firmware)
        approved = record.admission is not Admission.BLOCKED
        status = await self._store.stations.boot_status(station.id)
        station.accepted = approved and status == BootStatus.ACCEPTED

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

    async def measure_clock(self, station: Station, told: datetime, now: datetime) -> None:
        """Note how far a station's clock is off, from a message that carries its present time."""
        skew = (told - now).total_seconds()
        if station.skew_s is not None and abs(skew - station.skew_s) < 1.0:
            return
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
    ) -> StationRecord:
        """Create or change a station; approving asks a waiting one to boot again, blocking or a new password disconnects it."""
        before = await self._store.stations.get(id)
        record = await self._store.stations.put(
            id,
            self._now(),
            admission=_admission(approved, blocked, before),
            password_hash=hash_password(password) if password else password,
            heartbeat_interval_s=heartbeat_interval_s,
        )
        station = self._switchboard.station(id)
        if station is not None:
            await self._carry_out(station, record, password_changed=password is not None)
        return replace(record, online=station is not None)

    async def _carry_out(self, station: Station, record: StationRecord, *, password_changed: bool) -> None:
        if record.admission is Admission.BLOCKED:
            station.drop("this station is blocked")
        elif password_changed:
            station.drop("the password changed")
        elif record.admission is Admission.APPROVED and not station.accepted:
            try:
                await station.send(TriggerMessage("BootNotification"))
            except CommandFailed as failed:
                self.log.info("{station} will boot later by itself: {why}", station=station.id, why=str(failed))

    async def remove(self, id: str) -> bool:
        """Forget a station; its transactions and bills stay."""
        station = self._switchboard.station(id)
        if station is not None:
            station.drop("this station was removed")
        return await self._store.stations.delete(id)

    def generate_password(self) -> str:
        """A new random password of 20 bytes, in 27 characters that every station can store (OCPP allows 16 to 40)."""
        return secrets.token_urlsafe(20)


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
