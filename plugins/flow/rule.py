"""A rule, ready to run: checked, compiled, immutable. How it is read from a file is in ``grammar``, what becomes of it in ``engine``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from csms_plugins.flow.cron import Cron
from csms_plugins.flow.expressions import Expression, Names, Path
from csms_plugins.flow.matching import Clause
from csms_plugins.flow.values import Value
from csms_plugins.flow.windows import Window

Mode = Literal["single", "restart", "queued", "parallel"]
MODES = ("single", "restart", "queued", "parallel")
FAILURES = ("timeout", "offline", "silent", "Rejected", "error", "uncertain")
"""How a step can fail: no answer in time, not connected, no effect seen, the station said no, anything else, nobody knows."""
RUNS, PER_S = 30, 600.0
MOST_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Trigger:
    """One thing a rule is on: an event by name, or a time."""

    event: str
    after_s: float = 0.0
    every_s: float = 0.0
    cron: Cron | None = None
    catchup: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """One expression of ``when``, with the line it stands on."""

    label: str
    expression: Expression
    place: str


@dataclass(frozen=True, slots=True)
class Limit:
    """So many runs per key in so many seconds; ``own`` if the rule says so itself, ``then`` is the rule to call instead."""

    runs: int = RUNS
    per_s: float = PER_S
    then: str = ""
    own: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """Across all keys: how many run at once, and after how many failures in so many seconds nothing more is begun."""

    at_once: int = 0
    failures: int = 0
    per_s: float = 86400.0


@dataclass(frozen=True, slots=True)
class Retry:
    """How a step is tried again: ``tries`` in all, pauses in seconds that grow by ``backoff`` up to ``max_s``."""

    tries: int = 1
    every_s: float = 0.0
    backoff: float = 1.0
    max_s: float = 86400.0
    jitter: float = 0.1
    on: tuple[str, ...] = ("timeout", "offline", "silent", "Rejected", "error")


@dataclass(frozen=True, slots=True)
class Awaited:
    """An event of the same station that is waited for: it fits ``where``, fails with ``fail``, and comes within ``max_s``."""

    event: str
    where: tuple[Clause, ...]
    fail: tuple[Clause, ...]
    max_s: float


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its verb, the verb's value (``fixed`` when it has no ``{EXPR}``), the rest, and how it is carried out.

    ``otherwise`` are the steps for when it fails; None ends the run, an empty tuple passes over the failure.
    """

    verb: str
    fixed: str
    what: Value
    rest: Mapping[str, Value]
    place: str
    when: tuple[Condition, ...] = ()
    timeout_s: float = 30.0
    retry: Retry = Retry()
    until: Awaited | None = None
    expect: Expression | None = None
    offline_wait_s: float = 0.0
    save: str = ""
    otherwise: tuple[Step, ...] | None = None
    wait_s: float = 0.0
    awaited: Awaited | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; ``digest`` changes when its text, its options or its scope do, and then its runs are another rule's."""

    name: str
    scope: str
    place: str
    digest: str
    on: tuple[Trigger, ...]
    options: Mapping[str, Any]
    table: Mapping[str, Any]
    where: tuple[Clause, ...] = ()
    when: tuple[Condition, ...] = ()
    during: Window | None = None
    not_during: Window | None = None
    for_s: float = 0.0
    each: tuple[Clause, ...] | None = None
    key: tuple[Expression, ...] = ()
    thing: tuple[Expression, ...] = ()
    """What tells two of its events apart by nature, whatever its key: ``for`` follows each of them."""
    mode: Mode = "single"
    limit: Limit = Limit()
    cooldown_s: float = 0.0
    gate: Gate | None = None
    order: int = 500
    position: int = 0
    let: Mapping[str, Value] = field(default_factory=dict)
    enabled: bool = True
    dry: bool = False
    reentrant: bool = False
    steps: tuple[Step, ...] = ()
    otherwise: tuple[Step, ...] = ()
    answer: Value | None = None
    expressions: tuple[Expression, ...] = ()

    @property
    def id(self) -> str:
        """Its name, unique among all sites of the server."""
        return f"{self.scope}/{self.name}" if self.scope else self.name

    @property
    def events(self) -> tuple[str, ...]:
        """The names of the events it is on."""
        return tuple(dict.fromkeys(one.event for one in self.on))

    def reads(self, path: Path) -> bool:
        """Whether any of its expressions looks at a path."""
        return any(path in one.reads for one in self.expressions)

    def every_step(self) -> Iterator[Step]:
        """All its steps, those of ``else`` too."""
        yield from _all(self.steps)
        yield from _all(self.otherwise)


def _all(steps: tuple[Step, ...]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from _all(step.otherwise or ())


def key_of(expressions: tuple[Expression, ...], names: Names, shown: Any) -> str:
    """A key as text."""
    return ", ".join(shown(one.value(names)) for one in expressions)


def about(rule: Rule, names: Mapping[str, Any]) -> dict[str, Any]:
    """The names of a rule that has no run: a question's, or a dry one's."""
    return {**names, "run": {"id": "", "rule": rule.id, "request_id": 0, "try": 1}}
