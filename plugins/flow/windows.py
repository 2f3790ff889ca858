"""Windows of the day: from, to, days, in a time zone; over midnight, and right on the days when clocks are changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Window:
    """Open from a minute of the day until another one; one that ends before it begins goes over midnight and belongs to the day it began on."""

    name: str
    begin: int
    end: int
    days: frozenset[int]
    zone: ZoneInfo

    def holds(self, now: datetime) -> bool:
        """Whether the window is open; wall time in its zone decides, so that a night has 23 or 25 hours when clocks are changed."""
        local = now.astimezone(self.zone)
        minute, today = local.hour * 60 + local.minute, local.weekday()
        if self.begin < self.end:
            return today in self.days and self.begin <= minute < self.end
        yesterday = (local - timedelta(days=1)).weekday()
        return (today in self.days and minute >= self.begin) or (yesterday in self.days and minute < self.end)

    @property
    def never(self) -> bool:
        """Whether it never opens."""
        return not self.days

    def __str__(self) -> str:
        days = "" if len(self.days) == 7 else f" {','.join(DAYS[day] for day in sorted(self.days))}"
        return f"{self.name} ({clock(self.begin)}-{clock(self.end)}{days} {self.zone.key})"


def clock(minute: int) -> str:
    """A minute of the day as ``22:00``."""
    return f"{minute // 60:02}:{minute % 60:02}"


def minute_of(text: object) -> int | None:
    """The minute of the day of ``22:00``; None for anything else."""
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    minute = int(found[1]) * 60 + int(found[2]) if found else None
    return minute if minute is not None and minute <= 1440 else None


def window_of(name: str, table: Mapping[str, Any], zone: ZoneInfo) -> Window | str:
    """The window of a table, or what is wrong with it."""
    strange = sorted(set(table) - {"from", "to", "days", "tz"})
    if strange:
        return f"a window has from, to, days and tz, not {strange[0]}"
    begin, end = minute_of(table.get("from")), minute_of(table.get("to"))
    if begin is None or end is None:
        return 'a window has from and to, as in from = "22:00", to = "06:00"'
    days = table.get("days", list(DAYS))
    if not isinstance(days, list | tuple) or not all(day in DAYS for day in days):
        return f"days are a list of {', '.join(DAYS)}"
    if table.get("tz"):
        try:
            zone = ZoneInfo(str(table["tz"]))
        except Exception:
            return f"{table['tz']} is not the name of a time zone"
    return Window(name, begin, end, frozenset(DAYS.index(day) for day in days), zone)
