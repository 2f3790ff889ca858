"""Where every call of a station is received: may it speak, does a plugin take the action over, which block answers.

Nothing raised below reaches a station as anything but an OCPP error; a store that cannot commit leaves the call unanswered, so that the station
keeps it and repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from twisted.logger import Logger

from csms.blocks.outcome import Handler, Outcome, Received
from csms.hooks import Answer, Answering, Hooks
from csms.model.making import maker
from csms.model.station import CallReceived
from csms.ocpp.dialect import Payload
from csms.ocpp.errors import ErrorCode, OcppError
from csms.ocpp.rpc import Call
from csms.ocpp.schemas import check
from csms.stations import Reply, Station
from csms.store import Fenced, StoreFault

BOOT = "BootNotification"
CALL = maker(CallReceived)


class Tally(Protocol):
    """Counts what is received, and what is refused."""

    def message_in(self, action: str, count: int = 1) -> None: ...
    def call_error_out(self, code: str) -> None: ...


class Reception:
    """Gives each call to the plugin or block that answers it."""

    log = Logger()

    def __init__(self, hooks: Hooks, routes: Mapping[type, Handler], now: Callable[[], datetime], tally: Tally) -> None:
        self._hooks = hooks
        self._tally = tally
        self._routes = routes
        self._now = now
        self._store_was_well = True

    async def answer(
        self, station: Station, call: Call, *, asked: bool = False, answering: Answering | None = None
    ) -> Reply:
        """The reply to one call; never raises. ``asked``: the plugins were asked for it before, and ``answering`` is what ``ask`` gave."""
        received = Received(call, self._now())
        self._tally.message_in(call.action)
        try:
            if not (station.accepted or call.action == BOOT or call.action in station.asked):
                raise OcppError(ErrorCode.SECURITY_ERROR, "boot first: this station is not accepted yet")
            if self.plugins_answer and not asked:
                answering = self.ask(station, received)
            taken = None if answering is None else await answering
            if taken is not None:
                reply = self._taken_over(station, received, taken)
            else:
                row = station.dialect.requests.get(call.action)
                if row is None:
                    raise OcppError(ErrorCode.NOT_SUPPORTED, f"{call.action} is not handled by this CSMS")
                request = row.decode(call.payload) if call.request is None else call.request
                outcome = await self._routes[type(request)](station, request, received)
                reply = self.reply(station, received, outcome)
        except Exception as fault:
            return self.not_answered(station, call.action, fault)
        self._store_was_well = True
        return reply

    @property
    def plugins_answer(self) -> bool:
        """Whether any plugin wants to be asked for each call."""
        return self._hooks.has("answer_call")

    def ask(self, station: Station, received: Received) -> Answering | None:
        """Ask the plugins for a call, at once: what ``answer`` is to wait for, or None where no one takes it over."""
        question = {"station": station.ref, "action": received.action, "payload": received.payload}
        return self._hooks.asked("answer_call", question)

    def reply(self, station: Station, received: Received, outcome: Outcome) -> Reply:
        """What a block came to, in the station's words."""
        row = station.dialect.requests[received.action]
        return Reply(row.encode_answer(outcome.answer), None, self._news(station, received, outcome.events))

    def answered_together(self, action: str, count: int) -> None:
        """So many calls that were not given to ``answer`` are answered, and what they said is committed."""
        self._tally.message_in(action, count)
        self._store_was_well = True

    def not_answered(self, station: Station, action: str, fault: Exception) -> Reply:
        """What a station hears of a fault: nothing, where it shall repeat; called where the fault is being handled."""
        match fault:
            case OcppError():
                what = fault.description
                self.log.info(
                    "{station} {action}: {code} {what}", station=station.id, action=action, code=fault.code, what=what
                )
                self._tally.call_error_out(fault.code)
                return Reply(error=fault)
            case Fenced():
                station.drop("a newer connection of this station is open")
                return Reply()
            case StoreFault():
                self._say_unwell(fault)
                return Reply()
        self.log.failure("bug: {action} of {station} raised", action=action, station=station.id)
        return Reply(error=OcppError(ErrorCode.INTERNAL_ERROR, "the CSMS could not handle this message"))

    def _taken_over(self, station: Station, received: Received, taken: Answer[Any]) -> Reply:
        """The reply of a plugin that answers this call."""
        action = received.action
        payload: Payload = dict(taken.value)
        try:
            check(station.protocol, action, payload, answer=True)
        except OcppError as wrong:
            self.log.error(
                "plugin {plugin} answered {action} against the schema: {what}",
                plugin=taken.plugin,
                action=action,
                what=wrong.description,
            )
            raise OcppError(ErrorCode.INTERNAL_ERROR, f"the handler of {action} failed") from None
        return Reply(payload, events=self._news(station, received, ()))

    def _news(self, station: Station, received: Received, events: tuple[object, ...]) -> tuple[object, ...]:
        """The block's news, and the call itself where anybody listens to calls."""
        if not self._hooks.listens(CallReceived):
            return events
        return (CALL(station.ref, received.at, received.action, received.payload), *events)

    def _say_unwell(self, fault: StoreFault) -> None:
        if self._store_was_well:
            self.log.error("the database does not take writes ({what}): stations are left to repeat", what=str(fault))
        self._store_was_well = False
