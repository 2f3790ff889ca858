"""Readings in base units: kWh to Wh, kW to W and powers of ten, exactly in Decimal; knows measurands and units, no message."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal
from functools import lru_cache
from types import MappingProxyType

from csms.ocpp.errors import ErrorCode, OcppError

LARGEST_POWER = 30
EXACT = Context(prec=128)
"""More digits than a reading (at most 64) and a power of ten have together, so no product is ever rounded."""

Scale = tuple[str, int]
"""A base unit and the power of ten that leads to it."""

BASE_UNITS: Mapping[str, Scale] = MappingProxyType(
    {
        "wh": ("Wh", 0),
        "kwh": ("Wh", 3),
        "varh": ("varh", 0),
        "kvarh": ("varh", 3),
        "vah": ("VAh", 0),
        "kvah": ("VAh", 3),
        "w": ("W", 0),
        "kw": ("W", 3),
        "var": ("var", 0),
        "kvar": ("var", 3),
        "va": ("VA", 0),
        "kva": ("VA", 3),
        "a": ("A", 0),
        "v": ("V", 0),
        "k": ("K", 0),
        "celsius": ("Celsius", 0),
        "celcius": ("Celsius", 0),
        "fahrenheit": ("Fahrenheit", 0),
        "percent": ("Percent", 0),
        "hz": ("Hz", 0),
        "hertz": ("Hz", 0),
        "rpm": ("RPM", 0),
    }
)
"""Units without regard to case, as stations are careless with it; no two units here differ in case alone."""

USUAL_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "Energy": "Wh",
        "Power": "W",
        "Current": "A",
        "Voltage": "V",
        "Frequency": "Hz",
        "SoC": "Percent",
        "Temperature": "Celsius",
        "RPM": "RPM",
    }
)
"""The unit meant when a station names none, by the first word of the measurand."""

POWERS: Mapping[int, Decimal] = MappingProxyType(
    {power: Decimal((0, (1,), power)) if power < 0 else Decimal(10**power) for power in range(-33, 34)}
)


@lru_cache(1024)
def scale(measurand: str, unit: str | None, multiplier: int = 0) -> Scale:
    """Base unit and power of ten of a reading; an unknown unit stays as it is, a missing one is the measurand's usual one.

    Raises OcppError PropertyConstraintViolation when the multiplier is beyond 30 either way.
    """
    if not -LARGEST_POWER <= multiplier <= LARGEST_POWER:
        raise OcppError(ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, f"multiplier {multiplier} is beyond {LARGEST_POWER}")
    if not unit:
        return usual_unit(measurand), multiplier
    base, power = BASE_UNITS.get(unit.casefold(), (unit, 0))
    return base, power + multiplier


def usual_unit(measurand: str) -> str:
    """The unit of a measurand when none is said; empty for a factor."""
    return "" if measurand == "Power.Factor" else USUAL_UNITS.get(measurand.partition(".")[0], "")


def scaled(value: Decimal, power: int) -> Decimal:
    """``value`` times ten to ``power``, without rounding."""
    return value if power == 0 else EXACT.multiply(value, POWERS[power])
