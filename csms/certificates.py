"""Certificates in memory and in files: what a request asks for, a small authority that signs it, and chains that are checked.

The authority is one CA in a folder (``stations-ca.pem`` and its key), good for a server and its stations. Keys never leave that folder. Knows no
station and no network.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LEAST_RSA_BITS, LEAST_EC_BITS, MOST_RSA_BITS = 2048, 224, 8192
BACKDATED = timedelta(hours=1)
"""Certificates begin a little in the past: clocks of stations are off."""
CA_DAYS = 3650
CA_NAME = "stations-ca"
FILE_NAME = re.compile(r"[\w.@-]+")
HOST_NAME = re.compile(r"(\*\.)?(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*")


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
        _name(request.subject, NameOID.COMMON_NAME),
        _name(request.subject, NameOID.ORGANIZATION_NAME),
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


def _name(name: x509.Name, kind: x509.ObjectIdentifier) -> str:
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
    return _name(certificate.subject, NameOID.COMMON_NAME)


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


class Authority:
    """A CA that signs certificates for one server and its stations."""

    def __init__(self, certificate: x509.Certificate, key: Any) -> None:
        self.certificate = certificate
        self._key = key

    @classmethod
    def create(
        cls, organization: str, *, name: str = "Stations CA", at: datetime | None = None, days: int = CA_DAYS
    ) -> Authority:
        """A new one with a P-256 key, valid from ``at``."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(f"{organization} {name}", organization)
        start = at or datetime.now(UTC)
        builder = _builder(subject, subject, key.public_key(), start, days)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        builder = builder.add_extension(_usage(ca=True), critical=True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def in_folder(cls, folder: Path, organization: str, *, must_exist: bool = False) -> Authority:
        """The CA of a folder, made there if need be; raises CertificateFault."""
        chain, key = folder / f"{CA_NAME}.pem", folder / f"{CA_NAME}.key"
        if chain.exists() and key.exists():
            return cls.load(chain, key)
        if must_exist or chain.exists() or key.exists():
            raise CertificateFault(f"{chain} and {key} are wanted: csms ca init makes them")
        made = cls.create(organization)
        write_pair(folder, CA_NAME, made.pem, _key_pem(made._key))
        return made

    @classmethod
    def load(cls, chain: Path, key: Path) -> Authority:
        """From two PEM files; raises CertificateFault."""
        try:
            certificate = x509.load_pem_x509_certificate(chain.read_bytes())
            private = serialization.load_pem_private_key(key.read_bytes(), None)
        except OSError as fault:
            raise CertificateFault(f"{fault.filename}: {fault.strerror}") from None
        except (ValueError, TypeError) as fault:
            raise CertificateFault(f"{chain} and {key} are no certificate and key in PEM: {str(fault)[:100]}") from None
        if certificate.public_key() != private.public_key():
            raise CertificateFault(f"{key} does not belong to {chain}")
        return cls(certificate, private)

    @property
    def pem(self) -> str:
        """The CA's own certificate."""
        return _pem(self.certificate)

    def sign(self, csr: Csr, at: datetime, days: int, *, client: bool = True) -> str:
        """A certificate for a checked request, and the CA's behind it, in PEM; the subject is the request's."""
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        return self._signed(csr.request.subject, csr.request.public_key(), at, days, usage)

    def server(self, host: str, kind: str, days: int, at: datetime | None = None) -> tuple[str, str]:
        """Chain and key of a server, in PEM; raises CertificateFault for what is no name of a host."""
        names = [*dict.fromkeys([host, "localhost"])]
        alternative = x509.SubjectAlternativeName([_alternative(name) for name in names])
        key = new_key(kind)
        subject = _subject(host, _name(self.certificate.subject, NameOID.ORGANIZATION_NAME))
        start = at or datetime.now(UTC)
        chain = self._signed(subject, key.public_key(), start, days, ExtendedKeyUsageOID.SERVER_AUTH, alternative)
        return chain, _key_pem(key)

    def station(
        self, name: str, kind: str, days: int, at: datetime | None = None, *, organization: str = ""
    ) -> tuple[str, str]:
        """Chain and key of a station, in PEM; the organization is the CA's unless another is given."""
        key = new_key(kind)
        subject = _subject(name, organization or _name(self.certificate.subject, NameOID.ORGANIZATION_NAME))
        start = at or datetime.now(UTC)
        return self._signed(subject, key.public_key(), start, days, ExtendedKeyUsageOID.CLIENT_AUTH), _key_pem(key)

    def _signed(
        self,
        subject: x509.Name,
        key: Any,
        at: datetime,
        days: int,
        usage: x509.ObjectIdentifier,
        *more: x509.ExtensionType,
    ) -> str:
        builder = _builder(subject, self.certificate.subject, key, at, days)
        for extension, critical in (
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(ca=False), True),
            (x509.ExtendedKeyUsage([usage]), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False),
            *((one, False) for one in more),
        ):
            builder = builder.add_extension(extension, critical=critical)
        return _pem(builder.sign(self._key, hashes.SHA256())) + self.pem


def new_key(kind: str) -> Any:
    """A private key: ``ecdsa`` (P-256) or ``rsa`` (3072 bits)."""
    return rsa.generate_private_key(65537, 3072) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())


def write_pair(folder: Path, name: str, chain: str, key: str) -> tuple[Path, Path]:
    """Write a chain and its key, which only its owner can read; raises CertificateFault."""
    if not FILE_NAME.fullmatch(name):
        raise CertificateFault(f"{name!r} makes no name of a file: letters, digits and . _ @ - are taken")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = folder / f"{name}.pem", folder / f"{name}.key"
        for file, text, mode in ((files[1], key, 0o600), (files[0], chain, 0o644)):
            part = file.with_name(f"{file.name}.part")
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="ascii") as opened:
                opened.write(text)
            part.rename(file)
    except OSError as fault:
        raise CertificateFault(f"{fault.filename} cannot be written: {fault.strerror}") from None
    return files


def _builder(subject: x509.Name, issuer: x509.Name, key: Any, at: datetime, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - BACKDATED)
        .not_valid_after(at + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(common: str, organization: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common[:64])]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization[:64]))
    return x509.Name(parts)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        if len(name) > 253 or not HOST_NAME.fullmatch(name):
            raise CertificateFault(f"{name[:100]!r} is neither a host's name nor an IP address") from None
        return x509.DNSName(name)


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not ca,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: Any) -> str:
    plain = serialization.NoEncryption()
    return str(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode())
