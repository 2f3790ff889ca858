"""The versions of OCPP that there are, by protocol, and what stored evidence says, read again with the version it came in."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from csms.model.billing import ShowCost
from csms.model.metering import MeterValue
from csms.model.transactions import TransactionEvent
from csms.ocpp.dialect import Dialect
from csms.ocpp.strict_json import loads
from csms.ocpp.v16 import DIALECT as V16
from csms.ocpp.v201 import DIALECT as V201
from csms.store import StoredEvent

DIALECTS: Mapping[str, Dialect] = {dialect.protocol: dialect for dialect in (V201, V16)}


def decoded(event: StoredEvent) -> TransactionEvent:
    """A stored event read again from the evidence."""
    row = DIALECTS[event.protocol].requests[event.action]
    return row.decode(_parsed(event.body))  # type: ignore[no-any-return]


def readings(event: StoredEvent) -> list[MeterValue]:
    """The meter values in a stored event, decoded from the evidence."""
    return list(decoded(event).meter_values)


def cost_action(protocol: str) -> str:
    """The message that tells a station what a charge costs so far; empty where the version has none."""
    row = DIALECTS[protocol].commands.get(ShowCost)
    return row.encode(ShowCost("", Decimal(0)))[0] if row else ""


def _parsed(body: bytes) -> dict[str, Any]:
    parsed = loads(body)
    assert isinstance(parsed, dict)
    return parsed
