"""From the files of a site to a whole set of rules, or to every mistake in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from csms_plugins.flow.events import Vocabulary
from csms_plugins.flow.files import Document, Source, document_of, found
from csms_plugins.flow.grammar import read_rule, read_rules
from csms_plugins.flow.presets import RawRule, Reading, gather
from csms_plugins.flow.rule import Rule
from csms_plugins.flow.scopes import Scopes
from csms_plugins.flow.words import Words, words_of

from csms.api import Csms, Problem

NEEDED = ("name", "on", "let", "key", "mode", "gate", "do", "else")
"""What a run that has begun still needs of its rule's text: the rest decided whether it begins."""


@dataclass(frozen=True)
class RuleSet:
    """A set of rules as it was read; with ``mistakes`` it is of no use."""

    rules: Sequence[Rule] = ()
    raw: Sequence[RawRule] = ()
    words: Words = field(default_factory=Words)
    mistakes: Sequence[Problem] = ()

    @property
    def vocabulary(self) -> Vocabulary:
        """What the rules may be on."""
        return self.words.vocabulary


def rule_files(folder: Path, patterns: Sequence[str], scopes: Scopes) -> list[tuple[Path, str]]:
    """The files that may hold rules, each with the site it is for."""
    own = [(path, "") for path in found(folder, patterns)]
    return own + [(one.file, one.id) for one in scopes.all[1:] if one.file is not None]


def load(
    csms: Csms,
    scopes: Scopes,
    files: Sequence[tuple[Path, str]],
    presets: Sequence[str],
    more: Sequence[Document] = (),
) -> RuleSet:
    """Read all files; rules, and mistakes with their places."""
    reading = Reading(csms.presets())
    documents = [
        document
        for path, scope in files
        if (document := document_of(path, csms.folder, reading.mistakes, scope)) is not None
    ]
    gather(reading, [*documents, *more], presets)
    words = words_of(csms, reading.rules, scopes.window_tables)
    rules = read_rules(reading.rules, words, reading.mistakes)
    return RuleSet(rules, tuple(reading.rules), words, tuple(reading.mistakes))


def source_of(rule: Rule) -> dict[str, Any]:
    """A rule's text as it is kept beside its runs, so that they can be finished when it has been changed."""
    return {
        "table": rule.table,
        "options": rule.options,
        "scope": rule.scope,
        "file": rule.place.rpartition(":")[0],
        "position": rule.position,
    }


def rule_of(kept: Mapping[str, Any], words: Words) -> Rule | None:
    """A rule from its kept text, as far as a run that has begun needs it; None if that means nothing any more.

    What other rules raised and set then, and channels and plugins that have gone since, are no mistake: a step that needs one fails when it comes.
    """
    source, scope = Source(str(kept["file"])), str(kept["scope"])
    table = {key: value for key, value in kept["table"].items() if key in NEEDED}
    raw = RawRule(source, ("rule", 0), table, kept["options"], int(kept["position"]), scope)
    lax = replace(words, vocabulary=replace(words.vocabulary, lax=True), actions=None, channels=None)
    return read_rule(raw, lax, [])
