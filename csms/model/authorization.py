"""Tokens and whether they may charge: OCPP 2.x block C."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from csms.model.ocsp import OcspData
from csms.model.station import StationRef


class AuthorizationStatus(StrEnum):
    """The 2.x answers; 1.6 knows five of them and is told the nearest."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    CONCURRENT_TX = "ConcurrentTx"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    NO_CREDIT = "NoCredit"
    NOT_ALLOWED_TYPE_EVSE = "NotAllowedTypeEVSE"
    NOT_AT_THIS_LOCATION = "NotAtThisLocation"
    NOT_AT_THIS_TIME = "NotAtThisTime"
    UNKNOWN = "Unknown"


SHOWN = 4


def token_end(value: str) -> str:
    """The last characters of a token; of a short one none."""
    return "…" + value[-SHOWN:] if len(value) > 2 * SHOWN else "…"


@dataclass(frozen=True, slots=True)
class IdToken:
    """A driver's token; ``value`` is compared without regard to case, as OCPP says; 1.6 tags have type ISO14443."""

    value: str
    type: str = "ISO14443"

    @property
    def key(self) -> str:
        """The value as it is compared and stored."""
        return self.value.casefold()

    @property
    def end(self) -> str:
        """As much of it as may be read by everybody: enough to tell a driver's cards apart."""
        return token_end(self.value)


class Purpose(StrEnum):
    """Why a token is judged."""

    AUTHORIZE = "authorize"
    TRANSACTION = "transaction"
    REMOTE_START = "remote_start"


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """Question for ``authorize``: may this token charge here; ``transaction`` is set for tokens in transaction events."""

    station: StationRef
    id_token: IdToken
    at: datetime
    purpose: Purpose = Purpose.AUTHORIZE
    evse: int | None = None
    transaction: str | None = None
    certificate: str | None = None


@dataclass(frozen=True, slots=True)
class Authorization:
    """Answer to ``authorize``; ``expires`` limits how long the station may cache it, ``group`` is the parent or group token."""

    status: AuthorizationStatus
    group: IdToken | None = None
    expires: datetime | None = None
    reason: str = ""
    message: str = ""
    concurrent: int | None = None
    """How many transactions at once the token may have; None means one, 0 no limit."""
    certificate_status: str = ""
    """What became of the contract certificate; set by the core (``check_contract``), empty where there was none."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision on a token as it is kept with what it was made for; ``plugin`` is empty where the CSMS itself decided, ``because`` says on what."""

    authorization: Authorization
    plugin: str = ""
    because: str = ""


@dataclass(frozen=True, slots=True)
class Authorize:
    """A station asks whether a token may charge."""

    id_token: IdToken
    certificate: str | None = None
    ocsp: tuple[OcspData, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token in the CSMS's own list."""

    id_token: IdToken
    status: AuthorizationStatus = AuthorizationStatus.ACCEPTED
    group: IdToken | None = None
    expires: datetime | None = None
    note: str = ""
    concurrent: int | None = None


@dataclass(frozen=True, slots=True)
class TokenAuthorized:
    """A token was judged; ``plugin`` names who decided, or is empty for the default denial."""

    station: StationRef
    at: datetime
    id_token: IdToken
    status: AuthorizationStatus
    plugin: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ClearCache:
    """Command: empty the station's authorization cache."""
