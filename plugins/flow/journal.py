"""What must outlive a restart: JSON texts by key, gathered and written in one transaction. What is in them is not known here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from csms.api import Csms

SOON_S = 2.0


class Journal:
    """Collects changes; ``commit`` makes all of them durable together."""

    def __init__(self, csms: Csms) -> None:
        self._csms = csms
        self._changes: dict[str, str | None] = {}
        self._soon: Any = None

    def put(self, key: str, value: object) -> None:
        """Keep a value at the next commit."""
        self._changes[key] = json.dumps(value, default=str)

    def drop(self, key: str) -> None:
        """Forget a key at the next commit."""
        self._changes[key] = None

    async def commit(self) -> None:
        """Write all changes so far; when this fails they stay, and the fault goes on."""
        changes, self._changes = self._changes, {}
        if not changes:
            return
        try:
            await self._csms.keep_all(changes)
        except Exception:
            self._changes = changes | self._changes
            raise

    def soon(self) -> None:
        """Write within two seconds: for what a crash may take."""
        if self._soon is None:
            self._soon = self._csms.later(SOON_S, self._now)

    async def _now(self) -> None:
        self._soon = None
        await self.commit()

    async def stop(self) -> None:
        """Write what is left."""
        if self._soon is not None and self._soon.active():
            self._soon.cancel()
        self._soon = None
        await self.commit()

    async def load(self) -> Mapping[str, Any]:
        """All values by key; what is no JSON any more is left out and said."""
        found: dict[str, Any] = {}
        for key, text in (await self._csms.kept_under("")).items():
            try:
                found[key] = json.loads(text)
            except ValueError:
                self._csms.log.error("what was kept as {key} cannot be read", key=key)
        return found


def part(key: str, prefix: str) -> str | None:
    """What follows a prefix; None for a key without it."""
    return key.removeprefix(prefix) if key.startswith(prefix) else None
