"""Meter values of OCPP 1.6: numbers written as text to readings in base units; those of a transaction become its Updated event."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from hashlib import sha256
from typing import Any

import orjson

from csms.model.metering import ENERGY_REGISTER, UNREADABLE, MeterValue, MeterValues, SampledValue
from csms.model.transactions import EventType, TransactionEvent
from csms.ocpp.dialect import Incoming, Payload
from csms.ocpp.times import parse_time
from csms.ocpp.v201.answers import nothing
from csms.ocpp.v201.units import scale, scaled

NO_TRANSACTION = -1
"""What a station sends as transactionId when it never got an answer to its StartTransaction (1.6 errata 4.0, 3.18)."""

SIGNED_MEASURAND = "SignedData"
"""The measurand of a signed block: it holds no reading of its own, so nobody may take its value 0 for a register."""

LONGEST_NUMBER = 64
NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?\s*", re.ASCII)

TRIGGERS: Mapping[str, str] = {"Sample.Clock": "MeterValueClock", "Trigger": "Trigger"}
"""Why readings were sent, by their context; all others are periodic."""


def place(connector: int) -> tuple[int, int]:
    """EVSE and connector of a 1.6 connector: n is EVSE n with its connector 1, 0 is the station."""
    return (connector, 1) if connector else (0, 0)


def decode_meter_values(payload: Payload) -> MeterValues | TransactionEvent:
    """Readings of a transaction as its Updated event; all others, and those that cannot name theirs, as telemetry."""
    values = decode_values(payload["meterValue"])
    transaction = payload.get("transactionId", NO_TRANSACTION)
    evse, connector = place(payload["connectorId"])
    if transaction == NO_TRANSACTION:
        return MeterValues(evse, values)
    newest = max(values, key=lambda value: value.timestamp)
    context = newest.sampled[0].context if newest.sampled else ""
    return TransactionEvent(
        transaction=str(transaction),
        type=EventType.UPDATED,
        timestamp=newest.timestamp,
        trigger=TRIGGERS.get(context, "MeterValuePeriodic"),
        key=f"meter/{_digest(payload)}",
        evse=evse,
        connector=connector,
        meter_values=values,
    )


def _digest(payload: Payload) -> str:
    """The same for the same connector and content, whatever the order of the fields."""
    content = [payload["connectorId"], payload["meterValue"]]
    return sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def decode_values(values: Sequence[Mapping[str, Any]]) -> tuple[MeterValue, ...]:
    """The readings of a ``meterValue`` or ``transactionData`` list, in its order; raises OcppError for what is no time."""
    return tuple(
        [
            MeterValue(parse_time(value["timestamp"]), tuple([decode_sample(one) for one in value["sampledValue"]]))
            for value in values
        ]
    )


def decode_sample(sample: Mapping[str, Any]) -> SampledValue:
    """One reading in base units, or a signed block kept as its text with SIGNED_MEASURAND and the value 0."""
    get = sample.get
    context, phase, location = get("context", "Sample.Periodic"), get("phase", ""), get("location", "Outlet")
    if get("format") == "SignedData":
        return SampledValue(Decimal(0), SIGNED_MEASURAND, context, phase, location, "", sample["value"])
    measurand = get("measurand", ENERGY_REGISTER)
    text = sample["value"]
    if len(text) > LONGEST_NUMBER or NUMBER.fullmatch(text) is None:
        return SampledValue(Decimal(0), UNREADABLE, context, phase, location, "", text)
    unit, power = scale(measurand, get("unit"))
    return SampledValue(scaled(Decimal(text), power), measurand, context, phase, location, unit)


REQUESTS: Mapping[str, Incoming] = {"MeterValues": Incoming(decode_meter_values, nothing)}
