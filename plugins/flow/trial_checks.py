"""Whether a ``[[test]]`` is written as one: which keys a test, a station and a step have, and what each can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from csms_plugins.flow.files import Where, duration, suggestion
from csms_plugins.flow.windows import window_of

Finding = tuple[Where, str, str]


@dataclass(frozen=True, slots=True)
class Sort:
    """What a value can be: ``words`` for people, and the test."""

    words: str
    fits: Callable[[Any], bool]


def moment_of(value: object) -> datetime | None:
    """A moment as it stands in a test; None for anything else."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def zone_of(value: object) -> ZoneInfo | None:
    """A time zone by its name; None for anything else."""
    try:
        return ZoneInfo(value) if isinstance(value, str) and value else None
    except (OSError, ValueError, KeyError):
        return None


def _count(value: object) -> bool:
    return type(value) is int and 0 <= value <= 1000


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _tables(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


TEXT = Sort("a text", lambda value: isinstance(value, str) and value != "")
TEXTS = Sort("a list of texts", _texts)
TABLE = Sort("a table", lambda value: isinstance(value, dict))
TABLES = Sort("a list of tables", _tables)
SWITCH = Sort("true or false", lambda value: isinstance(value, bool))
COUNT = Sort("a number from 0 to 1000", _count)
PLAIN = Sort("a plain value", lambda value: not isinstance(value, dict | list))
MOMENT = Sort('a time, as in "2026-03-01T12:00:00Z"', lambda value: moment_of(value) is not None)
AT = Sort(
    'a time, as in "2026-03-01T12:00:00Z", or "2m" after the start',
    lambda value: duration(value) is not None or moment_of(value) is not None,
)
ZONE = Sort('the name of a time zone, as in "Europe/Berlin"', lambda value: zone_of(value) is not None)
STEPS = Sort('a list of tables, as in [ { at = "2m" } ]', lambda value: _tables(value) and bool(value))
EXPECTED = Sort("a text, or of a question a table", lambda value: isinstance(value, str | dict) and bool(value))
NONE_OF = Sort(
    "true, or what has not happened", lambda value: value is True or (isinstance(value, str) and value != "")
)

KEYS: Mapping[str, Sort] = {
    "name": TEXT, "note": TEXT, "preset": TEXT, "with": TABLE, "files": TEXTS, "start": MOMENT, "timezone": ZONE,
    "given": TABLE, "steps": STEPS,
}  # fmt: skip
GIVEN: Mapping[str, Sort] = {"stations": TABLES, "windows": TABLE}
STATION: Mapping[str, Sort] = {
    "id": TEXT, "protocol": TEXT, "connected": SWITCH, "vendor": TEXT, "model": TEXT, "firmware": TEXT, "active_tx": COUNT, "tags": TEXTS,
}  # fmt: skip
"""Everything else that a station is given is a flag."""
VERBS: Mapping[str, Sort] = {
    "event": TEXT, "ocpp": TEXT, "reply": TEXT, "ask": TEXT, "connect": TEXT, "lose": TEXT, "expect": EXPECTED,
    "expect_none": NONE_OF,
}  # fmt: skip
COMMON: Mapping[str, Sort] = {
    "at": AT, "station": TEXT, "with": TABLE, "silent": SWITCH, "times": COUNT, "text": TEXT, "outcome": TEXT, "answer": TABLE,
}  # fmt: skip


def findings(table: Mapping[str, Any], protocols: Sequence[str] = ()) -> Iterator[Finding]:
    """Every mistake in a test's table; versions are looked at when some are known."""
    yield from _kinds(table, KEYS, (), "a test")
    if "steps" not in table:
        yield (), "a test has steps", 'as in steps = [ { at = "2m" } ]'
    if "with" in table and "preset" not in table:
        yield ("with",), "with has the options of a preset, and the test names none", 'as in preset = "alert-gap"'
    given, steps = table.get("given"), table.get("steps")
    if isinstance(given, dict):
        yield from _given(given, zone_of(table.get("timezone")) or ZoneInfo("UTC"), protocols)
    for index, step in enumerate(steps if isinstance(steps, list) and _tables(steps) else ()):
        yield from _step(step, ("steps", index), protocols)


def _kinds(table: Mapping[str, Any], known: Mapping[str, Sort], where: Where, whose: str) -> Iterator[Finding]:
    for key, value in table.items():
        if key not in known:
            yield (*where, key), f"{whose} has no {key}", suggestion(key, tuple(known))
        elif not known[key].fits(value):
            yield (*where, key), f"{key} is {known[key].words}, not {value!r}", ""


def _given(given: Mapping[str, Any], zone: ZoneInfo, protocols: Sequence[str]) -> Iterator[Finding]:
    yield from _kinds(given, GIVEN, ("given",), "given")
    windows, stations = given.get("windows"), given.get("stations")
    for name, window in windows.items() if isinstance(windows, dict) else ():
        made = window_of(name, window, zone) if isinstance(window, dict) else "a window is a table"
        if isinstance(made, str):
            yield ("given", "windows", name), made, ""
    for index, station in enumerate(stations if isinstance(stations, list) and _tables(stations) else ()):
        where: Where = ("given", "stations", index)
        flags = dict.fromkeys((key for key in station if key.isidentifier()), PLAIN)
        yield from _kinds(station, {**flags, **STATION}, where, "a station")
        yield from _protocol(station, where, protocols)


def _step(step: Mapping[str, Any], where: Where, protocols: Sequence[str]) -> Iterator[Finding]:
    verbs = [key for key in step if key in VERBS]
    yield from _kinds(step, {**VERBS, **COMMON}, where, "a step")
    if len([verb for verb in verbs if verb != "expect" or "ask" not in step]) > 1 or not (verbs or "at" in step):
        yield where, f"a step has one of {', '.join(VERBS)}, or at", ""
    if "ask" not in step and isinstance(step.get("expect"), dict):
        yield (*where, "expect"), "only what a question is answered with is a table", 'as in expect = "Reset"'
    if "connect" in step and isinstance(step.get("with"), dict):
        yield from _protocol(step["with"], (*where, "with"), protocols)


def _protocol(table: Mapping[str, Any], where: Where, protocols: Sequence[str]) -> Iterator[Finding]:
    named = table.get("protocol")
    if isinstance(named, str) and protocols and named not in protocols:
        yield (*where, "protocol"), f"this server does not speak {named}", suggestion(named, protocols)
