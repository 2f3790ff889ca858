"""All that one set of rules may use, gathered before the first rule is read: events, actions, channels, windows, and what the rules raise and set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from csms_plugins.flow.events import EVENTS, QUESTIONS, Vocabulary, with_plugins
from csms_plugins.flow.expressions import Functions
from csms_plugins.flow.presets import RawRule

from csms.api import Action, Csms, QuestionKind

Windows = Callable[[str], tuple[Mapping[str, Mapping[str, Any]], ZoneInfo]]
"""The windows of a site by name, as tables, and its time zone."""


@dataclass(frozen=True)
class Words:
    """What rules may use. A part that is None is not checked, because nobody can say here what there is."""

    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    functions: Callable[[], Functions] = dict
    actions: Mapping[str, Action] | None = None
    channels: Sequence[str] | None = None
    answerers: Sequence[str] | None = None
    questions: Mapping[str, QuestionKind] = field(default_factory=dict)
    protocols: Sequence[str] = ()
    calls: Callable[[str], frozenset[str]] = lambda protocol: frozenset()
    schema: Callable[[str, str], Mapping[str, Any] | None] = lambda protocol, action: None
    windows: Windows = lambda scope: ({}, ZoneInfo("UTC"))


def words_of(csms: Csms, raw: Sequence[RawRule], windows: Windows) -> Words:
    """The words of a running site for a set of rules."""
    ocpp = csms.ocpp
    heard = sorted({action for protocol in ocpp.protocols for action in ocpp.heard(protocol)})

    def schemas(action: str) -> tuple[Mapping[str, Any], ...]:
        found = (ocpp.schema(protocol, action) for protocol in ocpp.protocols if action in ocpp.heard(protocol))
        return tuple(one for one in found if one is not None)

    questions = csms.questions()
    events, asked = with_plugins(csms.events(), {name: kind.asked for name, kind in questions.items()})
    raised, flags = said(raw)
    return Words(
        vocabulary=Vocabulary(events, asked, schemas, tuple(heard), raised, flags),
        functions=csms.conditions,
        actions=csms.actions(),
        channels=tuple(csms.channels()),
        answerers=csms.answerers("authorize"),
        questions=questions,
        protocols=tuple(ocpp.protocols),
        calls=ocpp.calls,
        schema=ocpp.schema,
        windows=windows,
    )


def said(raw: Sequence[RawRule]) -> tuple[frozenset[str], frozenset[str]]:
    """The news that rules raise, and the flags that they set."""
    raised: set[str] = set()
    flags: set[str] = set()
    waiting: list[Any] = [one.table for one in raw]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            name, table = value.get("raise"), value.get("set")
            if isinstance(name, str) and "{" not in name and name not in (*EVENTS, *QUESTIONS):
                raised.add(name)
            if isinstance(table, dict):
                flags.update(key for key in table if isinstance(key, str) and key.isidentifier())
            waiting += value.values()
    return frozenset(raised), frozenset(flags)
