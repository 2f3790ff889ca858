"""Telling people: notifications go into the outbox and from there, one at a time per channel, to the channel's target.

What ``notify`` took is durable: it is tried until the target has it, with growing pauses, also after a restart; a try that was cut off is made
again under the same id. What cannot be delivered is kept as dead, told once, and retried by hand. How a channel delivers is its plugin's matter.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogLevel

from csms.blocks.postman import Count, Postman
from csms.model.notifications import (
    LEVELS,
    Notification,
    NotifyFailed,
)
from csms.registries import ChannelKind, OpenChannel
from csms.running import run_guarded
from csms.settings import ChannelSettings
from csms.store import Store

KEPT = timedelta(days=30)
PRUNE_EVERY_S = 3600.0
LONGEST_TEXT = 20000


class LogChannel:
    """Kind ``log``: a line in the server's log."""

    log = Logger(namespace="csms.notify")

    async def deliver(self, notification: Notification) -> None:
        """Write the line."""
        station = f"{notification.station}: " if notification.station else ""
        title = f"{notification.title}: " if notification.title else ""
        level = LogLevel.lookupByName(notification.level)
        self.log.emit(level, "{station}{title}{text}", station=station, title=title, text=notification.text)

    async def close(self) -> None:
        """Nothing is held open."""


LOG_KIND = ChannelKind("csms", "log", ChannelSettings, lambda name, settings: LogChannel())
LOG_SETTINGS = ChannelSettings(kind="log")
"""The channel ``log`` is there without a table of its own."""


class Notifications:
    """The channels in use, and the outbox."""

    log = Logger()

    def __init__(
        self,
        store: Store,
        clock: IReactorTime,
        now: Callable[[], datetime],
        tell: Callable[[object], None],
        count: Count = lambda channel, outcome: None,
        site: str = "",
    ) -> None:
        self._store = store
        self._clock = clock
        self._now = now
        self._tell = tell
        self._count = count
        self._site = site
        self._postmen: dict[str, Postman] = {}
        self._running = False
        self._pruning: IDelayedCall | None = None
        self._full: set[str] = set()

    def use(self, channels: Mapping[str, OpenChannel]) -> None:
        """Take over a new set of channels; one that is the same object goes on undisturbed, an old one ends with what it is delivering."""
        before, self._postmen = self._postmen, {}
        for name, opened in channels.items():
            old = before.get(name)
            if old is not None and old.opened is opened:
                self._postmen[name] = before.pop(name)
            else:
                self._postmen[name] = Postman(opened, self._store, self._clock, self._now, self._tell, self._count)
        for old in before.values():
            run_guarded(old.end, self.log)
        if self._running:
            self._begin()

    def channels(self) -> Mapping[str, str]:
        """The kind of each channel, by name."""
        return {name: postman.opened.settings.kind for name, postman in self._postmen.items()}

    async def notify(
        self,
        channel: str,
        text: str,
        *,
        level: str = "info",
        title: str = "",
        once_s: float | None = None,
        key: str = "",
        station: str = "",
        site: str = "",
        origin: str = "",
        data: Mapping[str, object] | None = None,
    ) -> bool:
        """Take a notification, durable when this returns; False if it need not be told (again). Raises NotifyFailed."""
        postman = self._postmen.get(channel)
        if postman is None:
            raise NotifyFailed(
                f"there is no channel called {channel}: it is a table [notify.{channel}] of the site file"
            )
        if level not in LEVELS:
            raise NotifyFailed(f"level is never {level}: {', '.join(LEVELS)}")
        settings = postman.opened.settings
        if LEVELS.index(level) < LEVELS.index(settings.level):
            return False
        at = self._now()
        new = Notification(
            f"msg_{secrets.token_hex(12)}",
            at,
            channel,
            text[:LONGEST_TEXT],
            level,
            title[:200],
            site or self._site,
            station,
            origin,
            dict(data or {}),
        )
        once_until = None if once_s is None else at + timedelta(seconds=once_s)
        taken = await self._store.notifications.add(
            new,
            key=key,
            once=text if once_until else "",
            once_until=once_until,
            waiting_at_most=settings.waiting_at_most,
        )
        if taken == "full":
            self._refuse(channel, settings.waiting_at_most)
        self._full.discard(channel)
        if taken == "queued":
            postman.ring()
        return taken == "queued"

    def _refuse(self, channel: str, most: int) -> None:
        """Said in the log once, until the channel takes something again."""
        self._count(channel, "refused")
        why = f"channel {channel} is full: {most} notifications wait in it"
        if channel not in self._full:
            self._full.add(channel)
            self.log.error("{why}; newer ones are refused (csms notify list)", why=why)
        raise NotifyFailed(why)

    async def retry(self, id: int) -> bool:
        """Let a dead notification wait anew; False if it is not dead, or its channel is gone."""
        record = await self._store.notifications.get(id)
        postman = self._postmen.get(record.notification.channel) if record else None
        if postman is None or not await self._store.notifications.again(id, self._now()):
            return False
        postman.ring()
        return True

    def start(self) -> None:
        """Begin with what a stop or crash left over."""
        self._running = True
        self._begin()
        self._prune()

    def _begin(self) -> None:
        run_guarded(self._abandon, self.log)
        for postman in self._postmen.values():
            postman.ring()

    async def _abandon(self) -> None:
        count = await self._store.notifications.abandon(list(self._postmen), self._now())
        if count:
            self.log.warn("{count} notifications waited for channels that are no more (csms notify list)", count=count)

    def _prune(self) -> None:
        now = self._now()
        run_guarded(lambda: self._store.notifications.prune(now - KEPT, now), self.log)
        self._pruning = self._clock.callLater(PRUNE_EVERY_S, self._prune)

    async def stop(self) -> None:
        """End with what is being delivered, soon; the rest waits for the next start."""
        self._running = False
        if self._pruning is not None and self._pruning.active():
            self._pruning.cancel()
        await defer.DeferredList([defer.ensureDeferred(postman.end()) for postman in self._postmen.values()])
