"""How the frames of one row of the message log are packed, and how they are read; knows no database.

A row's ``marks`` say of each frame when it came (microseconds after the row's ``first_at``), in which direction, and how many bytes it has:
``0<1032 812>19`` is a call of 1,032 bytes and, 812 microseconds later, our answer of 19.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from csms.model.messages import LoggedMessage
from csms.store.columns import moment

SIGNS: Final = {"in": "<", "out": ">"}
DIRECTIONS: Final = {sign: word for word, sign in SIGNS.items()}
Waiting = tuple[int, str, bytes]
Clean = Callable[[list[bytes]], list[bytes]]
Chunk = tuple[int, str, int, int, int, str, bytes]


class Piece(NamedTuple):
    """One frame as it lies in a row: number, microseconds since 1970, direction, bytes."""

    id: int
    at: int
    direction: str
    frame: bytes


def packed(id: int, station: str, waiting: list[Waiting], clean: Clean = list) -> Chunk:
    """The row of these frames, of which the first has the number ``id``; ``clean`` takes out of them what nobody may read."""
    frames = clean([one[2] for one in waiting])
    first = waiting[0][0]
    marks = " ".join([f"{at - first}{sign}{len(frame)}" for (at, sign, _), frame in zip(waiting, frames, strict=True)])
    return id, station, first, max(waiting)[0], len(frames), marks, b"".join(frames)


def pieces(row: Any) -> Iterator[Piece]:
    """The frames in a row."""
    id, _, first_at, _, _, marks, frames = row
    start = 0
    for number, mark in enumerate(marks.split(" ")):
        sign = "<" if "<" in mark else ">"
        since, _, size = mark.partition(sign)
        end = start + int(size)
        yield Piece(id + number, first_at + int(since), DIRECTIONS[sign], frames[start:end])
        start = end


def logged(station: str, piece: Piece) -> LoggedMessage:
    """A frame as everybody else knows it."""
    return LoggedMessage(piece.id, station, moment(piece.at), piece.direction, piece.frame.decode("utf-8", "replace"))


def logged_messages(row: Any) -> Iterator[LoggedMessage]:
    """The frames in a row."""
    return (logged(row[1], piece) for piece in pieces(row))
