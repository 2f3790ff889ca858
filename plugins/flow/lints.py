"""What is no mistake and yet hardly meant: rules that never come to a word, resets without end, rules that feed each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from csms_plugins.flow.files import Where
from csms_plugins.flow.loader import RuleSet
from csms_plugins.flow.payloads import missing_in
from csms_plugins.flow.presets import RawRule
from csms_plugins.flow.rule import Rule, Step
from csms_plugins.flow.words import Words

from csms.api import Problem

PROTOCOL = ("station", "protocol")


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake (``error``, whose lint is ``mistake``) or a warning, with its place."""

    level: str
    lint: str
    problem: Problem


def lint(found: RuleSet) -> list[Finding]:
    """Every warning about a set of rules without mistakes."""
    raw = {one.position: one for one in found.raw}
    live = sorted((rule for rule in found.rules if rule.enabled), key=lambda one: (one.order, one.position))
    findings: list[Finding] = []
    for name, about in LINTS:
        for rule, where, what, cure in about(live, found.words):
            source: RawRule = raw[rule.position]
            findings.append(Finding("warning", name, source.source.mistake((*source.where, *where), what, cure)))
    return findings


Warned = Iterator[tuple[Rule, Where, str, str]]


def _shadowed(rules: Sequence[Rule], words: Words) -> Warned:
    """A rule on a question behind one that answers it always."""
    last: dict[tuple[str, str], Rule] = {}
    for rule in rules:
        if rule.answer is None or rule.dry:
            continue
        question = rule.events[0]
        before = last.get((question, "")) or last.get((question, rule.scope))
        if before is not None:
            cure = "give it a lower order, or that one a condition"
            yield (
                rule,
                (),
                f"{rule.name} is never asked: {before.name} ({before.place}) answers {question} before it",
                cure,
            )
        elif not (rule.where or rule.when or rule.during or rule.not_during) and not _passes(rule):
            last[question, rule.scope] = rule


def _passes(rule: Rule) -> bool:
    """Whether an answer may be no answer: a chain of plugins without a last word."""
    decide = rule.table.get("decide")
    auth = decide.get("auth") if isinstance(decide, dict) else None
    return isinstance(auth, dict) and "ask" in auth and "otherwise" not in auth


def _resets(rules: Sequence[Rule], words: Words) -> Warned:
    """A rule that resets stations, and does not say how often."""
    for rule in rules:
        resets = [one for one in rule.every_step() if one.verb == "reset" or (one.verb, one.fixed) == ("send", "Reset")]
        if resets and not rule.limit.own and not rule.cooldown_s:
            yield (
                rule,
                ("do",),
                f"{rule.name} resets stations without a limit of its own",
                'as in limit = { runs = 3, per = "24h" }',
            )


def _feeding(rules: Sequence[Rule], words: Words) -> Warned:
    """Rules that start each other in a circle."""
    follows = {rule.id: _fed(rule, rules) for rule in rules}
    told: set[frozenset[str]] = set()
    for rule in rules:
        circle = _circle(rule, follows)
        if circle and frozenset(circle) not in told:
            told.add(frozenset(circle))
            way = " -> ".join((*circle, circle[0]))
            yield rule, (), f"rules feed each other: {way}", "only the loop protection ends this"


def _circle(start: Rule, follows: Mapping[str, Sequence[Rule]]) -> tuple[str, ...]:
    waiting: list[tuple[Rule, tuple[str, ...]]] = [(start, ())]
    seen: set[str] = set()
    while waiting:
        rule, path = waiting.pop()
        for other in follows[rule.id]:
            if other.id == start.id:
                return (*path, rule.id)
            if other.id not in seen:
                seen.add(other.id)
                waiting.append((other, (*path, rule.id)))
    return ()


def _fed(rule: Rule, rules: Sequence[Rule]) -> list[Rule]:
    """The rules on something that a rule raises or sets."""
    steps = list(rule.every_step())
    told = {one.fixed for one in steps if one.verb == "raise"}
    told |= {"station.flag" for one in steps if one.verb == "set"}
    if not told:
        return []
    heard = (other for other in rules if told.intersection(other.events))
    return [other for other in heard if not (rule.scope and other.scope and rule.scope != other.scope)]


def _windows(rules: Sequence[Rule], words: Words) -> Warned:
    """A rule whose window never opens."""
    for rule in rules:
        if rule.during is not None and rule.during.never:
            yield rule, ("during",), f"the window {rule.during} never opens", "give it days"
        elif rule.during is not None and rule.not_during == rule.during:
            yield rule, ("not_during",), f"{rule.name} is kept from its own window", "leave one of the two out"


def _actions(rules: Sequence[Rule], words: Words) -> Warned:
    """A call that some versions lack, in a rule that does not look at the version."""
    for rule in rules:
        if rule.reads(PROTOCOL) or any(PROTOCOL in clause.paths.values() for clause in rule.where):
            continue
        for index, step in enumerate(rule.steps):
            lacking = _lacking(step, words)
            if lacking:
                what = f"stations with {', '.join(lacking)} take no {step.fixed or 'SetDisplayMessage'}: the step fails there"
                yield rule, ("do", index, step.verb), what, f"add when = \"station.protocol != '{lacking[0]}'\""


def _lacking(step: Step, words: Words) -> list[str]:
    if step.verb not in ("send", "message") or (step.verb == "send" and not step.fixed):
        return []
    return missing_in(words, step.fixed if step.verb == "send" else "SetDisplayMessage")


def _uncalled(rules: Sequence[Rule], words: Words) -> Warned:
    """A rule on ``call`` that nobody calls."""
    called = {(rule.scope, rule.limit.then) for rule in rules if rule.limit.then}
    for rule in rules:
        if rule.events == ("call",) and (rule.scope, rule.name) not in called:
            yield (
                rule,
                ("on",),
                f"no rule calls {rule.name}",
                f'another one does by limit = {{ .., then = "{rule.name}" }}',
            )


LINTS = (
    ("shadowed", _shadowed),
    ("reset-without-limit", _resets),
    ("feeding", _feeding),
    ("window-never-opens", _windows),
    ("action-missing", _actions),
    ("never-called", _uncalled),
)
