"""A test PKI: stations' requests, contract roots and contracts, and an OCSP responder that signs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from csms.certificates import Authority, new_key, read_chain
from csms.model.ocsp import CertificateHash

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALGORITHMS = {"SHA256": hashes.SHA256(), "SHA384": hashes.SHA384(), "SHA512": hashes.SHA512()}


def csr(common_name: str, organization: str = "Example", key: Any = None) -> str:
    """A request in PEM."""
    names = [(NameOID.COMMON_NAME, common_name), (NameOID.ORGANIZATION_NAME, organization)]
    subject = x509.Name([x509.NameAttribute(kind, text) for kind, text in names if text])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key or new_key("ecdsa"), hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def weak_csr(common_name: str) -> str:
    """A request with an RSA key of 1024 bits."""
    return csr(common_name, key=rsa.generate_private_key(65537, 1024))


@dataclass
class Contracts:
    """A contract root, and what it says of its certificates."""

    root: Authority

    @classmethod
    def create(cls) -> Contracts:
        """A new root."""
        return cls(Authority.create("MO", name="Root", at=NOON - timedelta(days=10)))

    def contract(self, emaid: str, at: datetime = NOON - timedelta(days=1), days: int = 30) -> str:
        """A contract certificate and its root, in PEM."""
        return self.root.station(emaid, "ecdsa", days, at=at)[0]

    def hash(self, chain: str, algorithm: str = "SHA256") -> CertificateHash:
        """How OCPP names the first certificate of a chain."""
        kind = ALGORITHMS[algorithm]
        name, key = hashes.Hash(kind), hashes.Hash(kind)
        name.update(self.root.certificate.subject.public_bytes())
        public = self.root.certificate.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        key.update(public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint))
        number = f"{read_chain(chain)[0].serial_number:x}"
        return CertificateHash(algorithm, name.finalize().hex(), key.finalize().hex(), number)

    def says(
        self, chain: str, *, revoked: bool = False, at: datetime = NOON, signer: Any = None, algorithm: str = "SHA256"
    ) -> bytes:
        """An OCSP response, DER."""
        status = ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=read_chain(chain)[0],
            issuer=self.root.certificate,
            algorithm=ALGORITHMS[algorithm],
            cert_status=status,
            this_update=at - timedelta(minutes=1),
            next_update=at + timedelta(days=1),
            revocation_time=at - timedelta(days=1) if revoked else None,
            revocation_reason=None,
        )
        signer = signer or self
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.root.certificate)
        return builder.sign(signer.root._key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
