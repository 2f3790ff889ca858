"""Signed meter values: taken apart, verified with keys made here, and held against what is billed."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from csms_plugins.ocmf import OcmfVerifier, PinnedKey
from csms_plugins.ocmf_format import NotOcmf, parse_ocmf
from csms_plugins.ocmf_keys import CURVES, BadKey, genuine, key_bytes
from fake_csms import NOON, STATION, FakeCsms
from hypothesis import given
from hypothesis import strategies as st

from csms.api import Reading, ReadingVerdicts, SignedReadings, Transaction
from csms.model.transactions import Completeness

D = Decimal
HOUR = timedelta(hours=1)
METER = ec.derive_private_key(1234567, ec.SECP256R1())
OTHER = ec.derive_private_key(7654321, ec.SECP256R1())
CHARGE = Transaction(1, "CS1", "T1", Completeness.COMPLETE, evse=1, started_at=NOON, ended_at=NOON + HOUR)
BEGIN = {"TM": "2026-03-02T12:00:00,000+0000 S", "TX": "B", "RV": 1.00, "RI": "1-b:1.8.0", "RU": "kWh", "ST": "G"}
END = {"TM": "2026-03-02T13:00:00,000+0000 S", "TX": "E", "RV": 6.005, "RI": "1-b:1.8.0", "RU": "kWh", "ST": "G"}


def spki(key: Any) -> bytes:
    """A public key as it stands in a certificate."""
    return bytes(
        key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def container(*readings: dict[str, Any], key: Any = METER, curve: str = "secp256r1", **signature: Any) -> str:
    """An OCMF container, signed."""
    payload = json.dumps({"FV": "1.0", "MS": "M1", "TT": "a | in a text", "RD": readings}, indent=1)
    der = key.sign(payload.encode(), ec.ECDSA(hashes.SHA256()))
    section = {"SA": f"ECDSA-{curve}-SHA256", "SD": der.hex(), **signature}
    return f"OCMF|{payload}|{json.dumps(section)}"


def wrapped(text: str, key: bytes | str = b"", **more: str) -> str:
    """A SignedMeterValue of OCPP 2.x, or of the white paper for 1.6."""
    sent = key if isinstance(key, str) else b64encode(f"oca:base16:asn1:{key.hex()}".encode()).decode() if key else ""
    data = b64encode(text.encode()).decode()
    return json.dumps(
        {"signedMeterData": data, "signingMethod": "", "encodingMethod": "OCMF", "publicKey": sent, **more}
    )


def reading(wh: int, context: str, signed: str = "") -> Reading:
    """A reading with signed data."""
    at = NOON if context == "Transaction.Begin" else NOON + HOUR
    return Reading(D(wh), at, context[-3:], context, signed=signed)


def asked(*signed: str, begin: int = 1000, end: int = 6005) -> SignedReadings:
    """The question about these signed texts."""
    contexts = ["Transaction.Begin", "Transaction.End"][-len(signed) :] if signed else []
    readings = tuple(reading(0, context, text) for context, text in zip(contexts, signed, strict=True))
    return SignedReadings(
        STATION, CHARGE, readings, reading(begin, "Transaction.Begin"), reading(end, "Transaction.End")
    )


def answer(question: SignedReadings, *keys: PinnedKey, **settings: Any) -> ReadingVerdicts:
    """What a plugin that requires signatures says."""
    given: dict[str, Any] = {"required": ("CS*",), "key": keys, **settings}
    found = OcmfVerifier(OcmfVerifier.Settings(**given), FakeCsms(Path()).csms).verify_readings(question)
    assert found is not None
    return found


@pytest.mark.parametrize("both", [True, False], ids=["one container", "two containers"])
def test_genuine_readings_that_say_what_is_billed_pass(both: bool) -> None:
    key = spki(METER)
    apart = [wrapped(container(BEGIN)), wrapped(container(END), key)]
    texts = [wrapped(container(BEGIN, END), key)] if both else apart
    found = answer(asked(*texts))
    assert [one.valid for one in found.verdicts] == [True] * len(texts)
    assert "meter M1" in found.verdicts[0].detail
    assert "from the station" in found.verdicts[0].detail
    assert found.hold == ""


def test_bare_ocmf_and_base64_signatures_are_read() -> None:
    text = container(BEGIN, END)
    payload = text[len("OCMF|") : text.index("|{", 10)]
    der = METER.sign(payload.encode(), ec.ECDSA(hashes.SHA256()))
    bare = f'OCMF|{payload}|{{"SD": "{b64encode(der).decode()}", "SE": "base64"}}'
    found = answer(asked(bare), PinnedKey("CS1", spki(METER).hex()))
    assert (found.verdicts[0].valid, found.hold) == (True, "")
    assert "pinned" in found.verdicts[0].detail


@pytest.mark.parametrize("curve", CURVES)
def test_every_curve_is_verified_and_a_changed_byte_found(curve: str) -> None:
    key = ec.generate_private_key(CURVES[curve]())
    text = container(BEGIN, END, key=key, curve=curve)
    ocmf = parse_ocmf(text)
    assert genuine(spki(key), ocmf.algorithm, ocmf.signature, ocmf.signed)
    changed = parse_ocmf(text.replace("6.005", "5.005"))
    assert not genuine(spki(key), changed.algorithm, changed.signature, changed.signed)


def test_a_forged_reading_is_found_and_holds_the_bill() -> None:
    forged = container(BEGIN, END).replace("6.005", "9.005")
    found = answer(asked(wrapped(forged, spki(METER)), end=9005))
    assert found.verdicts[0].valid is False
    assert "is not genuine" in found.hold


def test_a_pinned_key_goes_before_the_one_in_the_message() -> None:
    """Whoever forges a reading can send a key of their own with it."""
    forged = wrapped(container(BEGIN, END, key=OTHER), spki(OTHER))
    assert answer(asked(forged)).verdicts[0].valid is True
    pinned = PinnedKey("CS*", spki(METER).hex(), evse=1)
    assert answer(asked(forged), pinned).verdicts[0].valid is False
    elsewhere = replace(pinned, evse=2)
    assert answer(asked(forged), elsewhere, pinned).verdicts[0].valid is False


def test_without_a_key_nothing_is_verified() -> None:
    text = wrapped(container(BEGIN, END), spki(METER))
    for question, settings in (
        (asked(wrapped(container(BEGIN, END))), {}),
        (asked(text), {"keys_from_messages": False}),
    ):
        found = answer(question, **settings)
        assert found.verdicts[0].valid is None
        assert "no public key is known" in found.hold


@pytest.mark.parametrize(
    ("readings", "end", "words"),
    [
        ((BEGIN, END), 7000, "say 5005 Wh, and 6000 Wh would be billed"),
        ((BEGIN,), 6005, "no good begin and end"),
        ((BEGIN, {**END, "ST": "M"}), 6005, "no good begin and end"),
        ((BEGIN, {**END, "EF": "E"}), 6005, "no good begin and end"),
        ((BEGIN, {**END, "RU": "s"}), 6005, "no good begin and end"),
        ((BEGIN, {**END, "RI": "1-b:2.8.0"}), 6005, "no good begin and end"),
        ((BEGIN, {"TX": "C", "RV": 3}, {"TX": "L", "RV": "6.005"}), 6005, ""),
        ((BEGIN, END), 6012, ""),
    ],
)
def test_what_is_signed_has_to_be_what_is_billed(readings: Any, end: int, words: str) -> None:
    hold = answer(asked(wrapped(container(*readings), spki(METER)), end=end)).hold
    assert words in hold
    assert bool(words) == bool(hold)


def test_a_site_that_requires_nothing_has_verdicts_and_no_hold() -> None:
    forged = container(BEGIN, END).replace("6.005", "9.005")
    found = answer(asked(wrapped(forged, spki(METER))), required=())
    assert (found.verdicts[0].valid, found.hold) == (False, "")
    plugin = OcmfVerifier(OcmfVerifier.Settings(), FakeCsms(Path()).csms)
    assert plugin.verify_readings(asked()) is None
    assert answer(asked()).hold == "no reading is signed"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a SignedMeterValue"),
        ("[1]", "not a SignedMeterValue"),
        (wrapped("EDL..."), "encodingMethod OCMF"),
        (wrapped("OCMF|{}|{}", signedMeterData="***"), "not in base64"),
        ("OCMF|{}", "no signature behind"),
        ("OCMF|{}x|{}", "no signature behind"),
        ("OCMF|nothing|{}", "payload is not JSON"),
        ("OCMF|[]|{}", "payload is not an object"),
        ("OCMF|{}|{}", "no signature data"),
        ('OCMF|{}|{"SD": "zz"}', "not hex"),
        ('OCMF|{}|{"SD": "ab"} and more', "something behind"),
        ('OCMF|{"RD": [1]}|{"SD": "ab"}', "not a list of objects"),
        ("OCMF|" + "x" * 200_000, "characters"),
        (wrapped('OCMF|{}|{"SD": "ab"}', "!!"), "the key in it"),
        ('OCMF|{}|{"SD": "ab", "SA": "RSA"}', "RSA is not supported"),
        ('OCMF|{}|{"SD": "ab", "SA": "ECDSA-secp192k1-SHA256"}', "secp192k1-SHA256 is not supported"),
        ('OCMF|{}|{"SD": "ab", "SA": "ECDSA-secp384r1-SHA256"}', "the key is of secp256r1"),
    ],
)
def test_what_cannot_be_verified_is_said_and_never_raises(text: str, words: str) -> None:
    found = answer(asked(text), PinnedKey("*", spki(METER).hex()))
    assert found.verdicts[0].valid is None
    assert words in found.verdicts[0].detail
    assert "cannot be verified" in found.hold


@given(st.text(max_size=80) | st.text(max_size=80).map(lambda text: f"OCMF|{text}") | st.text(max_size=80).map(wrapped))
def test_no_text_makes_it_fail(text: str) -> None:
    assert answer(asked(text)).verdicts[0].valid is None


FIELDS = st.sampled_from(["RD", "TX", "RV", "RU", "RI", "ST", "EF", "SD", "SA", "SE", "MS"])
PAYLOAD = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
)


@given(PAYLOAD)
def test_no_payload_makes_it_fail(payload: Any) -> None:
    try:
        parse_ocmf(f'OCMF|{json.dumps(payload)}|{{"SD": "ab"}}')
    except NotOcmf:
        pass


def test_keys_are_read_in_every_form() -> None:
    key = spki(METER)
    point = METER.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    pem = METER.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    oca = f"oca:base16:asn1:{key.hex()}"
    forms = [key.hex(), key.hex().upper(), b64encode(key).decode(), pem.decode(), oca, b64encode(oca.encode()).decode()]
    forms += [f"oca:base64:asn1:{b64encode(key).decode()}", b64encode(key.hex().encode()).decode()]
    assert {key_bytes(form) for form in forms} == {key}
    ocmf = parse_ocmf(container(BEGIN))
    for one in (key, point):
        assert genuine(one, ocmf.algorithm, ocmf.signature, ocmf.signed)


@pytest.mark.parametrize(
    "text",
    ["", "no key", "oca:base16:x509:00", "oca:base16", "3030", spki(ed25519.Ed25519PrivateKey.generate()).hex()],
)
def test_a_pinned_key_that_is_none_is_told_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match=r"^key: "):
        PinnedKey("*", text)


def test_an_odd_number_of_digits_is_no_key() -> None:
    with pytest.raises(BadKey):
        key_bytes("oca:base32:asn1:abc")
