"""What holds a rule back for a key: cooldown, limit, gate, being tripped. All of it outlives a restart."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from csms_plugins.flow.files import spoken
from csms_plugins.flow.journal import Journal, part
from csms_plugins.flow.rule import Rule

MOST_KEYS = 10_000
HITS, FAILURES = 3, 10
"""So often at the built-in limit, or so many failures in a row, and the rule is tripped for the key."""
COMMANDS, COMMANDS_S = 100, 60.0
"""So many commands of rules in so many seconds to the stations of one site."""


@dataclass(slots=True)
class Tally:
    """What one rule did for one key; times are seconds since 1970."""

    starts: list[float] = field(default_factory=list)
    handed: float = 0.0
    hits: int = 0
    failures: int = 0
    tripped: str = ""

    def idle(self, now: float, rule: Rule) -> bool:
        """Whether nothing in it matters any more."""
        return not self.tripped and not self.failures and (not self.starts or now - self.starts[-1] > _memory_s(rule))


def _memory_s(rule: Rule) -> float:
    return max(rule.limit.per_s, rule.cooldown_s)


def _recent(tally: Tally, rule: Rule, now: float) -> list[float]:
    return [at for at in tally.starts if now - at < rule.limit.per_s]


def _at_limit(rule: Rule) -> str:
    return f"limit: {rule.limit.runs} runs in {spoken(rule.limit.per_s)}"


@dataclass(frozen=True, slots=True)
class Held:
    """Why a rule may not start; ``at_limit`` if it is because it ran too often, which is then told by ``Holds.refused``."""

    reason: str
    at_limit: bool = False


class Holds:
    """The tallies of all rules and keys."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._tallies: dict[str, dict[str, Tally]] = {}
        self._gates: dict[str, list[float]] = {}
        self._commands: dict[str, deque[float]] = {}

    def check(self, rule: Rule, key: str, now: float, running: int) -> Held | None:
        """Why the rule may not start now, or None; ``running`` counts its runs for all keys. Asking changes nothing."""
        tally = self._tallies.get(rule.id, {}).get(key)
        if tally is not None:
            if tally.tripped:
                return Held(f"tripped: {tally.tripped}; reset it by hand")
            if tally.starts and now - tally.starts[-1] < rule.cooldown_s:
                return Held(f"cooldown: {spoken(rule.cooldown_s - now + tally.starts[-1])} left")
            if len(_recent(tally, rule, now)) >= rule.limit.runs:
                return Held(_at_limit(rule), at_limit=True)
        return self._gate(rule, now, running)

    def refused(self, rule: Rule, key: str, now: float) -> str:
        """Count that a limit held a rule back: ``trips`` if it is tripped by that, ``hands over`` if another one is to be called now."""
        tally, outcome = self._tallies[rule.id][key], ""
        if not rule.limit.own:
            tally.hits += 1
            if tally.hits >= HITS:
                tally.tripped, outcome = f"{HITS} times at the {_at_limit(rule)}", "trips"
        elif rule.limit.then and tally.handed < _recent(tally, rule, now)[0]:
            tally.handed, outcome = now, "hands over"
        else:
            return ""
        self._put(rule.id, key, tally)
        return outcome

    def _gate(self, rule: Rule, now: float, running: int) -> Held | None:
        gate = rule.gate
        if gate is None:
            return None
        if gate.at_once and running >= gate.at_once:
            return Held(f"gate: {running} run at once")
        failures = [at for at in self._gates.get(rule.id, ()) if now - at < gate.per_s]
        if gate.failures and len(failures) >= gate.failures:
            return Held(f"gate: {len(failures)} failures in {spoken(gate.per_s)}")
        return None

    def started(self, rule: Rule, key: str, now: float) -> None:
        """Count a start."""
        tallies = self._tallies.setdefault(rule.id, {})
        tally = tallies.get(key)
        if tally is None:
            if len(tallies) >= MOST_KEYS:
                self._make_room(rule, tallies, now)
            tally = tallies[key] = Tally()
        tally.starts.append(now)
        del tally.starts[: -rule.limit.runs]
        self._put(rule.id, key, tally)

    def _make_room(self, rule: Rule, tallies: dict[str, Tally], now: float) -> None:
        idle = [key for key, tally in tallies.items() if tally.idle(now, rule)] or [next(iter(tallies))]
        for key in idle:
            del tallies[key]
            self._journal.drop(f"tally/{rule.id}//{key}")

    def ended(self, rule: Rule, key: str, now: float, *, failed: bool, handled: bool) -> bool:
        """Count an end; True if the rule is tripped by it."""
        if failed and rule.gate is not None and rule.gate.failures:
            gates = self._gates.setdefault(rule.id, [])
            gates.append(now)
            del gates[: -rule.gate.failures]
            self._journal.put(f"gate/{rule.id}", gates)
        tally = self._tallies.get(rule.id, {}).get(key)
        if tally is None or (not failed and not tally.failures):
            return False
        tally.failures = tally.failures + 1 if failed and not handled else 0
        trips = tally.failures >= FAILURES and not tally.tripped
        if trips:
            tally.tripped = f"{FAILURES} failures in a row"
        self._put(rule.id, key, tally)
        return trips

    def reset(self, rule: str, key: str | None = None) -> int:
        """Let a tripped rule work again, for one key or all, and open its gate; how many were tripped."""
        count = 0
        for name, tally in self._tallies.get(rule, {}).items():
            if key in (None, name) and tally.tripped:
                tally.tripped, tally.hits, tally.failures, tally.starts = "", 0, 0, []
                self._put(rule, name, tally)
                count += 1
        if self._gates.pop(rule, None):
            self._journal.drop(f"gate/{rule}")
        return count

    def tripped(self, rule: str) -> dict[str, str]:
        """The keys for which a rule is tripped, and why."""
        return {key: tally.tripped for key, tally in self._tallies.get(rule, {}).items() if tally.tripped}

    def commands(self, site: str, now: float) -> bool:
        """Count a command of a rule to a station of a site; False if there were a hundred in the last minute."""
        sent = self._commands.setdefault(site, deque())
        while sent and now - sent[0] >= COMMANDS_S:
            sent.popleft()
        if len(sent) >= COMMANDS:
            return False
        sent.append(now)
        return True

    def load(self, kept: Mapping[str, Any], rules: Mapping[str, Rule], now: float) -> None:
        """Take over what was written before, without what matters no more."""
        for key, value in kept.items():
            if (named := part(key, "tally/")) is not None:
                rule, _, name = named.partition("//")
                tally = Tally(**value)
                if rule in rules and not tally.idle(now, rules[rule]):
                    self._tallies.setdefault(rule, {})[name] = tally
                else:
                    self._journal.drop(key)
            elif (rule := part(key, "gate/")) is not None:  # type: ignore[assignment]
                self._gates[rule] = list(value)

    def _put(self, rule: str, key: str, tally: Tally) -> None:
        self._journal.put(f"tally/{rule}//{key}", asdict(tally))
