"""Reads ``decide``: what each question can be answered with, and its compiled form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from csms_plugins.flow.files import Where, duration, suggestion
from csms_plugins.flow.reader import Reader
from csms_plugins.flow.shapes import of_class
from csms_plugins.flow.values import Value

from csms.api import AuthorizationStatus, BootStatus, ResetWhen

RESETS = tuple(one.value for one in ResetWhen)
STATUSES = tuple(one.value for one in AuthorizationStatus)
SECONDS = float
Field = type | tuple[str, ...]
ANSWERS: Mapping[str, tuple[str, Mapping[str, Field]]] = {
    "reset.choose": ("reset", {"when": RESETS, "escalate_after": SECONDS, "escalate": (*RESETS, "")}),
    "authorize": (
        "auth",
        {
            "accept": bool,
            "status": STATUSES,
            "group": str,
            "reason": str,
            "concurrent": int,
            "ask": list,
            "each": SECONDS,
            "on_error": ("next", "deny"),
            "otherwise": STATUSES,
        },
    ),
    "boot": ("boot", {"status": tuple(one.value for one in BootStatus), "interval": SECONDS, "reason": str}),
    "price.choose": ("tariff", {"tariff": str, "reason": str}),
    "status.retry": ("retry", {"tries": int, "every": SECONDS, "backoff": float, "first": SECONDS}),
}
"""The word behind ``decide`` and the fields of each answer: a type, a few words, or ``SECONDS`` for a duration."""
SHORT = {"reset": "when", "auth": "status", "boot": "status", "tariff": "tariff", "retry": "tries"}
NUMBERS = ("backoff",)
BOUNDS = {"tries": (0, 1000), "backoff": (1, 100), "interval": (1, 10**7), "concurrent": (1, 1000)}
"""The least and the most of numbers that are no choice of words."""
PAUSES = {("retry", "every"): 1.0}
"""The shortest durations, in seconds: a station is not asked without end."""


def answer_of(reader: Reader, question: str) -> tuple[str, Mapping[str, Field]]:
    """The word and the fields of a question's answer, a plugin's too."""
    if question in ANSWERS:
        return ANSWERS[question]
    kind = reader.words.questions[question].answered
    plain = {"text": str, "number": float, "boolean": bool}
    known = of_class(kind).fields or {}
    typed = {one.name: known[one.name].words or plain.get(known[one.name].kind, object) for one in fields(kind)}
    return question.rpartition(".")[2], typed


def read_answer(reader: Reader, on: Sequence[str], table: Mapping[str, Any]) -> Value | None:
    """The answer of a rule; None for a rule on events."""
    decide = table.get("decide")
    if not on or not reader.words.vocabulary.is_question(on[0]):
        if decide is not None:
            asked = ", ".join(reader.words.vocabulary.questions)
            reader.wrong(("decide",), "only a question is decided", f"questions are {asked}")
        elif not table.get("do"):
            reader.wrong((), "the rule does nothing", "add [[rule.do]]")
        return None
    word, known = answer_of(reader, on[0])
    if table.get("do"):
        reader.wrong(("do",), "a question is decided at once, without steps", f"use decide.{word}")
    if not isinstance(decide, dict) or set(decide) != {word}:
        reader.wrong(("decide",), f"a rule on {on[0]} has decide.{word}", f"as in decide.{word} = ..")
        return None
    given, where = decide[word], ("decide", word)
    if not isinstance(given, dict):
        given = {"accept" if word == "auth" and isinstance(given, bool) else _short(word, known): given}
    for key, value in given.items():
        _check(reader, word, known, key, value)
    return reader.value(given, where)


def _short(word: str, known: Mapping[str, Field]) -> str:
    return SHORT.get(word) or next(iter(known), word)


def _check(reader: Reader, word: str, known: Mapping[str, Field], key: str, value: object) -> None:
    where: Where = ("decide", word, key)
    if key not in known:
        reader.wrong(where, f"{word} has no {key}", suggestion(key, tuple(known)))
        return
    wanted = known[key]
    if (isinstance(value, str) and "{" in value) or not _bounded(reader, word, key, value):
        return
    if isinstance(wanted, tuple):
        if value not in wanted:
            reader.wrong(where, f"{key} is never {value}", suggestion(value, wanted))
    elif wanted is SECONDS and key not in NUMBERS and word in SHORT:
        if duration(value) is None and not (key == "interval" and type(value) is int):
            reader.wrong(where, f"{key} cannot be {value!r}: it is not a duration", 'as in "90s" or "24h"')
    elif wanted is float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            reader.wrong(where, f"{key} cannot be {value!r}", "a number")
    elif wanted is list:
        _check_chain(reader, value, where)
    elif wanted is not object and type(value) is not wanted:
        reader.wrong(where, f"{key} cannot be {value!r}", f"it is a {wanted.__name__}")


def _bounded(reader: Reader, word: str, key: str, value: object) -> bool:
    """Whether a number or a duration of the core's own questions is none that makes trouble; others are for plugins to judge."""
    if word not in SHORT:
        return True
    where: Where = ("decide", word, key)
    shortest, seconds = PAUSES.get((word, key), 0.0), duration(value)
    if key in BOUNDS and isinstance(value, int | float) and not isinstance(value, bool):
        least, most = BOUNDS[key]
        if not least <= value <= most:
            reader.wrong(where, f"{key} is a number from {least} to {most}, not {value}")
            return False
    elif seconds is not None and seconds < shortest:
        reader.wrong(where, f"{key} is at least {shortest:g}s, not {value}")
        return False
    return True


def _check_chain(reader: Reader, value: object, where: Where) -> None:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        reader.wrong(where, "ask is a list of plugins", 'as in ["rfid_list", "app_tokens"]')
        return
    answerers = reader.words.answerers
    for index, name in enumerate(value):
        if answerers is not None and "{" not in name and (name not in answerers or name == "flow_rules"):
            known = tuple(one for one in answerers if one != "flow_rules")
            cure = suggestion(name, known) if known else "enable one in [plugins]"
            reader.wrong((*where, index), f"no enabled plugin {name} answers authorize", cure)
