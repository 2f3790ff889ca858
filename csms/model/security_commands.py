"""Commands of block A: a new password, a new network profile."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SetPassword:
    """Command: give the station a new password; without one, the CSMS makes it and shows it to nobody."""

    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SetNetworkProfile:
    """Command: how the station may reach the CSMS, in one of its slots; takes effect once the slot has priority and the station rebooted."""

    slot: int
    url: str
    security_profile: int
    message_timeout_s: int = 30
    ocpp_version: str = "OCPP20"
    interface: str = "Wired0"
