"""A search of the message log from the newest frame to the oldest, a stretch of rows after the other, each in a reader's thread for a few hundredths
of a second: what a search costs the others does not depend on how much there is to search.

SQLite sorts out the rows whose bytes cannot fit; of the rest the frames are read one by one. Only stations have an index: the log is written all
the time, and searched now and then. Times are found by halving, since rows are in the order of time.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from csms.model.messages import FoundMessage, LoggedMessage, MessageKind, MessageQuery, MessagesFound
from csms.store.columns import micros, moment
from csms.store.connections import Readers
from csms.store.message_chunks import Piece, logged, pieces

PART_S = 0.25
"""How long one part of a search may work."""
STRETCH_S = 0.03
"""About how long a reader's thread is kept at a time."""
STRETCH = 2_000
"""Numbers in the first stretch; the next are longer or shorter, as time allows."""
SHORTEST, LONGEST = 100, 2**40
SLACK_US = 60_000_000
"""Rows of one flush, and of a busy moment, are not exactly in the order of time."""
OTHER_US = 600_000_000
"""An answer that came later than this, or a call that was made before, is another one with the same id."""
OTHER_ROWS = 60
"""Among so many rows of the station the call of an answer, or the answer to a call, is looked for."""
KINDS = {2: MessageKind.CALL, 3: MessageKind.RESULT, 4: MessageKind.ERROR}
ANSWERS = (MessageKind.RESULT, MessageKind.ERROR)
COLUMNS = '"id", "station", "first_at", "last_at", "count", "marks", "frames"'
FIRST_OF = 'SELECT "id", "first_at" FROM "message_chunk" WHERE "id" >= ? ORDER BY "id" LIMIT 1'
LAST_BELOW = 'SELECT "id" FROM "message_chunk" WHERE "id" < ? ORDER BY "id" DESC LIMIT 1'
LOWEST = 'SELECT "id" FROM "message_chunk" ORDER BY "id" LIMIT 1'
HIGHEST = 'SELECT "id", "id" + "count" FROM "message_chunk" ORDER BY "id" DESC LIMIT 1'
NEIGHBOURS = (
    f'SELECT * FROM (SELECT {COLUMNS} FROM "message_chunk" WHERE "station" = ? AND "id" {{side}} ? ORDER BY "id" {{order}} LIMIT {OTHER_ROWS}) '
    'WHERE instr("frames", ?) OR instr("frames", ?)'
)
LATER, EARLIER = NEIGHBOURS.format(side=">", order="ASC"), NEIGHBOURS.format(side="<", order="DESC")
ERROR_BEGINS = (b"[4", b"[ ", b"[\n", b"[\t", b"[\r")
"""How a frame may begin that is an error."""


class Parts(NamedTuple):
    """What a frame says of itself."""

    kind: MessageKind
    message_id: str | None = None
    action: str | None = None
    error_code: str | None = None
    payload: Any = None


class Stretch(NamedTuple):
    """What one stretch of rows gave: ``before`` is None when there is nothing below it."""

    found: list[FoundMessage]
    before: int | None
    searched_to: int | None
    span: int
    busy_s: float


async def searched(readers: Readers, query: MessageQuery, before: int, limit: int) -> MessagesFound:
    """One part of a search: at most so many frames, and as far as PART_S reaches."""
    search = Search(query)
    found: list[FoundMessage] = []
    busy_s, span, searched_to, onwards = 0.0, STRETCH, None, before
    while True:
        wanted = limit - len(found)
        stretch = await readers.threaded(
            lambda connection, at=onwards, span=span, wanted=wanted: search.stretch(connection, at, span, wanted)  # type: ignore[misc]
        )
        found += stretch.found
        busy_s += stretch.busy_s
        span = stretch.span
        searched_to = searched_to if stretch.searched_to is None else stretch.searched_to
        if stretch.before is None or len(found) >= limit or busy_s >= PART_S:
            break
        onwards = stretch.before
    return MessagesFound(tuple(found), stretch.before, None if searched_to is None else moment(searched_to))


class Search:
    """What is looked for, as SQL and as a test of one frame."""

    def __init__(self, query: MessageQuery) -> None:
        self._query = query
        self._kind = _kind(query)
        self._since = None if query.since is None else micros(query.since)
        self._until = None if query.until is None else micros(query.until)
        self._bounds: tuple[int, int] | None = None
        self._needles = _needles(query, self._kind)
        self._sql, self._values = self._statement()

    def _statement(self) -> tuple[str, list[Any]]:
        tests: list[str] = []
        values: list[Any] = []
        if self._query.stations:
            tests.append(f'"station" IN ({", ".join("?" * len(self._query.stations))})')
            values += self._query.stations
        if self._since is not None:
            tests.append('"last_at" >= ?')
            values.append(self._since)
        if self._until is not None:
            tests.append('"first_at" < ?')
            values.append(self._until)
        needles = [*self._needles, ERROR_BEGINS] if self._kind is MessageKind.ERROR else self._needles
        for needle in needles:
            tests.append("(" + " OR ".join(['instr("frames", ?)'] * len(needle)) + ")")
            values += needle
        more = "".join(f" AND {test}" for test in tests)
        return f'SELECT {COLUMNS} FROM "message_chunk" WHERE "id" >= ? AND "id" < ?{more} ORDER BY "id" DESC', values

    def stretch(self, connection: sqlite3.Connection, before: int, span: int, limit: int) -> Stretch:
        """Search the rows of about so many numbers below ``before``, unless enough is found or it takes too long.

        All at one moment of the file: retention may remove rows at any other.
        """
        connection.execute("BEGIN")
        try:
            return self._stretch(connection, before, span, limit)
        finally:
            connection.execute("COMMIT")

    def _stretch(self, connection: sqlite3.Connection, before: int, span: int, limit: int) -> Stretch:
        began = time.perf_counter()
        if self._bounds is None:
            self._bounds = self._ends(connection)
        lowest, highest = self._bounds
        before = min(before, highest)
        below = connection.execute(LAST_BELOW, (before,)).fetchone()
        if below is None or below[0] < lowest:
            return Stretch([], None, None, span, time.perf_counter() - began)
        # What lies below the stretch lies below its first row: a row's frames may have numbers beyond the stretch's lower end.
        start = max(lowest, min(before - span, below[0]))
        first, searched_to = connection.execute(FIRST_OF, (start,)).fetchone()
        found: list[FoundMessage] = []
        for row in connection.execute(self._sql, (first, before, *self._values)):
            for one in self._of_row(connection, row, before):
                found.append(one)
                if len(found) == limit:
                    return Stretch(found, one.message.id, micros(one.message.at), span, time.perf_counter() - began)
            if time.perf_counter() - began > PART_S:
                first, searched_to = row[0], row[2]
                break
        busy_s = time.perf_counter() - began
        span = min(span * 2, LONGEST) if busy_s < STRETCH_S else max(span // 2, SHORTEST)
        return Stretch(found, first if first > lowest else None, searched_to, span, busy_s)

    def _ends(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """The numbers between which there may be something: that of the first row, and one above those of the last."""
        low, last = connection.execute(LOWEST).fetchone(), connection.execute(HIGHEST).fetchone()
        if low is None:
            return 1, 0
        (lowest,), (highest, end) = low, last
        since = lowest if self._since is None else _first_at(connection, lowest, highest, self._since - SLACK_US)
        until = None if self._until is None else _first_at(connection, lowest, highest, self._until + SLACK_US)
        return end if since is None else since, end if until is None else until

    def _of_row(self, connection: sqlite3.Connection, row: Any, before: int) -> Iterator[FoundMessage]:
        """The frames of a row that fit, the newest first."""
        for piece in reversed(list(pieces(row))):
            if piece.id < before and self._may_fit(piece):
                parts = parts_of(piece.frame)
                if self._fits(parts):
                    made = self._made(connection, row, piece, parts)
                    if made is not None:
                        yield made

    def _may_fit(self, piece: Piece) -> bool:
        query = self._query
        if query.direction is not None and piece.direction != query.direction:
            return False
        if (self._since is not None and piece.at < self._since) or (
            self._until is not None and piece.at >= self._until
        ):
            return False
        return all(any(one in piece.frame for one in needle) for needle in self._needles)

    def _fits(self, parts: Parts) -> bool:
        query = self._query
        return (
            (self._kind is None or parts.kind is self._kind)
            and (query.message_id is None or parts.message_id == query.message_id)
            and (query.error_code is None or parts.error_code == query.error_code)
            and (query.action is None or parts.kind in ANSWERS or parts.action == query.action)
            and (query.transaction is None or _names(parts.payload, query.transaction))
        )

    def _made(self, connection: sqlite3.Connection, row: Any, piece: Piece, parts: Parts) -> FoundMessage | None:
        """The frame and its other side; None where it answers a call of another action than is wanted."""
        other, said = _other(connection, row, piece, parts) or (None, None)
        action = said.action if said is not None and parts.kind in ANSWERS else parts.action
        if self._query.action is not None and action != self._query.action:
            return None
        return FoundMessage(logged(row[1], piece), parts.kind, parts.message_id, action, parts.error_code, other)


def parts_of(frame: bytes) -> Parts:
    """A frame taken apart, as far as it is a message."""
    try:
        match orjson.loads(frame):
            case [2, str() as id, str() as action, *rest]:
                return Parts(MessageKind.CALL, id, action, payload=rest)
            case [3, str() as id, *rest]:
                return Parts(MessageKind.RESULT, id, payload=rest)
            case [4, str() as id, str() as code, *rest]:
                return Parts(MessageKind.ERROR, id, error_code=code, payload=rest)
    except ValueError:
        pass
    return Parts(MessageKind.OTHER)


def _kind(query: MessageQuery) -> MessageKind | None:
    """An error code belongs to errors; an action alone to calls."""
    if query.kind is None and query.error_code is not None:
        return MessageKind.ERROR
    return MessageKind.CALL if query.kind is None and query.action is not None else query.kind


def _needles(query: MessageQuery, kind: MessageKind | None) -> list[tuple[bytes, ...]]:
    """Bytes that a frame must have to fit; of each one some spellings."""
    quoted = [query.message_id, query.error_code, query.action if kind is MessageKind.CALL else None]
    needles = [_spellings(one) for one in quoted if one is not None]
    return needles + [_spellings(one, quoted=False) for one in (query.text, query.transaction) if one]


def _spellings(text: str, *, quoted: bool = True) -> tuple[bytes, ...]:
    """A text as it may stand in JSON: letters beyond ASCII as they are, or escaped; a part of one also as it was given."""
    whole = json.dumps(text, ensure_ascii=False), json.dumps(text)
    texts = whole if quoted else (text, *(one[1:-1] for one in whole))
    return tuple(dict.fromkeys(one.encode() for one in texts))


def _names(payload: Any, transaction: str) -> bool:
    """Whether a payload has this transaction's id somewhere: a text in 2.x, a number in 1.6."""
    match payload:
        case dict():
            own = payload.get("transactionId")
            same = isinstance(own, str | int) and str(own) == transaction
            return same or any(_names(inner, transaction) for inner in payload.values())
        case list():
            return any(_names(inner, transaction) for inner in payload)
    return False


def _other(connection: sqlite3.Connection, row: Any, piece: Piece, parts: Parts) -> tuple[LoggedMessage, Parts] | None:
    """The answer to a call or the call of an answer, if it is near."""
    if parts.message_id is None:
        return None
    later = parts.kind is MessageKind.CALL
    wanted = ANSWERS if later else (MessageKind.CALL,)
    if (found := _among(row, piece, parts, wanted, later=later)) is not None:
        return found
    needles = _spellings(parts.message_id)
    for near in connection.execute(LATER if later else EARLIER, (row[1], row[0], needles[0], needles[-1])):
        if (found := _among(near, piece, parts, wanted, later=later)) is not None:
            return found
    return None


def _among(
    row: Any, piece: Piece, parts: Parts, wanted: Sequence[MessageKind], *, later: bool
) -> tuple[LoggedMessage, Parts] | None:
    """The nearest frame of the row with the same id on the other side."""
    around = list(pieces(row))
    for one in around if later else reversed(around):
        if one.direction == piece.direction or (one.id > piece.id) is not later or abs(one.at - piece.at) > OTHER_US:
            continue
        said = parts_of(one.frame)
        if said.kind in wanted and said.message_id == parts.message_id:
            return logged(row[1], one), said
    return None


def _first_at(connection: sqlite3.Connection, low: int, last: int, at: int) -> int | None:
    """The number of the first row, of those from ``low`` to ``last``, that begins at this time or later; None if none does."""
    high = last
    while low <= high:
        middle = (low + high) // 2
        id, first_at = connection.execute(FIRST_OF, (middle,)).fetchone()
        if first_at < at:
            low = id + 1
        else:
            high = middle - 1
    return low if low <= last else None
