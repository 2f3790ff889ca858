"""Pieces of a long run in processes of their own, as many at a time as there are processors."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.pool import ThreadPool
from typing import TypeVar

Piece = TypeVar("Piece")
Told = TypeVar("Told")

FORK = multiprocessing.get_context("fork")
FORKING = threading.Lock()
"""No piece inherits the pipe of another."""


def processors() -> int:
    """How many pieces may run at a time."""
    return os.cpu_count() or 1


def side_by_side(
    live: Callable[[Piece], Told], pieces: Sequence[Piece], *, width: int, longest_s: float
) -> Iterator[tuple[Piece, Told | str]]:
    """What each piece tells, in the order in which they end; in its place a sentence, of one that died or hangs.

    None inherits memory of another. None begins when nobody listens any more.
    """
    with ThreadPool(width) as pool:
        yield from pool.imap_unordered(lambda piece: (piece, _in_a_process(live, piece, longest_s)), pieces)


def _in_a_process(live: Callable[[Piece], Told], piece: Piece, longest_s: float) -> Told | str:
    with FORKING:
        ours, theirs = FORK.Pipe(duplex=False)
        process = FORK.Process(target=_tell, args=(theirs, live, piece))
        process.start()
        theirs.close()
    try:
        return ours.recv() if ours.poll(longest_s) else "hangs"
    except EOFError:
        process.join()
        return f"died: exit code {process.exitcode}"
    finally:
        process.kill()
        process.join()


def _tell(told: Connection, live: Callable[[Piece], Told], piece: Piece) -> None:
    told.send(live(piece))
