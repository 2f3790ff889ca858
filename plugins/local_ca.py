"""Signs stations' certificate requests with a CA in a folder: the one of ``csms ca init``, or another for V2G certificates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from csms.api import (
    Authority,
    CertificateFault,
    CertificateUse,
    Csms,
    Duration,
    SignedCertificate,
    SigningRequest,
    hookimpl,
    read_csr,
)


class LocalCa:
    """Answers ``sign_certificate``; the core has checked the request's signature, key, subject and rate."""

    @dataclass(frozen=True)
    class Settings:
        """``certificate`` and ``key`` sign stations' certificates, ``v2g_certificate`` and ``v2g_key`` those for ISO 15118 (empty: the same)."""

        certificate: str = "tls/stations-ca.pem"
        key: str = "tls/stations-ca.key"
        v2g_certificate: str = ""
        v2g_key: str = ""
        validity: Duration = timedelta(days=397)

    def __init__(self, settings: Settings, csms: Csms) -> None:
        self._csms = csms
        self._days = max(1, settings.validity.days)
        own = self._authority(settings.certificate, settings.key)
        v2g = self._authority(settings.v2g_certificate, settings.v2g_key) if settings.v2g_certificate else own
        self._authorities = {CertificateUse.CHARGING_STATION: own, CertificateUse.V2G: v2g}

    def _authority(self, certificate: str, key: str) -> Authority:
        folder = self._csms.folder
        return Authority.load(folder / certificate, folder / key)

    @hookimpl
    def sign_certificate(self, request: SigningRequest) -> SignedCertificate:
        """A client certificate for the station; a server certificate where cars will ask for it."""
        try:
            csr = read_csr(request.csr)
        except CertificateFault as fault:
            return SignedCertificate(reason=str(fault))
        client = request.use is CertificateUse.CHARGING_STATION
        return SignedCertificate(self._authorities[request.use].sign(csr, request.at, self._days, client=client))
