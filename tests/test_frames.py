"""The short way reads what Autobahn would read, and leaves everything else alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.frames import unmasked, whole_text


def masked(payload: bytes, mask: bytes, first: int = 0x81) -> bytes:
    length = len(payload)
    head = bytes((first, 0x80 | length)) if length < 126 else bytes((first, 0xFE)) + length.to_bytes(2, "big")
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


@given(st.text(max_size=400).filter(bool), st.binary(min_size=4, max_size=4))
def test_a_whole_text_frame_is_read(text: str, mask: bytes) -> None:
    assert whole_text(masked(text.encode(), mask), 65536) == text.encode()


@given(st.binary(max_size=300))
def test_other_bytes_are_left_alone_or_are_such_a_frame(data: bytes) -> None:
    got = whole_text(data, 65536)
    assert got is None or data[0] == 0x81


@pytest.mark.parametrize(
    "data",
    [
        masked(b"half", b"abcd")[:-1],
        masked(b"two", b"abcd") * 2,
        masked(b"binary", b"abcd", 0x82),
        masked(b"begun", b"abcd", 0x01),
        masked(b"compressed", b"abcd", 0xC1),
        masked(b"ping", b"abcd", 0x89),
        masked(b"\xff\xfe", b"abcd"),
        masked(b"x" * 200, b"abcd"),
        bytes((0x81, 0xFE, 0, 3)) + b"abcd" + b"abc",
        bytes((0x81, 3)) + b"abc",
        b"",
    ],
)
def test_anything_else_goes_autobahns_way(data: bytes) -> None:
    assert whole_text(data, 100) is None


@given(st.binary(max_size=70_000))
def test_a_frame_of_ours_has_its_length(payload: bytes) -> None:
    frame = unmasked(payload)
    assert frame.endswith(payload)
    assert len(frame) - len(payload) == (2 if len(payload) < 126 else 4 if len(payload) < 65536 else 10)
