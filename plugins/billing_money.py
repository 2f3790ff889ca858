"""Currencies of ISO 4217 with their minor units, and how an exact amount becomes money. Knows no tariff."""

from __future__ import annotations

from decimal import Decimal
from difflib import get_close_matches
from fractions import Fraction

_CODES = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC
CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS
KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB
PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH
UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CODES = frozenset(_CODES.split())
"""The currencies in use; those of metals, funds and tests are none that a charge can be paid in."""
_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
MINOR_UNITS = {code: digits for digits, codes in _DIGITS.items() for code in codes.split()}
"""The digits behind the point where they are not two."""
MODES = ("half_up", "half_even", "up", "down")


def known_currency(code: str) -> str:
    """The code if it is a currency in use; ValueError in plain words otherwise."""
    if code in CODES:
        return code
    close = get_close_matches(code.upper(), sorted(CODES), 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise ValueError(f"currency is a code of ISO 4217 such as EUR, not {code[:20]!r}{hint}")


def minor_unit(currency: str) -> Decimal:
    """The smallest coin of a currency: 0.01 for EUR, 1 for JPY, 0.001 for KWD."""
    return Decimal(1).scaleb(-MINOR_UNITS.get(currency, 2))


def rounded(amount: Fraction, step: Decimal, mode: str) -> Decimal:
    """The multiple of ``step`` that an exact amount is rounded to, written with the digits of the step."""
    units = amount / Fraction(step)
    low = units.numerator // units.denominator
    rest = units - low
    return (Decimal(low) + _up(rest, low, mode)) * step


def _up(rest: Fraction, low: int, mode: str) -> int:
    """1 where the part behind the point takes an amount to the next whole number; a half of a negative amount goes as that of a positive one."""
    if mode in ("up", "down"):
        return int(rest > 0 and mode == "up")
    half = low % 2 == 1 if mode == "half_even" else low >= 0
    return int(rest * 2 > 1 or (rest * 2 == 1 and half))


def shown(quantity: Fraction, places: int = 6) -> Decimal:
    """An exact quantity as a person reads it: at most so many digits behind the point, no zeros at its end."""
    text = f"{rounded(quantity, Decimal(1).scaleb(-places), 'half_up'):f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)
