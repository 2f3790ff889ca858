"""Verifies signed meter values in OCMF: each gets a verdict on the bill, and where the site wants it no bill goes out without genuine ones.

The signed data itself is kept by the core, unchanged; this plugin only looks at it.
"""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

from csms_plugins.ocmf_format import BEGIN, ENDS, NotOcmf, Ocmf, parse_ocmf
from csms_plugins.ocmf_keys import BadKey, Unverifiable, check_key, fingerprint, genuine, key_bytes

from csms.api import Amount, Csms, Reading, ReadingVerdict, ReadingVerdicts, SignedReadings, hookimpl


@dataclass(frozen=True)
class PinnedKey:
    """The key of the meter at some stations, or at one EVSE of them; it goes before a key in a message."""

    station: str
    key: str
    evse: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError in plain words."""
        try:
            check_key(key_bytes(self.key))
        except BadKey as wrong:
            raise ValueError(f"key: {wrong}") from None

    def fits(self, question: SignedReadings) -> bool:
        """Whether this is the key of the meter in question."""
        return fnmatchcase(question.station.id, self.station) and self.evse in (None, question.transaction.evse)


@dataclass(frozen=True, slots=True)
class _Container:
    """One signed reading and what is in it."""

    reading: Reading
    ocmf: Ocmf | None
    key: bytes | None
    trouble: str = ""


class OcmfVerifier:
    """Answers ``verify_readings``."""

    @dataclass(frozen=True)
    class Settings:
        """``required`` are patterns of stations whose bills need genuine signed readings that say what is billed, within ``tolerance_wh``."""

        required: tuple[str, ...] = ()
        tolerance_wh: Amount = Decimal(10)
        keys_from_messages: bool = True
        key: tuple[PinnedKey, ...] = ()

    def __init__(self, settings: Settings, csms: Csms) -> None:
        self._settings = settings

    @hookimpl
    def verify_readings(self, question: SignedReadings) -> ReadingVerdicts | None:
        """A verdict on each signed reading, and a reason to hold the bill where the site needs one."""
        required = any(fnmatchcase(question.station.id, pattern) for pattern in self._settings.required)
        if not question.signed and not required:
            return None
        containers = [_container(reading) for reading in question.signed]
        key, source = self._key(question, containers)
        verdicts = tuple(_verdict(one, key, source) for one in containers)
        hold = self._hold(question, containers, verdicts) if required else ""
        return ReadingVerdicts(verdicts, hold)

    def _key(self, question: SignedReadings, containers: Sequence[_Container]) -> tuple[bytes | None, str]:
        """The key of the meter, and where it is from; stations may send it with one reading of a transaction only."""
        pinned = next((one for one in self._settings.key if one.fits(question)), None)
        if pinned is not None:
            return key_bytes(pinned.key), "pinned"
        sent = next((one.key for one in containers if one.key is not None), None)
        return (sent, "from the station") if self._settings.keys_from_messages else (None, "")

    def _hold(
        self, question: SignedReadings, containers: Sequence[_Container], verdicts: Sequence[ReadingVerdict]
    ) -> str:
        if not containers:
            return "no reading is signed"
        for verdict in verdicts:
            if verdict.valid is not True:
                what = "is not genuine" if verdict.valid is False else "cannot be verified"
                return f"the signature of the reading at {verdict.at.isoformat()} {what}: {verdict.detail}"
        energy = _signed_energy([one.ocmf for one in containers if one.ocmf is not None])
        if energy is None:
            return "the signed readings have no good begin and end of one register"
        if question.begin is None or question.end is None:
            return "no begin and end register is billed"
        billed = question.end.value_wh - question.begin.value_wh
        if abs(energy - billed) > self._settings.tolerance_wh:
            return f"the signed readings say {energy.normalize():f} Wh, and {billed.normalize():f} Wh would be billed"
        return ""


def _container(reading: Reading) -> _Container:
    """The OCMF in a reading: bare, or in the JSON in which OCPP 2.x and the white paper for 1.6 carry it, in base64 or as it is."""
    text, sent = reading.signed, ""
    key: bytes | None = None
    try:
        if not text.startswith("OCMF|"):
            text, sent = _unwrapped(text)
        key = key_bytes(sent) if sent else None
        return _Container(reading, parse_ocmf(text), key)
    except BadKey as wrong:
        return _Container(reading, None, None, f"the key in it: {wrong}")
    except NotOcmf as no:
        return _Container(reading, None, key, f"no OCMF: {no}")


def _unwrapped(text: str) -> tuple[str, str]:
    """The signed data and the public key in a SignedMeterValue; raises NotOcmf."""
    try:
        wrapped: Any = json.loads(text)
        data, encoding = str(wrapped["signedMeterData"]), str(wrapped.get("encodingMethod", ""))
        key = str(wrapped.get("publicKey", ""))
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        raise NotOcmf("it is not a SignedMeterValue") from None
    if data.startswith("OCMF|"):
        return data, key
    try:
        plain = b64decode("".join(data.split()), validate=True).decode()
    except (ValueError, NotBase64):
        raise NotOcmf(f"its data is not in base64 (encodingMethod {encoding[:20]})") from None
    if not plain.startswith("OCMF|"):
        raise NotOcmf(f"encodingMethod {encoding[:20] or 'unknown'}")
    return plain, key


def _verdict(container: _Container, key: bytes | None, source: str) -> ReadingVerdict:
    reading, ocmf = container.reading, container.ocmf
    if ocmf is None:
        return ReadingVerdict(reading.event, reading.at, reading.context, None, container.trouble)
    about = f"OCMF {ocmf.version} of meter {ocmf.meter}"[:80]
    if key is None:
        return ReadingVerdict(reading.event, reading.at, reading.context, None, f"{about}: no public key is known")
    about += f", key {fingerprint(key)} {source}"
    try:
        valid = genuine(key, ocmf.algorithm, ocmf.signature, ocmf.signed)
    except Unverifiable as why:
        return ReadingVerdict(reading.event, reading.at, reading.context, None, f"{about}: {why}")
    return ReadingVerdict(reading.event, reading.at, reading.context, valid, about)


def _signed_energy(containers: Sequence[Ocmf]) -> Decimal | None:
    """End minus begin of the first register that has both; the two may stand in one container or in two."""
    begins, ends = dict(_marked(containers, (BEGIN,))), dict(_marked(containers, ENDS))
    return next((ends[register] - begins[register] for register in begins if register in ends), None)


def _marked(containers: Sequence[Ocmf], marks: Sequence[str]) -> Iterator[tuple[str, Decimal]]:
    for container in containers:
        for reading in container.readings:
            if reading.mark in marks and reading.good and reading.energy_wh is not None:
                yield reading.register, reading.energy_wh
