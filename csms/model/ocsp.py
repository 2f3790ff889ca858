"""How a certificate is named where it is asked about: OCPP and OCSP use the same hashes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CertificateHash:
    """How OCSP and OCPP name a certificate: hashes of its issuer's name and key, and its number in hex."""

    algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str


@dataclass(frozen=True, slots=True)
class OcspData:
    """A certificate, and who can say whether it is revoked."""

    certificate: CertificateHash
    responder_url: str = ""
