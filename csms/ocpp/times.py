"""Timestamps as OCPP writes them: RFC 3339 text to aware UTC datetimes and back; knows no message."""

from __future__ import annotations

from datetime import UTC, datetime

from csms.ocpp.errors import ErrorCode, OcppError

UNKNOWN_TIME = datetime.min.replace(tzinfo=UTC)
"""Stands where a station gave no time (1.6 StatusNotification); who receives it puts the time of receipt there."""

SHORTEST = len("2024-01-01T00:00:00")


def parse_time(text: str) -> datetime:
    """The moment a station wrote, in UTC; a missing zone is UTC, digits past microseconds are cut.

    Raises OcppError PropertyConstraintViolation for what is no moment: leap seconds, years outside 1 to 9999, free text.
    """
    try:
        if len(text) < SHORTEST or text[4] != "-" or text[7] != "-" or text[10] not in "Tt ":
            raise ValueError
        moment = datetime.fromisoformat(text if text[-1] != "z" else text[:-1] + "Z")
        if moment.tzinfo is UTC:
            return moment
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        shown = text if len(text) <= 40 else text[:37] + "..."
        raise OcppError(ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, f"not a point in time: {shown!r}") from None


def print_time(moment: datetime) -> str:
    """A moment as ``YYYY-MM-DDTHH:MM:SS.mmmZ``; the rest of a millisecond is cut."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
