"""Which connection holds a station. The fence grows with each connection and never shrinks, so that an older one can be told apart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from peewee import EXCLUDED, SQL

from csms.store.columns import micros
from csms.store.connections import Readers, WritingConnection
from csms.store.faults import Fenced
from csms.store.statements import ONE, Q, compiled
from csms.store.tables import Presence
from csms.store.writer import Writer

ATTACH = compiled(
    Presence.insert({Presence.station: Q, Presence.node: Q, Presence.fence: ONE, Presence.since: Q, Presence.seen: Q})
    .on_conflict(
        conflict_target=[Presence.station],
        update={
            Presence.prev_node: Presence.node,
            Presence.node: EXCLUDED.node,
            Presence.fence: Presence.fence + ONE,
            Presence.since: EXCLUDED.since,
            Presence.seen: EXCLUDED.seen,
        },
    )
    .returning(Presence.fence, Presence.prev_node)
)
LEFT = {Presence.node: SQL("NULL"), Presence.prev_node: Presence.node}
DETACH = compiled(
    Presence.update({**LEFT, Presence.seen: Q}).where(Presence.station == Q, Presence.node == Q, Presence.fence == Q)
)
LEAVE = compiled(Presence.update(LEFT).where(Presence.node == Q))
FENCE = compiled(Presence.select(Presence.fence).where(Presence.station == Q))
ONLINE = compiled(Presence.select(Presence.station).where(Presence.node.is_null(False)).order_by(Presence.station))


@dataclass(frozen=True, slots=True)
class Attached:
    """A claim on a station: higher than any before it; ``previous_node`` held it until now, or is None."""

    fence: int
    previous_node: str | None


class PresenceRows:
    """Presence of stations on this node and others."""

    def __init__(self, readers: Readers, writer: Writer, node: str) -> None:
        self._readers = readers
        self._writer = writer
        self._node = node

    async def attach(self, station: str, at: datetime) -> Attached:
        """Claim a station for a new connection of this node."""
        values = (station, self._node, micros(at), micros(at))

        def unit(connection: WritingConnection) -> Attached:
            attached = Attached(*connection.execute(ATTACH, values).fetchone())
            connection.fences[station] = attached.fence
            return attached

        return await self._writer.submit(unit)

    async def detach(self, station: str, fence: int, at: datetime) -> bool:
        """The connection with this fence is gone; False if a newer one holds the station, which stays online then."""
        values = (micros(at), station, self._node, fence)
        return await self._writer.submit(lambda connection: connection.execute(DETACH, values).rowcount == 1)

    async def online(self) -> list[str]:
        """The stations that some node holds, by identity."""
        return await self._readers.threaded(lambda connection: [row[0] for row in connection.execute(ONLINE)])

    async def leave(self) -> None:
        """Nobody is connected to this node: it has just started."""
        await self._writer.submit(lambda connection: connection.execute(LEAVE, (self._node,)).rowcount)


def refuse_older(connection: WritingConnection, station: str, fence: int) -> None:
    """Raise Fenced if a newer connection of the station exists; fence 0 speaks for no connection and may always write."""
    if outdated(connection, station, fence):
        raise Fenced(station, fence, _newest(connection, station))


def outdated(connection: WritingConnection, station: str, fence: int) -> bool:
    """Whether a newer connection of the station exists than the one with this fence; there is none that is newer than fence 0."""
    return bool(fence) and (connection.fences.get(station) or _newest(connection, station)) > fence


def _newest(connection: WritingConnection, station: str) -> int:
    row = connection.execute(FENCE, (station,)).fetchone()
    connection.fences[station] = newest = int(row[0]) if row else 0
    return newest
