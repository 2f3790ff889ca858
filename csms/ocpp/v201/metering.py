"""Block J of OCPP 2.0.1: meter values in the station's units to readings in base units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson

from csms.model.metering import (
    ENERGY_REGISTER,
    UNREADABLE,
    MeterValue,
    MeterValues,
    SampledValue,
    Unread,
)
from csms.ocpp.dialect import Incoming, common
from csms.ocpp.quick import Said, time_of
from csms.ocpp.strict_json import loads
from csms.ocpp.v201.answers import nothing
from csms.ocpp.v201.units import LARGEST_POWER, scale, scaled, usual_unit


def read_meter_values(said: Any, body: bytes = b"") -> MeterValues:
    """Readings outside a transaction; with ``body``, the payload's JSON, nothing of ``said`` is held on to."""
    return MeterValues(said.evseId, standing_in(body) if body else unread(said.meterValue))


def unread(values: Sequence[Any]) -> Any:
    """The readings of a ``meterValue`` list that fits the schema, for a field that reads them when somebody looks."""
    return Unread(values, read_values)


def standing_in(body: bytes, register: tuple[MeterValue, ...] | None = None) -> Any:
    """As ``unread``, of the payload that is this JSON; ``register`` are the readings of the energy register, if they were read before.

    So hundreds of stations that report in one moment do not fill the processor's caches with values that nobody looks at.
    """
    return Unread((body, register), _read_in)


def _read_in(held: tuple[bytes, tuple[MeterValue, ...] | None], measurand: str | None = None) -> tuple[MeterValue, ...]:
    body, register = held
    if measurand == ENERGY_REGISTER and register is not None:
        return register
    return read_values(Said(loads(body)).meterValue, measurand)


def read_values(values: Sequence[Any], measurand: str | None = None) -> tuple[MeterValue, ...]:
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


REQUESTS: Mapping[str, Incoming] = {"MeterValues": common(read_meter_values, nothing, light=True)}
