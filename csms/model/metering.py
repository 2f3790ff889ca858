"""Meter values as stations report them: OCPP 2.x block J.

Readings are named tuples and not dataclasses: they are by far the most numerous things made, and a tuple is made four times as fast. Most of them
are never looked at, so a dialect may leave them in the station's words until somebody does (``Unread``); whoever looks sees a tuple.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

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


class Unread(NamedTuple):
    """Readings in the station's words, which have passed the schema; ``read(raw)`` gives all of them, ``read(raw, measurand)`` those of one kind."""

    raw: Any
    read: Callable[..., tuple[MeterValue, ...]]


class Readings:
    """Stands before a field that holds readings: what is unread there is read when somebody looks, and then kept."""

    def __init__(self, field: Any) -> None:
        self._field = field

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """The readings as a tuple."""
        if instance is None:
            return self
        held = self._field.__get__(instance)
        if type(held) is Unread:
            held = held.read(held.raw)
            self._field.__set__(instance, held)
        return held

    def __set__(self, instance: object, value: object) -> None:
        """For the constructor of a frozen class."""
        self._field.__set__(instance, value)

    def held(self, instance: object) -> Any:
        """What stands in the field, read or not, for a field of another object."""
        return self._field.__get__(instance)

    def of(self, instance: object, measurand: str) -> tuple[MeterValue, ...]:
        """The readings of one measurand, those of others left out (and not read, if they are not yet)."""
        held = self._field.__get__(instance)
        if type(held) is Unread:
            return held.read(held.raw, measurand)
        return tuple([MeterValue(at, tuple([one for one in all if one.measurand == measurand])) for at, all in held])


@dataclass(frozen=True, slots=True)
class MeterValues:
    """Readings outside a transaction (or of a 1.6 transaction when ``transaction`` is set)."""

    evse: int
    values: tuple[MeterValue, ...]
    transaction: str | None = None


READINGS = Readings(MeterValues.values)  # type: ignore[misc]
MeterValues.values = READINGS  # type: ignore[misc, assignment]


@dataclass(frozen=True, slots=True)
class MeterValuesReceived:
    """Telemetry outside a transaction is stored; it is never billed."""

    station: StationRef
    at: datetime
    evse: int
    values: tuple[MeterValue, ...]


MeterValuesReceived.values = Readings(MeterValuesReceived.values)  # type: ignore[misc, assignment]


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of an energy register inside a transaction: what a bill line can be traced back to.

    ``event`` is the key of the event that carried it; ``signed`` holds signed meter data unchanged, or is empty.
    """

    value_wh: Decimal
    at: datetime
    event: str
    context: str = "Sample.Periodic"
    measurand: str = ENERGY_REGISTER
    location: str = "Outlet"
    phase: str = ""
    offline: bool = False
    signed: str = ""


@dataclass(frozen=True, slots=True)
class RejectedReading:
    """A reading that is kept, and that no bill may use; ``why`` is a sentence."""

    reading: Reading
    why: str


@dataclass(frozen=True, slots=True)
class ChargingChange:
    """From ``at`` on the station reported this charging state (Charging, SuspendedEV, EVConnected ...)."""

    at: datetime
    state: str
    event: str


@dataclass(frozen=True, slots=True)
class MeterEvidence:
    """What a transaction's events say of its energy: a pure function of the set of them.

    ``begin`` and ``end`` are the readings that are billed. ``series`` is every accepted reading by time, begin and end among them; their values
    never fall. ``changes`` are the changes of the charging state by time; 1.6 has none. ``signed`` are all signed blocks by time, as they came,
    also those without a number of their own (their value is 0).
    """

    begin: Reading | None = None
    end: Reading | None = None
    series: tuple[Reading, ...] = ()
    changes: tuple[ChargingChange, ...] = ()
    rejected: tuple[RejectedReading, ...] = ()
    signed: tuple[Reading, ...] = ()
