"""What the verbs do: each takes the names of a run and says in a few words what came of it, or why it failed."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from csms_plugins.flow_events import RuleRaised
from csms_plugins.flow_values import shown
from csms_plugins.flow_verbs import RESETS, Step
from twisted.internet import defer
from twisted.logger import LogLevel

from csms.api import (
    ChangeAvailability,
    CommandRecord,
    CommandState,
    Csms,
    RawCall,
    Reset,
    ResetWhen,
    StationRef,
)

FINE = (CommandState.ACCEPTED, CommandState.EFFECTIVE, CommandState.QUEUED)
REFUSALS = ("Rejected", "NotSupported", "Failed")
ORIGIN = "rule "


class StepFailed(Exception):
    """A step went wrong; the run ends, the text says why."""


class Stopped(Exception):
    """A rule ends its run on purpose."""


class Doer:
    """Carries out steps for rules."""

    def __init__(self, csms: Csms) -> None:
        self._csms = csms
        self._waiting: set[defer.Deferred[None]] = set()

    def stop(self) -> None:
        """End every ``wait``: they live in memory only."""
        for one in list(self._waiting):
            one.cancel()

    async def do(self, step: Step, names: Mapping[str, Any], causes: tuple[str, ...]) -> str:
        """Carry out one step; raises StepFailed or Stopped."""
        what = shown(step.what(names))
        rest = {key: value(names) for key, value in step.rest.items()}
        match step.verb:
            case "send":
                return await self._send(names, RawCall(what, _without_none(rest.get("with") or {})), causes)
            case "reset":
                return await self._send(names, _reset(what, rest), causes)
            case "availability":
                return await self._send(names, _availability(what, rest), causes)
            case "notify":
                return self._log(shown(rest.get("text")), rest, names, "warn")
            case "log":
                return self._log(what, rest, names, "info")
            case "call":
                return await self._call(what, rest.get("with") or {})
            case "raise":
                return self._raise(what, rest.get("with") or {}, names, causes)
            case "wait":
                return await self._wait(step.wait_s, what)
        raise Stopped(what)

    async def _send(self, names: Mapping[str, Any], command: object, causes: tuple[str, ...]) -> str:
        station = names["station"].get("id")
        if not station:
            raise StepFailed("the event has no station")
        record = await self._csms.send(station, command, origin=ORIGIN + causes[-1])
        return _outcome(record)

    def _log(self, text: str, rest: Mapping[str, Any], names: Mapping[str, Any], level: str) -> str:
        chosen = LogLevel.lookupByName(str(rest.get("level", level)))
        self._csms.log.emit(chosen, "rule {rule}: {text}", rule=names["run"]["rule"], text=text)
        return text

    async def _call(self, name: str, arguments: Mapping[str, Any]) -> str:
        action = self._csms.actions().get(name)
        if action is None:
            raise StepFailed(f"no plugin offers {name}")
        try:
            result = action.run(arguments)
            if isinstance(result, Awaitable):
                result = await result
        except Exception as fault:
            self._csms.log.failure("action {action} failed", action=name)
            raise StepFailed(f"{name}: {fault}") from None
        return shown(result)

    def _raise(self, name: str, values: Mapping[str, Any], names: Mapping[str, Any], causes: tuple[str, ...]) -> str:
        told = names["station"]
        fields = ("id", "protocol", "vendor", "model", "firmware", "connected")
        station = StationRef(**{key: told[key] for key in fields if key in told})
        self._csms.tell(RuleRaised(station, self._csms.now(), name, values, causes))
        return name

    async def _wait(self, seconds: float, text: str) -> str:
        waiting: defer.Deferred[None] = defer.Deferred()
        timer = self._csms.clock.callLater(seconds, waiting.callback, None)
        self._waiting.add(waiting)
        try:
            await waiting
        except defer.CancelledError:
            timer.cancel()
            raise StepFailed("the server stopped while the rule waited") from None
        finally:
            self._waiting.discard(waiting)
        return text


def _reset(what: str, rest: Mapping[str, Any]) -> Reset:
    if what not in ("choose", *RESETS):
        raise StepFailed(f"{what} is not a way to reset: choose, {', '.join(RESETS)}")
    return Reset(None if what == "choose" else ResetWhen(what), _number(rest, "evse"))


def _availability(what: str, rest: Mapping[str, Any]) -> ChangeAvailability:
    if what not in ("Operative", "Inoperative"):
        raise StepFailed(f"{what} is neither Operative nor Inoperative")
    return ChangeAvailability(what == "Operative", _number(rest, "evse"), _number(rest, "connector"))


def _number(rest: Mapping[str, Any], key: str) -> int | None:
    value = rest.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise StepFailed(f"{key} is a number, not {value!r}")


def _outcome(record: CommandRecord) -> str:
    status = str((record.answer or {}).get("status", ""))
    if record.state not in FINE:
        raise StepFailed(f"{record.state.value}: {record.error or 'no reason given'}")
    if status in REFUSALS:
        raise StepFailed(f"the station answered {status}")
    return f"{record.state.value} {status}".strip()


def _without_none(value: Any) -> Any:
    """What is missing is left out of a message: OCPP knows no null."""
    match value:
        case dict():
            return {key: _without_none(one) for key, one in value.items() if one is not None}
        case list():
            return [_without_none(one) for one in value if one is not None]
    return value
