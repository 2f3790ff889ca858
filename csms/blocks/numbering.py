"""What a command lacks that its station will want: a number that tells it apart, a password, a time."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from csms.blocks.credentials import generate_password
from csms.model.diagnostics import GetLog
from csms.model.firmware import UpdateFirmware
from csms.model.provisioning import GetBaseReport
from csms.model.security_commands import SetPassword
from csms.model.transactions import RequestStartTransaction


def numbered(command: object, now: datetime) -> object:
    """Give commands that are told apart by a number one, where the caller gave none."""
    match command:
        case RequestStartTransaction(remote_start_id=None):
            return replace(command, remote_start_id=secrets.randbelow(2**31))
        case GetBaseReport(request_id=None):
            return replace(command, request_id=secrets.randbelow(2**31))
        case SetPassword(password=None):
            return SetPassword(generate_password())
        case GetLog() | UpdateFirmware():
            number = command.request_id if command.request_id is not None else secrets.randbelow(2**31)
            return replace(command, request_id=number, **_at_once(command, now))
    return command


def _at_once(command: GetLog | UpdateFirmware, now: datetime) -> Mapping[str, Any]:
    """Firmware without a time is to be fetched now."""
    return {"retrieve_at": command.retrieve_at or now} if isinstance(command, UpdateFirmware) else {}
