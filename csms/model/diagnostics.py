"""Block N's logs: a station is asked for one, and leaves it at a place of ours that takes one file, once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from csms.model.station import StationRef


class LogType(StrEnum):
    """Which log a station has; the words of OCPP 2.0.1."""

    DIAGNOSTICS = "DiagnosticsLog"
    SECURITY = "SecurityLog"


@dataclass(frozen=True, slots=True)
class GetLog:
    """Command: send a log. Without ``url`` the CSMS offers a place of its own; the log between two moments is wanted, where they are given.

    Effective once the file is there, or the station says that it is elsewhere; OCPP 1.6 says it as GetDiagnostics, or as GetLog for the security log.
    """

    log: LogType = LogType.DIAGNOSTICS
    url: str | None = field(default=None, repr=False)
    oldest: datetime | None = None
    latest: datetime | None = None
    retries: int | None = None
    retry_interval_s: int | None = None
    request_id: int | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a station may leave, or has left: ``size`` in bytes and ``received_at`` are there once it has; ``kind`` is the log's."""

    id: int
    station: str
    kind: str
    request_id: int
    created_at: datetime
    expires_at: datetime
    received_at: datetime | None = None
    size: int = 0


@dataclass(frozen=True, slots=True)
class UploadReceived:
    """A whole file of a station is on disk."""

    station: StationRef
    at: datetime
    upload: Upload
