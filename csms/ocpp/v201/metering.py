"""Block J of OCPP 2.0.1: meter values in the station's units to readings in base units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson

from csms.model.metering import ENERGY_REGISTER, UNREADABLE, MeterValue, MeterValues, SampledValue
from csms.ocpp.dialect import Incoming, Payload
from csms.ocpp.times import parse_time
from csms.ocpp.v201.answers import nothing
from csms.ocpp.v201.units import LARGEST_POWER, scale, scaled, usual_unit


def decode_meter_values(payload: Payload) -> MeterValues:
    """Readings outside a transaction."""
    return MeterValues(payload["evseId"], decode_values(payload["meterValue"]))


def decode_values(values: Sequence[Mapping[str, Any]]) -> tuple[MeterValue, ...]:
    """The readings of a ``meterValue`` list, in its order; raises OcppError for a time or multiplier that cannot be."""
    return tuple(
        [
            MeterValue(parse_time(value["timestamp"]), tuple([decode_sample(one) for one in value["sampledValue"]]))
            for value in values
        ]
    )


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
