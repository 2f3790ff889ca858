"""The verbs of ``do`` and the answers of ``decide``: which exist, what they take, and their compiled form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from csms_plugins.flow_events import EVENTS, QUESTIONS, kind_of
from csms_plugins.flow_expressions import Expression
from csms_plugins.flow_files import Where, suggestion
from csms_plugins.flow_reader import Reader
from csms_plugins.flow_values import Value

from csms.api import AuthorizationStatus, BootStatus, ResetWhen

VERBS: Mapping[str, tuple[str, ...]] = {
    "send": ("with",),
    "reset": ("evse",),
    "availability": ("evse", "connector"),
    "notify": ("text", "level"),
    "log": ("level",),
    "call": ("with",),
    "raise": ("with",),
    "wait": (),
    "stop": (),
}
WORDS: Mapping[str, tuple[str, ...]] = {
    "reset": ("choose", "OnIdle", "Immediate"),
    "availability": ("Operative", "Inoperative"),
    "notify": ("log",),
}
LEVELS = ("info", "warn", "error")
RESETS = tuple(one.value for one in ResetWhen)
Field = type | tuple[str, ...]
ANSWERS: Mapping[str, tuple[str, Mapping[str, Field]]] = {
    "reset.choose": ("reset", {"when": RESETS, "escalate_after": float, "escalate": (*RESETS, "")}),
    "authorize": (
        "auth",
        {"accept": bool, "status": tuple(one.value for one in AuthorizationStatus), "group": str, "reason": str},
    ),
    "boot": ("boot", {"status": tuple(one.value for one in BootStatus), "interval": int, "reason": str}),
}
"""The fields of each answer: a type, a few words, or ``float`` for a duration."""
SHORT = {"reset": "when", "auth": "status", "boot": "status"}


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its verb, the verb's value (``fixed`` when it has no ``{EXPR}``), the rest, and the conditions it runs under."""

    verb: str
    fixed: str
    what: Value
    rest: Mapping[str, Value]
    when: tuple[Expression, ...]
    wait_s: float = 0.0


def read_steps(reader: Reader, steps: object) -> tuple[Step, ...]:
    if not isinstance(steps, list) or not all(isinstance(one, dict) for one in steps):
        reader.wrong(("do",), "steps are written [[rule.do]]", "one for each step")
        return ()
    return tuple(one for index, table in enumerate(steps) if (one := _step(reader, table, ("do", index))))


def _step(reader: Reader, table: Mapping[str, Any], where: Where) -> Step | None:
    verbs = [key for key in table if key in VERBS]
    if len(verbs) != 1:
        strange = next((key for key in table if key != "when"), "") if not verbs else verbs[1]
        close = suggestion(strange, tuple(VERBS))
        reader.wrong((*where, strange), f"a step has one verb, not {' and '.join(verbs) or 'none'}", close)
        return None
    verb = verbs[0]
    for key in table:
        if key not in (verb, "when", *VERBS[verb]):
            reader.wrong((*where, key), f"{verb} has no {key}", suggestion(key, ("when", *VERBS[verb])))
    what = table[verb]
    if not isinstance(what, str) or not what:
        reader.wrong((*where, verb), f"{verb} is a text, not {what!r}")
        return None
    if verb in WORDS and "{" not in what and what not in WORDS[verb]:
        reader.wrong((*where, verb), f"{verb} is never {what}", suggestion(what, WORDS[verb]))
    if verb == "notify" and "text" not in table:
        reader.wrong((*where, verb), "notify has a text", 'as in notify = "log" with text = "{station.id} is lost"')
    if verb == "raise" and (kind_of(what) is None or what in EVENTS or what in QUESTIONS or what.startswith("ocpp.")):
        reader.wrong((*where, verb), f"{what} is not a name for news of your own", 'as in "depot.full"')
    if table.get("level", "info") not in LEVELS:
        reader.wrong((*where, "level"), f"level is never {table['level']}", suggestion(table["level"], LEVELS))
    if not isinstance(table.get("with", {}), dict):
        reader.wrong((*where, "with"), "with is a table")
    rest = {key: reader.value(table[key], (*where, key)) for key in VERBS[verb] if key in table}
    when = reader.expressions_of(table["when"], (*where, "when")) if "when" in table else ()
    wait_s = reader.seconds(what, (*where, verb)) if verb == "wait" else 0.0
    return Step(verb, "" if "{" in what else what, reader.value(what, (*where, verb)), rest, when, wait_s)


def read_answer(reader: Reader, on: Sequence[str], table: Mapping[str, Any]) -> Value | None:
    decide = table.get("decide")
    if on[0] not in QUESTIONS:
        if decide is not None:
            reader.wrong(("decide",), "only a question is decided", f"questions are {', '.join(QUESTIONS)}")
        elif not table.get("do"):
            reader.wrong((), "the rule does nothing", "add [[rule.do]]")
        return None
    word, fields = ANSWERS[on[0]]
    if table.get("do"):
        reader.wrong(("do",), "a question is decided at once, without steps", f"use decide.{word}")
    if not isinstance(decide, dict) or set(decide) != {word}:
        reader.wrong(("decide",), f"a rule on {on[0]} has decide.{word}")
        return None
    short = "accept" if isinstance(decide[word], bool) else SHORT[word]
    given = decide[word] if isinstance(decide[word], dict) else {short: decide[word]}
    for key, value in given.items():
        _check_field(reader, word, fields, key, value)
    return reader.value(given, ("decide", word))


def _check_field(reader: Reader, word: str, fields: Mapping[str, Field], key: str, value: object) -> None:
    where: Where = ("decide", word, key)
    if key not in fields:
        reader.wrong(where, f"{word} has no {key}", suggestion(key, tuple(fields)))
        return
    wanted = fields[key]
    if isinstance(value, str) and "{" in value:
        return
    if isinstance(wanted, tuple):
        if value not in wanted:
            reader.wrong(where, f"{key} is never {value}", suggestion(value, wanted))
    elif wanted is float:
        reader.seconds(value, where)
    elif type(value) is not wanted:
        reader.wrong(where, f"{key} cannot be {value!r}")
