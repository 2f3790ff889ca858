"""What stations answer to commands, and the answers without content; the words of all versions agree here, so all dialects use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csms.model.commands import CommandAnswer, RawCall
from csms.ocpp.dialect import Outgoing, Payload

YES = frozenset({"Accepted", "AcceptedCanceled", "Scheduled", "RebootRequired", "Unlocked", "Unpublished"})
"""Statuses that say a command is done or will be."""


def nothing(answer: object) -> Payload:
    """The empty answer to a message that is only taken note of."""
    return {}


def decode_answer(command: object, payload: Payload) -> CommandAnswer:
    """A station's answer with at most one status; without a status it is a yes."""
    status = payload.get("status", "")
    if not isinstance(status, str):
        status = ""
    return CommandAnswer(not status or status in YES, status, reason_of(payload.get("statusInfo")), payload)


def reason_of(info: object) -> str:
    """A ``statusInfo`` as ``reasonCode: additionalInfo``; empty when there is none."""
    if not isinstance(info, Mapping):
        return ""
    return ": ".join(str(info[part]) for part in ("reasonCode", "additionalInfo") if info.get(part))


def _encode_raw(command: RawCall) -> tuple[str, dict[str, Any]]:
    return command.action, dict(command.payload)


COMMANDS: Mapping[type, Outgoing] = {RawCall: Outgoing(_encode_raw, decode_answer)}
