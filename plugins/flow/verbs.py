"""Reads the steps of ``do``: which verbs there are, what each takes, and what all steps have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csms_plugins.flow.clauses import read_where
from csms_plugins.flow.files import Where, suggestion
from csms_plugins.flow.payloads import check_arguments, check_call
from csms_plugins.flow.reader import Reader
from csms_plugins.flow.rule import FAILURES, Awaited, Retry, Step

from csms.api import ResetWhen

VERBS: Mapping[str, tuple[str, ...]] = {
    "send": ("with",),
    "reset": ("evse",),
    "availability": ("evse", "connector"),
    "message": ("show", "lasts", "evse"),
    "notify": ("text", "level", "title", "once"),
    "log": ("level",),
    "call": ("with",),
    "raise": ("with",),
    "set": (),
    "wait": (),
    "stop": (),
}
COMMANDS = ("send", "reset", "availability", "message")
"""The verbs that order something of a station."""
COMMON = ("when", "timeout", "retry", "until", "expect", "offline", "save", "else")
RESETS = tuple(one.value for one in ResetWhen)
STATES = ("Charging", "Faulted", "Idle", "Unavailable")
WORDS: Mapping[str, tuple[str, ...]] = {
    "reset": ("choose", *RESETS),
    "availability": ("Operative", "Inoperative"),
    "level": ("info", "warn", "error"),
    "show": STATES,
}
DURATIONS = ("lasts", "once")
AWAITED = ("event", "where", "max")
RETRY = ("tries", "every", "backoff", "max", "jitter", "on")
LONGEST_WAIT = "2h"
NAMES = ("station", "site", "now", "run", "opt", "event", "result")


def read_steps(reader: Reader, steps: object, where: Where) -> tuple[Step, ...]:
    """The steps of a list; what is wrong is noted and left out."""
    if not isinstance(steps, list) or not all(isinstance(one, dict) for one in steps):
        reader.wrong(where, "steps are written [[rule.do]]" if where == ("do",) else "else is a list of steps")
        return ()
    return tuple(one for index, table in enumerate(steps) if (one := _step(reader, table, (*where, index))))


def _step(reader: Reader, table: Mapping[str, Any], where: Where) -> Step | None:
    verbs = [key for key in table if key in VERBS]
    if len(verbs) != 1:
        strange = next((key for key in table if key not in COMMON), "") if not verbs else verbs[1]
        cure = suggestion(strange, tuple(VERBS)) if strange else f"known are {', '.join(VERBS)}"
        reader.wrong(
            (*where, strange) if strange else where, f"a step has one verb, not {' and '.join(verbs) or 'none'}", cure
        )
        return None
    verb = verbs[0]
    known = (verb, *COMMON, *VERBS[verb])
    for key in table:
        if key not in known:
            reader.wrong((*where, key), f"{verb} has no {key}", suggestion(key, known[1:]))
    rest = {key: reader.value(table[key], (*where, key)) for key in VERBS[verb] if key in table}
    for key in VERBS[verb]:
        _check_rest(reader, key, table.get(key), (*where, key))
    what = _verbs_value(reader, verb, table, where)
    common = _common(reader, table, where)
    wait_s, awaited = _wait(reader, table[verb], (*where, verb)) if verb == "wait" else (0.0, None)
    fixed = what if isinstance(what, str) and "{" not in what else ""
    value = reader.value({} if verb == "wait" and isinstance(what, dict) else what, (*where, verb))
    return Step(verb, fixed, value, rest, reader.place(where), wait_s=wait_s, awaited=awaited, **common)


def _check_rest(reader: Reader, key: str, value: object, where: Where) -> None:
    if value is None or (isinstance(value, str) and "{" in value):
        return
    if key in WORDS and value not in WORDS[key]:
        reader.wrong(where, f"{key} is never {value}", suggestion(value, WORDS[key]))
    elif key in DURATIONS:
        reader.seconds(value, where)
    elif key == "with" and not isinstance(value, dict):
        reader.wrong(where, "with is a table")
    elif key in ("evse", "connector"):
        reader.number(value, where, 0, 1000)
    elif key in ("text", "title") and not isinstance(value, str):
        reader.wrong(where, f"{key} is a text, not {value!r}")


def _verbs_value(reader: Reader, verb: str, table: Mapping[str, Any], where: Where) -> Any:
    """The verb's own value, checked as far as it is fixed."""
    what, place = table[verb], (*where, verb)
    if verb == "set":
        return _flags(reader, what, place)
    if verb == "wait" and isinstance(what, dict):
        return what
    if not isinstance(what, str) or not what:
        reader.wrong(place, f"{verb} is a text, not {what!r}")
        return ""
    if "{" in what:
        return what
    if verb in WORDS and what not in WORDS[verb]:
        reader.wrong(place, f"{verb} is never {what}", suggestion(what, WORDS[verb]))
    elif verb == "notify":
        _channel(reader, what, table, where)
    elif verb == "send":
        check_call(reader, what, table.get("with", {}), where)
    elif verb == "call":
        _action(reader, what, table.get("with", {}), where)
    elif verb == "raise" and not reader.words.vocabulary.raises(what):
        reader.wrong(place, f"{what} is not a name for news of your own", 'as in "depot.full"')
    return what


def _flags(reader: Reader, what: object, place: Where) -> dict[str, Any]:
    if not isinstance(what, dict) or not what:
        reader.wrong(place, "set is a table of flags", "as in set = { maintenance = true }")
        return {}
    for name, value in what.items():
        if not name.isidentifier():
            reader.wrong((*place, name), "an expression cannot read this name", "letters, digits and _")
        if isinstance(value, dict | list):
            reader.wrong((*place, name), "a flag is a plain value")
    return what


def _channel(reader: Reader, what: str, table: Mapping[str, Any], where: Where) -> None:
    channels = reader.words.channels
    if channels is not None and what not in channels:
        reader.wrong((*where, "notify"), f"no channel is called {what}", suggestion(what, tuple(channels)))
    if "text" not in table:
        reader.wrong((*where, "notify"), "notify has a text", 'as in notify = "log" with text = "{station.id} is lost"')


def _action(reader: Reader, what: str, given: object, where: Where) -> None:
    actions = reader.words.actions
    if actions is None or not isinstance(given, dict):
        return
    if what not in actions:
        cure = suggestion(what, tuple(actions)) if actions else "enable the plugin that has it"
        reader.wrong((*where, "call"), f"no plugin offers the action {what}", cure)
    elif (schema := actions[what].arguments) is not None:
        check_arguments(reader, schema, given, (*where, "with"))


def _common(reader: Reader, table: Mapping[str, Any], where: Where) -> dict[str, Any]:
    """What all steps may have, in the order in which it is looked at when the step runs."""
    found: dict[str, Any] = {}
    if "when" in table:
        found["when"] = reader.conditions(table["when"], (*where, "when"), "when")
    if "timeout" in table:
        found["timeout_s"] = reader.seconds(table["timeout"], (*where, "timeout"))
    if "retry" in table:
        found["retry"] = _retry(reader, table["retry"], (*where, "retry"))
    if "until" in table:
        found["until"] = _awaited(reader, table["until"], (*where, "until"), (*AWAITED, "fail"))
    if "offline" in table:
        found["offline_wait_s"] = _offline(reader, table["offline"], (*where, "offline"))
    if "else" in table:
        found["otherwise"] = read_steps(reader, table["else"], (*where, "else"))
    if "save" in table:
        found["save"] = _saved(reader, table["save"], (*where, "save"))
    if "expect" in table:
        fresh = "result" not in reader.made
        reader.made.add("result")
        found["expect"] = reader.expression(table["expect"], (*where, "expect"))
        reader.made -= {"result"} if fresh else set()
    return found


def _saved(reader: Reader, name: object, where: Where) -> str:
    if not isinstance(name, str) or not name.isidentifier() or name in NAMES:
        reader.wrong(where, f"{name!r} is no name for a result", 'as in save = "answer"')
        return ""
    reader.made.add(name)
    return name


def _offline(reader: Reader, value: object, where: Where) -> float:
    if value == "fail":
        return 0.0
    words = value.split() if isinstance(value, str) else []
    if len(words) == 2 and words[0] == "wait":
        return reader.seconds(words[1], where)
    reader.wrong(where, f'offline is "fail" or "wait 1h", not {value!r}')
    return 0.0


def _retry(reader: Reader, value: object, where: Where) -> Retry:
    table = reader.table(value, where, RETRY, 'as in { tries = 3, every = "60s" }')
    if table is None:
        return Retry()
    kinds = table.get("on", list(Retry().on))
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind not in FAILURES:
            reader.wrong((*where, "on"), f"a step never fails by {kind}", suggestion(kind, FAILURES))
            kinds = []
    if "tries" not in table:
        reader.wrong(where, "retry has tries", 'as in { tries = 3, every = "60s" }')
    return Retry(
        int(reader.number(table.get("tries", 1), (*where, "tries"), 1, 1000)),
        reader.seconds(table.get("every", "1s"), (*where, "every")),
        reader.number(table.get("backoff", 1), (*where, "backoff"), 1, 100, whole=False),
        reader.seconds(table.get("max", "1d"), (*where, "max")),
        reader.number(table.get("jitter", 0.1), (*where, "jitter"), 0, 1, whole=False),
        tuple(kinds) if isinstance(kinds, list) else (),
    )


def _wait(reader: Reader, what: object, where: Where) -> tuple[float, Awaited | None]:
    if isinstance(what, dict):
        return 0.0, _awaited(reader, what, where, AWAITED)
    if isinstance(what, str) and "{" in what:
        return 0.0, None
    return (reader.seconds(what, where) if what else 0.0), None


def _awaited(reader: Reader, value: object, where: Where, keys: tuple[str, ...]) -> Awaited | None:
    table = reader.table(value, where, keys, 'as in { event = "station.booted", max = "5m" }')
    if table is None:
        return None
    vocabulary, event = reader.words.vocabulary, table.get("event")
    kind = vocabulary.kind(event) if isinstance(event, str) and not vocabulary.is_question(event) else None
    if kind is None or not isinstance(event, str):
        reader.wrong((*where, "event"), f"no event is called {event}", suggestion(event, vocabulary.names()))
        return None
    inner = Reader(reader.raw, reader.words, reader.mistakes, made=reader.made)
    inner.on({event: kind})
    fits = read_where(inner, table["where"], (*where, "where")) if "where" in table else ()
    fails = read_where(inner, table["fail"], (*where, "fail")) if "fail" in table else ()
    return Awaited(event, fits, fails, reader.seconds(table.get("max", LONGEST_WAIT), (*where, "max")))
