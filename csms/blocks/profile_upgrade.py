"""A higher security profile in one order: the slot, its priority, the reboot, each only after the station's yes to the one before.

The server demands the new profile from the moment the station has shown it (``csms.blocks.security``), and takes the old one until then. So a stop
between any two steps, of either side, locks nobody out. Each step may be said again: an order that a stop of the CSMS cut off is begun anew when its
station is back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from csms.blocks.security import CERTIFICATE_KIND, Security
from csms.model.commands import CommandAnswer, CommandFailed, CommandRecord, CommandState
from csms.model.provisioning import GetVariables, Reset, SetVariables, VariableValue
from csms.model.security import SecurityProfile
from csms.model.security_commands import SetNetworkProfile, UpgradeSecurityProfile
from csms.redaction import HIDDEN
from csms.stations import Station
from csms.store import Store

REBOOT = "RebootRequired"
GOES_ON = timedelta(days=1)
"""How old an order may be that goes on by itself."""


class Step(Protocol):
    """Puts one step into the ledger and on the wire; gives its record after the station's answer."""

    def __call__(self, station: str, command: object, *, origin: str) -> Awaitable[CommandRecord]: ...


class ProfileUpgrade:
    """Takes stations to a higher security profile."""

    def __init__(self, store: Store, security: Security, now: Callable[[], datetime]) -> None:
        self._store = store
        self._security = security
        self._now = now

    async def run(self, station: Station, command: UpgradeSecurityProfile, send: Step, origin: str) -> CommandAnswer:
        """All steps; raises CommandFailed with the words of the first that the station did not accept."""
        await self._check(station, command)

        async def step(name: str, order: object) -> CommandRecord:
            record = await send(station.id, order, origin=origin)
            if record.state not in (CommandState.ACCEPTED, CommandState.EFFECTIVE):
                text = f"{name}: {record.error or record.error_code or record.state}; the station keeps its profile"
                raise CommandFailed(record.state, record.error_code or "StepFailed", text)
            return record

        slot = SetNetworkProfile(
            command.slot,
            command.url,
            command.security_profile,
            message_timeout_s=command.message_timeout_s,
            interface=command.interface,
        )
        told = await step("network profile", slot)
        priority = station.dialect.network_priority
        if priority is not None:
            await step("reading the priority of the slots", GetVariables((priority,)))
            known = await self._store.variables.value(station.id, priority)
            first = VariableValue(priority, _with_first(command.slot, known))
            await step("priority of the slot", SetVariables((first,)))
        if priority is not None or (told.answer or {}).get("status") == REBOOT:
            await step("reset", Reset())
        return CommandAnswer(accepted=True, status="Accepted")

    def again(self, record: CommandRecord) -> UpgradeSecurityProfile | None:
        """The order of a record, where it may be begun anew: it is not old, and its URL had no secrets, which are not kept."""
        if record.name != UpgradeSecurityProfile.__name__ or self._now() - record.created_at > GOES_ON:
            return None
        given: Any = record.arguments
        return None if HIDDEN in given["url"] else UpgradeSecurityProfile(**given)

    async def is_shown(self, station: str, command: UpgradeSecurityProfile) -> bool:
        """Whether the station has shown the profile that was ordered."""
        return (await self._store.security.standing(station)).profile >= command.security_profile

    async def _check(self, station: Station, command: UpgradeSecurityProfile) -> None:
        """What would leave the station without a way back is not begun."""
        wanted = command.security_profile
        standing = await self._store.security.standing(station.id)
        present = max(int(station.profile), standing.profile)
        if wanted not in (SecurityProfile.TLS_BASIC, SecurityProfile.TLS_CERTIFICATE) or wanted <= present:
            raise _refused(
                "NotHigher", f"{station.id} uses security profile {present}, a higher one of 2 or 3 is wanted"
            )
        if wanted not in self._security.profiles:
            raise _refused("NoListener", f"no listener of this server takes security profile {wanted}")
        if wanted == SecurityProfile.TLS_CERTIFICATE and not await self._has_certificate(station.id):
            text = f"{station.id} has no client certificate that is known here: TriggerMessage SignChargingStationCertificate first"
            raise _refused("NoCertificate", text)

    async def _has_certificate(self, station: str) -> bool:
        known = await self._store.security.certificates(station=station)
        return any(one.kind == CERTIFICATE_KIND and one.expires > self._now() for one in known)


def _refused(code: str, text: str) -> CommandFailed:
    return CommandFailed(CommandState.FAILED, code, text)


def _with_first(slot: int, known: str | None) -> str:
    """The slot before those that had priority so far, which stay as the station's way back."""
    others = [one.strip() for one in (known or "").split(",")]
    return ",".join([str(slot), *(one for one in others if one and one != str(slot))])
