"""The functions of expressions. Those in ``FUNCTIONS`` see their arguments alone, those in ``CONTEXTUAL`` the names of the event too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from csms_plugins.flow.operators import glob, is_number

Names = Mapping[str, Any]


def _len(value: Any) -> int | None:
    return len(value) if isinstance(value, str | list | tuple | dict) else None


def _lower(value: Any) -> str | None:
    return value.lower() if isinstance(value, str) else None


def _startswith(value: Any, start: Any) -> bool:
    return isinstance(value, str) and isinstance(start, str) and value.startswith(start)


def _any(*values: Any) -> bool:
    return any(any(one) if isinstance(one, list | tuple) else one for one in values)


def _count(value: Any) -> int:
    """How many parts of a list hold something; 1 or 0 for what is no list."""
    return sum(
        1 for one in (value if isinstance(value, list | tuple) else [value]) if one is not None and one is not False
    )


def _last(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return value[-1] if value else None
    return value


def _sum(*values: Any) -> Any:
    """The sum of all numbers; ``none`` if there is none."""
    flat = [one for value in values for one in (value if isinstance(value, list | tuple) else [value])]
    numbers = [one for one in flat if is_number(one)]
    try:
        return sum(numbers) if numbers else None
    except OverflowError:
        return None


def _age(names: Names, value: Any) -> float | None:
    """How many seconds ago a time was."""
    now = names.get("now")
    if not isinstance(value, str) or not isinstance(now, dict):
        return None
    try:
        at = datetime.fromisoformat(value)
        return float(now["unix"] - (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError, KeyError, TypeError):
        return None


def _meter(names: Names, measurand: Any, phase: Any = "") -> Any:
    """The newest reading of a measurand in the event's meter values."""
    msg, event = names.get("msg"), names.get("event")
    found = None
    for holder in (event, msg):
        values = (holder.get("meter_values") or holder.get("values")) if isinstance(holder, dict) else None
        for one in values if isinstance(values, list) else ():
            for sample in one.get("sampled") or () if isinstance(one, dict) else ():
                if (
                    isinstance(sample, dict)
                    and sample.get("measurand") == measurand
                    and sample.get("phase", "") == phase
                ):
                    found = sample.get("value")
    return found


def _has_tag(names: Names, tag: Any) -> bool:
    station = names.get("station")
    tags = station.get("tags") if isinstance(station, dict) else None
    return isinstance(tags, list | tuple) and tag in tags


def _new_request_id(names: Names) -> int | None:
    """A number for a request that is told apart by one; the same one when the same step is tried again after a crash."""
    run = names.get("run")
    number = run.get("request_id") if isinstance(run, dict) else None
    return number if isinstance(number, int) else None


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "len": _len,
    "lower": _lower,
    "glob": glob,
    "startswith": _startswith,
    "count": _count,
    "last": _last,
    "sum": _sum,
    "any": _any,
}
CONTEXTUAL: Mapping[str, Callable[..., Any]] = {
    "age": _age,
    "meter": _meter,
    "has_tag": _has_tag,
    "new_request_id": _new_request_id,
}
ARGUMENTS: Mapping[str, tuple[int, int]] = {
    "len": (1, 1),
    "lower": (1, 1),
    "glob": (2, 2),
    "startswith": (2, 2),
    "count": (1, 1),
    "last": (1, 1),
    "sum": (1, 20),
    "any": (0, 20),
    "age": (1, 1),
    "meter": (1, 2),
    "has_tag": (1, 1),
    "new_request_id": (0, 0),
}
"""The fewest and the most arguments of each."""
