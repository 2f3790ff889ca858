"""What the HTTP API is given: the rooms of the house it may enter, and of each only the doors it uses.

Built in the composition root. The protocols here are the whole of what the API asks of the store, the blocks, the switchboard and the plugins.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource

from csms.config import Site
from csms.model.billing import Bill, BillChange
from csms.model.commands import CommandRecord
from csms.model.explanation import Explanation
from csms.model.metering import MeterValue
from csms.model.people import ApiKey, Caller, Person, Role
from csms.model.reloading import SiteReloaded
from csms.model.station import StationRecord
from csms.model.transactions import Transaction
from csms.web.metrics import Metrics
from csms.web.store_rooms import AuditRows, DoneRows, StoreRoom


class BillsRoom(Protocol):
    """What people decide about bills; each raises BillRefused, and gives what was written."""

    async def release(self, id: int, *, by: str, reason: str, change: BillChange) -> Sequence[Bill]: ...
    async def write_off(self, id: int, *, by: str, reason: str) -> Sequence[Bill]: ...
    async def correct(self, id: int, *, by: str, reason: str, change: BillChange) -> Sequence[Bill]: ...
    async def cancel(self, id: int, *, by: str, reason: str) -> Sequence[Bill]: ...


class DeliveriesRoom(Protocol):
    """The way of bills to backends."""

    async def again(self, bill: int) -> int: ...


class UploadsRoom(Protocol):
    """The files that stations left."""

    def file(self, name: str) -> Path: ...
    async def remove(self, id: int) -> bool: ...


class ProvisioningRoom(Protocol):
    """What operators change about stations."""

    async def provision(
        self,
        id: str,
        *,
        approved: bool | None = None,
        blocked: bool | None = None,
        password: str | None = None,
        heartbeat_interval_s: int | None = None,
        security_profile: int | None = None,
    ) -> StationRecord: ...
    async def remove(self, id: str) -> bool: ...
    def generate_password(self) -> str: ...


class CommandsRoom(Protocol):
    """Orders to stations; none of these raises for a station's refusal or silence."""

    async def submit(self, station: str, command: object, *, origin: str) -> CommandRecord: ...
    async def finished(self, id: int, seconds: float) -> CommandRecord | None: ...
    async def call(self, station: str, action: str, payload: dict[str, Any], *, origin: str) -> CommandRecord: ...


class NotificationsRoom(Protocol):
    """Telling people."""

    def channels(self) -> Mapping[str, str]: ...
    async def notify(
        self, channel: str, text: str, *, level: str = "info", title: str = "", station: str = "", origin: str = ""
    ) -> bool: ...
    async def retry(self, id: int) -> bool: ...


class ConnectedStation(Protocol):
    """A station whose socket is open here."""

    @property
    def protocol(self) -> str: ...


class SwitchboardRoom(Protocol):
    """Who is connected."""

    def station(self, id: str) -> ConnectedStation | None: ...
    @property
    def count(self) -> int: ...


class PluginsRoom(Protocol):
    """The plugins: how they are, and the web resources they offer by ``<plugin>/<path>``."""

    def report(self) -> list[dict[str, Any]]: ...
    @property
    def web(self) -> Mapping[str, IResource]: ...


class PeopleRoom(Protocol):
    """Who may call."""

    async def caller(self, bearer: str) -> Caller | None: ...
    async def make_key(
        self, name: str, role: Role, sites: tuple[str, ...], expires: datetime | None, *, by: str
    ) -> tuple[str, ApiKey]: ...
    async def revoke(self, key: int) -> bool: ...
    async def log_in(self, name: str, password: str, address: str) -> tuple[str, ApiKey] | None: ...
    async def put_person(self, person: Person, password: str | None) -> None: ...
    async def change_password(self, caller: Caller, old: str, new: str, address: str) -> bool: ...


@dataclass(frozen=True)
class Rooms:
    """Everything the API works with.

    ``readings`` decodes the meter values of one stored event; ``explain`` tells a transaction's story; ``site_of`` says to which site a station
    belongs. ``audit`` and ``done_requests`` are the server's own, whoever calls.
    """

    site: Site
    store: StoreRoom
    people: PeopleRoom
    audit: AuditRows
    done_requests: DoneRows
    site_of: Callable[[str], str]
    stations: ProvisioningRoom
    commands: CommandsRoom
    notifications: NotificationsRoom
    reload: Callable[[], Awaitable[SiteReloaded]]
    switchboard: SwitchboardRoom
    bills: BillsRoom
    deliveries: DeliveriesRoom
    uploads: UploadsRoom
    readings: Callable[[Any], list[MeterValue]]
    explain: Callable[[Transaction], Awaitable[Explanation]]
    plugins: PluginsRoom
    metrics: Metrics
    now: Callable[[], datetime]
    clock: IReactorTime
