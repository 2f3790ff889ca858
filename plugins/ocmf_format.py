"""The Open Charge Metering Format: ``OCMF|payload|signature`` taken apart without changing a byte of what is signed. Knows no key and no OCPP."""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

HEADER = "OCMF|"
LONGEST = 100_000
BEGIN = "B"
ENDS = ("E", "L", "R", "A", "P")
"""The end of a transaction, and the more precise words for it."""
UNITS = {"Wh": Decimal(1), "kWh": Decimal(1000)}
INHERITED = ("TM", "TX", "RI", "RU", "RT", "EF", "ST")
"""What a reading may leave out when it is as in the one before."""


class NotOcmf(ValueError):
    """A text is not OCMF, or not in a form that can be read; the text says why."""


@dataclass(frozen=True, slots=True)
class OcmfReading:
    """One reading: ``register`` is its OBIS code, ``energy_wh`` None where it is no energy, ``good`` whether the meter vouches for it."""

    mark: str
    register: str
    energy_wh: Decimal | None
    time: str
    good: bool


@dataclass(frozen=True, slots=True)
class Ocmf:
    """One container. ``signed`` are the bytes that the signature is of, exactly as they came."""

    signed: bytes
    algorithm: str
    signature: bytes
    version: str
    meter: str
    readings: tuple[OcmfReading, ...]


def parse_ocmf(text: str) -> Ocmf:
    """Take a container apart; raises NotOcmf."""
    if not text.startswith(HEADER):
        raise NotOcmf("it does not begin with OCMF|")
    if len(text) > LONGEST:
        raise NotOcmf(f"it has {len(text)} characters")
    payload, end = _json(text, len(HEADER), "payload")
    bar = text.find("|", end)
    if bar < 0 or text[end:bar].strip():
        raise NotOcmf("there is no signature behind the payload")
    signature, rest = _json(text, bar + 1, "signature")
    if text[rest:].strip(" \r\n|"):
        raise NotOcmf("there is something behind the signature")
    return Ocmf(
        signed=text[len(HEADER) : bar].encode("utf-8", "surrogatepass"),
        algorithm=_text(signature.get("SA"), "ECDSA-secp256r1-SHA256"),
        signature=_signature(signature),
        version=_text(payload.get("FV")),
        meter=_text(payload.get("MS")) or _text(payload.get("GS")),
        readings=tuple(_readings(payload)),
    )


def _json(text: str, start: int, what: str) -> tuple[dict[str, Any], int]:
    """The object that begins at a place, and where it ends. Numbers stay what was written."""
    decoder = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal)
    while text[start : start + 1].isspace():
        start += 1
    try:
        found, end = decoder.raw_decode(text, start)
    except (ValueError, RecursionError):
        raise NotOcmf(f"its {what} is not JSON") from None
    if not isinstance(found, dict):
        raise NotOcmf(f"its {what} is not an object")
    return found, end


def _signature(section: Mapping[str, Any]) -> bytes:
    data = _text(section.get("SD"))
    encoding = _text(section.get("SE"), "hex")
    if not data:
        raise NotOcmf("it has no signature data")
    try:
        return b64decode(data, validate=True) if encoding == "base64" else bytes.fromhex(data)
    except (ValueError, NotBase64):
        raise NotOcmf(f"its signature data is not {encoding}") from None


def _readings(payload: Mapping[str, Any]) -> Iterator[OcmfReading]:
    """The readings of RD; what one leaves out is as in the one before."""
    before: dict[str, Any] = {}
    listed = payload.get("RD", [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise NotOcmf("its readings are not a list of objects")
    for given in listed:
        one = {name: before[name] for name in INHERITED if name in before} | given
        before = one
        yield OcmfReading(
            mark=_text(one.get("TX")),
            register=_text(one.get("RI")),
            energy_wh=_energy(one.get("RV"), _text(one.get("RU"))),
            time=_text(one.get("TM")),
            good=_text(one.get("ST"), "G") == "G" and "E" not in _text(one.get("EF")),
        )


def _energy(value: object, unit: str) -> Decimal | None:
    if value is None or unit not in UNITS:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number * UNITS[unit] if number.is_finite() else None


def _text(value: object, otherwise: str = "") -> str:
    return otherwise if value is None else str(value)
