"""Times of the day and the week in cron's five fields, in a time zone: minute, hour, day of the month, month, day of the week."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
LABELS = ("minute", "hour", "day of the month", "month", "day of the week")
FARTHEST_DAYS = 366 * 8
_PART = re.compile(r"(\*|[a-z0-9]+)(?:-([a-z0-9]+))?(?:/(\d+))?", re.ASCII)


class CronError(ValueError):
    """A text is not cron's; it says why."""


@dataclass(frozen=True, slots=True)
class Cron:
    """The moments that a cron text names, in a zone."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool
    zone: ZoneInfo

    def after(self, now: datetime) -> datetime | None:
        """The next moment after now, in UTC; None if there is none within eight years.

        A time that a change of clocks leaves out comes as much later as the change takes; one that comes twice is taken the first time, except
        when every hour is wanted.
        """
        day = now.astimezone(self.zone).date() - timedelta(days=1)
        for _ in range(FARTHEST_DAYS):
            if self._on(day.day, day.month, (day.weekday() + 1) % 7):
                moments = sorted(self._moments(datetime(day.year, day.month, day.day)))
                for moment in moments:
                    if moment > now:
                        return moment
            day += timedelta(days=1)
        return None

    def _on(self, day: int, month: int, weekday: int) -> bool:
        if month not in self.months:
            return False
        by_day, by_weekday = day in self.days, weekday in self.weekdays
        if self.any_day or self.any_weekday:
            return by_day and by_weekday
        return by_day or by_weekday

    def _moments(self, midnight: datetime) -> set[datetime]:
        folds = (0, 1) if len(self.hours) == 24 else (0,)
        return {
            midnight.replace(hour=hour, minute=minute, tzinfo=self.zone, fold=fold).astimezone(UTC)
            for hour in self.hours
            for minute in self.minutes
            for fold in folds
        }


def cron_of(text: object, zone: ZoneInfo) -> Cron:
    """The moments of a text such as ``0 3 * * mon-fri``; raises CronError."""
    parts = text.lower().split() if isinstance(text, str) else []
    if len(parts) != 5:
        raise CronError("cron has five fields: minute, hour, day of the month, month, day of the week")
    fields = [_field(part, index) for index, part in enumerate(parts)]
    weekdays = frozenset(day % 7 for day in fields[4])
    found = Cron(
        str(text), fields[0], fields[1], fields[2], fields[3], weekdays, parts[2] == "*", parts[4] == "*", zone
    )
    if found.after(datetime(2024, 1, 1, tzinfo=UTC)) is None:
        raise CronError(f"{text!r} names no day that there is")
    return found


def _field(text: str, index: int) -> frozenset[int]:
    low, high = RANGES[index]
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None or (match[1] == "*" and match[2]):
            raise CronError(f"{part!r} is no {LABELS[index]}")
        if match[1] == "*":
            first, last = low, high
        else:
            first = _number(match[1], index)
            last = _number(match[2], index) if match[2] else high if match[3] else first
        step = int(match[3] or 1)
        if first > last or step < 1:
            raise CronError(f"{part!r} is no {LABELS[index]}")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, index: int) -> int:
    low, high = RANGES[index]
    names = MONTHS if index == 3 else WEEKDAYS if index == 4 else ()
    if text in names:
        return names.index(text) + (1 if index == 3 else 0)
    if text.isdigit() and len(text) < 4 and low <= int(text) <= high:
        return int(text)
    raise CronError(f"{text!r} is no {LABELS[index]}: it goes from {low} to {high}")
