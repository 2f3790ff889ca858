"""The plain WebSocket frame, pure: one whole unfragmented, uncompressed text message. Everything else is Autobahn's to understand."""

from __future__ import annotations

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without a compiled wheel
    from websockets.utils import apply_mask

TEXT_FINAL = 0x81
MASKED = 0x80


def whole_text(data: bytes, longest: int) -> bytes | None:
    """The payload, if these bytes are exactly one masked text frame of at most so many bytes in UTF-8; None for anything else."""
    if len(data) < 6 or data[0] != TEXT_FINAL or not data[1] & MASKED:
        return None
    length = data[1] & 0x7F
    if length < 126:
        start = 6
    elif length == 126 and len(data) >= 8:
        length = int.from_bytes(data[2:4], "big")
        start = 8
        if length < 126:
            return None
    else:
        return None
    if len(data) != start + length or length > longest:
        return None
    return _unmask(data[start:], data[start - 4 : start]) if length else None


def unmasked(payload: bytes) -> bytes:
    """A server's text frame."""
    length = len(payload)
    if length < 126:
        return bytes((TEXT_FINAL, length)) + payload
    if length < 65536:
        return bytes((TEXT_FINAL, 126)) + length.to_bytes(2, "big") + payload
    return bytes((TEXT_FINAL, 127)) + length.to_bytes(8, "big") + payload


def _unmask(payload: bytes, mask: bytes) -> bytes | None:
    plain = apply_mask(payload, mask)
    if plain.isascii():
        return plain
    try:
        plain.decode()
    except UnicodeDecodeError:
        return None
    return plain
