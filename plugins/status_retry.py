"""How often a silent connector is asked before it counts as faulty, and how often stations repeat their own messages.

The core measures silence and asks; this plugin only says when. At boot it writes a station's own retry settings (OCPP 2.x) if the site has any.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from csms.api import (
    BootStatus,
    CommandState,
    Csms,
    Duration,
    SetVariables,
    StationBooted,
    StatusCheckPlan,
    StatusSilence,
    Variable,
    VariableValue,
    hookimpl,
)

LONGEST_PAUSE_S = 24 * 3600.0
COMPONENT = "OCPPCommCtrlr"
INSTANCE = "TransactionEvent"


class StatusRetry:
    """Answers ``plan_status_check``; writes MessageAttempts and MessageAttemptInterval after an accepted boot."""

    @dataclass(frozen=True)
    class Settings:
        """``attempts`` requests, ``interval`` after the first, each pause ``backoff`` times longer; ``stale_after`` 0s minds missing ones only."""

        attempts: int = 3
        interval: Duration = timedelta(seconds=60)
        backoff: float = 1.5
        stale_after: Duration = timedelta(0)
        message_attempts: int | None = None
        message_attempt_interval: Duration | None = None

        def __post_init__(self) -> None:
            """Raises ValueError in plain words."""
            if not 0 <= self.attempts <= 100:
                raise ValueError("attempts is 0 to 100")
            if self.interval < timedelta(seconds=1):
                raise ValueError("interval is at least 1s")
            if not 1 <= self.backoff <= 100:
                raise ValueError("backoff is 1 (always the same pause) to 100")
            if self.stale_after < timedelta(0):
                raise ValueError("stale_after is 0s (missing ones only) or longer")
            if self.message_attempts is not None and self.message_attempts < 0:
                raise ValueError("message_attempts is 0 or more")
            if self.message_attempt_interval is not None and self.message_attempt_interval < timedelta(0):
                raise ValueError("message_attempt_interval is 0s or longer")

    def __init__(self, settings: Settings, csms: Csms) -> None:
        self._settings = settings
        self._csms = csms
        self._values = tuple(_values(settings))
        self.listens_to: tuple[type, ...] = (StationBooted,) if self._values else ()

    @hookimpl
    def plan_status_check(self, silence: StatusSilence) -> StatusCheckPlan | None:
        """Ask while requests are left, then a fault; no opinion on a connector that has told its status."""
        stale_s = self._settings.stale_after.total_seconds()
        if silence.known and not stale_s:
            return None
        if silence.known and silence.silence_s < stale_s:
            return StatusCheckPlan(ask=False, next_in_s=max(1.0, stale_s - silence.silence_s))
        if silence.asked >= self._settings.attempts:
            return StatusCheckPlan(ask=False, fault=True, reason=f"{self._settings.attempts} requests were in vain")
        pause_s = self._settings.interval.total_seconds() * self._settings.backoff**silence.asked
        why = f"request {silence.asked + 1} of {self._settings.attempts}"
        return StatusCheckPlan(ask=True, next_in_s=min(pause_s, LONGEST_PAUSE_S), reason=why)

    @hookimpl
    def on_event(self, event: object) -> None:
        """An accepted boot of a 2.x station: write its settings, without holding anybody up."""
        if not isinstance(event, StationBooted) or event.status is not BootStatus.ACCEPTED or not self._values:
            return
        if event.station.protocol.startswith("ocpp2"):
            self._csms.later(0, lambda: self._write(event.station.id))

    async def _write(self, station: str) -> None:
        command = SetVariables(self._values)
        record = await self._csms.send(station, command, origin=f"plugin {self._csms.plugin}")
        if record.state in (CommandState.EFFECTIVE, CommandState.ACCEPTED, CommandState.QUEUED):
            return
        self._csms.log.warn(
            "{station} did not take over how often it repeats transaction events ({names}): {state} {why}",
            station=station,
            names=", ".join(f"{one.variable.name}={one.value}" for one in self._values),
            state=record.state.value,
            why=record.error or "without a reason",
        )


def _values(settings: StatusRetry.Settings) -> list[VariableValue]:
    found: list[VariableValue] = []
    if settings.message_attempts is not None:
        found.append(_value("MessageAttempts", settings.message_attempts))
    if settings.message_attempt_interval is not None:
        found.append(_value("MessageAttemptInterval", round(settings.message_attempt_interval.total_seconds())))
    return found


def _value(name: str, value: int) -> VariableValue:
    return VariableValue(Variable(COMPONENT, name, instance=INSTANCE), str(value))
