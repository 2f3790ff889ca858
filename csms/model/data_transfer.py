"""Vendor messages in both directions: OCPP 2.x block P."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DataTransfer:
    """A vendor's own message; a request when a station sends it, a command when the CSMS does."""

    vendor_id: str
    message_id: str = ""
    data: object = None


@dataclass(frozen=True, slots=True)
class DataTransferAnswer:
    """Accepted, Rejected, UnknownMessageId or UnknownVendorId, with the vendor's data."""

    status: str
    data: object = None
