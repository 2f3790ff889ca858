"""Changes of a station's password through the CSMS: remembered before the station is told, withdrawn only when it refuses.

A new key counts beside the old one from before it is sent until the station shows it (``csms.blocks.security``); the CSMS may stop at any moment in
between. A station that was approved without a password is given its first one here, over the connection that waited for approval.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Protocol

from twisted.logger import Logger

from csms.blocks.credentials import generate_password, hash_password, password_matches
from csms.blocks.security import Security
from csms.model.availability import TriggerMessage
from csms.model.commands import CommandAnswer, CommandFailed, CommandRecord, CommandState, RawCall
from csms.model.provisioning import BootStatus, SetVariables, StationBooted
from csms.model.security import SecurityEventKind
from csms.model.security_commands import SetPassword
from csms.running import run_guarded
from csms.store import Store
from csms.switchboard import Switchboard

MOST_OFFERED = 5
"""Keys that may be on offer at once; a station that shows none of them needs a person."""
SECRET_NAMES = frozenset({"basicauthpassword", "authorizationkey"})


class Send(Protocol):
    """Puts a command into the ledger and on the wire."""

    def __call__(self, station: str, command: object, *, origin: str) -> Awaitable[CommandRecord]: ...


def passwords_in(command: object) -> list[str]:
    """The station passwords that a command would set."""
    match command:
        case SetPassword(password=str() as password):
            return [password]
        case SetVariables():
            return [one.value or "" for one in command.values if one.variable.name.casefold() in SECRET_NAMES]
        case RawCall():
            return list(_raw_passwords(command))
    return []


def _raw_passwords(call: RawCall) -> Iterator[str]:
    payload = call.payload
    if call.action == "ChangeConfiguration" and str(payload.get("key")).casefold() in SECRET_NAMES:
        yield str(payload.get("value", ""))
    data = payload.get("setVariableData") if call.action == "SetVariables" else None
    for one in data if isinstance(data, list) else ():
        if str(one["variable"]["name"]).casefold() in SECRET_NAMES:
            yield str(one["attributeValue"])


class StationKeys:
    """Keeps keys on offer in step with what stations were told."""

    log = Logger()

    def __init__(self, store: Store, switchboard: Switchboard, security: Security, now: Callable[[], datetime]) -> None:
        self._store = store
        self._switchboard = switchboard
        self._security = security
        self._now = now

    async def offer(self, station: str, command: object) -> list[int]:
        """Before a command is written to the socket: remember the keys in it; gives their numbers. Raises CommandFailed."""
        passwords = passwords_in(command)
        if not passwords:
            return []
        return [await self._offered(station, one) for one in passwords]

    async def _offered(self, station: str, password: str) -> int:
        known = await self._store.security.offered(station)
        for number, hash in known:
            if password_matches(hash, password):
                return number
        if len(known) >= MOST_OFFERED:
            text = f"{station} has shown none of the last {MOST_OFFERED} passwords it was told: set one with csms station password"
            raise CommandFailed(CommandState.FAILED, "TooManyKeys", text)
        return await self._store.security.offer(station, hash_password(password), self._now())

    async def answered(self, station: str, keys: list[int], answer: CommandAnswer) -> None:
        """After the answer: a single key that was refused was never in force; all else stays on offer until it is shown."""
        if len(keys) == 1 and _refused(answer):
            await self._store.security.withdraw(station, keys[0])
        elif keys:
            kind = SecurityEventKind.SECURITY_PARAMETERS
            await self._security.raise_event(kind, station, "its password is changed")

    async def failed(self, station: str, keys: list[int], failed: CommandFailed) -> None:
        """No usable answer: a station that answered with an error has not taken the key; otherwise nobody knows."""
        if failed.state is CommandState.REJECTED or failed.code in ("NotConnected", "NotSupportedByStation"):
            for key in keys:
                await self._store.security.withdraw(station, key)

    def on_event(self, event: object, send: Send) -> None:
        """News: a station that may be given its first key has booted, and waits."""
        if isinstance(event, StationBooted) and event.status is BootStatus.PENDING:
            station = self._switchboard.station(event.station.id)
            if station is not None and station.enrolling:
                run_guarded(lambda: self.enrol(event.station.id, send), self.log)

    async def enrol(self, id: str, send: Send) -> None:
        """Give a station its first password, then ask it to boot again."""
        record = await send(id, SetPassword(generate_password()), origin="enrolment")
        station = self._switchboard.station(id)
        if station is None:
            return
        if record.state not in (CommandState.EFFECTIVE, CommandState.ACCEPTED):
            text = f"it was not given a password ({record.error or record.state}): set one by hand, csms station password {id}"
            await self._security.raise_event(SecurityEventKind.ENROLMENT_FAILED, id, text)
            return
        await self._store.security.allow_enrolment(id, None)
        station.enrolling = False
        self.log.info("{station} was given its password", station=id)
        await send(id, TriggerMessage("BootNotification"), origin="enrolment")


def _refused(answer: CommandAnswer) -> bool:
    """Whether an answer can only mean that the key was refused: one about several variables may have refused another of them."""
    payload = answer.payload or {}
    results = payload.get("setVariableResult", [payload])
    if not isinstance(results, list) or len(results) != 1:
        return False
    status = results[0].get("attributeStatus", results[0].get("status", ""))
    return status not in ("", "Accepted", "RebootRequired")
