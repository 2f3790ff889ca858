"""What a block is given with a request, and what it gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from csms.ocpp.dialect import Payload
from csms.stations import Station


@dataclass(frozen=True, slots=True)
class Received:
    """How a request came: its action and payload on the wire, unchanged, and when (aware UTC)."""

    action: str
    payload: Payload
    at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer that may leave now, because what it promises is committed; and the news that follow from it."""

    answer: Any
    events: tuple[object, ...] = ()


Handler = Callable[[Station, Any, Received], Awaitable[Outcome]]
