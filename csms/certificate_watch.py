"""The server's own certificates while it runs: changed files are taken over, and that one will soon end is told in time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from twisted.internet import task
from twisted.logger import Logger

from csms.model.security import SecurityEventKind
from csms.running import run_guarded
from csms.tls import Contexts

LOOK_EVERY_S = 10.0
"""How often the files are looked at."""
TELL_EVERY_S = 86400.0
TOLD_BEFORE = timedelta(days=30)
"""So long before its end, and from then on at each start and once a day, a security event tells of a certificate."""


class CertificateWatch:
    """Looks now and then."""

    log = Logger(namespace="csms.tls")

    def __init__(
        self,
        contexts: Sequence[Contexts],
        clock: Any,
        now: Callable[[], datetime],
        raise_event: Callable[[str, str, str], Awaitable[None]],
    ) -> None:
        self._contexts = contexts
        self._clock = clock
        self._now = now
        self._raise_event = raise_event
        self._calls: list[task.LoopingCall] = []

    def start(self) -> None:
        """Look from now on."""
        for context in self._contexts:
            self._every(LOOK_EVERY_S, context.look, now=False)
        self._every(TELL_EVERY_S, lambda: run_guarded(self._tell, self.log), now=True)

    def stop(self) -> None:
        """Look no more."""
        for call in self._calls:
            call.stop()

    def _every(self, seconds: float, look: Callable[[], None], *, now: bool) -> None:
        call = task.LoopingCall(look)
        call.clock = self._clock
        call.start(seconds, now=now)
        self._calls.append(call)

    async def _tell(self) -> None:
        before = self._now() + TOLD_BEFORE
        for words in sorted({words for context in self._contexts for words in context.ending(before)}):
            text = f"the server's own {words}: put a new one in its place (csms ca init)"
            await self._raise_event(SecurityEventKind.CERTIFICATE_EXPIRES, "", text)
