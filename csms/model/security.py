"""Who proved what at the door, and what happened that somebody should look at: OCPP 2.x block A."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from csms.model.station import StationRef


class SecurityProfile(IntEnum):
    """How a station proves who it is; a higher one is stronger. OCPP knows 1 to 3, 0 is no proof at all."""

    NONE = 0
    BASIC = 1
    TLS_BASIC = 2
    TLS_CERTIFICATE = 3

    @property
    def tls(self) -> bool:
        """Whether the socket is encrypted and the CSMS proves who it is."""
        return self >= SecurityProfile.TLS_BASIC


class SecurityEventKind(StrEnum):
    """What the CSMS itself notices; stations report kinds of their own, which are kept as they are."""

    FAILED_TO_AUTHENTICATE = "FailedToAuthenticateAtCsms"
    INVALID_TLS_VERSION = "InvalidTLSVersion"
    INVALID_TLS_CIPHER_SUITE = "InvalidTLSCipherSuite"
    INVALID_CLIENT_CERTIFICATE = "InvalidChargingStationCertificate"
    SECURITY_PARAMETERS = "ReconfigurationOfSecurityParameters"
    DUPLICATE_IDENTITY = "DuplicateIdentity"
    FLAPPING = "Flapping"
    FLOOD = "Flood"
    CERTIFICATE_EXPIRES = "CertificateExpires"
    CERTIFICATE_REFUSED = "CertificateRefused"
    CERTIFICATE_ISSUED = "CertificateIssued"
    ENROLMENT_FAILED = "EnrolmentFailed"


CRITICAL = frozenset(
    {
        "FirmwareUpdated",
        "SettingSystemTime",
        "StartupOfTheDevice",
        "ResetOrReboot",
        "SecurityLogWasCleared",
        "MemoryExhaustion",
        "TamperDetectionActivated",
        "InvalidFirmwareSignature",
        "InvalidFirmwareSigningCertificate",
        "InvalidCsmsCertificate",
        "InvalidChargingStationCertificate",
        "InvalidTLSVersion",
        "InvalidTLSCipherSuite",
        "MaintenanceLoginAccepted",
        "MaintenanceLoginFailed",
        "DuplicateIdentity",
        "EnrolmentFailed",
    }
)
"""Kinds that somebody should look at: those OCPP's list of security events calls critical, and two of ours."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The certificate a station showed, already verified against the client CA; ``expires`` is aware UTC."""

    common_name: str
    organization: str
    serial_number: str
    expires: datetime
    fingerprint: str


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """One security event as it is kept; ``source`` is ``station`` or ``csms``, ``station`` may be empty for an unknown peer."""

    kind: str
    at: datetime
    source: str
    station: str = ""
    address: str = ""
    detail: str = ""
    critical: bool = False
    id: int = 0


@dataclass(frozen=True, slots=True)
class SecurityEventNotification:
    """A station reports a security event of its own."""

    kind: str
    timestamp: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SecurityEventRaised:
    """A security event is stored, whoever noticed it."""

    station: StationRef
    at: datetime
    event: SecurityEvent


@dataclass(frozen=True, slots=True)
class SecurityProfileRaised:
    """News: a station has shown a higher security profile than ever before; from now on a lower one is refused."""

    station: StationRef
    at: datetime
    profile: SecurityProfile
