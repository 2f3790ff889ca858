"""OCSP requests and responses (RFC 6960), and how certificates are named in them; dials nobody."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from csms.api import CertificateFault, CertificateHash, OcspData

ALGORITHMS: dict[str, type[hashes.HashAlgorithm]] = {
    "SHA256": hashes.SHA256,
    "SHA384": hashes.SHA384,
    "SHA512": hashes.SHA512,
}


def _algorithm(certificate: CertificateHash) -> hashes.HashAlgorithm:
    kind = ALGORITHMS.get(certificate.algorithm)
    if kind is None:
        raise CertificateFault(f"the hash {certificate.algorithm!r} is not known")
    return kind()


def request_for(certificate: CertificateHash) -> bytes:
    """An OCSP request about one certificate, DER; raises CertificateFault."""
    try:
        builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
            bytes.fromhex(certificate.issuer_name_hash),
            bytes.fromhex(certificate.issuer_key_hash),
            int(certificate.serial_number, 16),
            _algorithm(certificate),
        )
        return builder.build().public_bytes(serialization.Encoding.DER)
    except ValueError as fault:
        raise CertificateFault(f"the certificate's hashes or number are wrong: {fault}") from None


def read_response(der: bytes, certificate: CertificateHash) -> ocsp.OCSPResponse:
    """A successful response about this certificate; raises CertificateFault."""
    try:
        response = ocsp.load_der_ocsp_response(der)
    except ValueError as fault:
        raise CertificateFault(f"no OCSP response: {str(fault)[:100]}") from None
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise CertificateFault(f"the responder says {response.response_status.name}")
    same = (
        response.serial_number == int(certificate.serial_number, 16)
        and response.issuer_name_hash.hex() == certificate.issuer_name_hash.lower()
        and response.issuer_key_hash.hex() == certificate.issuer_key_hash.lower()
    )
    if not same:
        raise CertificateFault("the response is about another certificate")
    return response


def check_fresh(response: ocsp.OCSPResponse, at: datetime) -> None:
    """Raises CertificateFault unless the response is of now."""
    skew = timedelta(minutes=5)
    if response.this_update_utc > at + skew or (response.next_update_utc and response.next_update_utc < at - skew):
        raise CertificateFault("the response is not of today")


def is_issuer(certificate: x509.Certificate, asked: CertificateHash) -> bool:
    """Whether a certificate is the issuer that the hashes name."""
    digest = hashes.Hash(_algorithm(asked))
    digest.update(certificate.subject.public_bytes())
    if digest.finalize().hex() != asked.issuer_name_hash.lower():
        return False
    digest = hashes.Hash(_algorithm(asked))
    digest.update(_key_bits(certificate))
    return digest.finalize().hex() == asked.issuer_key_hash.lower()


def _key_bits(certificate: x509.Certificate) -> bytes:
    """The bits of a public key as OCSP hashes them: without algorithm and length."""
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)


def check_signature(response: ocsp.OCSPResponse, issuer: x509.Certificate, at: datetime) -> None:
    """Raises CertificateFault unless the issuer signed the response, or a responder that the issuer made for this."""
    check_fresh(response, at)
    for signer in (issuer, *(one for one in response.certificates if _is_responder(one, issuer, at))):
        try:
            _verify(signer, response)
        except (InvalidSignature, ValueError, TypeError):
            continue
        return
    raise CertificateFault("the response is not signed by the issuer")


def _is_responder(certificate: x509.Certificate, issuer: x509.Certificate, at: datetime) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    valid = certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc
    return valid and ExtendedKeyUsageOID.OCSP_SIGNING in usage


def _verify(signer: x509.Certificate, response: ocsp.OCSPResponse) -> None:
    key, algorithm = signer.public_key(), response.signature_hash_algorithm
    if algorithm is None:
        raise ValueError("no hash")
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(algorithm))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), algorithm)
    else:
        raise ValueError("no key of a kind that is known")


def named_in(chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]) -> Iterator[OcspData]:
    """What a checked chain says itself about who can be asked about each of its certificates."""
    for certificate in chain:
        responder = _responder(certificate)
        issuer = next((one for one in (*chain, *roots) if one.subject == certificate.issuer), None)
        if responder and issuer is not None and certificate.subject != certificate.issuer:
            yield OcspData(_hash_of(certificate, issuer), responder)


def _responder(certificate: x509.Certificate) -> str:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    places = [one.access_location for one in access if one.access_method == AuthorityInformationAccessOID.OCSP]
    return next((str(one.value) for one in places if isinstance(one, x509.UniformResourceIdentifier)), "")


def _hash_of(certificate: x509.Certificate, issuer: x509.Certificate) -> CertificateHash:
    name, key = hashlib.sha256(issuer.subject.public_bytes()), hashlib.sha256(_key_bits(issuer))
    return CertificateHash("SHA256", name.hexdigest(), key.hexdigest(), f"{certificate.serial_number:x}")
