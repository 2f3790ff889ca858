"""From ``[[rule]]`` tables to checked, compiled, immutable rules; every mistake is collected with its position, none is raised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from csms_plugins.flow.answers import read_answer
from csms_plugins.flow.clauses import read_where
from csms_plugins.flow.events import CALL, CALLED, Kind, called
from csms_plugins.flow.files import Where, suggestion
from csms_plugins.flow.limits import read_key, read_limits, read_thing
from csms_plugins.flow.presets import RawRule
from csms_plugins.flow.reader import Reader
from csms_plugins.flow.rule import Rule
from csms_plugins.flow.triggers import read_on
from csms_plugins.flow.values import Value
from csms_plugins.flow.verbs import NAMES, read_steps
from csms_plugins.flow.words import Words

from csms.api import Problem

KEYS = (
    "name", "on", "note", "where", "when", "during", "not_during", "for", "each", "key", "mode", "limit", "cooldown",
    "gate", "order", "let", "do", "else", "decide", "enabled", "dry", "reentrant",
)  # fmt: skip
TIMED = ("for", "each", "mode", "limit", "cooldown", "gate", "else", "key")
"""What a rule on a question cannot have: it is answered at once, every time."""


def read_rules(raw: Sequence[RawRule], words: Words, mistakes: list[Problem]) -> list[Rule]:
    """The rules of these tables; those with mistakes are left out, also for mistakes that only show between rules."""
    callers = _callers(raw, words)
    on_call: dict[str, list[str]] = {}
    for one in raw:
        if one.table.get("on") == CALL:
            on_call.setdefault(one.scope, []).append(str(one.table.get("name")))
    rules: list[Rule] = []
    places: dict[str, str] = {}
    for one in raw:
        caller = called(callers.get((one.scope, str(one.table.get("name"))), ()))
        rule = read_rule(one, words, mistakes, on_call.get(one.scope, ()), caller)
        if rule is None:
            continue
        if rule.id in places:
            what = f"rule {rule.id} is in {places[rule.id]} already"
            mistakes.append(one.source.mistake((*one.where, "name"), what, "give it another name"))
        places[rule.id] = rule.place
        rules.append(rule)
    return rules


def _kinds(raw: RawRule, words: Words) -> list[Kind]:
    """The kinds of a rule's events, as far as they are any; mistakes are told when the rule is read."""
    quiet = Reader(raw, words, [])
    read_on(quiet, raw.table.get("on"), CALLED)
    return list(quiet.kinds.values())


def _callers(raw: Sequence[RawRule], words: Words) -> dict[tuple[str, str], list[Kind]]:
    """By site and name of a rule on ``call``: the kinds of the rules that call it, whose parts it sees."""
    found: dict[tuple[str, str], list[Kind]] = {}
    for one in raw:
        limit = one.table.get("limit")
        if isinstance(limit, dict) and "then" in limit:
            found.setdefault((one.scope, str(limit["then"])), []).extend(_kinds(one, words))
    return found


def read_rule(
    raw: RawRule, words: Words, mistakes: list[Problem], on_call: Sequence[str] = (), caller: Kind = CALLED
) -> Rule | None:
    """The rule of a table, or None when it has mistakes."""
    reader, table, before = Reader(raw, words, mistakes), raw.table, len(mistakes)
    for key in table:
        if key not in KEYS:
            reader.wrong((key,), f"unknown key {key}", suggestion(key, KEYS))
    name = table.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= 64 or "/" in name or not name.isprintable():
        where = ("name",) if "name" in table else ()
        reader.wrong(where, "a rule has a name of 1 to 64 characters, without /", 'as in name = "welcome"')
        return None
    if not isinstance(table.get("note", ""), str):
        reader.wrong(("note",), "a note is a text")
    on = read_on(reader, table.get("on"), caller)
    if not on:
        return None
    events = tuple(dict.fromkeys(one.event for one in on))
    _check_question(reader, events, table)
    let = _let(reader, table.get("let", {}))
    rule = Rule(
        name=name,
        scope=raw.scope,
        place=raw.source.place(raw.where),
        digest=digest_of(raw),
        on=on,
        options=raw.options,
        table=table,
        let=let,
        where=read_where(reader, table["where"], ("where",)) if "where" in table else (),
        when=reader.conditions(table["when"], ("when",), "when") if "when" in table else (),
        key=read_key(reader, table.get("key")),
        thing=read_thing(reader),
        **read_limits(reader, table, on_call),
        position=raw.position,
        steps=read_steps(reader, table.get("do", []), ("do",)),
        otherwise=read_steps(reader, table.get("else", []), ("else",)),
        answer=read_answer(reader, events, table),
        expressions=tuple(reader.expressions),
    )
    return rule if len(mistakes) == before else None


def digest_of(raw: RawRule) -> str:
    """A fingerprint of a rule's text, its options and its site."""
    text = json.dumps([raw.table, raw.options, raw.scope], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _check_question(reader: Reader, events: Sequence[str], table: Mapping[str, Any]) -> None:
    if reader.words.vocabulary.is_question(events[0]):
        for key in TIMED:
            if key in table:
                reader.wrong((key,), f"a rule on a question has no {key}", "it is asked and answers at once")
    if "each" in table and events != ("timer",):
        reader.wrong(("each",), "each is for rules on a time", 'as in on = { every = "5m" }')
    if "for" in table and (events == ("timer",) or CALL in events):
        reader.wrong(("for",), "for is for rules on events", "a time is over as soon as it comes")


def _let(reader: Reader, table: object) -> dict[str, Value]:
    """Names for values that are worked out once, when the run begins; a later one may read an earlier one."""
    found: dict[str, Value] = {}
    if not isinstance(table, dict):
        reader.wrong(("let",), "let is a table of names", 'as in let = { evse = "{status.evse}" }')
        return found
    for name, value in table.items():
        where: Where = ("let", name)
        taken = name in NAMES or any(name in roots for roots in reader.roots())
        if not name.isidentifier() or taken:
            reader.wrong(where, f"{name} cannot be a name" + (": it is one already" if taken else ""))
            continue
        found[name] = reader.value(value, where)
        reader.made.add(name)
    return found
