"""The device model as stations reported it, and which parts of a report have come."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from peewee import EXCLUDED, SQL, Case

from csms.model.provisioning import NotifyReport, Variable, VariableValue
from csms.store.columns import micros
from csms.store.connections import Readers, WritingConnection
from csms.store.kept_tables import ReportPart
from csms.store.kept_tables import Variable as Row
from csms.store.presence import refuse_older
from csms.store.statements import Q, compiled, insertion
from csms.store.writer import Writer

NONE = -1
KEY = [
    Row.station,
    Row.component,
    Row.component_instance,
    Row.evse,
    Row.connector,
    Row.name,
    Row.instance,
    Row.attribute,
]


def _if_told(name: str) -> Any:
    """An answer to GetVariables does not tell a variable's nature; then what a report told stays."""
    new = getattr(EXCLUDED, name)
    return Case(None, ((new == SQL("''"), getattr(Row, name)),), new)


KNOWN = Row.select().where(Row.station == Q).order_by(*KEY[1:])
OF_STATION, OF_COMPONENT = compiled(KNOWN), compiled(KNOWN.where(Row.component == Q))
PUT = compiled(
    insertion(Row).on_conflict(
        conflict_target=KEY,
        preserve=[Row.value, Row.at],
        update={getattr(Row, name): _if_told(name) for name in ("mutability", "data_type", "unit")},
    )
)
PART = compiled(
    ReportPart.select(ReportPart.generated_at, ReportPart.whole).where(
        ReportPart.station == Q, ReportPart.request_id == Q, ReportPart.seq_no == Q
    )
)
PARTS = compiled(
    ReportPart.select(ReportPart.seq_no, ReportPart.more).where(ReportPart.station == Q, ReportPart.request_id == Q)
)
NEW_PART = compiled(insertion(ReportPart))
FORGET_PARTS = compiled(
    ReportPart.delete().where(ReportPart.station == Q, ReportPart.request_id == Q, ReportPart.generated_at < Q)
)


class VariableRows:
    """Variables of the device model."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer

    async def put(self, station: str, fence: int, values: Iterable[VariableValue], at: datetime) -> None:
        """Keep values that a station told."""
        rows = _rows(station, values, at)

        def unit(connection: WritingConnection) -> None:
            refuse_older(connection, station, fence)
            connection.executemany(PUT, rows)

        await self._writer.submit(unit)

    async def report_part(self, station: str, fence: int, report: NotifyReport, at: datetime) -> bool:
        """Keep one part of a report; True for the part that makes it complete, in whatever order the parts come."""
        rows = _rows(station, report.values, at)

        def unit(connection: WritingConnection) -> bool:
            refuse_older(connection, station, fence)
            generated_at = micros(report.generated_at)
            part = (station, report.request_id, report.seq_no)
            known = connection.execute(PART, part).fetchone()
            if known is not None and known[0] >= generated_at:
                return bool(known[1])
            if known is not None:
                connection.execute(FORGET_PARTS, (station, report.request_id, generated_at))
            connection.executemany(PUT, rows)
            parts = dict(connection.execute(PARTS, (station, report.request_id)))
            parts[report.seq_no] = int(report.more)
            whole = _whole(parts)
            connection.execute(NEW_PART, (*part, generated_at, int(report.more), int(whole), micros(at)))
            return whole

        return await self._writer.submit(unit)

    async def value(self, station: str, variable: Variable) -> str | None:
        """What is known of one variable's actual value."""
        known = await self.list(station, component=variable.component)
        return next((one.value for one in known if one.variable == variable and one.attribute == "Actual"), None)

    async def list(self, station: str, *, component: str | None = None) -> builtins.list[VariableValue]:
        """What is known of a station's variables, by component and name."""
        if component is None:
            return await self._readers.found(OF_STATION, (station,), _value)
        return await self._readers.found(OF_COMPONENT, (station, component), _value)


def _whole(parts: dict[int, int]) -> bool:
    """Whether the parts run from 0 to the one after which no more come."""
    last = [seq_no for seq_no, more in parts.items() if not more]
    return bool(last) and all(seq_no in parts for seq_no in range(last[0]))


def _rows(station: str, values: Iterable[VariableValue], at: datetime) -> list[tuple[object, ...]]:
    return [
        (
            station,
            one.variable.component,
            one.variable.component_instance,
            NONE if one.variable.evse is None else one.variable.evse,
            NONE if one.variable.connector is None else one.variable.connector,
            one.variable.name,
            one.variable.instance,
            one.attribute,
            one.value,
            one.mutability,
            one.data_type,
            one.unit,
            micros(at),
        )
        for one in values
    ]


def _value(row: Any) -> VariableValue:
    variable = Variable(
        component=row[1],
        name=row[5],
        component_instance=row[2],
        instance=row[6],
        evse=None if row[3] == NONE else row[3],
        connector=None if row[4] == NONE else row[4],
    )
    return VariableValue(variable, value=row[8], attribute=row[7], mutability=row[9], data_type=row[10], unit=row[11])
