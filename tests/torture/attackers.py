"""Clients that mean harm, or are broken: each goes on until it is told to stop, from an address of its own where the system has more than one."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import ssl
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from over_tls import Door, authorization
from raw_socket import BINARY, DEFLATE, TEXT, Gone, RawSocket, deflated, frame
from server_process import HOST

ADDRESS = ("127.0.0.2", 0) if sys.platform == "linux" else None
BOOT = [2, "boot", "BootNotification", {"reason": "PowerUp", "chargingStation": {"model": "Bad", "vendorName": "Test"}}]
HEARTBEAT = '[2,"%d","Heartbeat",{}]'
GIVES_UP_S = 3.0
RAVING = 20
NOTHING: Mapping[str, str] = {}
BOMB = 64 << 20
GARBAGE = (
    frame(TEXT, b"\xff\xfe\x80 not UTF-8"),
    frame(TEXT, b"[" * 100_000),
    frame(TEXT, b'[2,"1","Heartbeat",{}', fin=False),
    frame(BINARY, b"binary"),
    frame(TEXT, b"", length=1 << 40),
    frame(3, b"reserved"),
    b"\x81\x05plain",
    bytes(300),
)


class Attacker(RawSocket):
    """A raw socket from the attackers' address."""

    @classmethod
    async def connect(cls, port: int, context: ssl.SSLContext | None = None) -> Attacker:
        """A TCP connection and no more, or a TLS connection."""
        return cls(*await asyncio.open_connection(HOST, port, ssl=context, local_addr=ADDRESS))

    async def send(self, data: bytes) -> None:
        """Bytes as they are; raises Gone."""
        if self._writer.is_closing():
            raise Gone
        await super().send(data)


@dataclass(slots=True)
class Attack:
    """What the attackers share: where, until when, by which dice, and how often each did what."""

    door: Door
    victim: str
    password_victim: str
    chance: random.Random
    over: asyncio.Event = field(default_factory=asyncio.Event)
    done: Counter[str] = field(default_factory=Counter)
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def connect(self) -> Attacker:
        """A connection and no more."""
        return await Attacker.connect(self.door.port, self.door.context)

    async def upgrade(self, name: str, headers: Mapping[str, str]) -> RawSocket:
        """A connection of this name after its handshake, whatever came of it."""
        door = self.door
        return await Attacker.upgrade(door.port, f"/ocpp/{name}", headers=headers, context=door.context)

    async def station(self, name: str, headers: Mapping[str, str] = NOTHING) -> Any:
        """A connection that is through its handshake and has booted, as any station would; None if it was refused."""
        socket = await self.upgrade(name, self.door.headers(name) | headers)
        if socket.status != 101:
            socket.close()
            return None
        await socket.say(BOOT)
        return socket

    async def rest(self, seconds: float) -> None:
        """Wait, at most until the attack is over."""
        try:
            async with asyncio.timeout(seconds):
                await self.over.wait()
        except TimeoutError:
            return


async def silent(attack: Attack) -> None:
    """Connects and says nothing; where TLS is spoken every second does not even begin that."""
    bare = attack.chance.random() < 0.5
    socket = await (Attacker.connect(attack.door.port) if bare else attack.connect())
    await attack.rest(GIVES_UP_S)
    socket.close()


async def dripping(attack: Attack) -> None:
    """A handshake, one byte at a time."""
    socket = await attack.connect()
    for byte in b"GET /ocpp/DRIP HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 1000:
        await socket.send(bytes((byte,)))
        await attack.rest(0.05)
        if attack.over.is_set():
            break
    socket.close()


async def flooding(attack: Attack) -> None:
    """A valid station that says as much as the socket takes, and reads the answers."""
    socket = await attack.station("FLOOD")
    if socket is None:
        return
    reading = asyncio.create_task(socket.end())
    while not attack.over.is_set() and not reading.done():
        burst = b"".join(frame(TEXT, (HEARTBEAT % next(attack.ids)).encode()) for _ in range(50))
        attack.done["flood frames"] += 50
        sending = asyncio.create_task(socket.send(burst))
        await asyncio.wait({sending, reading}, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
        if not sending.done():
            sending.cancel()
            await attack.rest(1.0)
        (failed,) = await asyncio.gather(sending, return_exceptions=True)
        if isinstance(failed, Gone):
            break
    reading.cancel()
    socket.close()


async def deaf(attack: Attack) -> None:
    """A valid station that asks for answers and never reads one."""
    socket = await attack.station("DEAF")
    if socket is None:
        return
    burst = b"".join(frame(TEXT, (HEARTBEAT % next(attack.ids)).encode()) for _ in range(200))
    while not attack.over.is_set():
        try:
            async with asyncio.timeout(1.0):
                await socket.send(burst)
        except TimeoutError:
            await attack.rest(1.0)
    socket.close()


async def guessing(attack: Attack) -> None:
    """Wrong passwords for a station that has one, and for one that nobody knows."""
    for name in (attack.password_victim, f"GUESS-{attack.chance.randrange(1000)}"):
        socket = await attack.upgrade(name, authorization(name, f"{attack.chance.getrandbits(64):016x}"))
        attack.done[f"guesses answered {socket.status}"] += 1
        socket.close()


async def doubling(attack: Attack) -> None:
    """Wants to be a station that is connected already."""
    socket = await attack.upgrade(attack.victim, NOTHING)
    attack.done[f"doubles answered {socket.status}"] += 1
    socket.close()
    await attack.rest(0.2)


async def raving(attack: Attack) -> None:
    """Something that is no message, from a valid station."""
    socket = await attack.station(f"RAVE-{attack.chance.randrange(RAVING)}")
    if socket is not None:
        await socket.send(attack.chance.choice((*GARBAGE, attack.chance.randbytes(attack.chance.randrange(1, 2000)))))
        await attack.rest(attack.chance.uniform(0.0, 0.1))
        socket.close()
    attack.done["garbage"] += 1


async def bombing(attack: Attack) -> None:
    """A little that becomes much when it is inflated."""
    socket = await attack.station("BOMB", headers=DEFLATE)
    if socket is not None:
        await socket.send(frame(TEXT, BOMB_FRAME, compressed=True))
        attack.done[f"bombs closed with {await socket.end()}"] += 1
        socket.close()
    await attack.rest(0.5)


async def mute(attack: Attack) -> None:
    """Boots and lives, but never answers a command."""
    socket = await attack.station("MUTE")
    if socket is None:
        return
    reading = asyncio.create_task(socket.end())
    await attack.over.wait()
    reading.cancel()
    socket.close()


async def lying(attack: Attack) -> None:
    """Answers commands with other ids, twice, against the schema, late."""
    socket = await attack.station("LIAR")
    while socket is not None and not attack.over.is_set():
        message = await socket.hear()
        if message[0] != 2:
            continue
        attack.done["lies"] += 1
        lies: tuple[Any, ...] = (
            [3, "other", {"status": "Accepted"}],
            [3, message[1], {"status": 7}],
            [3, message[1], {"status": "Accepted"}],
            [4, message[1], "x" * 5000, None, []],
            [3, message[1]],
        )
        for lie in attack.chance.sample(lies, 3):
            await socket.say(json.dumps(lie))


Kind = Callable[[Attack], Awaitable[None]]
KINDS: tuple[tuple[Kind, int], ...] = (
    (silent, 10),
    (dripping, 10),
    (flooding, 1),
    (deaf, 1),
    (guessing, 2),
    (doubling, 1),
    (raving, 4),
    (bombing, 1),
    (mute, 1),
    (lying, 1),
)
"""Each kind, and how many of it at once."""
VALID = ("FLOOD", "DEAF", "BOMB", "MUTE", "LIAR", *(f"RAVE-{number}" for number in range(RAVING)))
"""The attackers that are stations as far as their handshake goes."""
BOMB_FRAME = deflated(b" " * BOMB)


async def again_and_again(kind: Kind, attack: Attack) -> None:
    """One attacker: whatever becomes of a connection, there is another."""
    while not attack.over.is_set():
        try:
            await kind(attack)
        except (Gone, OSError, TimeoutError, asyncio.IncompleteReadError):
            attack.done[f"{kind.__name__} thrown out"] += 1
        await attack.rest(0.05)
