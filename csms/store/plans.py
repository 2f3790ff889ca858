"""What plans decided about a station: when a reset happens, whether a command is sent again, whether a silent connector is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from csms.model.explanation import PlanDecision
from csms.store.columns import micros, moment
from csms.store.connections import Readers
from csms.store.kept_tables import PlanDecision as Row
from csms.store.statements import Q, compiled, insertion
from csms.store.writer import Writer

NEW = compiled(insertion(Row, without=("id",)))
BETWEEN = compiled(
    Row.select(Row.station, Row.at, Row.said, Row.plugin, Row.reason, Row.command, Row.evse)
    .where(Row.station == Q, Row.at >= Q, Row.at <= Q)
    .order_by(Row.at, Row.id)
    .limit(Q)
)


class PlanRows:
    """Decisions by station and time."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def keep(self, one: PlanDecision) -> None:
        """Keep one."""
        row = (one.station, micros(one.at), one.text, one.plugin, one.reason, one.command, one.evse)
        await self._writer.submit(lambda connection: connection.execute(NEW, row).rowcount)

    async def between(
        self, station: str, since: datetime, until: datetime, limit: int = 1000
    ) -> Sequence[PlanDecision]:
        """A station's decisions from one time to another, by time."""
        return await self._readers.found(BETWEEN, (station, micros(since), micros(until), limit), _decision)


def _decision(row: Any) -> PlanDecision:
    return PlanDecision(row[0], moment(row[1]), *row[2:])
