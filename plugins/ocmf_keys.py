"""Public keys of meters in the forms in which they are printed and sent, and what a signature is worth. Knows no OCMF and no OCPP."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from hashlib import sha256

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

CURVES: dict[str, type[ec.EllipticCurve]] = {
    "secp192r1": ec.SECP192R1,
    "secp256k1": ec.SECP256K1,
    "secp256r1": ec.SECP256R1,
    "secp384r1": ec.SECP384R1,
    "brainpool256r1": ec.BrainpoolP256R1,
    "brainpool384r1": ec.BrainpoolP384R1,
}
_ALGORITHM = re.compile(r"ECDSA-(\w+)-SHA256")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")


class BadKey(ValueError):
    """A text is no public key; the text says why."""


class Unverifiable(ValueError):
    """Nobody here can say whether a signature is genuine; the text says why."""


def key_bytes(text: str) -> bytes:
    """The bytes of a key: PEM, hexadecimal, base64, or ``oca:encoding:asn1:key`` (itself in base64 or not). Raises BadKey."""
    text = text.strip()
    if text.startswith("-----BEGIN"):
        text = "".join(line for line in text.splitlines() if not line.startswith("-----"))
    plain = "".join(text.split())
    if plain.startswith("oca:"):
        return _of_oca(plain)
    stripped = plain.removeprefix("0x")
    if _HEX.fullmatch(stripped):
        return bytes.fromhex(stripped)
    try:
        raw = b64decode(plain, validate=True)
    except (ValueError, NotBase64):
        raise BadKey("a public key is hexadecimal, base64 or PEM") from None
    return _inside(raw)


def _of_oca(text: str) -> bytes:
    parts = text.split(":", 3)
    if len(parts) != 4 or parts[2] != "asn1" or parts[1] not in ("base16", "base64"):
        raise BadKey("a key that begins with oca: is oca:base16:asn1:... or oca:base64:asn1:...")
    if parts[1] == "base64":
        return key_bytes(parts[3])
    return bytes.fromhex("".join(re.findall(r"[0-9A-Fa-f]", parts[3].replace("0x", "")))[: len(parts[3]) // 2 * 2])


def _inside(raw: bytes) -> bytes:
    """What base64 held: a text in one of the other forms, or the key itself."""
    try:
        text = raw.decode("ascii").strip()
    except UnicodeDecodeError:
        return raw
    return key_bytes(text) if text.startswith("oca:") or _HEX.fullmatch(text) else raw


def fingerprint(key: bytes) -> str:
    """A short name of a key for people."""
    return sha256(key).hexdigest()[:16]


def check_key(key: bytes) -> None:
    """Raise BadKey unless the bytes are a key that can be used, with its curve or as a bare point."""
    if key[:1] in (b"\x04", b"\x02", b"\x03") and len(key) in (25, 33, 49, 65, 97):
        return
    _loaded(key)


def genuine(key: bytes, algorithm: str, signature: bytes, signed: bytes) -> bool:
    """Whether a signature is of these bytes and by this key; raises Unverifiable where that cannot be said."""
    found = _ALGORITHM.fullmatch(algorithm)
    curve = CURVES.get(found[1]) if found else None
    if curve is None:
        raise Unverifiable(f"{algorithm[:40]} is not supported")
    try:
        public = _public(key, curve)
        if not isinstance(public.curve, curve):
            raise Unverifiable(f"the key is of {public.curve.name}, the signature of {found[1] if found else ''}")
        public.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    except UnsupportedAlgorithm as no:
        raise Unverifiable(str(no)) from None
    except BadKey as wrong:
        raise Unverifiable(str(wrong)) from None
    return True


def _public(key: bytes, curve: type[ec.EllipticCurve]) -> ec.EllipticCurvePublicKey:
    if key[:1] in (b"\x04", b"\x02", b"\x03"):
        try:
            return ec.EllipticCurvePublicKey.from_encoded_point(curve(), key)
        except ValueError:
            raise BadKey("the key is no point of its curve") from None
    return _loaded(key)


def _loaded(key: bytes) -> ec.EllipticCurvePublicKey:
    try:
        public = serialization.load_der_public_key(key)
    except (ValueError, UnsupportedAlgorithm) as wrong:
        raise BadKey(f"this is no public key: {wrong}") from None
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise BadKey("this is a public key, but none of an elliptic curve")
    return public
