"""From a ``[[rule]]`` table to a checked, compiled, immutable rule; every mistake is collected with its position, none is raised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from csms_plugins.flow_events import EVENTS, QUESTIONS, Kind, enum_words, field_names, is_leaf, kind_of, shape, unknown
from csms_plugins.flow_expressions import FUNCTIONS, Expression, Functions, Path
from csms_plugins.flow_files import Mistake, Where, suggestion
from csms_plugins.flow_matching import OPERATORS, Clause, clause_of
from csms_plugins.flow_presets import RawRule
from csms_plugins.flow_reader import Reader
from csms_plugins.flow_values import Value
from csms_plugins.flow_verbs import Step, read_answer, read_steps

KEYS = (
    "name", "on", "note", "where", "when", "key", "limit", "cooldown", "order", "enabled", "dry", "do", "decide",
)  # fmt: skip
LATER = ("during", "not_during", "for", "each", "mode", "gate", "let", "else")
"""In the grammar, not in the first form."""
RUNS, PER_S = 30, 600.0


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
        steps=read_steps(reader, table.get("do", [])),
        answer=read_answer(reader, on, table),
        expressions=tuple(reader.expressions),
    )
    return rule if len(mistakes) == before else None


def _events(reader: Reader, on: object) -> tuple[str, ...]:
    names = on if isinstance(on, list) else [on]
    known = (*EVENTS, *QUESTIONS, "ocpp.<Action>")
    kinds: dict[str, Kind] = {}
    for name in names:
        kind = kind_of(name) if isinstance(name, str) else None
        if kind is None or not isinstance(name, str):
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
    for text, wanted in _flat(reader, table):
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


def _flat(reader: Reader, table: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """``{"token.type" = x}`` and ``{token.type = x}`` are the same to a reader of the file, so they are here."""
    listed: list[tuple[str, Any]] = []
    for key, value in table.items():
        text = before + key
        inner = isinstance(value, dict) and value and not any(one in OPERATORS for one in value)
        if inner and before.count(".") < 4 and not _is_value(reader, text):
            listed += _flat(reader, value, f"{text}.")
        else:
            listed.append((text, value))
    return listed


def _is_value(reader: Reader, text: str) -> bool:
    paths = _paths(reader, text)
    return any(is_leaf(shape(reader.kinds[name]), path) for name, path in paths.items())


def _operators(reader: Reader, wanted: Mapping[str, Any], where: Where) -> bool:
    wrong = [key for key in wanted if key not in OPERATORS]
    if wrong or not wanted:
        reader.wrong(
            where, f"unknown comparison {wrong[0] if wrong else 'without a word'}", f"known are {', '.join(OPERATORS)}"
        )
    return bool(wanted) and not wrong


def _resolved(reader: Reader, text: str) -> dict[str, Path] | None:
    """The paths of a field, or a mistake."""
    if paths := _paths(reader, text):
        return paths
    kind = next(iter(reader.kinds.values()))
    roots = shape(kind)
    known = field_names(kind.main, roots[kind.main]) or ()
    cure = suggestion(text.split(".")[0], (*known, *roots))
    reader.wrong(("where", text), f"{reader.on} has no field {text}", cure)
    return None


def _paths(reader: Reader, text: str) -> dict[str, Path]:
    """The full path that a field means in each of the rule's events; a lone word is a field of the event's main part."""
    path = tuple(text.split("."))
    paths: dict[str, Path] = {}
    for name, kind in reader.kinds.items():
        roots = shape(kind)
        near = [(kind.main, *path), ("event", *path)]
        tries = [*near, path] if len(path) == 1 else [path, *near]
        good = [one for one in tries if unknown(roots, one) is None]
        if good:
            paths[name] = good[0]
    return paths


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
    for key, kind, cure in (
        ("order", int, "a number"),
        ("enabled", bool, "true or false"),
        ("dry", bool, "true or false"),
    ):
        if key in table:
            if type(table[key]) is not kind:
                reader.wrong((key,), f"{key} is {cure}, not {table[key]!r}")
            found[key] = table[key]
    return found


def check_functions(rule: Rule, functions: Functions) -> str:
    """What a rule needs of plugins and does not get; empty when all is there."""
    missing = sorted(name for name in rule.calls if name not in functions)
    if not missing:
        return ""
    return f"no function is called {missing[0]}: {suggestion(missing[0], (*FUNCTIONS, *functions))}"
