"""Block J of OCPP 2.0.1: meter values in the station's units to readings in base units."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson

from csms.model.metering import (
    ENERGY_REGISTER,
    UNREADABLE,
    MeterValue,
    MeterValues,
    RawValues,
    SampledValue,
    Unread,
)
from csms.ocpp.dialect import Incoming, common
from csms.ocpp.quick import time_of
from csms.ocpp.v201.answers import nothing
from csms.ocpp.v201.units import LARGEST_POWER, scale, scaled, usual_unit


def read_meter_values(said: Any) -> MeterValues:
    """Readings outside a transaction."""
    return MeterValues(said.evseId, unread(said.meterValue))


def unread(values: RawValues) -> Any:
    """The readings of a ``meterValue`` list that fits the schema, for a field that reads them when somebody looks."""
    return Unread(values, read_values)


def read_values(values: RawValues, measurand: str | None = None) -> tuple[MeterValue, ...]:
    """The readings of a ``meterValue`` list, in its order; with ``measurand`` only the samples that have this name."""
    found = []
    for one in values:
        samples = one.sampledValue
        if measurand is not None:
            samples = [sample for sample in samples if (sample.measurand or ENERGY_REGISTER) == measurand]
        found.append(MeterValue(time_of(one.timestamp), tuple([read_sample(sample) for sample in samples])))
    return tuple(found)


def read_sample(sample: Any) -> SampledValue:
    """One reading in base units; what is not said has the schema's defaults, ``signed`` is the signed part's JSON unchanged."""
    measurand = sample.measurand or ENERGY_REGISTER
    said, signed = sample.unitOfMeasure, sample.signedMeterValue
    # Through text: the shortest digits that mean the number, 0.1 and not its binary neighbour.
    value = Decimal(str(sample.value))
    if said is None:
        unit = usual_unit(measurand)
    else:
        multiplier = said.multiplier or 0
        if abs(multiplier) > LARGEST_POWER:
            value, measurand, unit = Decimal(0), UNREADABLE, ""
            signed = signed or sample
        else:
            unit, power = scale(measurand, said.unit, multiplier)
            value = scaled(value, power)
    return SampledValue(
        value,
        measurand,
        sample.context or "Sample.Periodic",
        sample.phase or "",
        sample.location or "Outlet",
        unit,
        "" if signed is None else orjson.dumps(signed.payload).decode(),
    )


REQUESTS: Mapping[str, Incoming] = {"MeterValues": common(read_meter_values, nothing)}
