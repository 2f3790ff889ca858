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
from csms.ocpp.dialect import Incoming, Payload
from csms.ocpp.times import parse_time
from csms.ocpp.v201.answers import nothing
from csms.ocpp.v201.units import LARGEST_POWER, scale, scaled, usual_unit


def decode_meter_values(payload: Payload) -> MeterValues:
    """Readings outside a transaction."""
    return MeterValues(payload["evseId"], unread(payload["meterValue"]))


def unread(values: RawValues) -> Any:
    """The readings of a ``meterValue`` list that fits the schema, for a field that decodes them when somebody looks."""
    return Unread(values, decode_values)


def decode_values(values: RawValues, measurand: str | None = None) -> tuple[MeterValue, ...]:
    """The readings of a ``meterValue`` list, in its order; with ``measurand`` only the samples that have this name."""
    return tuple([MeterValue(parse_time(one["timestamp"]), _samples(one["sampledValue"], measurand)) for one in values])


def _samples(samples: RawValues, measurand: str | None) -> tuple[SampledValue, ...]:
    if measurand is None:
        return tuple([decode_sample(one) for one in samples])
    return tuple([decode_sample(one) for one in samples if one.get("measurand", ENERGY_REGISTER) == measurand])


def decode_sample(sample: Mapping[str, Any]) -> SampledValue:
    """One reading in base units; what is not said has the schema's defaults, ``signed`` is the signed part's JSON unchanged."""
    get = sample.get
    measurand = get("measurand", ENERGY_REGISTER)
    said, signed = get("unitOfMeasure"), get("signedMeterValue")
    # Through text: the shortest digits that mean the number, 0.1 and not its binary neighbour.
    value = Decimal(str(sample["value"]))
    if said is None:
        unit = usual_unit(measurand)
    else:
        multiplier = said.get("multiplier", 0)
        if abs(multiplier) > LARGEST_POWER:
            value, measurand, unit = Decimal(0), UNREADABLE, ""
            signed = signed or sample
        else:
            unit, power = scale(measurand, said.get("unit"), multiplier)
            value = scaled(value, power)
    return SampledValue(
        value,
        measurand,
        get("context", "Sample.Periodic"),
        get("phase", ""),
        get("location", "Outlet"),
        unit,
        "" if signed is None else orjson.dumps(signed).decode(),
    )


REQUESTS: Mapping[str, Incoming] = {"MeterValues": Incoming(decode_meter_values, nothing)}
