"""When a reset happens that did not say so, and what follows when it does not: the site's two settings, nothing more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from csms.api import Csms, Duration, Reset, ResetPlan, ResetWhen, StationRef, hookimpl

WORDS = tuple(one.value for one in ResetWhen)


class ResetPolicy:
    """Answers ``plan_reset`` from the site file."""

    @dataclass(frozen=True)
    class Settings:
        """``when``: OnIdle or Immediate; ``escalate``: what to send when nothing happened after ``escalate_after``, empty for nothing."""

        when: str = "OnIdle"
        escalate_after: Duration = timedelta(minutes=15)
        escalate: str = ""

        def __post_init__(self) -> None:
            """Raises ValueError in plain words."""
            if self.when not in WORDS:
                raise ValueError(f"when is {' or '.join(WORDS)}, not {self.when!r}")
            if self.escalate and self.escalate not in WORDS:
                raise ValueError(f"escalate is {' or '.join(WORDS)} or empty, not {self.escalate!r}")
            if self.escalate_after <= timedelta(0):
                raise ValueError("escalate_after is longer than 0s")

    def __init__(self, settings: Settings, csms: Csms) -> None:
        self._when = ResetWhen(settings.when)
        self._after_s = settings.escalate_after.total_seconds()
        self._escalate = ResetWhen(settings.escalate) if settings.escalate else None

    @hookimpl
    def plan_reset(self, station: StationRef, reset: Reset, active_transactions: int) -> ResetPlan:
        """The reset's own word if it has one, else the site's; the escalation is always the site's."""
        why = "the order says so" if reset.when else "[plugins.reset_policy] when"
        return ResetPlan(reset.when or self._when, self._after_s, self._escalate, why)
