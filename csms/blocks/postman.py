"""Carries the notifications of one channel to its target, one at a time, with growing pauses until the target has them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from csms.model.notifications import (
    DeliveryFailed,
    NotificationRecord,
    NotificationState,
    NotificationUndelivered,
)
from csms.registries import OpenChannel
from csms.settings import ChannelSettings
from csms.store import Store, StoreFault

STORE_PAUSE_S = 5.0
GOODBYE_S = 3.0
FAR_S = 86_400.0
"""Nothing waits longer than this, or than its channel's longest pause: a time further off was set by a wall clock that has been put right since."""
Count = Callable[[str, str], None]


class Postman:
    """Carries what waits for one channel, one after the other."""

    log = Logger()

    def __init__(
        self,
        opened: OpenChannel,
        store: Store,
        clock: IReactorTime,
        now: Callable[[], datetime],
        tell: Callable[[object], None],
        count: Count,
    ) -> None:
        self.opened = opened
        self._store = store
        self._clock = clock
        self._now = now
        self._tell = tell
        self._count = count
        self._alarm: IDelayedCall | None = None
        self._under_way: defer.Deferred[Any] | None = None
        self._rung = False
        self._ended = False

    def ring(self) -> None:
        """There may be something to carry."""
        self._rung = True
        if self._under_way is None and not self._ended:
            self._under_way = defer.Deferred.fromCoroutine(self._round())
            self._under_way.addBoth(self._rest)

    def _rest(self, result: Any) -> None:
        self._under_way = None
        if isinstance(result, float):
            self._wake_in(result)
        elif result is not None:
            fault = result.value
            if not isinstance(fault, StoreFault):
                self.log.failure("bug: channel {channel} stopped", failure=result, channel=self.opened.name)
            self._wake_in(STORE_PAUSE_S)

    def _wake_in(self, seconds: float) -> None:
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        if not self._ended:
            self._alarm = self._clock.callLater(seconds, self.ring)

    async def _round(self) -> float | None:
        """Carry what is due; gives the seconds until the next one is, or None when nothing waits."""
        while not self._ended:
            self._rung = False
            head = await self._store.notifications.head(self.opened.name)
            if head is None:
                if self._rung:
                    continue
                return None
            seconds = (head.due - self._now()).total_seconds()
            if seconds > max(FAR_S, self.opened.settings.retry_at_most.total_seconds()):
                seconds = 0.0
            if seconds > 0 and not self._rung:
                return seconds
            if seconds <= 0:
                await self._carry(head)
        return None

    async def _carry(self, head: NotificationRecord) -> None:
        settings, rows = self.opened.settings, self._store.notifications
        tries = head.tries + 1
        pause_s = self._pause(tries)
        late = self._now() + timedelta(seconds=settings.timeout.total_seconds() + pause_s)
        if not await rows.begun(head.id, tries, late):
            return
        try:
            waiting = defer.ensureDeferred(self.opened.channel.deliver(head.notification))
            await waiting.addTimeout(settings.timeout.total_seconds(), self._clock)
        except Exception as raised:
            await self._missed(head, tries, pause_s, _failed(raised, settings))
            return
        await rows.closed(head.id, NotificationState.DELIVERED, self._now())
        self._count(self.opened.name, "delivered")

    async def _missed(self, head: NotificationRecord, tries: int, pause_s: float, failed: DeliveryFailed) -> None:
        channel, why = self.opened.name, str(failed)[:500]
        self._count(channel, "failed")
        if not failed.final and tries < self.opened.settings.tries:
            wait = timedelta(seconds=max(pause_s, failed.again_in_s))
            await self._store.notifications.later(head.id, self._now() + wait, why)
            return
        await self._store.notifications.closed(head.id, NotificationState.DEAD, self._now(), why)
        self._count(channel, "dead")
        self.log.error(
            "notification {id} for channel {channel} is given up after {tries} tries: {why} (csms notify retry {id})",
            id=head.id,
            channel=channel,
            tries=tries,
            why=why,
        )
        self._tell(NotificationUndelivered(self._now(), channel, head.notification, tries, why))

    def _pause(self, tries: int) -> float:
        settings = self.opened.settings
        doubled = settings.retry_after.total_seconds() * 2.0 ** min(tries - 1, 40)
        return min(doubled, max(settings.retry_at_most, settings.retry_after).total_seconds())

    async def end(self) -> None:
        """Finish what is being delivered, for a few seconds at most, then close the channel."""
        self._ended = True
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        if self._under_way is not None:
            finished: defer.Deferred[None] = defer.Deferred()
            self._under_way.addBoth(lambda _: finished.callback(None))
            try:
                await finished.addTimeout(GOODBYE_S, self._clock)
            except defer.TimeoutError:
                self.log.warn("channel {channel} ends in the middle of a try", channel=self.opened.name)
        await self.opened.channel.close()


def _failed(raised: Exception, settings: ChannelSettings) -> DeliveryFailed:
    match raised:
        case DeliveryFailed():
            return raised
        case defer.TimeoutError() | defer.CancelledError():
            return DeliveryFailed(f"no answer within {settings.timeout.total_seconds():g} s")
    return DeliveryFailed(f"{type(raised).__name__}: {raised}")
