"""Station passwords: made, hashed, and compared in every form in which stations send the same key. Knows no station and no store.

A generated key has 20 random bytes, so that a salted SHA-256 is enough to keep it, and quick when thousands reconnect at once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

DECOY = "00" * 16 + "$" + "00" * 32
"""Compared against when there is no hash, so that an unknown station takes as long as a wrong password."""
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2}){8,20}")


def generate_password() -> str:
    """A new random password of 20 bytes as 40 hex digits: fits every version, and 1.6 stations may send it as bytes."""
    return secrets.token_hex(20)


def hash_password(password: str | bytes) -> str:
    """Salted SHA-256 as ``salt$digest`` in hex."""
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}${hashlib.sha256(salt + _raw(password)).hexdigest()}"


def password_matches(kept: str, given: str | bytes) -> bool:
    """Whether a password is the one that was hashed, in any of its forms; takes the same time either way."""
    salt, _, digest = kept.partition("$")
    salted, wanted = bytes.fromhex(salt), digest.encode()
    found = False
    for form in _forms(_raw(given)):
        found |= hmac.compare_digest(hashlib.sha256(salted + form).hexdigest().encode(), wanted)
    return found


def _raw(password: str | bytes) -> bytes:
    return password if isinstance(password, bytes) else password.encode()


def _forms(given: bytes) -> tuple[bytes, bytes, bytes]:
    """As it came; and the 1.6 key that was written as hex, whether the station sends its bytes or digits of the other case."""
    if _HEX.fullmatch(given):
        return given, given.lower(), given.upper()
    digits = given.hex().encode() if len(given) <= 20 else b""
    return given, digits, digits.upper()
