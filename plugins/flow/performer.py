"""Carries one run through its steps: conditions, tries, pauses, what must be seen before a step is done, and the way into ``else``.

A step is written down before its effect. After a crash the run goes on where it was; what was being done is done again only where that is safe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from csms_plugins.flow.doer import Doer, StepFailed, Stopped
from csms_plugins.flow.files import duration, grown
from csms_plugins.flow.journal import Journal
from csms_plugins.flow.rule import Awaited, Retry, Step
from csms_plugins.flow.run import FALLBACK, Run, following, in_else, step_at
from csms_plugins.flow.stations import Stations
from csms_plugins.flow.traces import Unmet
from csms_plugins.flow.values import shown
from csms_plugins.flow.verbs import COMMANDS
from csms_plugins.flow.waits import FAILS, LATE, Waits

from csms.api import Csms

CONNECTED = Awaited("station.connected", (), (), 0.0)
HARMLESS = ("log", "stop", "wait")
"""Verbs that need no word on paper before they begin."""


class Performer:
    """Carries runs out."""

    def __init__(self, csms: Csms, journal: Journal, doer: Doer, waits: Waits, stations: Stations) -> None:
        self._csms = csms
        self._journal = journal
        self._doer = doer
        self._waits = waits
        self._stations = stations

    async def perform(self, run: Run) -> tuple[str, str]:
        """All steps that are left: the outcome (ran, failed, stopped), and why. Raises Interrupted."""
        while (step := step_at(run.rule, run.position)) is not None:
            try:
                await self._step(run, step)
            except Stopped as stopped:
                return ("failed", run.failed) if run.failed else ("ran", f"stop: {stopped}")
            except StepFailed as failed:
                if not self._otherwise(run, step, failed):
                    raise
                continue
            run.position, run.tries, run.phase = following(run.position), 1, ""
        return ("failed", run.failed) if run.failed else ("ran", "")

    def _otherwise(self, run: Run, step: Step, failed: StepFailed) -> bool:
        """Go on after a failure; False where nobody has said how."""
        why = f"{step.verb}: {failed}"
        run.trace.steps.append(f"{step.verb}: {failed.kind}: {failed}")
        if step.otherwise == ():
            run.position = following(run.position)
        elif step.otherwise:
            run.position, run.failed = (*run.position, "else", 0), why
        elif run.rule.otherwise and not in_else(run.position):
            run.position, run.failed = FALLBACK, why
        else:
            return False
        run.tries, run.phase = 1, ""
        return True

    async def _step(self, run: Run, step: Step) -> None:
        names = await self.names(run)
        if run.phase == "":
            for condition in step.when:
                if not condition.expression.value(names):
                    run.trace.steps.append(f"{step.verb}: passed over: {Unmet(condition, run.event, names)}")
                    return
        while True:
            try:
                result, told = await self._try(run, step, names)
            except StepFailed as failed:
                if failed.kind not in step.retry.on or run.tries >= step.retry.tries:
                    raise
                run.trace.steps.append(f"{step.verb}: try {run.tries}: {failed.kind}: {failed}")
                await self._pause(run, step.retry)
                names = await self.names(run)
                continue
            if step.save:
                run.saved[step.save] = result
            run.trace.steps.append(f"{step.verb}: {told}")
            return

    async def _try(self, run: Run, step: Step, names: Mapping[str, Any]) -> tuple[Any, str]:
        if run.phase == "pause":
            await self._waits.until(run, run.due)
            run.tries, run.phase = run.tries + 1, ""
            names = await self.names(run)
        if step.verb == "wait":
            return await self._wait(run, step, names)
        await self._online(run, step, names)
        waiter = self._waits.begin(run, step.until) if step.until else None
        try:
            result, told = await self._effect(run, step, names)
            if waiter is not None:
                assert step.until is not None
                await self._begin(run, "until", step.until.max_s)
                await self._seen(step.until, await self._waits.event(waiter, run.due))
        finally:
            if waiter is not None:
                self._waits.end(waiter)
        return result, told

    async def _effect(self, run: Run, step: Step, names: Mapping[str, Any]) -> tuple[Any, str]:
        if run.phase == "until":
            return None, "seen"
        if run.phase == "effect":
            result, told = await self._doer.again(step, run, names)
        else:
            if run.interrupt is not None:
                raise run.interrupt
            if step.verb not in HARMLESS:
                run.phase = "effect"
                await self.write(run)
            result, told = await self._doer.do(step, run, names)
        if step.expect is not None and not step.expect.value({**names, "result": result}):
            raise StepFailed("error", f"expected {step.expect.text}, and it was {shown(result)}")
        return result, told

    async def _online(self, run: Run, step: Step, names: Mapping[str, Any]) -> None:
        """A step that may wait for its station waits until it is connected."""
        if step.verb not in COMMANDS or not step.offline_wait_s or run.phase in ("effect", "until"):
            return
        if names["station"].get("connected"):
            return
        waiter = self._waits.begin(run, CONNECTED)
        try:
            await self._begin(run, "offline", step.offline_wait_s)
            if await self._waits.event(waiter, run.due) == LATE:
                raise StepFailed("offline", "the station did not come back in time")
        finally:
            self._waits.end(waiter)
        run.phase = ""

    async def _wait(self, run: Run, step: Step, names: Mapping[str, Any]) -> tuple[Any, str]:
        if step.awaited is None:
            seconds = step.wait_s or _seconds(step.what(names))
            await self._begin(run, "wait", seconds)
            await self._waits.until(run, run.due)
            return None, f"{seconds:g} s"
        waiter = self._waits.begin(run, step.awaited)
        try:
            await self._begin(run, "wait", step.awaited.max_s)
            await self._seen(step.awaited, await self._waits.event(waiter, run.due))
        finally:
            self._waits.end(waiter)
        return None, f"{step.awaited.event} came"

    async def _seen(self, wanted: Awaited, what: str) -> None:
        if what == LATE:
            raise StepFailed("silent", f"no {wanted.event} that fits within {wanted.max_s:g} s")
        if what == FAILS:
            raise StepFailed("error", f"{wanted.event} says that it failed")

    async def _pause(self, run: Run, retry: Retry) -> None:
        seconds = grown(retry.every_s, retry.backoff, run.tries - 1, retry.max_s)
        seconds *= 1 + retry.jitter * (2 * _share(run.effect_id) - 1)
        run.phase = ""
        await self._begin(run, "pause", seconds)

    async def _begin(self, run: Run, phase: str, seconds: float) -> None:
        """Write down that a wait begins; one that had begun before a restart keeps its end."""
        if run.phase != phase:
            run.phase, run.due = phase, self._csms.now().timestamp() + seconds
            await self.write(run)

    async def write(self, run: Run) -> None:
        """Make a run durable as it is now."""
        self._journal.put(f"run/{run.id}", run.to_json())
        await self._journal.commit()

    async def names(self, run: Run) -> dict[str, Any]:
        """The names of a step: the event as it was, the station and the time as they are now, and what the run has made."""
        names = await self._stations.fresh(run.names, active=run.rule.reads(("station", "active_tx")))
        request = int(_share(f"{run.effect_id}#{run.number}") * (2**31 - 2)) + 1
        about = {"id": run.id, "rule": run.rule.id, "request_id": request, "try": run.tries}
        return {**names, **run.saved, "opt": run.rule.options, "run": about}


def _share(text: str) -> float:
    """A number from 0 to 1 that only depends on a text: nothing here is left to chance, so that a replay is exact."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48


def _seconds(value: Any) -> float:
    found = duration(value)
    if found is None:
        raise StepFailed("error", f"{shown(value)} is not a duration")
    return found
