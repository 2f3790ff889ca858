"""The JSON Schema of rule files, for editors: made from the same tables that the reader of the files uses."""

from __future__ import annotations

from typing import Any

from csms_plugins.flow.answers import ANSWERS, NUMBERS, SECONDS, Field
from csms_plugins.flow.events import CALL, EVENTS, QUESTIONS
from csms_plugins.flow.grammar import KEYS
from csms_plugins.flow.matching import OPERATORS
from csms_plugins.flow.presets import OPTION_TYPES
from csms_plugins.flow.rule import FAILURES, MODES
from csms_plugins.flow.trial_checks import COMMON as TEST_COMMON
from csms_plugins.flow.trial_checks import KEYS as TEST_KEYS
from csms_plugins.flow.trial_checks import VERBS as TEST_VERBS
from csms_plugins.flow.verbs import VERBS, WORDS
from csms_plugins.flow.windows import DAYS

Schema = dict[str, Any]
TEMPLATE: Schema = {"type": "string", "pattern": "\\{.*\\}"}
DURATION: Schema = {
    "type": "string",
    "pattern": "^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+$|^\\{opt\\.[A-Za-z_][A-Za-z0-9_]*\\}$",
}
TEXT: Schema = {"type": "string"}
EXPRESSIONS: Schema = {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}
BOOLEAN: Schema = {"type": "boolean"}


def rule_schema() -> Schema:
    """A schema of files with ``[[rule]]``, ``[preset]``, ``[[use]]`` and ``[[test]]``."""
    options = {"type": "object", "additionalProperties": _option()}
    preset = _object({"name": TEXT, "note": TEXT, "options": options}, required=("name",))
    use = _object({"preset": TEXT, "with": {"type": "object"}, "note": TEXT}, required=("preset",))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "csms rule file",
        "type": "object",
        "properties": {"preset": preset, "rule": _listed(_rule()), "use": _listed(use), "test": _listed(_test())},
        "$defs": {"step": _step()},
    }


def _rule() -> Schema:
    window = _object(
        {"from": TEXT, "to": TEXT, "days": _listed({"enum": list(DAYS)}), "tz": TEXT}, required=("from", "to")
    )
    steps = _listed({"$ref": "#/$defs/step"})
    known: dict[str, Schema] = {
        "name": {"type": "string", "minLength": 1, "maxLength": 64},
        "on": {"anyOf": [_event(), _trigger(), _listed({"anyOf": [_event(), _trigger()]})]},
        "note": TEXT,
        "where": _where(),
        "when": EXPRESSIONS,
        "during": {"anyOf": [TEXT, window]},
        "not_during": {"anyOf": [TEXT, window]},
        "for": DURATION,
        "each": _object({"station": _where()}, required=("station",)),
        "key": TEXT,
        "mode": {"enum": list(MODES)},
        "limit": _object({"runs": _number(), "per": DURATION, "then": TEXT}, required=("runs", "per")),
        "cooldown": DURATION,
        "gate": _object({"at_once": _number(), "stop_after_failures": _number(), "per": DURATION}),
        "order": {"type": "integer"},
        "let": {"type": "object"},
        "do": steps,
        "else": steps,
        "decide": {"type": "object", "properties": {word: _answer(fields) for word, fields in ANSWERS.values()}},
        "enabled": BOOLEAN,
        "dry": BOOLEAN,
        "reentrant": BOOLEAN,
    }
    return _object({key: known[key] for key in KEYS}, required=("name", "on"))


def _event() -> Schema:
    named = [name for name in (*EVENTS, *QUESTIONS, CALL) if name != "timer"]
    return {"anyOf": [{"enum": named}, {"type": "string", "pattern": "^[a-z_]+\\..+$"}]}


def _trigger() -> Schema:
    keys = {
        "event": _event(),
        "after": DURATION,
        "every": DURATION,
        "cron": TEXT,
        "catchup": {"enum": ["none", "once"]},
    }
    return _object(keys)


def _where() -> Schema:
    tests = {"type": "object", "properties": {key: {} for key in OPERATORS}}
    return {
        "type": "object",
        "additionalProperties": {"anyOf": [{"type": ["string", "number", "boolean", "array"]}, tests]},
    }


def _step() -> Schema:
    awaited = _object({"event": _event(), "where": _where(), "fail": _where(), "max": DURATION}, required=("event",))
    retry = {
        "tries": _number(),
        "every": DURATION,
        "backoff": _number(),
        "max": DURATION,
        "jitter": _number(),
        "on": _listed({"enum": list(FAILURES)}),
    }
    keys: dict[str, Schema] = {verb: _verb(verb) for verb in VERBS}
    keys["wait"] = {"anyOf": [DURATION, awaited]}
    keys["set"] = {"type": "object", "minProperties": 1}
    for key in dict.fromkeys(key for more in VERBS.values() for key in more):
        keys[key] = _rest(key)
    keys |= {
        "when": EXPRESSIONS,
        "timeout": DURATION,
        "retry": _object(retry, required=("tries",)),
        "until": awaited,
        "expect": TEXT,
        "offline": {"type": "string", "pattern": "^(fail|wait .+)$"},
        "save": TEXT,
        "else": _listed({"$ref": "#/$defs/step"}),
    }
    return _object(keys) | {"oneOf": [{"required": [verb]} for verb in VERBS]}


def _verb(verb: str) -> Schema:
    return {"anyOf": [{"enum": list(WORDS[verb])}, TEMPLATE]} if verb in WORDS else {"type": "string", "minLength": 1}


def _rest(key: str) -> Schema:
    match key:
        case "with":
            return {"type": "object"}
        case "lasts" | "once":
            return DURATION
        case "evse" | "connector":
            return _number()
    return {"anyOf": [{"enum": list(WORDS[key])}, TEMPLATE]} if key in WORDS else TEXT


def _answer(fields: dict[str, Field] | Any) -> Schema:
    known = {key: {"anyOf": [_field(key, kind), TEMPLATE]} for key, kind in fields.items()}
    return {"anyOf": [_object(known), {"type": ["string", "boolean", "integer"]}]}


def _field(key: str, kind: Field) -> Schema:
    if isinstance(kind, tuple):
        return {"enum": list(kind)}
    if kind is SECONDS and key not in NUMBERS:
        return {"anyOf": [DURATION, {"type": "integer"}]} if key == "interval" else DURATION
    return {bool: BOOLEAN, int: {"type": "integer"}, str: TEXT, list: _listed(TEXT), float: {"type": "number"}}[kind]


def _option() -> Schema:
    keys: dict[str, Schema] = {
        "type": {"enum": list(OPTION_TYPES)},
        "default": {},
        "one_of": {"type": "array"},
        "note": TEXT,
    }
    return _object(keys, required=("type",))


def _test() -> Schema:
    known: dict[str, Schema] = {key: {} for key in TEST_KEYS}
    step = _object({key: {} for key in (*TEST_VERBS, *TEST_COMMON)})
    given = _object({"stations": _listed({"type": "object"}), "windows": {"type": "object"}})
    return _object(known | {"steps": _listed(step), "given": given}, required=("steps",))


def _number() -> Schema:
    return {"anyOf": [{"type": "number"}, TEMPLATE]}


def _listed(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(keys: dict[str, Schema], *, required: tuple[str, ...] = ()) -> Schema:
    made: Schema = {"type": "object", "properties": keys, "additionalProperties": False}
    return made | {"required": list(required)} if required else made
