"""What the verbs do: each takes the names of a run and gives a result, or says why it failed."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Mapping
from datetime import timedelta
from typing import Any

from csms_plugins.flow.files import duration
from csms_plugins.flow.holds import Holds
from csms_plugins.flow.news import ORIGIN, RuleRaised
from csms_plugins.flow.outbox import Outbox
from csms_plugins.flow.rule import Step
from csms_plugins.flow.run import Run
from csms_plugins.flow.stations import Stations
from csms_plugins.flow.values import shown
from csms_plugins.flow.verbs import COMMANDS, RESETS
from csms_plugins.flow.views import iso, plain, ref_of
from twisted.internet import defer
from twisted.logger import LogLevel

from csms.api import (
    Action,
    ChangeAvailability,
    CommandRecord,
    CommandState,
    Csms,
    NotifyFailed,
    RawCall,
    Reset,
    ResetWhen,
)

REFUSALS = ("Rejected", "NotSupported", "Failed", "UnknownMessageId", "UnknownVendorId")
OFFLINE = ("NotConnected", "Stopped")
"""Codes of commands that never left."""
AGAIN = ("notify", "log", "raise", "set", "wait", "stop")
"""Verbs that may be done again when nobody knows whether they were done: they are told apart by the effect's id, or harmless."""


class StepFailed(Exception):
    """A step went wrong; ``kind`` is one of FAILURES."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


class Stopped(Exception):
    """A rule ends its run on purpose."""


class Doer:
    """Carries out steps for rules."""

    def __init__(self, csms: Csms, stations: Stations, holds: Holds, outbox: Outbox) -> None:
        self._csms = csms
        self._stations = stations
        self._holds = holds
        self._outbox = outbox

    async def do(self, step: Step, run: Run, names: Mapping[str, Any]) -> tuple[Any, str]:
        """Carry out one step: its result, and in words what came of it. Raises StepFailed or Stopped."""
        what = step.what(names)
        rest = {key: value(names) for key, value in step.rest.items()}
        if step.verb in COMMANDS:
            return await self._command(step, run, names, self._order(step.verb, shown(what), rest, names))
        match step.verb:
            case "notify":
                return await self._notify(shown(what), rest, run)
            case "log":
                return self._log(shown(what), rest, run)
            case "call":
                return await self._call(step, shown(what), rest.get("with") or {}, run)
            case "raise":
                return self._raise(shown(what), rest.get("with") or {}, run, names)
            case "set":
                return self._set(what, run, names)
        raise Stopped(shown(what))

    async def again(self, step: Step, run: Run, names: Mapping[str, Any]) -> tuple[Any, str]:
        """The process ended while this step was being done: see what came of it, and do it only where that is safe."""
        if step.verb in COMMANDS:
            record = await self._csms.read.command_of(_origin(run))
            if record is None or (record.state is CommandState.FAILED and record.error_code in OFFLINE):
                return await self.do(step, run, names)
            return _outcome(record)
        if step.verb == "call":
            action = self._csms.actions().get(shown(step.what(names)))
            if action is None or not action.idempotent:
                raise StepFailed("uncertain", "the server stopped while this was being done")
        return await self.do(step, run, names)

    # Commands

    def _order(self, verb: str, what: str, rest: Mapping[str, Any], names: Mapping[str, Any]) -> object:
        match verb:
            case "send":
                return RawCall(what, _without_none(rest.get("with") or {}))
            case "reset":
                if what not in ("choose", *RESETS):
                    raise StepFailed("error", f"{what} is not a way to reset: choose, {', '.join(RESETS)}")
                return Reset(None if what == "choose" else ResetWhen(what), _number(rest, "evse"))
            case "availability":
                if what not in ("Operative", "Inoperative"):
                    raise StepFailed("error", f"{what} is neither Operative nor Inoperative")
                return ChangeAvailability(what == "Operative", _number(rest, "evse"), _number(rest, "connector"))
        return self._message(what, rest, names)

    def _message(self, text: str, rest: Mapping[str, Any], names: Mapping[str, Any]) -> RawCall:
        protocol = str(names["station"].get("protocol", ""))
        if protocol not in self._csms.ocpp.protocols or "SetDisplayMessage" not in self._csms.ocpp.calls(protocol):
            raise StepFailed("error", f"a station with {protocol or 'an unknown protocol'} shows no messages")
        lasts_s = duration(rest.get("lasts"))
        until = iso(self._csms.now() + timedelta(seconds=lasts_s)) if lasts_s else None
        message = {
            "id": names["run"]["request_id"],
            "priority": "NormalCycle",
            "state": rest.get("show"),
            "endDateTime": until,
            "message": {"format": "UTF8", "content": text[:512]},
            "display": {"name": "Display", "evse": {"id": evse}} if (evse := _number(rest, "evse")) else None,
        }
        return RawCall("SetDisplayMessage", {"message": _without_none(message)})

    async def _command(self, step: Step, run: Run, names: Mapping[str, Any], command: object) -> tuple[Any, str]:
        station = names["station"].get("id")
        if not station:
            raise StepFailed("error", "the event has no station")
        if not self._holds.commands(self._stations.scopes.of(station).id, self._csms.now().timestamp()):
            raise StepFailed("error", "rules have sent 100 commands within a minute to this site")
        sending = self._csms.send(station, command, origin=_origin(run))
        return _outcome(await self._within(sending, step.timeout_s))

    async def _within(self, work: Awaitable[Any], seconds: float) -> Any:
        """What comes of some work, or StepFailed when it takes too long; the work itself goes on, for it cannot be undone."""
        first: defer.Deferred[Any] = defer.Deferred()

        def late() -> None:
            if not first.called:
                first.errback(defer.TimeoutError())

        def done(outcome: Any) -> None:
            if not first.called:
                first.callback(outcome)

        timer = self._csms.clock.callLater(seconds, late)
        defer.ensureDeferred(_awaited(work)).addBoth(done)
        try:
            return await first
        except defer.TimeoutError:
            raise StepFailed("timeout", f"no answer within {seconds:g} s") from None
        finally:
            if timer.active():
                timer.cancel()

    # What stays in the house

    async def _notify(self, channel: str, rest: Mapping[str, Any], run: Run) -> tuple[Any, str]:
        text = shown(rest.get("text"))
        level = _level(rest, "warn")
        try:
            sent = await self._csms.notify(
                channel,
                text,
                level=level,
                title=shown(rest["title"]) if rest.get("title") is not None else "",
                once_s=duration(rest.get("once")),
                key=run.effect_id,
                station=run.station,
                data={"rule": run.rule.id, "event": run.event, "key": run.key},
            )
        except NotifyFailed as failed:
            raise StepFailed("error", str(failed)) from None
        return sent, text if sent else f"not told again: {text}"

    def _log(self, text: str, rest: Mapping[str, Any], run: Run) -> tuple[Any, str]:
        chosen = LogLevel.lookupByName(_level(rest, "info"))
        self._csms.log.emit(chosen, "rule {rule}: {text}", rule=run.rule.id, text=text)
        return text, text

    async def _call(self, step: Step, name: str, arguments: Mapping[str, Any], run: Run) -> tuple[Any, str]:
        action = self._csms.actions().get(name)
        if action is None:
            raise StepFailed("error", f"no plugin offers {name}")
        try:
            result = _started(action, arguments, run.effect_id)
            if inspect.isawaitable(result):
                result = await self._within(result, step.timeout_s)
        except StepFailed:
            raise
        except Exception as fault:
            self._csms.log.failure("action {action} failed", action=name)
            raise StepFailed("error", f"{name}: {fault}") from None
        result = plain(result)
        return result, shown(result)

    def _raise(self, name: str, values: Any, run: Run, names: Mapping[str, Any]) -> tuple[Any, str]:
        station, causes = ref_of(names["station"]), (*run.causes, run.rule.id)
        self._outbox.tell(RuleRaised(station, self._csms.now(), causes, run.effect_id, name, values))
        return name, name

    def _set(self, flags: Mapping[str, Any], run: Run, names: Mapping[str, Any]) -> tuple[Any, str]:
        if not names["station"].get("id"):
            raise StepFailed("error", "the event has no station")
        causes = (*run.causes, run.rule.id)
        for name, value in flags.items():
            self._stations.set_flag(ref_of(names["station"]), name, value, causes, run.effect_id)
        return dict(flags), ", ".join(f"{name} = {shown(value)}" for name, value in flags.items())


def _started(action: Action, arguments: Mapping[str, Any], effect: str) -> Any:
    """Run an action; an idempotent one with room for it is given the effect's id."""
    if action.idempotent and len(inspect.signature(action.run).parameters) > 1:
        return action.run(arguments, effect)
    return action.run(arguments)


def _origin(run: Run) -> str:
    return f"{ORIGIN}{run.rule.id} {run.effect_id}"


def _level(rest: Mapping[str, Any], default: str) -> str:
    level = str(rest.get("level") or default)
    return level if level in ("info", "warn", "error") else default


def _number(rest: Mapping[str, Any], key: str) -> int | None:
    value = rest.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise StepFailed("error", f"{key} is a number, not {value!r}")


def _outcome(record: CommandRecord) -> tuple[Any, str]:
    answer = dict(record.answer or {})
    status = str(answer.get("status", ""))
    why = record.error or "no reason given"
    match record.state:
        case CommandState.TIMED_OUT:
            raise StepFailed("timeout", f"timed_out: {why}")
        case CommandState.REJECTED:
            raise StepFailed("Rejected", f"rejected: {why}")
        case CommandState.UNCERTAIN | CommandState.SENT:
            raise StepFailed("uncertain", f"uncertain: {why}")
        case CommandState.FAILED:
            raise StepFailed("offline" if record.error_code in OFFLINE else "error", f"failed: {why}")
    if status in REFUSALS:
        raise StepFailed("Rejected", f"the station answered {status}")
    return answer, f"{record.state.value} {status}".strip()


def _without_none(value: Any) -> Any:
    """What is missing is left out of a message: OCPP knows no null."""
    match value:
        case dict():
            return {key: _without_none(one) for key, one in value.items() if one is not None}
        case list():
            return [_without_none(one) for one in value if one is not None]
    return value


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work
