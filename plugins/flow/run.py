"""One run of a rule: where it is, what it waits for, and its form in the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from csms_plugins.flow.rule import Rule, Step
from csms_plugins.flow.traces import Trace
from csms_plugins.flow.views import iso
from twisted.internet import defer

Position = tuple[str | int, ...]
FIRST: Position = ("do", 0)
FALLBACK: Position = ("else", 0)


class Interrupted(Exception):
    """A run is ended from outside: the text says why; ``forget`` is false when it goes on after a restart."""

    def __init__(self, why: str, *, forget: bool) -> None:
        super().__init__(why)
        self.forget = forget


@dataclass(slots=True)
class Run:
    """A run. ``phase`` is what it does at its step: nothing yet, effect, pause (before another try), wait, until, offline.

    ``due`` is when what it waits for is over, in seconds since 1970; ``failed`` is why it went into ``else``.
    """

    id: str
    rule: Rule
    key: str
    event: str
    names: dict[str, Any]
    causes: tuple[str, ...]
    trace: Trace
    effect: str = ""
    """The step of another rule that made the event, if one did."""
    position: Position = FIRST
    tries: int = 1
    phase: str = ""
    due: float = 0.0
    saved: dict[str, Any] = field(default_factory=dict)
    failed: str = ""
    waiting: defer.Deferred[Any] | None = None
    interrupt: Interrupted | None = None
    number: int = 0

    @property
    def station(self) -> str:
        """The station it is about, or empty."""
        return str((self.names.get("station") or {}).get("id", ""))

    @property
    def effect_id(self) -> str:
        """The name of what it does now: the same one whenever the same try is made again."""
        return f"{self.id}:{'.'.join(map(str, self.position))}:{self.tries}"

    @property
    def doing(self) -> str:
        """What it does, for people."""
        step = step_at(self.rule, self.position)
        return f"{step.verb if step else 'end'} {self.phase}".strip()

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "rule": self.rule.id,
            "digest": self.rule.digest,
            "key": self.key,
            "event": self.event,
            "names": {name: value for name, value in self.names.items() if name not in ("now", "site", "opt")},
            "causes": list(self.causes),
            "effect": self.effect,
            "position": list(self.position),
            "tries": self.tries,
            "phase": self.phase,
            "due": self.due,
            "saved": self.saved,
            "failed": self.failed,
            "number": self.number,
            "at": iso(self.trace.at),
            "cited": [self.trace.tx, self.trace.cites],
            "steps": self.trace.steps,
        }


def run_of(id: str, kept: Mapping[str, Any], rule: Rule) -> Run:
    """Back from what was kept."""
    names = dict(kept["names"])
    station = (names.get("station") or {}).get("id", "")
    tx, cites = kept.get("cited", ("", ""))
    at, steps = datetime.fromisoformat(kept["at"]), list(kept["steps"])
    trace = Trace(at, kept["event"], station, kept["key"], run=id, tx=tx, cites=cites, steps=steps)
    run = Run(id, rule, kept["key"], kept["event"], names, tuple(kept["causes"]), trace, kept["effect"])
    run.position, run.tries, run.phase = tuple(kept["position"]), int(kept["tries"]), str(kept["phase"])
    run.due, run.saved, run.failed = float(kept["due"]), dict(kept["saved"]), str(kept["failed"])
    run.number = int(kept["number"])
    return run


def step_at(rule: Rule, position: Position) -> Step | None:
    """The step at a position; None behind the last one."""
    steps = rule.steps if position[0] == "do" else rule.otherwise
    step: Step | None = None
    for part in position[1:]:
        if isinstance(part, int):
            step = steps[part] if part < len(steps) else None
        elif step is not None:
            steps = step.otherwise or ()
    return step


def following(position: Position) -> Position:
    """The position behind one, in the same list of steps."""
    last = position[-1]
    assert isinstance(last, int)
    return (*position[:-1], last + 1)


def in_else(position: Position) -> bool:
    """Whether a position is in steps for a failure."""
    return "else" in position
