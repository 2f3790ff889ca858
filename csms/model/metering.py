"""Meter values as stations report them: OCPP 2.x block J.

Readings are named tuples and not dataclasses: they are by far the most numerous things made, and a tuple is made four times as fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from csms.model.station import StationRef

ENERGY_REGISTER = "Energy.Active.Import.Register"
UNREADABLE = "Unreadable"
"""The measurand of a reading that is no number: its value is 0 and no register's, ``signed`` has what the station wrote.

The message around it is kept and answered all the same; refusing it would only make the station repeat it for ever.
"""


class SampledValue(NamedTuple):
    """One reading in base units of its measurand (Wh, W, A, V ...); ``signed`` holds signed meter data unchanged."""

    value: Decimal
    measurand: str = ENERGY_REGISTER
    context: str = "Sample.Periodic"
    phase: str = ""
    location: str = "Outlet"
    unit: str = "Wh"
    signed: str = ""


class MeterValue(NamedTuple):
    """Readings taken at one time."""

    timestamp: datetime
    sampled: tuple[SampledValue, ...]


@dataclass(frozen=True, slots=True)
class MeterValues:
    """Readings outside a transaction (or of a 1.6 transaction when ``transaction`` is set)."""

    evse: int
    values: tuple[MeterValue, ...]
    transaction: str | None = None


@dataclass(frozen=True, slots=True)
class MeterValuesReceived:
    """Telemetry outside a transaction is stored; it is never billed."""

    station: StationRef
    at: datetime
    evse: int
    values: tuple[MeterValue, ...]
