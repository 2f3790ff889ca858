"""From a ``[[rule]]`` table to a checked, compiled, immutable rule; every mistake is collected with its position, none is raised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from csms_plugins.flow_events import EVENTS, QUESTIONS, Kind, enum_words, field_names, kind_of, shape, unknown
from csms_plugins.flow_expressions import (
    FUNCTIONS,
    Expression,
    ExpressionError,
    Functions,
    Path,
    compile_expression,
    look,
)
from csms_plugins.flow_files import Mistake, Where, duration, suggestion
from csms_plugins.flow_matching import OPERATORS, Clause, clause_of
from csms_plugins.flow_presets import RawRule
from csms_plugins.flow_values import Value, compile_value

KEYS = (
    "name", "on", "note", "where", "when", "key", "limit", "cooldown", "order", "enabled", "dry", "do", "decide",
)  # fmt: skip
LATER = ("during", "not_during", "for", "each", "mode", "gate", "let", "else")
"""In the grammar, not in the first form."""
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
ANSWERS: Mapping[str, tuple[str, Mapping[str, tuple[type, ...]]]] = {
    "reset.choose": ("reset", {"when": (str,), "escalate_after": (str,), "escalate": (str,)}),
    "authorize": ("auth", {"accept": (bool,), "status": (str,), "group": (str,), "reason": (str,)}),
    "boot": ("boot", {"status": (str,), "interval": (int, str), "reason": (str,)}),
}
RUNS, PER_S = 30, 600.0


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its verb, the verb's own value, the rest, and the conditions it runs under."""

    verb: str
    what: Value
    rest: Mapping[str, Value]
    when: tuple[Expression, ...]
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to run; ``digest`` changes when its text does."""

    name: str
    place: str
    on: tuple[str, ...]
    digest: str
    options: Mapping[str, Any]
    where: tuple[Clause, ...] = ()
    when: tuple[Expression, ...] = ()
    key: tuple[Expression, ...] = ()
    runs: int = RUNS
    per_s: float = PER_S
    cooldown_s: float = 0.0
    order: int = 500
    position: int = 0
    enabled: bool = True
    dry: bool = False
    steps: tuple[Step, ...] = ()
    answer: Value | None = None
    expressions: tuple[Expression, ...] = ()

    @property
    def calls(self) -> frozenset[str]:
        """The plugins' functions it needs."""
        return frozenset(name for one in self.expressions for name in one.calls)

    def reads(self, path: Path) -> bool:
        """Whether any of its expressions looks at a path."""
        return any(path in one.reads for one in self.expressions)


@dataclass(slots=True)
class Reader:
    """Reads one rule; a part that is wrong is left out and noted."""

    raw: RawRule
    functions: Callable[[], Functions]
    mistakes: list[Mistake]
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    expressions: list[Expression] = field(default_factory=list)

    def wrong(self, where: Sequence[str | int], what: str, cure: str = "") -> None:
        """Note a mistake below this rule."""
        self.mistakes.append(self.raw.source.mistake((*self.raw.where, *where), what, cure))

    def expression(self, text: object, where: Where) -> Expression | None:
        """Compile and check the paths it reads."""
        if not isinstance(text, str):
            self.wrong(where, "an expression is a text", 'as in "station.connected"')
            return None
        try:
            found = compile_expression(text, self.functions)
        except ExpressionError as wrong:
            at = f" at column {wrong.column}" if wrong.column else ""
            self.wrong(where, f"{text!r}{at}: {wrong}", "the language is in docs/rules.md")
            return None
        for path in sorted(found.reads):
            self.path(path, where)
        self.expressions.append(found)
        return found

    def path(self, path: Path, where: Where) -> bool:
        """Check that some event of the rule has this path."""
        if path[0] == "opt":
            options = tuple(self.raw.options)
            if len(path) > 1 and path[1] not in options:
                self.wrong(where, f"no option is called {path[1]}", suggestion(path[1], options) if options else "")
                return False
            return True
        misses = [unknown(shape(kind), path) for kind in self.kinds.values()]
        if not misses or None in misses:
            return True
        miss, known = misses[0] or ("", ())
        if path[-1] == miss and len(path) == 1:
            known = (*known, "opt")
        self.wrong(where, f"{'.'.join(path)}: there is no {miss} in {self.on}", suggestion(miss, known) if known else "")
        return False

    @property
    def on(self) -> str:
        """The events, for a message."""
        return ", ".join(self.kinds)

    def expressions_of(self, value: object, where: Where) -> tuple[Expression, ...]:
        """One expression or a list of them."""
        listed = value if isinstance(value, list) else [value]
        return tuple(one for text in listed if (one := self.expression(text, where)))

    def value(self, value: object, where: Where) -> Value:
        """A value whose texts may hold ``{EXPR}``."""
        return compile_value(value, lambda text: self.expression(text, where), lambda what: self.wrong(where, what))

    def seconds(self, value: object, where: Where) -> float:
        """A duration."""
        found = duration(value)
        if found is None:
            self.wrong(where, f"{value!r} is not a duration", "as in 90s, 2m30s or 24h")
        return found or 0.0


def read_rule(raw: RawRule, functions: Callable[[], Functions], mistakes: list[Mistake]) -> Rule | None:
    """The rule of a table, or None when it has mistakes."""
    reader, table, before = Reader(raw, functions, mistakes), raw.table, len(mistakes)
    for key in table:
        if key in LATER:
            reader.wrong((key,), f"{key} is not in the first form of flow rules", "leave it out")
        elif key not in KEYS:
            reader.wrong((key,), f"unknown key {key}", suggestion(key, KEYS))
    name = table.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= 64:
        reader.wrong((), "a rule has a name of 1 to 64 characters", 'as in name = "welcome"')
        return None
    on = _events(reader, table.get("on"))
    if not on:
        return None
    rule = Rule(
        name=name,
        place=f"{raw.source.file}:{raw.source.line(raw.where)}",
        on=on,
        digest=hashlib.sha256(json.dumps([table, raw.options], sort_keys=True, default=str).encode()).hexdigest(),
        options=raw.options,
        where=_where(reader, table.get("where", {})),
        when=reader.expressions_of(table["when"], ("when",)) if "when" in table else (),
        key=_key(reader, table.get("key")),
        **_limits(reader, table),
        **_switches(reader, table),
        position=raw.position,
        steps=_steps(reader, table.get("do", [])),
        answer=_answer(reader, on, table),
        expressions=tuple(reader.expressions),
    )
    return rule if len(mistakes) == before else None


def _events(reader: Reader, on: object) -> tuple[str, ...]:
    names = on if isinstance(on, list) else [on]
    known = (*EVENTS, *QUESTIONS, "ocpp.<Action>")
    kinds: dict[str, Kind] = {}
    for name in names:
        kind = kind_of(name) if isinstance(name, str) else None
        if kind is None:
            reader.wrong(("on",), f"no event is called {name}", suggestion(name, known))
        else:
            kinds[name] = kind
    asked = [name for name in kinds if name in QUESTIONS]
    if not names or (asked and len(names) > 1):
        reader.wrong(("on",), "a rule is on events, or on one question", suggestion("", known))
        return ()
    reader.kinds = kinds
    return tuple(kinds)


def _where(reader: Reader, table: object) -> tuple[Clause, ...]:
    if not isinstance(table, dict):
        reader.wrong(("where",), "where is a table of fields", 'as in { status = "Faulted" }')
        return ()
    clauses = []
    for text, wanted in _flat(table):
        paths = _resolved(reader, text)
        where: Where = ("where", text)
        if paths is None or (isinstance(wanted, dict) and not _operators(reader, wanted, where)):
            continue
        clause = clause_of(text, paths, wanted)
        clauses.append(clause)
        words = [enum_words(shape(kind), paths[name]) for name, kind in reader.kinds.items() if name in paths]
        for word in clause.words if words and all(words) else ():
            if word not in words[0]:
                reader.wrong(where, f"{text} is never {word}", suggestion(word, words[0]))
    return tuple(clauses)


def _flat(table: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """``{"token.type" = x}`` and ``{token.type = x}`` are the same to a reader of the file, so they are here."""
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, dict) and value and not any(one in OPERATORS for one in value) and before.count(".") < 4:
            found += _flat(value, f"{before}{key}.")
        else:
            found.append((before + key, value))
    return found


def _operators(reader: Reader, wanted: Mapping[str, Any], where: Where) -> bool:
    wrong = [key for key in wanted if key not in OPERATORS]
    if wrong or not wanted:
        reader.wrong(where, f"unknown comparison {wrong[0] if wrong else 'without a word'}", f"known are {', '.join(OPERATORS)}")
    return bool(wanted) and not wrong


def _resolved(reader: Reader, text: str) -> dict[str, Path] | None:
    """The full path that a field means in each of the rule's events; a lone word is a field of the event's main part."""
    path = tuple(text.split("."))
    paths: dict[str, Path] = {}
    for name, kind in reader.kinds.items():
        roots = shape(kind)
        tries = [(kind.main, *path), ("event", *path), path] if len(path) == 1 else [path, (kind.main, *path), ("event", *path)]
        free = field_names(kind.main, roots[kind.main]) is None
        good = [one for one in tries if unknown(roots, one) is None and (one[0] != kind.main or not free or one[0] != path[0])]
        if good:
            paths[name] = good[0]
    if paths:
        return paths
    kind = next(iter(reader.kinds.values()))
    known = field_names(kind.main, shape(kind)[kind.main]) or ()
    reader.wrong(("where", text), f"{reader.on} has no field {text}", suggestion(path[0], (*known, *shape(kind))))
    return None


def _key(reader: Reader, value: object) -> tuple[Expression, ...]:
    if value is None:
        keys = {kind.key for kind in reader.kinds.values()}
        texts: Sequence[str] = next(iter(keys)) if len(keys) == 1 else ("station.id",)
    elif isinstance(value, str) and value.strip():
        texts = [part.strip() for part in value.split(",")]
    else:
        reader.wrong(("key",), "key is a text of paths", 'as in "station.id, status.evse"')
        return ()
    return tuple(one for text in texts if (one := reader.expression(text, ("key",))))


def _limits(reader: Reader, table: Mapping[str, Any]) -> dict[str, Any]:
    limit, found = table.get("limit"), {"runs": RUNS, "per_s": PER_S}
    if limit is not None and (not isinstance(limit, dict) or set(limit) != {"runs", "per"}):
        reader.wrong(("limit",), "limit has runs and per", 'as in { runs = 3, per = "24h" }')
    elif limit is not None:
        if type(limit["runs"]) is not int or not 0 < limit["runs"] <= 10000:
            reader.wrong(("limit", "runs"), "runs is 1 to 10000")
        found = {"runs": limit["runs"], "per_s": reader.seconds(limit["per"], ("limit", "per"))}
    if "cooldown" in table:
        found["cooldown_s"] = reader.seconds(table["cooldown"], ("cooldown",))
    return found


def _switches(reader: Reader, table: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, kind, cure in (("order", int, "a number"), ("enabled", bool, "true or false"), ("dry", bool, "true or false")):
        if key in table:
            if type(table[key]) is not kind:
                reader.wrong((key,), f"{key} is {cure}, not {table[key]!r}")
            found[key] = table[key]
    return found


def _steps(reader: Reader, steps: object) -> tuple[Step, ...]:
    if not isinstance(steps, list) or not all(isinstance(one, dict) for one in steps):
        reader.wrong(("do",), "steps are written [[rule.do]]", "one for each step")
        return ()
    return tuple(one for index, table in enumerate(steps) if (one := _step(reader, table, ("do", index))))


def _step(reader: Reader, table: Mapping[str, Any], where: Where) -> Step | None:
    verbs = [key for key in table if key in VERBS]
    if len(verbs) != 1:
        close = suggestion(next(iter(table), ""), tuple(VERBS))
        reader.wrong(where, f"a step has one verb, not {' and '.join(verbs) or 'none'}", close)
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
    return Step(verb, reader.value(what, (*where, verb)), rest, when, wait_s)


def _answer(reader: Reader, on: Sequence[str], table: Mapping[str, Any]) -> Value | None:
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
    given = decide[word] if isinstance(decide[word], dict) else {next(iter(fields)): decide[word]}
    for key, value in given.items():
        if key not in fields:
            reader.wrong(("decide", word), f"{word} has no {key}", suggestion(key, tuple(fields)))
        elif not isinstance(value, fields[key]) and not isinstance(value, str):
            reader.wrong(("decide", word), f"{key} cannot be {value!r}")
    return reader.value(given, ("decide", word))


def check_functions(rule: Rule, functions: Functions) -> str:
    """What a rule needs of plugins and does not get; empty when all is there."""
    missing = sorted(name for name in rule.calls if name not in functions)
    if not missing:
        return ""
    return f"no function is called {missing[0]}: {suggestion(missing[0], (*FUNCTIONS, *functions))}"


def constant(value: Value, options: Mapping[str, Any]) -> Any:
    """What a value gives when only the options are known."""
    return value({"opt": look({"opt": options}, ("opt",))})
