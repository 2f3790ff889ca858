"""Which of the CSMS's calls a simulated station answers, and how it refuses the others; each OCPP version has a table of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from csms.ocpp.errors import ErrorCode, OcppError
from csms.ocpp.rpc import Call
from csms.sim.session import Answer, Payload

Row = Callable[[Payload], Answer]


class AnswerTable:
    """A row for each action that is done; ``not_done`` are those of the version that this station knows of and does not do."""

    def __init__(self, rows: Mapping[str, Row], not_done: Collection[str]) -> None:
        self._rows = rows
        self._not_done = not_done

    def answer(self, call: Call) -> Answer:
        """The answer; raises OcppError NotSupported or NotImplemented."""
        row = self._rows.get(call.action)
        if row is not None:
            return row(call.payload)
        if call.action in self._not_done:
            raise OcppError(ErrorCode.NOT_SUPPORTED, f"the simulated station does not do {call.action}")
        raise OcppError(ErrorCode.NOT_IMPLEMENTED, f"{call.action} is not known here")
