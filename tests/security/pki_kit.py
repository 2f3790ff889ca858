"""A test PKI: stations' requests, contract roots and contracts, and an OCSP responder that signs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from twisted.web.resource import Resource
from twisted.web.server import Site

from csms.authority import Authority, new_key
from csms.certificates import read_chain
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
    url: str = ""
    revoked: bool = False
    responses: list[bytes] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)

    @classmethod
    def create(cls) -> Contracts:
        """A new root."""
        return cls(Authority.create("MO", name="Root", at=NOON - timedelta(days=10)))

    def contract(self, emaid: str, at: datetime = NOON - timedelta(days=1), days: int = 30, responder: str = "") -> str:
        """A contract certificate and its root, in PEM; with a responder, the certificate names it."""
        chain = self.root.station(emaid, "ecdsa", days, at=at)[0]
        if not responder:
            return chain
        plain = read_chain(chain)[0]
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(responder))
        builder = x509.CertificateBuilder(
            plain.issuer,
            plain.subject,
            plain.public_key(),
            plain.serial_number,
            plain.not_valid_before_utc,
            plain.not_valid_after_utc,
            list(plain.extensions),
        ).add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        signed = builder.sign(self.root._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode() + self.root.pem

    def answers(self, request: bytes) -> bytes:
        """What the responder says to a request, whichever certificate it is about."""
        about = ocsp.load_der_ocsp_request(request)
        known = (about.issuer_name_hash, about.issuer_key_hash, about.serial_number, about.hash_algorithm)
        status = ocsp.OCSPCertStatus.REVOKED if self.revoked else ocsp.OCSPCertStatus.GOOD
        response = ocsp.OCSPResponseBuilder().add_response_by_hash(
            *known, status, NOON, NOON + timedelta(days=1), NOON if self.revoked else None, None
        )
        response = response.responder_id(ocsp.OCSPResponderEncoding.HASH, self.root.certificate)
        self.responses.append(response.sign(self.root._key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))
        return self.responses[-1]

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


class _Service(Resource):
    """Answers OCSP requests, and hands contracts out."""

    isLeaf = True

    def __init__(self, contracts: Contracts) -> None:
        super().__init__()
        self.contracts = contracts

    def render_POST(self, request: Any) -> bytes:
        body = request.content.read()
        if request.path == b"/ocsp":
            return self.contracts.answers(body)
        self.contracts.asked.append(json.loads(body))
        return b'{"exiResponse": "gAI="}'


def web_of_contracts(contracts: Contracts) -> Any:
    """Listen on loopback as the responder and the contract service; gives the port, and ``contracts.url`` its address."""
    from twisted.internet import reactor

    port = reactor.listenTCP(0, Site(_Service(contracts)), interface="127.0.0.1")  # type: ignore[attr-defined]
    contracts.url = f"http://127.0.0.1:{port.getHost().port}"
    return port
