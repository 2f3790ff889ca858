"""What a block is given with a request, and what it gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from csms.ocpp.rpc import Call
from csms.ocpp.unparsed import Unparsed
from csms.stations import Station


class Received(NamedTuple):
    """How a request came: the call as it stood on the wire, and when (aware UTC)."""

    call: Call
    at: datetime

    @property
    def action(self) -> str:
        """The action on the wire."""
        return self.call.action

    @property
    def payload(self) -> Mapping[str, Any]:
        """The payload on the wire, parsed when somebody looks."""
        call = self.call
        return Unparsed(call.wire) if call.parsed is None else call.parsed

    @property
    def body(self) -> bytes:
        """The payload on the wire, unchanged: the evidence that is kept."""
        return self.call.body


class Outcome(NamedTuple):
    """An answer that may leave now, because what it promises is committed; and the news that follow from it."""

    answer: Any
    events: tuple[object, ...] = ()


Handler = Callable[[Station, Any, Received], Awaitable[Outcome]]
