"""A client's half of WebSocket in bytes, right and wrong, and the other side's frames read back."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
COMPRESSED = 0x40
MASK = b"\x5a\xc3\x17\x88"
KEY = int.from_bytes(MASK, "big")


class Broken(Exception):
    """Something happened that must not; the text says what."""


class Frame(NamedTuple):
    """One frame of the server."""

    opcode: int
    payload: bytes


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, bits: int = 0, masked: bool = True) -> bytes:
    """One frame; ``bits`` are the reserved ones."""
    return head(opcode, len(payload), fin=fin, bits=bits, masked=masked) + (_masked(payload) if masked else payload)


def head(opcode: int, length: int, *, fin: bool = True, bits: int = 0, masked: bool = True) -> bytes:
    """A frame's beginning that claims so many bytes."""
    first = bytes((0x80 * fin | bits | opcode,))
    mask, high = (MASK, 0x80) if masked else (b"", 0)
    if length < 126:
        return first + bytes((high | length,)) + mask
    if length < 65536:
        return first + bytes((high | 126,)) + length.to_bytes(2, "big") + mask
    return first + bytes((high | 127,)) + length.to_bytes(8, "big") + mask


def _masked(payload: bytes) -> bytes:
    length = len(payload)
    key = (MASK * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")


def deflated(payload: bytes) -> bytes:
    """A compressed text frame that stands for itself."""
    squeezing = zlib.compressobj(9, zlib.DEFLATED, -15)
    squeezed = squeezing.compress(payload) + squeezing.flush(zlib.Z_SYNC_FLUSH)
    return frame(TEXT, squeezed[:-4], bits=COMPRESSED)


class Inflow:
    """Reads what the server sent on one connection; a server's frames are whole and unmasked."""

    def __init__(self) -> None:
        self._inflating = zlib.decompressobj(-15)
        self._left = b""

    def read(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete; raises Broken for what no server may send."""
        data = self._left + data
        at = 0
        while (found := _parsed(data, at)) is not None:
            first, start, at = found
            payload = data[start:at]
            if first & 0xB0 != 0x80:
                raise Broken(f"the server sent the frame {data[start - 2 : at][:80]!r}")
            if first & COMPRESSED:
                payload = self._inflating.decompress(payload + b"\0\0\xff\xff")
            yield Frame(first & 0x0F, payload)
        self._left = data[at:]


def _parsed(data: bytes, at: int) -> tuple[int, int, int] | None:
    """First byte, start and end of the payload of the frame that begins at ``at``; None if it is not all there."""
    if len(data) < at + 2:
        return None
    length, start = data[at + 1], at + 2
    if length >= 128:
        raise Broken("the server masks a frame")
    if length >= 126:
        wide = 2 if length == 126 else 8
        length, start = int.from_bytes(data[start : start + wide], "big"), start + wide
    return (data[at], start, start + length) if len(data) >= start + length else None
