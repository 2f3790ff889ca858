"""``for``: a condition that must stay true for a time. What has begun is durable, and keeps its beginning over a restart.

A contrary event of the same thing ends it. When its time is over while the station is away, it is looked at again once the station is back and
has had time to say how it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from csms_plugins.flow.files import spoken
from csms_plugins.flow.journal import Journal, part
from csms_plugins.flow.rule import Rule
from csms_plugins.flow.stations import Stations
from csms_plugins.flow.views import iso, plain

from csms.api import Csms

SETTLE_S = 60.0
"""How long a station that came back has to tell its status."""


@dataclass(slots=True)
class Pending:
    """Something that became true at ``since`` and is a run at ``due`` unless it ends before; times are seconds since 1970."""

    rule: Rule
    thing: str
    event: str
    names: dict[str, Any]
    causes: tuple[str, ...]
    effect: str
    since: float
    due: float
    timer: Any = None
    away: bool = False

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "digest": self.rule.digest,
            "event": self.event,
            "names": {name: value for name, value in self.names.items() if name not in ("now", "site", "opt", "run")},
            "causes": list(self.causes),
            "effect": self.effect,
            "since": self.since,
            "due": self.due,
        }

    @property
    def station(self) -> str:
        """The station it is about, or empty."""
        return str(self.names["station"].get("id", ""))


Fire = Callable[[Pending, dict[str, Any]], Awaitable[None]]


class Pendings:
    """Everything that has begun and not yet lasted long enough; ``fire`` is told of what has."""

    def __init__(self, csms: Csms, journal: Journal, stations: Stations, fire: Fire) -> None:
        self._csms = csms
        self._journal = journal
        self._stations = stations
        self._fire = fire
        self._by_place: dict[tuple[str, str], Pending] = {}
        self._of_station: Counter[str] = Counter()
        """How many there are about each station."""

    def begin(
        self, rule: Rule, thing: str, event: str, names: dict[str, Any], causes: tuple[str, ...], effect: str
    ) -> str:
        """Begin to wait, or go on waiting; what the trace says."""
        before = self._by_place.get((rule.id, thing))
        if before is not None and before.rule.digest == rule.digest:
            return f"for {spoken(rule.for_s)}: since {_at(before.since)}"
        if before is not None:
            self.end(rule, thing)
        now = self._csms.now().timestamp()
        self._add(Pending(rule, thing, event, names, causes, effect, now, now + rule.for_s))
        return f"for {spoken(rule.for_s)}: begins now"

    def end(self, rule: Rule, thing: str) -> Pending | None:
        """It is no longer true; gives what had begun."""
        pending = self._taken(rule.id, thing)
        if pending is not None:
            if pending.timer is not None and pending.timer.active():
                pending.timer.cancel()
            self._journal.drop(_key(pending))
            self._journal.soon()
        return pending

    def back(self, station: str) -> None:
        """A station is connected again: look in a minute at what was over while it was away."""
        for pending in self._by_place.values():
            if pending.away and pending.station == station:
                pending.away = False
                pending.timer = self._csms.later(SETTLE_S, lambda one=pending: self._over(one))  # type: ignore[misc]

    def of(self, rule: str) -> list[dict[str, Any]]:
        """What a rule waits for, for people."""
        found = [one for one in self._by_place.values() if one.rule.id == rule]
        return [{"thing": one.thing, "since": _at(one.since), "until": _at(one.due), "away": one.away} for one in found]

    def about(self, station: str) -> bool:
        """Whether something has begun there."""
        return station in self._of_station

    def count(self) -> int:
        """How many there are."""
        return len(self._by_place)

    def keep_only(self, rules: Mapping[str, Rule]) -> None:
        """Rules were read anew: what belongs to a rule that is gone or another one now ends."""
        for pending in list(self._by_place.values()):
            rule = rules.get(pending.rule.id)
            if rule is None or rule.digest != pending.rule.digest or not rule.enabled:
                self.end(pending.rule, pending.thing)
            else:
                pending.rule = rule

    def load(self, kept: Mapping[str, Any], rules: Mapping[str, Rule]) -> None:
        """Take over what had begun before a restart."""
        for key, value in kept.items():
            named = part(key, "for/")
            if named is None:
                continue
            id, _, thing = named.partition("//")
            rule = rules.get(id)
            if rule is None or rule.digest != value["digest"]:
                self._journal.drop(key)
                continue
            names, causes = dict(value["names"]), tuple(value["causes"])
            since, due = float(value["since"]), float(value["due"])
            self._add(Pending(rule, thing, value["event"], names, causes, value["effect"], since, due))

    def stop(self) -> None:
        """The server stops: all of it goes on after the next start."""
        for pending in self._by_place.values():
            if pending.timer is not None and pending.timer.active():
                pending.timer.cancel()

    def _taken(self, rule: str, thing: str) -> Pending | None:
        pending = self._by_place.pop((rule, thing), None)
        if pending is not None:
            self._of_station[pending.station] -= 1
            if not self._of_station[pending.station]:
                del self._of_station[pending.station]
        return pending

    def _add(self, pending: Pending) -> None:
        self._taken(pending.rule.id, pending.thing)
        self._by_place[pending.rule.id, pending.thing] = pending
        self._of_station[pending.station] += 1
        self._journal.put(_key(pending), pending.to_json())
        self._journal.soon()
        delay = max(0.0, pending.due - self._csms.now().timestamp())
        pending.timer = self._csms.later(delay, lambda: self._over(pending))

    async def _over(self, pending: Pending) -> None:
        """The time is over: it is a run, if it is still so."""
        pending.timer = None
        if self._by_place.get((pending.rule.id, pending.thing)) is not pending:
            return
        if "status" in pending.names and self._stations.connected(pending.station) is None:
            pending.away = True
            return
        names = await self._stations.fresh(pending.names, active=pending.rule.reads(("station", "active_tx")))
        if pending.event == "status":
            names["status"] = await self._status(pending)
        self._taken(pending.rule.id, pending.thing)
        self._journal.drop(_key(pending))
        await self._fire(pending, names)

    async def _status(self, pending: Pending) -> Any:
        """The connector's status as the station told it last."""
        status = pending.names["status"]
        for record in await self._csms.read.connectors(pending.station):
            if (record.evse, record.connector) == (status.get("evse"), status.get("connector")):
                return {
                    **status,
                    **{name: plain(getattr(record, name)) for name in ("status", "detail", "error_code", "info")},
                }
        return status


def _key(pending: Pending) -> str:
    return f"for/{pending.rule.id}//{pending.thing}"


def _at(seconds: float) -> str:
    return iso(datetime.fromtimestamp(seconds, UTC))
