"""The command ledger: what was ordered, what the station said, and whether it happened.

A row is ``sent`` before it is written to the socket; a crash between the two is ``uncertain``. "Accepted" is not "happened": a command whose effect
can be seen stays ``accepted`` until it is (``csms.blocks.effects``), or until its time is over. Nothing is sent twice blindly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from csms.blocks.authorization import AuthorizationBlock
from csms.blocks.effects import Effect, effect_of
from csms.blocks.numbering import numbered
from csms.blocks.planning import Planning
from csms.blocks.profile_upgrade import ProfileUpgrade
from csms.blocks.station_keys import StationKeys
from csms.blocks.told_urls import ToldUrls
from csms.blocks.watches import Watch, Watches
from csms.hooks import Hooks
from csms.model.authorization import AuthorizationRequest, AuthorizationStatus, Purpose
from csms.model.availability import ChangeAvailability, TriggerMessage
from csms.model.commands import (
    CommandAnswer,
    CommandClosed,
    CommandFailed,
    CommandRecord,
    CommandState,
    RawCall,
    not_connected,
)
from csms.model.provisioning import GetBaseReport, GetVariables, Reset, ResetPlan, SetVariables
from csms.model.security_commands import UpgradeSecurityProfile
from csms.model.station import StationConnected, StationRef
from csms.model.transactions import GetTransactionStatus, RequestStartTransaction
from csms.ocpp.dialect import Payload
from csms.ocpp.errors import OcppError
from csms.ocpp.schemas import check
from csms.redaction import redacted
from csms.running import run_guarded
from csms.stations import Before, Station
from csms.store import Store
from csms.switchboard import Switchboard

IDEMPOTENT = (GetVariables, SetVariables, GetBaseReport, GetTransactionStatus, TriggerMessage, ChangeAvailability)
"""Commands that may be sent again when nobody knows whether they arrived."""

CANCELED = "AcceptedCanceled"
"""A station's word that it takes a command, and gives up what it was doing for the one before."""


class Commands:
    """Sends commands and keeps their story."""

    log = Logger()

    def __init__(
        self,
        hooks: Hooks,
        store: Store,
        switchboard: Switchboard,
        authorization: AuthorizationBlock,
        keys: StationKeys,
        upgrade: ProfileUpgrade,
        urls: ToldUrls,
        planning: Planning,
        clock: IReactorTime,
        now: Callable[[], datetime],
    ) -> None:
        self._hooks = hooks
        self._store = store
        self._switchboard = switchboard
        self._authorization = authorization
        self._keys = keys
        self._upgrade = upgrade
        self._urls = urls
        self._planning = planning
        self._clock = clock
        self._now = now
        self._watches = Watches(clock, self._no_effect, self.log)
        self._waiters: dict[int, list[defer.Deferred[CommandRecord]]] = {}

    # What callers use

    async def submit(self, station: str, command: object, *, origin: str) -> CommandRecord:
        """Write the order down and begin; the record is ``queued``, or already closed when the station is not connected."""
        command, record = await self._written_down(station, command, origin)
        if self._switchboard.station(station) is None:
            return await self._fail(record, not_connected(station))
        self._clock.callLater(0, run_guarded, lambda: self._carry_out(record, command), self.log)
        return record

    async def send(self, station: str, command: object, *, origin: str) -> CommandRecord:
        """Order something and wait for the station's answer (not for the effect); never raises for a station's refusal."""
        command, record = await self._written_down(station, command, origin)
        return await self._carry_out(record, command)

    async def _written_down(self, station: str, command: object, origin: str) -> tuple[object, CommandRecord]:
        command, now = numbered(command, self._now()), self._now()
        return command, await self._store.commands.add(
            station, type(command).__name__, _arguments(command), origin, now
        )

    async def call(self, station: str, action: str, payload: Payload, *, origin: str) -> CommandRecord:
        """Send a raw OCPP call, already checked against its schema; the answer's payload is in the record."""
        return await self.send(station, RawCall(action, payload), origin=origin)

    async def finished(self, id: int, seconds: float) -> CommandRecord | None:
        """The record once it is closed, or as it is when the time is over; None for an unknown number."""
        record = await self._store.commands.get(id)
        if record is None or record.state.final:
            return record
        waiter: defer.Deferred[CommandRecord] = defer.Deferred()
        self._waiters.setdefault(id, []).append(waiter)
        try:
            return await waiter.addTimeout(seconds, self._clock)
        except defer.TimeoutError:
            self._waiters.get(id, []).remove(waiter)
            return await self._store.commands.get(id)

    async def recover(self) -> None:
        """After a start: what was not sent is failed, what was sent is uncertain, what was accepted may still happen."""
        for record in await self._store.commands.list(open_only=True, limit=1000):
            match record.state:
                case CommandState.QUEUED:
                    text = "the CSMS stopped before this was sent"
                    await self._close(record, CommandState.FAILED, error_code="Stopped", error=text)
                case CommandState.SENT:
                    await self._cut_off(record)
                case _:
                    self._watches.add(Watch(record, None, Effect.of_record(record), None))

    async def _cut_off(self, record: CommandRecord) -> None:
        """Nobody knows whether it happened. A profile upgrade goes on when its station is back, unless the profile is shown by then."""
        upgrade = self._upgrade.again(record)
        if upgrade is None:
            text = "the CSMS stopped before the station answered"
            await self._close(record, CommandState.UNCERTAIN, error_code="Stopped", error=text)
        elif await self._upgrade.is_shown(record.station, upgrade):
            await self._close(record, CommandState.EFFECTIVE)
        else:
            self._watches.add(Watch(record, upgrade, Effect.of_record(record), None))

    def _go_on(self, station: str) -> None:
        for watch in self._watches.cut_off(station):
            self._watches.end(watch)
            run_guarded(lambda watch=watch: self._carry_out(watch.record, watch.command), self.log)  # type: ignore[misc]

    def wants(self, kind: type) -> bool:
        """Whether news of this kind can be of use now: effects are waited for, or it is a station that is back."""
        return bool(self._watches) or kind is StationConnected

    def on_event(self, event: object) -> None:
        """News: may be the effect of a command that waits for it; or a station is back, with which something goes on."""
        if not self.wants(type(event)):
            return
        for watch, why in self._watches.decided_by(event):
            if why:
                text = f"accepted, and then the station said {why}"
                self._over(watch, CommandState.FAILED, error_code=why, error=text)
            else:
                self._over(watch, CommandState.EFFECTIVE)
        if isinstance(event, StationConnected):
            self._go_on(event.station.id)

    def _over(self, watch: Watch, state: CommandState, **facts: Any) -> None:
        self._watches.end(watch)
        run_guarded(lambda: self._close(watch.record, state, **facts), self.log)

    # How a command goes

    async def _carry_out(self, record: CommandRecord, command: object) -> CommandRecord:
        station = self._switchboard.station(record.station)
        if station is None:
            return await self._fail(record, not_connected(record.station))
        try:
            await self._allowed(station, command)
            command = await self._urls.settled(station.id, command)
            plan = None
            if isinstance(command, Reset):
                plan = await self._planning.reset(station, record, command)
                command = replace(command, when=command.when or plan.when)
            answer = await self._send(station, record, command)
        except CommandFailed as failed:
            return await self._failed(station, record, command, failed)
        return await self._answered(station, record, command, answer, plan)

    async def _send(self, station: Station, record: CommandRecord, command: object) -> CommandAnswer:
        async def mark_sent(action: str) -> None:
            await self._store.commands.update(
                record.id, state=CommandState.SENT, wire=action, sent_at=self._now(), tries=record.tries + 1
            )

        if isinstance(command, UpgradeSecurityProfile):
            await mark_sent("")
            return await self._upgrade.run(station, command, self.send, f"command {record.id}")
        if isinstance(command, RawCall):
            _check(station, command)
        keys = await self._keys.offer(station.id, command)
        try:
            answer = await self._exchange(station, command, mark_sent)
        except CommandFailed as failed:
            await self._keys.failed(station.id, keys, failed)
            raise
        await self._keys.answered(station.id, keys, answer)
        return answer

    async def _exchange(self, station: Station, command: object, before: Before) -> CommandAnswer:
        if not isinstance(command, RawCall):
            return await station.send(command, before=before, most=await self._most_items(station, command))
        payload = await station.call(command.action, dict(command.payload), before=before)
        return CommandAnswer(accepted=True, status=str(payload.get("status", "")), payload=payload)

    async def _most_items(self, station: Station, command: object) -> int | None:
        """How many items the station takes in one message of this kind, if it ever told."""
        row = station.dialect.commands.get(type(command))
        if row is None or row.most is None:
            return None
        told = await self._store.variables.value(station.id, row.most)
        return int(told) if told and told.isdecimal() else None

    async def _allowed(self, station: Station, command: object) -> None:
        """A remote start is judged like any other start."""
        if not isinstance(command, RequestStartTransaction):
            return
        question = AuthorizationRequest(
            station.ref, command.id_token, self._now(), Purpose.REMOTE_START, evse=command.evse
        )
        judged = await self._authorization.judge(question)
        self._authorization.note(question, judged)
        if judged.authorization.status is not AuthorizationStatus.ACCEPTED:
            text = f"token {judged.authorization.status}: {judged.authorization.reason or 'not accepted'}"
            raise CommandFailed(CommandState.FAILED, "NotAuthorized", text)

    async def _answered(
        self, station: Station, record: CommandRecord, command: object, answer: CommandAnswer, plan: ResetPlan | None
    ) -> CommandRecord:
        if answer.values:
            await self._store.variables.put(station.id, station.fence, answer.values, self._now())
        said: dict[str, Any] = {"answered_at": self._now(), "answer": answer.payload or {}}
        if not answer.accepted:
            text = ": ".join(part for part in (answer.status, answer.reason) if part)
            return await self._close(record, CommandState.REJECTED, error_code=answer.status, error=text, **said)
        if answer.status == CANCELED:
            self._supersede(record)
        effect = effect_of(station, command, answer)
        if effect is None:
            return await self._close(record, CommandState.EFFECTIVE, **said)
        record = await self._store.commands.update(record.id, state=CommandState.ACCEPTED, **said)
        self._watches.add(Watch(record, command, effect, plan))
        return record

    async def _failed(
        self, station: Station, record: CommandRecord, command: object, failed: CommandFailed
    ) -> CommandRecord:
        retry = await self._planning.retry(station, record, failed) if isinstance(command, IDEMPOTENT) else None
        if retry is None:
            return await self._fail(record, failed)
        record = await self._store.commands.update(record.id, state=CommandState.QUEUED, error=str(failed))
        self._clock.callLater(retry.delay_s, run_guarded, lambda: self._carry_out(record, command), self.log)
        return record

    async def _fail(self, record: CommandRecord, failed: CommandFailed) -> CommandRecord:
        return await self._close(record, failed.state, error_code=failed.code, error=str(failed))

    async def _close(self, record: CommandRecord, state: CommandState, **facts: Any) -> CommandRecord:
        closed = await self._store.commands.update(record.id, state=state, closed_at=self._now(), **facts)
        for waiter in self._waiters.pop(record.id, []):
            waiter.callback(closed)
        self._hooks.tell(CommandClosed(self._ref(record.station), self._now(), closed))
        return closed

    def _supersede(self, record: CommandRecord) -> None:
        """The station gave up what it was doing for an earlier command of this kind."""
        for watch in self._watches.like(record):
            text = f"the station gave it up for command {record.id}"
            self._over(watch, CommandState.FAILED, error_code=CANCELED, error=text)

    async def _no_effect(self, watch: Watch) -> None:
        """The time is over: wait on while the station charges, escalate where the reset policy says so, else say that nothing happened."""
        record, plan, reset = watch.record, watch.plan, watch.command
        if isinstance(reset, Reset) and await self._store.transactions.active(station=record.station):
            self._watches.add(watch)
            return
        text = f"accepted, but nothing happened within {watch.wait_s:g} s"
        await self._close(record, CommandState.FAILED, error_code="NoEffect", error=text)
        if not isinstance(reset, Reset) or plan is None or plan.escalate is None or plan.escalate is reset.when:
            return
        self._planning.escalated(record, reset, plan)
        self.log.warn("{station} did not reset: escalating to {when}", station=record.station, when=plan.escalate.value)
        await self.send(record.station, replace(reset, when=plan.escalate), origin=f"command {record.id}")

    def _ref(self, station: str) -> StationRef:
        connected = self._switchboard.station(station)
        return connected.ref if connected else StationRef(station)


def _check(station: Station, call: RawCall) -> None:
    """A raw call comes from rules and plugins too: what its schema refuses is not sent."""
    try:
        check(station.protocol, call.action, dict(call.payload))
    except OcppError as wrong:
        raise CommandFailed(CommandState.FAILED, wrong.code.value, wrong.description) from None


def _arguments(command: object) -> Mapping[str, Any]:
    """What the ledger keeps: no password is ever among it."""
    return redacted(asdict(command))  # type: ignore[call-overload,no-any-return]
