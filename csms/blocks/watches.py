"""Accepted commands that wait for their effect: "accepted" is not "happened". Knows the time that each has, and nothing of the ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from csms.blocks.effects import Effect
from csms.model.commands import CommandRecord, CommandState
from csms.model.provisioning import ResetPlan
from csms.running import run_guarded


@dataclass(slots=True)
class Watch:
    """An accepted command that waits for its effect, at most ``wait_s``."""

    record: CommandRecord
    command: object
    effect: Effect
    plan: ResetPlan | None
    timer: IDelayedCall | None = None

    @property
    def wait_s(self) -> float:
        """The reset plan's patience, else that of the effect."""
        return self.plan.escalate_after_s if self.plan else self.effect.timeout_s


class Watches:
    """All that waits, by the command's number; ``late`` is given what has waited long enough."""

    def __init__(self, clock: IReactorTime, late: Callable[[Watch], Awaitable[None]], log: Logger) -> None:
        self._clock = clock
        self._late = late
        self._log = log
        self._all: dict[int, Watch] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, watch: Watch) -> None:
        """Wait for an effect, from now on."""
        watch.timer = self._clock.callLater(watch.wait_s, run_guarded, lambda: self._over(watch), self._log)
        self._all[watch.record.id] = watch

    async def _over(self, watch: Watch) -> None:
        if self._all.pop(watch.record.id, None) is not None:
            await self._late(watch)

    def end(self, watch: Watch) -> None:
        """Wait no more."""
        self._all.pop(watch.record.id, None)
        if watch.timer is not None and watch.timer.active():
            watch.timer.cancel()

    def cut_off(self, station: str) -> list[Watch]:
        """Commands to a station that were cut off before their answer, and go on."""
        return [
            one for one in self._all.values() if one.record.station == station and one.record.state is CommandState.SENT
        ]

    def decided_by(self, event: object) -> Iterator[tuple[Watch, str]]:
        """What waits no more after this news: with an empty text it has happened, else the text says why it will not."""
        for watch in list(self._all.values()):
            if watch.effect.seen(event):
                yield watch, ""
            elif why := watch.effect.failed(event):
                yield watch, why

    def like(self, record: CommandRecord) -> list[Watch]:
        """What waits for the same kind of command of the same station."""
        alike = record.station, record.name
        return [watch for watch in self._all.values() if (watch.record.station, watch.record.name) == alike]
