"""What flow rules can be bound to, and how an event looks to an expression: plain dicts, lists, texts and numbers.

Every event shows ``station`` and ``event`` (its own fields); most have a shorter name for the part that matters, such as ``status`` or ``gap``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

from csms.api import (
    AlertGap,
    AlertReceived,
    AuthorizationRequest,
    BootNotification,
    CallReceived,
    CommandClosed,
    Reset,
    StationBooted,
    StationConnected,
    StationLost,
    StationRef,
    StatusChanged,
    StatusMissing,
    TokenAuthorized,
    Transaction,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)


@dataclass(frozen=True, slots=True)
class RuleRaised:
    """News made by a rule's ``raise``; ``causes`` are the rules that led to it, the newest last."""

    station: StationRef
    at: datetime
    name: str
    values: Mapping[str, Any]
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BootAsked:
    """The question ``boot``."""

    station: StationRef
    boot: BootNotification


@dataclass(frozen=True, slots=True)
class ResetAsked:
    """The question ``reset.choose``."""

    station: StationRef
    reset: Reset
    active_transactions: int


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing a rule can be ``on``; ``parts`` name paths into the event, and the fields of ``main`` stand alone in ``where``."""

    event: type
    main: str = "event"
    parts: Mapping[str, str] = field(default_factory=dict)
    key: tuple[str, ...] = ("station.id",)


CONNECTOR = ("station.id", "status.evse", "status.connector")
TX = ("station.id", "tx.id")
EVENTS: Mapping[str, Kind] = {
    "station.connected": Kind(StationConnected),
    "station.lost": Kind(StationLost),
    "station.booted": Kind(StationBooted, "boot", {"boot": "boot"}),
    "status": Kind(StatusChanged, "status", {"status": ""}, CONNECTOR),
    "status.missing": Kind(StatusMissing, "status", {"status": ""}, CONNECTOR),
    "tx.started": Kind(TransactionStarted, "tx", {"tx": "transaction", "msg": "event", "token": "event.id_token"}, TX),
    "tx.updated": Kind(TransactionUpdated, "tx", {"tx": "event", "msg": "event", "token": "event.id_token"}, TX),
    "tx.ended": Kind(TransactionEnded, "tx", {"tx": "transaction", "msg": "event", "token": "event.id_token"}, TX),
    "authorized": Kind(TokenAuthorized, "event", {"token": "id_token"}),
    "alert": Kind(AlertReceived, "alert", {"alert": "alert"}),
    "alert.gap": Kind(AlertGap, "gap", {"gap": ""}),
    "command.result": Kind(CommandClosed, "command", {"command": "command"}),
    "call": Kind(CallReceived, "event", {"msg": "payload"}),
}
QUESTIONS: Mapping[str, Kind] = {
    "authorize": Kind(AuthorizationRequest, "event", {"token": "id_token"}),
    "boot": Kind(BootAsked, "boot", {"boot": "boot"}),
    "reset.choose": Kind(ResetAsked, "reset", {"reset": "reset"}),
}
_BY_CLASS: Mapping[type, tuple[str, ...]] = {kind.event: (name,) for name, kind in EVENTS.items()}
OCPP = Kind(CallReceived, "msg", {"msg": "payload"})
CUSTOM = Kind(RuleRaised, "value", {"value": "values"})
OURS = ("station", "status", "tx", "alert", "command", "ocpp")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
GIVEN: Mapping[str, tuple[str, ...]] = {
    "site": ("id", "timezone"),
    "now": ("iso", "date", "hour", "minute", "weekday"),
    "run": ("id", "rule", "request_id"),
}


def kind_of(name: str) -> Kind | None:
    """The kind behind a name of ``on``; None for names that are not ours and have no dot."""
    if name in EVENTS or name in QUESTIONS:
        return EVENTS.get(name) or QUESTIONS[name]
    first, dot, rest = name.partition(".")
    if first == "ocpp" and rest.isidentifier():
        return OCPP
    return CUSTOM if dot and rest and first not in OURS else None


def event_names(event: object) -> tuple[str, ...]:
    """The names an event goes by, as rules write them."""
    match event:
        case CallReceived():
            return "call", f"ocpp.{event.action}"
        case RuleRaised():
            return (event.name,)
    return _BY_CLASS.get(type(event), ())


def listened(names: Iterable[str]) -> tuple[type, ...]:
    """The classes of news that rules on these names need."""
    found = {kind.event for name in names if name not in QUESTIONS and (kind := kind_of(name)) is not None}
    return tuple(sorted(found, key=lambda one: one.__name__))


def plain(value: Any) -> Any:
    """Any value of an event as dicts, lists, texts and numbers; times as ISO 8601 in UTC."""
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return float(value) if value != value.to_integral_value() else int(value)
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case Mapping():
            return {str(key): plain(one) for key, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    return str(value)


def view(event: Any, kind: Kind) -> dict[str, Any]:
    """The names that an event gives to expressions."""
    own = plain(event)
    station = own.pop("station", None) or {}
    names: dict[str, Any] = {"station": station, "event": own}
    for root, path in kind.parts.items():
        part: Any = own
        for step in path.split(".") if path else ():
            part = part.get(step) if isinstance(part, dict) else None
        names[root] = part
    if "tx" in names:
        names["tx"] = _transaction(event, names["tx"])
    if isinstance(event, ResetAsked):
        station["active_tx"] = event.active_transactions
    return names


def _transaction(event: Any, shown: dict[str, Any]) -> dict[str, Any]:
    """``tx.id`` is the id on the wire, whatever version the station speaks."""
    if isinstance(event, TransactionUpdated):
        return {**shown, "id": event.transaction_id}
    transaction: Transaction = event.transaction
    return {**shown, "id": transaction.station_transaction, "energy_wh": plain(transaction.energy_wh)}


def moment(now: datetime, zone: ZoneInfo) -> dict[str, Any]:
    """The name ``now``: ``iso`` in UTC, the rest in the site's time zone."""
    local = now.astimezone(zone)
    day = DAYS[local.weekday()]
    return {
        "iso": plain(now),
        "date": local.date().isoformat(),
        "hour": local.hour,
        "minute": local.minute,
        "weekday": day,
    }


def shape(kind: Kind) -> dict[str, Any]:
    """What can be read of a kind: names to classes, to names of fields, or to None where anything may be."""
    roots: dict[str, Any] = {"event": kind.event, "station": StationRef, **GIVEN}
    for root, path in kind.parts.items():
        part: Any = kind.event
        for step in path.split(".") if path else ():
            part = _inner(part, step)
        roots[root] = part
    return roots


def _inner(part: Any, step: str) -> Any:
    if not (isinstance(part, type) and is_dataclass(part)):
        return None
    hint = get_type_hints(part).get(step)
    if get_origin(hint) in (Union, UnionType):
        hint = next((one for one in get_args(hint) if one is not type(None)), None)
    return hint if isinstance(hint, type) else None


EXTRA = {"station": ("active_tx",), "tx": ("id", "energy_wh")}


def field_names(root: str, part: Any) -> tuple[str, ...] | None:
    """The fields that a part of an event has; None when anything may be in it."""
    if isinstance(part, tuple):
        return part
    if isinstance(part, type) and is_dataclass(part):
        return (*(one.name for one in fields(part)), *EXTRA.get(root, ()))
    return None


def unknown(roots: Mapping[str, Any], path: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    """The first name of a path that does not exist, and those that do; None when all is well."""
    if path[0] not in roots:
        return path[0], tuple(roots)
    part = roots[path[0]]
    for depth, step in enumerate(path[1:], 1):
        known = field_names(path[0] if depth == 1 else "", part)
        if known is None:
            return None
        if step not in known:
            return step, known
        part = _inner(part, step)
        if isinstance(part, type) and not is_dataclass(part) and depth < len(path) - 1 and part in (str, int, bool):
            return path[depth + 1], ()
    return None


def is_leaf(roots: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    """Whether a path leads to a plain value, in which there are no more fields."""
    part = roots.get(path[0])
    for step in path[1:]:
        part = _inner(part, step)
    return isinstance(part, type) and not is_dataclass(part)


def enum_words(roots: Mapping[str, Any], path: tuple[str, ...]) -> tuple[str, ...]:
    """The words a field can have, or nothing when it is not one of a few words."""
    part = roots.get(path[0])
    for step in path[1:]:
        part = _inner(part, step)
    if isinstance(part, type) and issubclass(part, Enum):
        return tuple(str(one.value) for one in part)
    return ()
