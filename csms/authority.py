"""A small authority that signs certificates: one CA in a folder (``stations-ca.pem`` and its key), good for a server and its stations.

Keys never leave that folder. Knows no station and no network.
"""

from __future__ import annotations

import ipaddress
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from csms.certificates import CertificateFault, Csr, attribute

BACKDATED = timedelta(hours=1)
"""Certificates begin a little in the past: clocks of stations are off."""
CA_DAYS = 3650
CA_NAME = "stations-ca"
FILE_NAME = re.compile(r"[\w.@-]+")
HOST_NAME = re.compile(r"(\*\.)?(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*")


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
        subject = _subject(host, attribute(self.certificate.subject, NameOID.ORGANIZATION_NAME))
        start = at or datetime.now(UTC)
        chain = self._signed(subject, key.public_key(), start, days, ExtendedKeyUsageOID.SERVER_AUTH, alternative)
        return chain, _key_pem(key)

    def station(
        self, name: str, kind: str, days: int, at: datetime | None = None, *, organization: str = ""
    ) -> tuple[str, str]:
        """Chain and key of a station, in PEM; the organization is the CA's unless another is given."""
        key = new_key(kind)
        subject = _subject(name, organization or attribute(self.certificate.subject, NameOID.ORGANIZATION_NAME))
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
