"""Asks the plugins when a reset happens, whether a command is sent again, and whether a silent connector is asked; keeps what was decided.

A decision that cannot be kept is carried out all the same: it is for the stories of transactions (``csms.explanation``), and nothing rests on it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from twisted.logger import Logger

from csms.hooks import Hooks
from csms.model.availability import StatusCheckPlan, StatusSilence
from csms.model.commands import CommandFailed, CommandFailure, CommandRecord, RetryPlan
from csms.model.explanation import PlanDecision
from csms.model.provisioning import Reset, ResetPlan, ResetWhen
from csms.running import run_guarded
from csms.stations import Station
from csms.store import Store


class Planning:
    """The three plans, each with its default."""

    log = Logger()

    def __init__(self, hooks: Hooks, store: Store, now: Callable[[], datetime]) -> None:
        self._hooks = hooks
        self._store = store
        self._now = now

    @property
    def checks_silence(self) -> bool:
        """Whether anybody minds connectors that tell no status."""
        return self._hooks.has("plan_status_check")

    async def reset(self, station: Station, record: CommandRecord, reset: Reset) -> ResetPlan:
        """When a reset happens, and what follows if it does not."""
        active = len(await self._store.transactions.active(station=station.id))
        answer = await self._hooks.ask("plan_reset", station=station.ref, reset=reset, active_transactions=active)
        plan: ResetPlan = answer.value if answer else ResetPlan(reset.when or ResetWhen.ON_IDLE)
        when = reset.when or plan.when
        why = plan.reason or ("the order says so" if reset.when else "the order does not say when")
        then = f"it is sent again as {plan.escalate.value}" if plan.escalate else "it has failed"
        text = f"the reset happens {when.value}; without a boot within {plan.escalate_after_s:g} s {then}"
        why += f"; transactions that go on: {active}"
        self._keep(record, text, answer.plugin if answer else "", why, evse=reset.evse)
        return plan

    def escalated(self, record: CommandRecord, reset: Reset, plan: ResetPlan) -> None:
        """A reset that did not happen is sent again as the plan says."""
        assert plan.escalate is not None
        why = f"nothing happened within {plan.escalate_after_s:g} s, and that was the plan"
        self._keep(record, f"the reset is sent again as {plan.escalate.value}", "", why, evse=reset.evse)

    async def retry(self, station: Station, record: CommandRecord, failed: CommandFailed) -> RetryPlan | None:
        """Whether a command that may be repeated is sent again; None: it is not."""
        failure = CommandFailure(station.ref, record.name, failed.state, str(failed), record.tries + 1, idempotent=True)
        answer = await self._hooks.ask("plan_retry", failure=failure)
        if answer is None:
            return None
        plan: RetryPlan = answer.value
        why = "; ".join(part for part in (plan.reason, f"try {failure.tries} failed: {failed}") if part)
        self._keep(record, f"{record.name} is sent again in {plan.delay_s:g} s", answer.plugin, why)
        return plan

    async def status_check(self, station: Station, silence: StatusSilence) -> StatusCheckPlan:
        """Whether a silent connector is asked for its status, or counts as faulty."""
        answer = await self._hooks.ask("plan_status_check", silence=silence)
        plan: StatusCheckPlan = answer.value if answer else StatusCheckPlan(ask=False)
        if answer is None or not (plan.ask or plan.fault):
            return plan
        place = f"EVSE {silence.evse} connector {silence.connector}" if silence.evse else "the station"
        what = "counts as faulty: its status is missing" if plan.fault else "is asked for its status"
        why = f"silent for {silence.silence_s:g} s, asked {silence.asked} times"
        if plan.reason:
            why = f"{plan.reason}; {why}"
        decision = PlanDecision(
            station.id, self._now(), f"{place} {what}", answer.plugin, why, evse=silence.evse or None
        )
        run_guarded(lambda: self._store.plans.keep(decision), self.log)
        return plan

    def _keep(self, record: CommandRecord, text: str, plugin: str, why: str, evse: int | None = None) -> None:
        decision = PlanDecision(record.station, self._now(), text, plugin, why, record.id, evse)
        run_guarded(lambda: self._store.plans.keep(decision), self.log)
