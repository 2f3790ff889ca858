"""What flow rules can be bound to, by the names that rules use, and what each shows to expressions.

Every event shows ``station`` and ``event`` (its own fields); most have a shorter name for the part that matters, such as ``status`` or ``gap``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from csms_plugins.flow import news
from csms_plugins.flow.shapes import (
    ANY,
    BOOLEAN,
    NUMBER,
    TEXT,
    Fields,
    Shape,
    of_class,
    of_schema,
    record,
    texts,
    union,
)

from csms import api
from csms.api import NoticeReceived


@dataclass(frozen=True)
class Kind:
    """One thing a rule can be ``on``: its class, the parts of it that have names of their own, and what tells two of them apart.

    ``parts`` are paths into the event, the fields of ``main`` stand alone in ``where``; ``notice`` is the message's kind for those that the core
    passes on without policy; ``shown`` replaces the shape of a part that is not a field.
    """

    event: type
    main: str = "event"
    parts: Mapping[str, str] = field(default_factory=dict)
    key: tuple[str, ...] = ("station.id",)
    notice: tuple[str, ...] = ()
    shown: Mapping[str, Shape] = field(default_factory=dict)

    def roots(self) -> dict[str, Shape]:
        """The names that the event gives to expressions, without those that all events have."""
        whole = of_class(self.event)
        found = {"event": record({k: v for k, v in (whole.fields or {}).items() if k not in HIDDEN})}
        for root, path in self.parts.items():
            found[root] = self.shown.get(root) or whole.at(path.split(".") if path else ()) or ANY
        return found


HIDDEN = ("station", "causes", "effect")
CONNECTOR = ("station.id", "status.evse", "status.connector")
TX = ("station.id", "tx.id")
_TRANSACTION = of_class(api.Transaction)
STARTED = record({**(_TRANSACTION.fields or {}), "id": TEXT, "energy_wh": NUMBER})
UPDATED = record({**(of_class(api.TransactionEvent).fields or {}), "id": TEXT})
FIRMWARE = record({"status": TEXT, "requestId": NUMBER})
SECURITY = texts("type", "timestamp", "techInfo")
_TX_PARTS = {"tx": "transaction", "msg": "event", "token": "event.id_token"}

EVENTS: dict[str, Kind] = {
    "station.connected": Kind(api.StationConnected),
    "station.lost": Kind(api.StationLost),
    "station.booted": Kind(api.StationBooted, "boot", {"boot": "boot"}),
    "station.flag": Kind(news.FlagChanged, "flag", {"flag": ""}),
    "status": Kind(api.StatusChanged, "status", {"status": ""}, CONNECTOR),
    "status.missing": Kind(api.StatusMissing, "status", {"status": ""}, CONNECTOR),
    "tx.started": Kind(api.TransactionStarted, "tx", _TX_PARTS, TX, shown={"tx": STARTED}),
    "tx.updated": Kind(
        api.TransactionUpdated,
        "tx",
        {"tx": "event", "msg": "event", "token": "event.id_token"},
        TX,
        shown={"tx": UPDATED},
    ),
    "tx.ended": Kind(api.TransactionEnded, "tx", _TX_PARTS, TX, shown={"tx": STARTED}),
    "tx.incomplete": Kind(api.TransactionIncomplete, "tx", {"tx": "transaction"}, TX, shown={"tx": STARTED}),
    "tx.healed": Kind(api.TransactionHealed, "tx", {"tx": "transaction"}, TX, shown={"tx": STARTED}),
    "tx.gave_up": Kind(api.TransactionGaveUp, "tx", {"tx": "transaction"}, TX, shown={"tx": STARTED}),
    "tx.overlap": Kind(api.TransactionOverlap, "tx", {"tx": "transaction"}, TX, shown={"tx": STARTED}),
    "authorized": Kind(api.TokenAuthorized, "event", {"token": "id_token"}),
    "alert": Kind(api.AlertReceived, "alert", {"alert": "alert"}),
    "alert.gap": Kind(api.AlertGap, "gap", {"gap": ""}),
    "command.result": Kind(api.CommandClosed, "command", {"command": "command"}),
    "firmware": Kind(
        NoticeReceived,
        "firmware",
        {"firmware": "notice.payload"},
        notice=("FirmwareStatusNotification", "SignedFirmwareStatusNotification"),
        shown={"firmware": FIRMWARE},
    ),
    "security": Kind(
        NoticeReceived,
        "security",
        {"security": "notice.payload"},
        notice=("SecurityEventNotification",),
        shown={"security": SECURITY},
    ),
    "timer": Kind(news.TimerFired),
    "rule.failed": Kind(news.RuleFailed, key=("station.id", "event.rule")),
    "rule.tripped": Kind(news.RuleTripped, key=("station.id", "event.rule")),
}
QUESTIONS: dict[str, Kind] = {
    "authorize": Kind(api.AuthorizationRequest, "event", {"token": "id_token"}),
    "boot": Kind(news.BootAsked, "boot", {"boot": "boot"}),
    "reset.choose": Kind(news.ResetAsked, "reset", {"reset": "reset"}),
    "price.choose": Kind(
        api.TariffQuestion, "tx", {"tx": "transaction", "token": "transaction.id_token"}, shown={"tx": STARTED}
    ),
    "status.retry": Kind(api.StatusSilence, "status", {"status": ""}, CONNECTOR),
}
CALL = "call"
"""A rule on this runs when another one calls it: ``limit = { .., then = "its name" }``."""
CALLED = Kind(news.RuleNews)
RAISED = Kind(news.RuleRaised, "value", {"value": "values"})
OURS = ("station", "status", "tx", "alert", "command", "ocpp", "rule", "timer")
STATION_FIELDS = ("id", "protocol", "vendor", "model", "firmware", "connected")
GIVEN: Mapping[str, Shape] = {
    "site": record({"id": TEXT, "name": TEXT, "timezone": TEXT, "tags": Shape("text", many=True)}),
    "now": record(
        {**dict.fromkeys(("iso", "date", "weekday"), TEXT), **dict.fromkeys(("hour", "minute", "unix"), NUMBER)}
    ),
    "run": record({"id": TEXT, "rule": TEXT, "request_id": NUMBER, "try": NUMBER}),
}
STATION: Fields = {
    **{name: (of_class(api.StationRef).fields or {})[name] for name in STATION_FIELDS},
    "active_tx": NUMBER,
    "tags": Shape("text", many=True),
    "maintenance": BOOLEAN,
}


@dataclass(frozen=True)
class Vocabulary:
    """All that a set of rules may speak of: ours, the plugins', and what the rules raise and set themselves."""

    events: Mapping[str, Kind] = field(default_factory=lambda: EVENTS)
    questions: Mapping[str, Kind] = field(default_factory=lambda: QUESTIONS)
    schemas: Callable[[str], tuple[Mapping[str, Any], ...]] = lambda action: ()
    heard: tuple[str, ...] = ()
    raised: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    lax: bool = False
    """Whether flags that nobody sets may be read, and names that nobody raises be heard."""

    def kind(self, name: str) -> Kind | None:
        """The kind behind a name of ``on``; None for a name that nobody makes."""
        if name in self.events or name in self.questions:
            return self.events.get(name) or self.questions[name]
        first, _, rest = name.partition(".")
        if first == "ocpp":
            return self._call(rest)
        known = name in self.raised or self.lax
        return RAISED if known and rest and first not in OURS else None

    def raises(self, name: str) -> bool:
        """Whether a rule may give its own news this name."""
        return (name in self.raised or self.lax) and self.kind(name) is not None

    def _call(self, action: str) -> Kind | None:
        if action != "*" and action not in self.heard:
            return None
        found = [of_schema(one) for one in self.schemas(action)]
        shape = union(found) if found and action != "*" else ANY
        return Kind(api.CallReceived, "msg", {"msg": "payload"}, shown={"msg": shape})

    def is_question(self, name: str) -> bool:
        """Whether the name is one of a question."""
        return name in self.questions

    def names(self) -> tuple[str, ...]:
        """What one can be on, for a suggestion."""
        calls = tuple(f"ocpp.{one}" for one in self.heard)
        return (*self.events, *self.questions, CALL, *sorted(self.raised), *calls)

    def roots(self, kinds: Iterable[Kind]) -> list[dict[str, Shape]]:
        """For each kind all names that its rules can read."""
        station = ANY if self.lax else record({**STATION, **dict.fromkeys(self.flags, ANY)})
        return [{**kind.roots(), "station": station, **GIVEN} for kind in kinds]


_BY_CLASS: Mapping[type, tuple[str, ...]] = {kind.event: (name,) for name, kind in EVENTS.items() if not kind.notice}
_BY_NOTICE = {notice: (name,) for name, kind in EVENTS.items() for notice in kind.notice}


def event_names(event: object, more: Mapping[type, tuple[str, ...]]) -> tuple[str, ...]:
    """The names an event goes by, as rules write them; ``more`` are the plugins' own."""
    match event:
        case api.CallReceived():
            return f"ocpp.{event.action}", "ocpp.*"
        case NoticeReceived():
            return _BY_NOTICE.get(event.notice.kind, ())
        case news.RuleRaised():
            return (event.name,)
    return _BY_CLASS.get(type(event)) or more.get(type(event), ())


def with_plugins(events: Mapping[str, type], questions: Mapping[str, type]) -> tuple[dict[str, Kind], dict[str, Kind]]:
    """Our events and questions, and those of plugins."""
    kinds = {name: Kind(kind) for name, kind in events.items()}
    asked = {name: Kind(kind) for name, kind in questions.items()}
    return EVENTS | kinds, QUESTIONS | asked


def called(kinds: Iterable[Kind]) -> Kind:
    """What a rule on ``call`` sees: the parts of all rules that may call it."""
    several = list(kinds)
    if not several:
        return CALLED
    parts = {root: path for kind in several for root, path in kind.parts.items()}
    return replace(several[0], parts=parts, key=several[0].key if len(several) == 1 else ("station.id",))
