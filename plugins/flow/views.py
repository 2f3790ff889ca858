"""How an event looks to an expression: plain dicts, lists, texts and numbers, made only for events that a rule is bound to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

from csms_plugins.flow.events import HIDDEN, STATION_FIELDS, Kind
from csms_plugins.flow.news import ResetAsked

from csms.api import StationRecord, StationRef, Transaction, TransactionUpdated

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Plainly = Callable[[Any], Any]
AS_IT_IS = frozenset({str, int, float, bool, type(None)})
_WAYS: dict[type, Plainly] = {}
"""How values of a class become plain: found once for each class, for it is done with every field of every event that a rule is bound to."""


def plain(value: Any) -> Any:
    """Any value of an event as dicts, lists, texts and numbers; times as ISO 8601 in UTC."""
    kind = type(value)
    if kind in AS_IT_IS:
        return value
    way = _WAYS.get(kind)
    if way is None:
        way = _WAYS[kind] = _way(kind)
    return way(value)


def _way(kind: type) -> Plainly:
    if is_dataclass(kind):
        return _fields_of(tuple(one.name for one in fields(kind)))
    if issubclass(kind, Enum):
        return attrgetter("value")
    if issubclass(kind, Decimal):
        return _number
    if issubclass(kind, datetime):
        return iso
    if issubclass(kind, Mapping):
        return lambda value: {str(key): plain(one) for key, one in value.items()}
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _fields_of(kind._fields)
    if issubclass(kind, list | tuple | set | frozenset):
        return lambda value: [plain(one) for one in value]
    return str


def _fields_of(names: Sequence[str]) -> Plainly:
    """A dict of these attributes; what is plain already is not looked at twice."""

    def made(value: Any) -> dict[str, Any]:
        shown = {}
        for name in names:
            one = getattr(value, name)
            shown[name] = one if type(one) in AS_IT_IS else plain(one)
        return shown

    return made


def _number(value: Decimal) -> int | float | None:
    if not value.is_finite():
        return None
    return float(value) if value != value.to_integral_value() else int(value)


def iso(at: datetime) -> str:
    """A time as ISO 8601 in UTC."""
    return (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat()[: -len("+00:00")] + "Z"


def view(event: Any, kind: Kind) -> dict[str, Any]:
    """The names that an event gives to expressions."""
    own = plain(event)
    station = own.get("station")
    names: dict[str, Any] = {"station": station if isinstance(station, dict) else {}}
    own = {key: value for key, value in own.items() if key not in HIDDEN}
    names["event"] = own
    for root, path in kind.parts.items():
        part: Any = own
        for step in path.split(".") if path else ():
            part = part.get(step) if isinstance(part, dict) else None
        names[root] = part
    if "tx" in names:
        names["tx"] = _transaction(event, names["tx"])
    if isinstance(event, ResetAsked):
        names["station"]["active_tx"] = event.active_transactions
    return names


def _transaction(event: Any, shown: Any) -> Any:
    """``tx.id`` is the id on the wire, whatever version the station speaks."""
    if not isinstance(shown, dict):
        return shown
    if isinstance(event, TransactionUpdated):
        return {**shown, "id": event.transaction_id}
    transaction = getattr(event, "transaction", None)
    if not isinstance(transaction, Transaction):
        return shown
    return {**shown, "id": transaction.station_transaction, "energy_wh": plain(transaction.energy_wh)}


def moment(now: datetime, zone: ZoneInfo) -> dict[str, Any]:
    """The name ``now``: ``iso`` and ``unix`` in UTC, the rest in the site's time zone."""
    local = now.astimezone(zone)
    return {
        "iso": iso(now),
        "unix": now.timestamp(),
        "date": local.date().isoformat(),
        "hour": local.hour,
        "minute": local.minute,
        "weekday": DAYS[local.weekday()],
    }


def station_view(station: StationRef | StationRecord) -> dict[str, Any]:
    """The name ``station``, without flags."""
    if isinstance(station, StationRef):
        return {name: getattr(station, name) for name in STATION_FIELDS}
    shown = {name: getattr(station, name) for name in STATION_FIELDS if name != "connected"}
    return {**shown, "connected": station.online}


def ref_of(station: Mapping[str, Any]) -> StationRef:
    """Back from the name ``station`` to the words of the house."""
    return StationRef(**{"id": "", **{key: station[key] for key in STATION_FIELDS if station.get(key) is not None}})
