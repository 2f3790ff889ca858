"""Where the wall clock of a time zone passes an edge of a tariff, or jumps: a session is cut there, and each piece has one price. Knows no price."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def cuts(edges: Iterable[int], zone: ZoneInfo, begin: datetime, end: datetime) -> list[datetime]:
    """The moments between two times, in order, at which the clock shows an edge (minutes of a day) or is set forth or back."""
    minutes = sorted({edge % 1440 for edge in edges} | {0})
    found: set[datetime] = set()
    day, last = begin.astimezone(zone).date() - DAY, end.astimezone(zone).date() + DAY
    while day <= last:
        found.update(_passings(day, minutes, zone))
        found.update(_jumps(day, zone))
        day += DAY
    return sorted(moment for moment in found if begin < moment < end)


def pieces(begin: datetime, end: datetime, at: Sequence[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """The time between two moments, cut."""
    edges = [begin, *at[bisect_right(at, begin) : bisect_left(at, end)], end]
    yield from pairwise(edges)


def _passings(day: date, minutes: Iterable[int], zone: ZoneInfo) -> Iterator[datetime]:
    """An hour that comes twice is passed twice; of one that does not come at all the jump says what is needed."""
    for minute in minutes:
        wall = datetime.combine(day, time(minute // 60, minute % 60), zone)
        yield wall.astimezone(UTC)
        yield wall.replace(fold=1).astimezone(UTC)


def _jumps(day: date, zone: ZoneInfo) -> Iterator[datetime]:
    """The moment of this (UTC) day at which the clock is set forth or back, if there is one."""
    low = datetime.combine(day, time(), UTC)
    high = low + DAY
    after = high.astimezone(zone).utcoffset()
    if low.astimezone(zone).utcoffset() == after:
        return
    while high - low > SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == after:
            high = middle
        else:
            low = middle
    yield high
