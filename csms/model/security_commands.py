"""Commands of block A: a new password, a new network profile, a higher security profile."""

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


@dataclass(frozen=True, slots=True)
class UpgradeSecurityProfile:
    """Command: a higher security profile (2 or 3) in one order: network profile, its priority, reset; done when the station has shown it."""

    url: str
    security_profile: int
    slot: int = 1
    message_timeout_s: int = 30
    interface: str = "Wired0"
