"""Reads what holds a rule back: windows, keys, limits, gates, modes, and who its stations are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from csms_plugins.flow.clauses import read_station
from csms_plugins.flow.events import STATION
from csms_plugins.flow.expressions import Expression
from csms_plugins.flow.files import suggestion
from csms_plugins.flow.reader import Reader
from csms_plugins.flow.rule import MODES, PER_S, RUNS, Gate, Limit
from csms_plugins.flow.shapes import BOOLEAN
from csms_plugins.flow.windows import Window, window_of

SWITCHES: Mapping[str, tuple[type, str]] = {
    "order": (int, "a number"),
    "enabled": (bool, "true or false"),
    "dry": (bool, "true or false"),
    "reentrant": (bool, "true or false"),
}


def read_limits(reader: Reader, table: Mapping[str, Any], rules: Sequence[str]) -> dict[str, Any]:
    """The parts of a rule that hold it back."""
    found: dict[str, Any] = {}
    if "limit" in table:
        found["limit"] = _limit(reader, table["limit"], rules)
    if "gate" in table:
        found["gate"] = _gate(reader, table["gate"])
    for key, name in (("cooldown", "cooldown_s"), ("for", "for_s")):
        if key in table:
            found[name] = reader.seconds(table[key], (key,))
    for key in ("during", "not_during"):
        if key in table:
            found[key] = _window(reader, key, table[key])
    if "mode" in table:
        if table["mode"] not in MODES:
            reader.wrong(("mode",), f"mode is never {table['mode']}", suggestion(table["mode"], MODES))
        found["mode"] = table["mode"]
    if "each" in table:
        found["each"] = _each(reader, table["each"])
    for key, (kind, words) in SWITCHES.items():
        if key in table:
            if type(table[key]) is not kind:
                reader.wrong((key,), f"{key} is {words}, not {table[key]!r}")
            found[key] = table[key]
    return found


def read_key(reader: Reader, value: object) -> tuple[Expression, ...]:
    """What makes two runs the same."""
    if value is None:
        return read_thing(reader)
    if not isinstance(value, str) or not value.strip():
        reader.wrong(("key",), "key is a text of paths", 'as in "station.id, status.evse"')
        return ()
    return tuple(one for text in value.split(",") if (one := reader.expression(text.strip(), ("key",))))


def read_thing(reader: Reader) -> tuple[Expression, ...]:
    """What tells two events of the rule apart by nature: the connector, the transaction, else the station."""
    keys = {kind.key for kind in reader.kinds.values()}
    texts = next(iter(keys)) if len(keys) == 1 else ("station.id",)
    return tuple(one for text in texts if (one := reader.expression(text, ("on",))))


def _limit(reader: Reader, value: object, rules: Sequence[str]) -> Limit:
    table = reader.table(value, ("limit",), ("runs", "per", "then"), 'as in { runs = 3, per = "24h" }')
    if table is None:
        return Limit()
    for key in ("runs", "per"):
        if key not in table:
            reader.wrong(("limit",), "limit has runs and per", 'as in { runs = 3, per = "24h" }')
    then = table.get("then", "")
    if then and then not in rules:
        cure = suggestion(then, tuple(rules)) if rules else 'a rule with on = "call"'
        reader.wrong(("limit", "then"), f'no rule on "call" is named {then}', cure)
    runs = reader.number(table.get("runs", RUNS), ("limit", "runs"), 1, 10000)
    per_s = reader.seconds(table["per"], ("limit", "per")) if "per" in table else PER_S
    return Limit(int(runs), per_s, str(then), own=True)


def _gate(reader: Reader, value: object) -> Gate | None:
    keys = ("at_once", "stop_after_failures", "per")
    table = reader.table(value, ("gate",), keys, 'as in { at_once = 5, stop_after_failures = 2, per = "7d" }')
    if table is None:
        return None
    if "at_once" not in table and "stop_after_failures" not in table:
        reader.wrong(("gate",), "gate has at_once or stop_after_failures", "as in { at_once = 5 }")
    at_once = reader.number(table.get("at_once", 0), ("gate", "at_once"), 0, 10000)
    failures = reader.number(table.get("stop_after_failures", 0), ("gate", "stop_after_failures"), 0, 10000)
    return Gate(int(at_once), int(failures), reader.seconds(table.get("per", "1d"), ("gate", "per")))


def _window(reader: Reader, key: str, value: object) -> Window | None:
    tables, zone = reader.words.windows(reader.raw.scope)
    if isinstance(value, dict):
        name, table = "window", value
    elif isinstance(value, str) and value in tables:
        name, table = value, dict(tables[value])
    else:
        cure = (
            suggestion(value, tuple(tables))
            if tables
            else 'write [window.night] from = "22:00" to = "06:00" in the site file'
        )
        reader.wrong((key,), f"no window is called {value}", cure)
        return None
    found = window_of(name, table, zone)
    if isinstance(found, str):
        reader.wrong((key,), found)
        return None
    return found


def _each(reader: Reader, value: object) -> Any:
    table = reader.table(value, ("each",), ("station",), 'as in { station = { model = "X" } }')
    if table is None or "station" not in table:
        reader.wrong(("each",), "each names stations", 'as in { station = { model = "X" } }')
        return None
    fields = {**STATION, **dict.fromkeys(reader.words.vocabulary.flags, BOOLEAN)}
    del fields["active_tx"]
    return read_station(reader, table["station"], ("each", "station"), fields)
