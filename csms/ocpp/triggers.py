"""Which message a call of the CSMS makes a station send; the words of all versions agree here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TRIGGERS = frozenset({"TriggerMessage", "ExtendedTriggerMessage"})
REPORTS: Mapping[str, str] = {"GetBaseReport": "NotifyReport", "GetReport": "NotifyReport"}


def asked_for(action: str, payload: Mapping[str, Any]) -> str:
    """The action that will follow when the station accepts this call; empty when none does."""
    if action in TRIGGERS:
        return str(payload["requestedMessage"])
    return REPORTS.get(action, "")
