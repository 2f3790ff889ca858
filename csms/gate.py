"""How a station comes in: who it is, whether it may, and what becomes of an older connection of the same name. Knows HTTP's words, and no socket.

Refusals are made in the handshake: the log is told why and what helps, the peer as little as possible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from twisted.internet import task
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from csms.blocks.door import Entry, Proof, refused
from csms.blocks.provisioning import Provisioning
from csms.blocks.security import Security
from csms.crowd import Crowd, Places
from csms.hooks import Hooks
from csms.model.security import ClientCertificate, SecurityEventKind
from csms.model.station import Handshake
from csms.ocpp.dialect import Dialect
from csms.refusals import Refusal
from csms.rounds import Round
from csms.socket_care import Limits, RefusedIdentity, basic_credentials, identity
from csms.stations import Answerer, Station
from csms.switchboard import Switchboard

LOG = Logger(namespace="csms.connection")
OLD_SOCKET_PING_S = 2.0
"""How long an older connection of the same station has to answer a ping before the new one replaces it."""
NO_GUESS = (Refusal.IDENTITY, Refusal.DUPLICATE, Refusal.PLUGIN, Refusal.BROWSER)
"""Refusals that say nothing of somebody who guesses."""


@dataclass(slots=True)
class StationGate:
    """Everything a socket needs from the house."""

    path: str
    dialects: Mapping[str, Dialect]
    limits: Limits
    hooks: Hooks
    security: Security
    provisioning: Provisioning
    switchboard: Switchboard
    answer: Answerer
    tell: Callable[[object], None]
    seen: Callable[[Station], None]
    logged: Callable[[str, str, bytes], None]
    now: Callable[[], Any]
    clock: IReactorTime
    round: Round[Station]
    crowd: Crowd = field(init=False)

    def __post_init__(self) -> None:
        limits = self.limits
        text = "too many connections without a handshake: {count} cut off, the last from {address}"
        places = Places(limits.max_unauthenticated, limits.max_unauthenticated_per_address, limits.max_waiting, text)
        self.crowd = Crowd(places, self.clock)

    def choose(self, offered: tuple[str, ...]) -> Dialect | None:
        """The first of our dialects, in our order, that the station offers."""
        return next((dialect for name, dialect in self.dialects.items() if name in offered), None)


class TurnedAway(Exception):
    """No way in: an HTTP status, and the words that the peer may read."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


@dataclass(frozen=True, slots=True)
class Visit:
    """A request to open a WebSocket, and where it came in."""

    path: str
    headers: Mapping[str, str]
    protocols: tuple[str, ...]
    peer: str
    address: str
    profiles: frozenset[int]
    certificate: Callable[[], ClientCertificate | None]


@dataclass(frozen=True, slots=True)
class Admitted:
    """A station that may come in; without a dialect only to be told so."""

    name: str
    entry: Entry
    dialect: Dialect | None
    fence: int = 0


class Entrance:
    """Decides about one visit."""

    def __init__(self, gate: StationGate, visit: Visit) -> None:
        self.name = ""
        self._gate = gate
        self._visit = visit

    async def admit(self) -> Admitted:
        """Who comes in; raises TurnedAway. A fault of ours is told to us, and the station may come back later."""
        try:
            return await self._admitted()
        except TurnedAway:
            raise
        except Exception as fault:
            if getattr(fault, "passing", False):
                LOG.warn(
                    "{station!r} from {peer} has to come back later: {why}",
                    station=self.name,
                    peer=self._visit.peer,
                    why=fault,
                )
            else:
                LOG.failure("bug: the handshake of {station!r} raised", station=self.name)
            raise TurnedAway(503, "Try again later") from None

    async def _admitted(self) -> Admitted:
        gate, visit = self._gate, self._visit
        if "origin" in visit.headers and not gate.limits.browsers:
            await self._refuse(refused(Refusal.BROWSER))
        try:
            self.name = identity(visit.path, gate.path)
        except RefusedIdentity as no:
            await self._refuse(refused(Refusal.IDENTITY, str(no)))
        entry = await gate.security.admit(*await self._shown())
        if not entry.admit:
            await self._refuse(entry)
        dialect = gate.choose(visit.protocols)
        if dialect is None:
            return Admitted(self.name, entry, None)
        if not await self._older_gives_way(entry):
            await self._refuse(refused(Refusal.DUPLICATE))
        return Admitted(self.name, entry, dialect, await gate.switchboard.fence(self.name))

    async def _shown(self) -> tuple[Handshake, Proof]:
        """What the station says of itself, and what proves it."""
        visit = self._visit
        credentials = basic_credentials(visit.headers)
        if credentials is not None and credentials[0] != self.name:
            await self._refuse(refused(Refusal.USER))
        tls = max(visit.profiles) >= 2
        handshake = Handshake(self.name, visit.peer, visit.protocols, credentials is not None, tls)
        password = credentials[1] if credentials else None
        return handshake, Proof(visit.profiles, password, visit.certificate() if tls else None)

    async def _refuse(self, entry: Entry) -> NoReturn:
        """Tell the log why, the peer as little as possible; an answer that costs too little to guess at waits."""
        refusal, security = entry.refusal or Refusal.UNKNOWN, self._gate.security
        LOG.info(
            "refused {station!r} from {peer}: {code}: {reason}; {cure}",
            station=self.name or self._visit.path[:100],
            peer=self._visit.peer,
            code=refusal.word,
            reason=entry.reason,
            cure=refusal.cure,
        )
        if refusal not in NO_GUESS:
            entry = await security.turned_away(entry, self.name, self._visit.address)
        if entry.wait_s:
            await task.deferLater(self._gate.clock, entry.wait_s)
        raise TurnedAway(entry.status, refusal.public if entry.status == refusal.status else "Refused")

    async def _older_gives_way(self, entry: Entry) -> bool:
        """A dead connection is replaced; one that lives stays for profiles 0 and 1, where a hijacker may come with a stolen password or none."""
        asked: Station | None = None
        while (older := self._gate.switchboard.station(self.name)) is not None and older is not asked:
            asked = older
            if not await older.alive(OLD_SOCKET_PING_S):
                continue
            wins = entry.profile.tls
            text = (
                f"a second connection from {self._visit.address}, while the one from {older.peer_address} is alive: "
                f"the {'newest' if wins else 'older'} stays"
            )
            kind = SecurityEventKind.DUPLICATE_IDENTITY
            await self._gate.security.raise_event(kind, self.name, text, address=self._visit.address)
            if not wins:
                return False
        return True
