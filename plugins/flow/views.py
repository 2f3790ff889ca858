"""How an event looks to an expression: plain dicts, lists, texts and numbers, made only for events that a rule is bound to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

from csms_plugins.flow.events import HIDDEN, STATION_FIELDS, Kind
from csms_plugins.flow.news import ResetAsked

from csms.api import StationRecord, StationRef, Transaction, TransactionUpdated

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FIELDS: dict[type, tuple[str, ...]] = {}


def plain(value: Any) -> Any:
    """Any value of an event as dicts, lists, texts and numbers; times as ISO 8601 in UTC."""
    kind = type(value)
    if value is None or kind in (str, int, float, bool):
        return value
    names = _FIELDS.get(kind)
    if names is None and is_dataclass(value) and not isinstance(value, type):
        names = _FIELDS[kind] = tuple(one.name for one in fields(value))
    if names is not None:
        return {name: plain(getattr(value, name)) for name in names}
    match value:
        case Enum():
            return value.value
        case Decimal():
            return _number(value)
        case datetime():
            return iso(value)
        case Mapping():
            return {str(key): plain(one) for key, one in value.items()}
        case tuple() if hasattr(value, "_fields"):
            return {name: plain(one) for name, one in zip(value._fields, value, strict=True)}
        case list() | tuple() | set() | frozenset():
            return [plain(one) for one in value]
    return str(value)


def _number(value: Decimal) -> int | float | None:
    if not value.is_finite():
        return None
    return float(value) if value != value.to_integral_value() else int(value)


def iso(at: datetime) -> str:
    """A time as ISO 8601 in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


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
