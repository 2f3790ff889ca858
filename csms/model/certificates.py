"""Certificates on stations and in cars: OCPP 2.x block M and its part of block A."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from csms.model.authorization import IdToken
from csms.model.ocsp import CertificateHash, OcspData
from csms.model.station import StationRef


class CertificateUse(StrEnum):
    """What a station's own certificate is for; a combined one is asked for as ChargingStation."""

    CHARGING_STATION = "ChargingStationCertificate"
    V2G = "V2GCertificate"


class InstallUse(StrEnum):
    """What a root certificate is for."""

    V2G_ROOT = "V2GRootCertificate"
    MO_ROOT = "MORootCertificate"
    CSMS_ROOT = "CSMSRootCertificate"
    MANUFACTURER_ROOT = "ManufacturerRootCertificate"


class InstalledUse(StrEnum):
    """What an installed certificate is for."""

    V2G_ROOT = "V2GRootCertificate"
    MO_ROOT = "MORootCertificate"
    CSMS_ROOT = "CSMSRootCertificate"
    MANUFACTURER_ROOT = "ManufacturerRootCertificate"
    V2G_CHAIN = "V2GCertificateChain"


class ContractStatus(StrEnum):
    """What became of a contract certificate."""

    ACCEPTED = "Accepted"
    SIGNATURE_ERROR = "SignatureError"
    EXPIRED = "CertificateExpired"
    REVOKED = "CertificateRevoked"
    NOT_AVAILABLE = "NoCertificateAvailable"
    CHAIN_ERROR = "CertChainError"
    CANCELLED = "ContractCancelled"


# What stations ask


@dataclass(frozen=True, slots=True)
class SignCertificate:
    """A station wants its request (PKCS#10 in PEM) signed."""

    csr: str
    use: CertificateUse = CertificateUse.CHARGING_STATION


@dataclass(frozen=True, slots=True)
class SignCertificateAnswer:
    """Whether a certificate will come."""

    accepted: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GetCertificateStatus:
    """A station wants an OCSP response."""

    ocsp: OcspData


@dataclass(frozen=True, slots=True)
class CertificateStatusAnswer:
    """The OCSP response, DER in base64; empty where there is none."""

    ocsp_result: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GetEvCertificate:
    """A car wants its contract certificate; ``exi`` is its own request, base64; ``update`` where it has one already."""

    schema: str
    exi: str
    update: bool = False


@dataclass(frozen=True, slots=True)
class EvCertificateAnswer:
    """What the car is told, base64; empty where there is nothing for it."""

    exi: str = ""
    reason: str = ""


# What the CSMS orders


@dataclass(frozen=True, slots=True)
class CertificateSigned:
    """Command: here is the certificate that was asked for, with its chain, in PEM."""

    chain: str
    use: CertificateUse = CertificateUse.CHARGING_STATION


@dataclass(frozen=True, slots=True)
class InstallCertificate:
    """Command: trust this root, in PEM."""

    use: InstallUse
    certificate: str


@dataclass(frozen=True, slots=True)
class GetInstalledCertificateIds:
    """Command: say which certificates are installed; without uses, all."""

    uses: tuple[InstalledUse, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteCertificate:
    """Command: forget an installed certificate."""

    certificate: CertificateHash


# Questions for plugins


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """Question for ``sign_certificate``: a checked request of a station; its subject fits the station, its key is strong enough."""

    station: StationRef
    use: CertificateUse
    csr: str
    common_name: str
    organization: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SignedCertificate:
    """Answer to ``sign_certificate``: the chain in PEM, the station's own certificate first; empty with a reason: refused."""

    chain: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ContractQuestion:
    """Question for ``check_contract``: may this contract certificate be believed; ``chain`` in PEM, leaf first, or None."""

    station: StationRef
    id_token: IdToken
    at: datetime
    chain: str | None
    ocsp: tuple[OcspData, ...]


@dataclass(frozen=True, slots=True)
class ContractCheck:
    """Answer to ``check_contract``; only Accepted lets the token be judged at all."""

    status: ContractStatus
    reason: str = ""


# News


@dataclass(frozen=True, slots=True)
class SigningWanted:
    """A request of a station was taken: its certificate is to be made."""

    station: StationRef
    at: datetime
    request: SigningRequest


@dataclass(frozen=True, slots=True)
class CertificateInstalled:
    """A station took the certificate that was made for it; ``expires`` is aware UTC."""

    station: StationRef
    at: datetime
    use: CertificateUse
    expires: datetime
