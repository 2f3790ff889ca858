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
from cryptography.x509 import ocsp
from csms_plugins.plug_and_charge_ocsp import (
    check_fresh,
    check_signature,
    is_issuer,
    named_in,
    read_response,
    request_for,
)

from csms.api import (
    CertificateFault,
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
        asked = contract.ocsp or tuple(named_in(chain, self._roots))
        if not asked and self._settings.ocsp == "require":
            return ContractCheck(ContractStatus.NOT_AVAILABLE, "neither station nor contract names an OCSP responder")
        for one in asked:
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
        response = read_response(der, asked.certificate)
        issuer = next((one for one in (*chain, *self._roots) if is_issuer(one, asked.certificate)), None)
        if issuer is None:
            raise CertificateFault("nobody known issued the certificate")
        check_signature(response, issuer, at)
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
            body=request_for(asked.certificate),
            content_type="application/ocsp-request",
            max_bytes=LONGEST_RESPONSE,
        )
        if answer.status != 200:
            raise CertificateFault(f"the responder answered {answer.status}")
        response = read_response(answer.body, asked.certificate)
        check_fresh(response, at)
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
