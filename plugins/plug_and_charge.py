"""ISO 15118 Plug & Charge: contract certificates are held against trusted roots and OCSP responders; OCSP responses and contracts are fetched.

A contract is believed when its chain leads to one of ``roots``, its name is the token's, and nobody says that it is revoked. An OCSP response counts
only if it is signed by the certificate's issuer, or by a responder that the issuer made for this.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from csms.api import (
    CertificateFault,
    CertificateHash,
    CertificateStatusAnswer,
    ContractCheck,
    ContractQuestion,
    ContractStatus,
    Csms,
    Duration,
    EvCertificateAnswer,
    GetCertificateStatus,
    GetEvCertificate,
    OcspData,
    OutgoingFault,
    StationRef,
    check_chain,
    hookimpl,
    read_chain,
)

ALGORITHMS: dict[str, type[hashes.HashAlgorithm]] = {
    "SHA256": hashes.SHA256,
    "SHA384": hashes.SHA384,
    "SHA512": hashes.SHA512,
}
CACHED = 1000
LONGEST_RESPONSE = 5500


class PlugAndCharge:
    """Answers ``check_contract``, ``certificate_status`` and ``ev_certificate``."""

    @dataclass(frozen=True)
    class Settings:
        """``roots``: PEM files of contract and V2G roots. ``ocsp``: whether a contract without a fresh OCSP response is refused (``require``),
        believed (``if_available``), or OCSP is not asked at all for contracts (``off``). ``ev_certificate_url``: who has contract certificates.
        """

        roots: tuple[str, ...] = ()
        ocsp: Literal["require", "if_available", "off"] = "require"
        ocsp_cache: Duration = timedelta(hours=1)
        ev_certificate_url: str = ""

    def __init__(self, settings: Settings, csms: Csms) -> None:
        self._settings = settings
        self._csms = csms
        self._cache: OrderedDict[OcspData, tuple[datetime, bytes]] = OrderedDict()
        self._roots = [certificate for name in settings.roots for certificate in self._read(name)]

    def _read(self, name: str) -> list[x509.Certificate]:
        path = self._csms.folder / name
        try:
            return read_chain(path.read_text("ascii"))
        except (OSError, UnicodeDecodeError, CertificateFault) as fault:
            raise ValueError(f"roots: {path}: {fault}") from None

    # Contracts

    @hookimpl
    async def check_contract(self, contract: ContractQuestion) -> ContractCheck | None:
        """Whether a contract certificate may be believed; without roots there is no opinion."""
        if not self._roots:
            return None
        chain: list[x509.Certificate] = []
        if contract.chain is not None:
            try:
                chain = read_chain(contract.chain)
                check_chain(chain, self._roots, contract.at)
            except CertificateFault as fault:
                expired = "expired" in str(fault)
                return ContractCheck(ContractStatus.EXPIRED if expired else ContractStatus.CHAIN_ERROR, str(fault))
            if _emaid(_common_name(chain[0])) != _emaid(contract.id_token.value):
                return ContractCheck(ContractStatus.CHAIN_ERROR, "the contract is of another token")
        elif not contract.ocsp:
            return ContractCheck(ContractStatus.NOT_AVAILABLE, "no certificate was shown")
        return await self._revoked(contract, chain)

    async def _revoked(self, contract: ContractQuestion, chain: Sequence[x509.Certificate]) -> ContractCheck:
        """Ask about every certificate that was named; hashes alone are as good as a chain, if their issuers are known."""
        if self._settings.ocsp == "off" and chain:
            return ContractCheck(ContractStatus.ACCEPTED)
        if not contract.ocsp and self._settings.ocsp == "require":
            return ContractCheck(ContractStatus.NOT_AVAILABLE, "the station told no OCSP responder")
        for one in contract.ocsp:
            try:
                status = self._judged(one, await self._response(one, contract.at), chain, contract.at)
            except (OutgoingFault, CertificateFault) as fault:
                if self._settings.ocsp == "if_available" and chain:
                    continue
                return ContractCheck(ContractStatus.NOT_AVAILABLE, f"OCSP: {fault}")
            if status is ocsp.OCSPCertStatus.REVOKED:
                return ContractCheck(ContractStatus.REVOKED, "revoked")
            if status is not ocsp.OCSPCertStatus.GOOD:
                return ContractCheck(ContractStatus.CHAIN_ERROR, "the responder does not know the certificate")
        return ContractCheck(ContractStatus.ACCEPTED)

    def _judged(
        self, asked: OcspData, der: bytes, chain: Sequence[x509.Certificate], at: datetime
    ) -> ocsp.OCSPCertStatus:
        response = _read_response(der, asked.certificate)
        issuer = next((one for one in (*chain, *self._roots) if _is_issuer(one, asked.certificate)), None)
        if issuer is None:
            raise CertificateFault("nobody known issued the certificate")
        _check_signature(response, issuer, at)
        return response.certificate_status

    # OCSP

    @hookimpl
    async def certificate_status(self, station: StationRef, request: GetCertificateStatus) -> CertificateStatusAnswer:
        """The response of the responder that the station names, which checks it itself."""
        try:
            der = await self._response(request.ocsp, self._csms.now())
        except (OutgoingFault, CertificateFault) as fault:
            self._csms.log.info("{station}: no OCSP response: {why}", station=station.id, why=str(fault))
            return CertificateStatusAnswer(reason=str(fault))
        return CertificateStatusAnswer(base64.b64encode(der).decode())

    async def _response(self, asked: OcspData, at: datetime) -> bytes:
        kept = self._cache.get(asked)
        if kept is not None and at < kept[0]:
            return kept[1]
        if not asked.responder_url:
            raise CertificateFault("no responder is named")
        answer = await self._csms.fetch(
            asked.responder_url,
            body=_request(asked.certificate),
            content_type="application/ocsp-request",
            max_bytes=LONGEST_RESPONSE,
        )
        if answer.status != 200:
            raise CertificateFault(f"the responder answered {answer.status}")
        response = _read_response(answer.body, asked.certificate)
        _check_fresh(response, at)
        until = min(response.next_update_utc or at + self._settings.ocsp_cache, at + self._settings.ocsp_cache)
        self._cache[asked] = (until, answer.body)
        while len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        return answer.body

    # Contracts for cars

    @hookimpl
    async def ev_certificate(self, station: StationRef, request: GetEvCertificate) -> EvCertificateAnswer | None:
        """What the contract service gives for a car's request; the address is the operator's own."""
        url = self._settings.ev_certificate_url
        if not url:
            return None
        body = {
            "station": station.id,
            "schema": request.schema,
            "action": "Update" if request.update else "Install",
            "exiRequest": request.exi,
        }
        try:
            answer = await self._csms.fetch_own(
                url, body=json.dumps(body).encode(), content_type="application/json", timeout_s=20.0
            )
            told = json.loads(answer.body) if answer.status == 200 else {}
            exi = str(told.get("exiResponse", "")) if isinstance(told, dict) else ""
            base64.b64decode(exi, validate=True)
        except (OutgoingFault, ValueError, binascii.Error) as fault:
            self._csms.log.warn("no contract certificate for {station}: {why}", station=station.id, why=str(fault))
            return EvCertificateAnswer(reason="the contract service gave no answer that could be used")
        return EvCertificateAnswer(exi, "" if exi else f"the contract service answered {answer.status}")


def _emaid(text: str) -> str:
    return text.replace("-", "").casefold()


def _common_name(certificate: x509.Certificate) -> str:
    found = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def _algorithm(certificate: CertificateHash) -> hashes.HashAlgorithm:
    kind = ALGORITHMS.get(certificate.algorithm)
    if kind is None:
        raise CertificateFault(f"the hash {certificate.algorithm!r} is not known")
    return kind()


def _request(certificate: CertificateHash) -> bytes:
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


def _read_response(der: bytes, certificate: CertificateHash) -> ocsp.OCSPResponse:
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


def _check_fresh(response: ocsp.OCSPResponse, at: datetime) -> None:
    skew = timedelta(minutes=5)
    if response.this_update_utc > at + skew or (response.next_update_utc and response.next_update_utc < at - skew):
        raise CertificateFault("the response is not of today")


def _is_issuer(certificate: x509.Certificate, asked: CertificateHash) -> bool:
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


def _check_signature(response: ocsp.OCSPResponse, issuer: x509.Certificate, at: datetime) -> None:
    _check_fresh(response, at)
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
