"""Certificates in memory: what a request asks for, and chains that are checked. Knows no file, no station and no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

LEAST_RSA_BITS, LEAST_EC_BITS, MOST_RSA_BITS = 2048, 224, 8192


class CertificateFault(Exception):
    """A request, a certificate or a file that will not do; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Csr:
    """A certificate signing request whose own signature is right."""

    common_name: str
    organization: str
    key: str
    request: x509.CertificateSigningRequest


def read_csr(pem: str) -> Csr:
    """A request in PEM; raises CertificateFault for one that cannot be read, is signed wrong, or has a weak key."""
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        valid = request.is_signature_valid
    except Exception as fault:
        raise CertificateFault(f"the request is no PKCS#10 request in PEM: {str(fault)[:100]}") from None
    if not valid:
        raise CertificateFault("the request is not signed with its own key")
    return Csr(
        attribute(request.subject, NameOID.COMMON_NAME),
        attribute(request.subject, NameOID.ORGANIZATION_NAME),
        _key_of(request.public_key()),
        request,
    )


def _key_of(key: Any) -> str:
    match key:
        case rsa.RSAPublicKey():
            if not LEAST_RSA_BITS <= key.key_size <= MOST_RSA_BITS:
                raise CertificateFault(
                    f"an RSA key of {key.key_size} bits; {LEAST_RSA_BITS} to {MOST_RSA_BITS} are wanted"
                )
            return f"rsa{key.key_size}"
        case ec.EllipticCurvePublicKey():
            if key.curve.key_size < LEAST_EC_BITS:
                raise CertificateFault(
                    f"an elliptic curve key of {key.curve.key_size} bits; at least {LEAST_EC_BITS} are wanted"
                )
            return str(key.curve.name)
    raise CertificateFault(f"a key of the kind {type(key).__name__} is not taken, only RSA and elliptic curves")


def attribute(name: x509.Name, kind: x509.ObjectIdentifier) -> str:
    """The first value of a name under this kind, or an empty text."""
    found = name.get_attributes_for_oid(kind)
    return str(found[0].value) if found else ""


def read_chain(pem: str) -> list[x509.Certificate]:
    """The certificates of a PEM text, in its order; raises CertificateFault."""
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError as fault:
        raise CertificateFault(f"no certificates in PEM: {str(fault)[:100]}") from None


def common_name(certificate: x509.Certificate) -> str:
    """The subject's common name, or an empty text."""
    return attribute(certificate.subject, NameOID.COMMON_NAME)


def check_chain(chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], at: datetime) -> x509.Certificate:
    """The root that a chain (leaf first) leads to; raises CertificateFault, ``expired`` in its text where that is why."""
    for certificate in chain:
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            raise CertificateFault(f"{common_name(certificate)!r} is expired or not valid yet")
    rest, current = list(chain[1:]), chain[0]
    while True:
        for root in roots:
            if root == current or _issued(current, root):
                if not root.not_valid_before_utc <= at <= root.not_valid_after_utc:
                    raise CertificateFault(f"the root {common_name(root)!r} is expired")
                return root
        issuer = next((one for one in rest if _issued(current, one)), None)
        if issuer is None:
            raise CertificateFault(f"nobody known issued {common_name(current)!r}")
        rest.remove(issuer)
        current = issuer


def made_for(csr: Csr, pem: str, at: datetime) -> x509.Certificate:
    """The first certificate of a chain that was made for a request; raises CertificateFault where it is another's, or the chain does not hold."""
    chain = read_chain(pem)
    name = common_name(chain[0])
    if chain[0].public_key() != csr.request.public_key():
        raise CertificateFault("the certificate that was made has another key than the request")
    if name != csr.common_name:
        raise CertificateFault(f"the certificate that was made is for {name[:64]!r}, not {csr.common_name!r}")
    check_chain(chain, chain[-1:], at)
    return chain[0]


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        if not constraints.ca:
            return False
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, ValueError, TypeError, InvalidSignature):
        return False
    return True
