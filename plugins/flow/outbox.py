"""News that rules make are kept until every rule on them has begun: a process that is killed in between tells them again after its restart.

A rule that had begun by then knows it by the effect's id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from csms_plugins.flow.events import event_names
from csms_plugins.flow.journal import Journal, part
from csms_plugins.flow.news import FlagChanged, RuleFailed, RuleNews, RuleRaised, RuleTripped
from csms_plugins.flow.staging import Unmade, made
from csms_plugins.flow.views import plain

from csms.api import Csms

KINDS: Mapping[str, type[RuleNews]] = {one.__name__: one for one in (RuleRaised, FlagChanged, RuleFailed, RuleTripped)}


class Outbox:
    """Tells the news of rules; those that no rule is on (``bound``) are told and not kept."""

    def __init__(self, csms: Csms, journal: Journal, bound: Callable[[str], bool]) -> None:
        self._csms = csms
        self._journal = journal
        self._bound = bound

    def tell(self, event: RuleNews) -> None:
        """Tell an event; it is kept with the next commit."""
        if event.effect and any(self._bound(name) for name in event_names(event, {})):
            self._journal.put(_key(event), {"kind": type(event).__name__, "event": plain(event)})
        self._csms.tell(event)

    def done(self, event: object) -> None:
        """Every rule on it has begun, or will not: what they wrote and this go into one commit."""
        if isinstance(event, RuleNews) and event.effect:
            self._journal.drop(_key(event))

    def again(self, kept: Mapping[str, Any]) -> Iterator[RuleNews]:
        """The news of the last process that some rule may not have begun for."""
        for key, value in kept.items():
            if part(key, "news/") is None:
                continue
            try:
                yield made(KINDS[value["kind"]], value["event"])
            except (Unmade, KeyError):
                self._journal.drop(key)


def _key(event: RuleNews) -> str:
    return f"news/{type(event).__name__}/{event.effect}"
