"""What shows that a command has happened: the boot after a reset, the Started after a remote start, the Ended after a remote stop, the
handshake after a change of the security profile.

Pure predicates over news; commands not named here are done when the station says yes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from csms.model.availability import ChangeAvailability, ConnectorStatus, StatusChanged
from csms.model.commands import CommandAnswer, CommandRecord
from csms.model.diagnostics import GetLog, UploadReceived
from csms.model.firmware import UpdateFirmware
from csms.model.monitoring import NoticeReceived
from csms.model.provisioning import BootStatus, GetBaseReport, ReportReceived, Reset, StationBooted
from csms.model.security import SecurityProfileRaised
from csms.model.security_commands import UpgradeSecurityProfile
from csms.model.transactions import (
    RequestStartTransaction,
    RequestStopTransaction,
    TransactionEnded,
    TransactionEvent,
    TransactionStarted,
    TransactionUpdated,
)
from csms.stations import Station

START_S = 300.0
STOP_S = 120.0
REPORT_S = 300.0
UPGRADE_S = 24 * 3600.0
RESET_S = 900.0
SCHEDULED_S = 24 * 3600.0
LOG_S = 3600.0
FIRMWARE_S = 30 * 24 * 3600.0
"""Firmware may be fetched and installed at a later time that the command names."""
LOG_DONE, FIRMWARE_DONE = frozenset({"Uploaded"}), frozenset({"Installed"})
LOG_OVER = frozenset({"BadMessage", "NotSupportedOperation", "PermissionDenied", "UploadFailure", "AcceptedCanceled"})
FIRMWARE_OVER = frozenset(
    {"DownloadFailed", "InstallationFailed", "InstallVerificationFailed", "InvalidSignature", "RevokedCertificate"}
)
"""Statuses of 2.0.1 with which a station says that nothing more will come of it."""


def _goes_on(event: object) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Effect:
    """``seen`` tells whether a piece of news is the effect; after ``timeout_s`` seconds nobody expects it any more.

    ``failed`` gives the station's word for it where a piece of news says that there will be none.
    """

    seen: Callable[[object], bool]
    timeout_s: float
    failed: Callable[[object], str] = _goes_on

    @classmethod
    def of_record(cls, record: CommandRecord) -> Effect:
        """The effect of a command that was accepted before the CSMS was restarted, from its row in the ledger."""
        arguments = record.arguments
        match record.name:
            case "Reset":
                return cls(_boot_of(record.station), RESET_S)
            case "RequestStartTransaction":
                token = str(dict(arguments.get("id_token") or {}).get("value", ""))  # type: ignore[call-overload]
                return cls(_start_of(record.station, arguments.get("remote_start_id"), token), START_S)
            case "RequestStopTransaction":
                return cls(_end_of(record.station, str(arguments.get("transaction", ""))), STOP_S)
            case "UpgradeSecurityProfile":
                return cls(_profile_of(record.station, arguments.get("security_profile")), UPGRADE_S)
            case "GetBaseReport":
                return cls(_report_of(record.station, arguments.get("request_id")), REPORT_S)
            case "GetLog":
                return _log_of(record.station, arguments.get("request_id"))
            case "UpdateFirmware":
                return _firmware_of(record.station, arguments.get("request_id"))
        return cls(lambda event: False, 0.0)


def effect_of(station: Station, command: object, answer: CommandAnswer) -> Effect | None:
    """What to wait for after this answer; None when the answer was all."""
    match command:
        case Reset(evse=None):
            return Effect(_boot_of(station.id), RESET_S)
        case RequestStartTransaction():
            return Effect(_start_of(station.id, command.remote_start_id, command.id_token.value), START_S)
        case RequestStopTransaction():
            return Effect(_end_of(station.id, command.transaction), STOP_S)
        case GetBaseReport() if not answer.values:
            return Effect(_report_of(station.id, command.request_id), REPORT_S)
        case UpgradeSecurityProfile():
            return Effect(_profile_of(station.id, command.security_profile), UPGRADE_S)
        case ChangeAvailability() if answer.status == "Scheduled":
            return Effect(_availability_of(station.id, command), SCHEDULED_S)
        case GetLog():
            return _log_of(station.id, command.request_id)
        case UpdateFirmware():
            return _firmware_of(station.id, command.request_id)
    return None


def _boot_of(station: str) -> Callable[[object], bool]:
    return lambda event: (
        isinstance(event, StationBooted) and event.station.id == station and event.status is BootStatus.ACCEPTED
    )


def _profile_of(station: str, profile: object) -> Callable[[object], bool]:
    return lambda event: (
        isinstance(event, SecurityProfileRaised) and event.station.id == station and event.profile == profile
    )


def _start_of(station: str, remote_start_id: object, token: str) -> Callable[[object], bool]:
    def seen(event: object) -> bool:
        if not isinstance(event, TransactionStarted | TransactionUpdated) or event.station.id != station:
            return False
        told: TransactionEvent = event.event
        if told.remote_start_id is not None or told.seq_no is not None:
            return told.remote_start_id == remote_start_id
        # 1.6 has no remote start id on its start: the same token at this station is the best that can be known.
        started = isinstance(event, TransactionStarted)
        return started and told.id_token is not None and told.id_token.key == token.casefold()

    return seen


def _end_of(station: str, transaction: str) -> Callable[[object], bool]:
    return lambda event: (
        isinstance(event, TransactionEnded)
        and event.station.id == station
        and event.transaction.station_transaction == transaction
    )


def _report_of(station: str, request_id: object) -> Callable[[object], bool]:
    return lambda event: (
        isinstance(event, ReportReceived) and event.station.id == station and event.request_id == request_id
    )


def _availability_of(station: str, command: ChangeAvailability) -> Callable[[object], bool]:
    def seen(event: object) -> bool:
        if not isinstance(event, StatusChanged) or event.station.id != station:
            return False
        here = command.evse in (None, event.evse) and command.connector in (None, event.connector)
        return here and (event.status is ConnectorStatus.UNAVAILABLE) is not command.operative

    return seen


def _log_of(station: str, request_id: object) -> Effect:
    """The file itself, or the station's word that it is where it should be; 1.6 names no request with its word on diagnostics."""

    def seen(event: object) -> bool:
        if isinstance(event, UploadReceived):
            return event.station.id == station and event.upload.request_id == request_id
        return _told(event, "LogStatusNotification", station, request_id) in LOG_DONE

    return Effect(seen, LOG_S, lambda event: _among(LOG_OVER, event, "LogStatusNotification", station, request_id))


def _firmware_of(station: str, request_id: object) -> Effect:
    kind = "FirmwareStatusNotification"
    return Effect(
        lambda event: _told(event, kind, station, request_id) in FIRMWARE_DONE,
        FIRMWARE_S,
        lambda event: _among(FIRMWARE_OVER, event, kind, station, request_id),
    )


def _among(words: frozenset[str], event: object, kind: str, station: str, request_id: object) -> str:
    status = _told(event, kind, station, request_id)
    return status if status in words else ""


def _told(event: object, kind: str, station: str, request_id: object) -> str:
    """The status in a station's notice about a request, or about the only one that it can mean; else an empty text."""
    if not isinstance(event, NoticeReceived) or event.station.id != station or event.notice.kind != kind:
        return ""
    payload = event.notice.payload
    return str(payload.get("status", "")) if payload.get("requestId") in (None, request_id) else ""
