"""A WebSocket client that can misbehave: a plain TCP socket with hand-made frames, so that every wrong byte can be sent.

Knows the frame format of RFC 6455 and nothing of OCPP beyond the subprotocol's name.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server_process import HOST

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
ANSWER_S = 8.0
DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate"}


class Gone(Exception):
    """The server closed the TCP connection."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame from the server."""

    opcode: int
    payload: bytes
    compressed: bool = False

    @property
    def close_code(self) -> int:
        """The code in a close frame."""
        assert self.opcode == CLOSE, f"not a close frame: {self}"
        return int(struct.unpack("!H", self.payload[:2])[0])


def frame(
    opcode: int, payload: bytes, *, fin: bool = True, compressed: bool = False, length: int | None = None
) -> bytes:
    """A masked frame; ``length`` is what its head claims when that is not the truth."""
    claimed = len(payload) if length is None else length
    first = (0x80 if fin else 0) | (0x40 if compressed else 0) | opcode
    if claimed < 126:
        head = struct.pack("!BB", first, 0x80 | claimed)
    elif claimed < 65536:
        head = struct.pack("!BBH", first, 0x80 | 126, claimed)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, claimed)
    mask = os.urandom(4)
    key = int.from_bytes(mask * (len(payload) // 4 + 1), "big") >> 8 * (4 - len(payload) % 4)
    masked = (int.from_bytes(payload, "big") ^ key).to_bytes(len(payload), "big")
    return head + mask + masked


def deflated(payload: bytes) -> bytes:
    """What permessage-deflate makes of a message."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


class RawSocket:
    """One TCP connection to the stations' port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._inflate = zlib.decompressobj(-15)
        self.status = 0
        self.headers: dict[str, str] = {}

    @classmethod
    async def connect(cls, port: int, context: ssl.SSLContext | None = None) -> RawSocket:
        """A TCP connection and no more, or a TLS connection."""
        return cls(*await asyncio.open_connection(HOST, port, ssl=context))

    @classmethod
    async def upgrade(
        cls,
        port: int,
        path: str,
        *,
        protocols: str | None = "ocpp2.0.1",
        headers: Mapping[str, str] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> RawSocket:
        """A connection after its handshake, whatever came of it: look at ``status`` and ``headers``."""
        made = await cls.connect(port, context)
        given = {
            "Host": f"{HOST}:{port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
            **({"Sec-WebSocket-Protocol": protocols} if protocols is not None else {}),
            **(headers or {}),
        }
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
        await made.send("\r\n".join(lines).encode())
        await made.read_head()
        return made

    async def read_head(self) -> None:
        """Read the answer to the handshake into ``status`` and ``headers``; raises Gone."""
        try:
            head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), ANSWER_S)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Gone from None
        first, *rest = head.decode("latin-1").strip().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)
        }

    async def send(self, data: bytes) -> None:
        """Bytes as they are; a server that is gone does not matter here, reading will tell."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError:
            pass

    async def say(self, message: object) -> None:
        """One text message: JSON, or text as it is."""
        text = message if isinstance(message, str) else json.dumps(message)
        await self.send(frame(TEXT, text.encode("utf-8", "surrogatepass")))

    async def read(self) -> Frame:
        """The next frame, inflated, pings answered on the way; raises Gone or TimeoutError."""
        while True:
            got = await asyncio.wait_for(self._frame(), ANSWER_S)
            if got.compressed:
                return Frame(got.opcode, self._inflate.decompress(got.payload + b"\x00\x00\xff\xff"))
            if got.opcode != PING:
                return got
            await self.send(frame(PONG, got.payload))

    async def hear(self) -> Any:
        """The next message, as JSON."""
        got = await self.read()
        assert got.opcode == TEXT, f"expected a message, got {got}"
        return json.loads(got.payload)

    async def end(self) -> int | None:
        """Read until the connection is closed by the server; the code of its close frame, None if it sent none."""
        code = None
        while True:
            try:
                got = await self.read()
            except Gone:
                return code
            if got.opcode == CLOSE:
                code = got.close_code
                await self.send(frame(CLOSE, got.payload[:2]))

    def close(self) -> None:
        """Cut the TCP connection."""
        self._writer.close()

    async def _frame(self) -> Frame:
        try:
            first, second = await self._reader.readexactly(2)
            length = second & 0x7F
            if length >= 126:
                length = int.from_bytes(await self._reader.readexactly(2 if length == 126 else 8), "big")
            return Frame(first & 0x0F, await self._reader.readexactly(length), bool(first & 0x40))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Gone from None
