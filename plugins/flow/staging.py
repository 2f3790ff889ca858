"""Makes events and questions from the plain tables of a test: what a table leaves out has its default, or the shortest value of its type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from csms_plugins.flow.events import Vocabulary
from csms_plugins.flow.news import RuleNews, RuleRaised
from csms_plugins.flow.views import plain

from csms.api import (
    AuthorizationRequest,
    BootNotification,
    IdToken,
    Notice,
    NoticeReceived,
    Reset,
    StationRef,
    StatusSilence,
    TariffQuestion,
    Transaction,
)

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
NOBODY = "none"
"""What a test expects of a question that nobody answers."""
RENAMED = {"id": "station_transaction"}
"""Names that rules use for fields of a transaction."""


class Unmade(ValueError):
    """A table is no event or question; it says why."""


def event_of(vocabulary: Vocabulary, name: str, given: Mapping[str, Any], station: StationRef, at: datetime) -> object:
    """The event of a name with these fields of its main part; raises Unmade."""
    kind = vocabulary.kind(name)
    if kind is None or vocabulary.is_question(name) or name in ("timer", "call"):
        raise Unmade(f"no event {name} can be told; a call of a station is told by ocpp")
    if kind.event is RuleRaised:
        return RuleRaised(station, at, (), "", name, given)
    if kind.notice:
        return NoticeReceived(station, at, Notice(kind.notice[0], dict(given), at))
    path = kind.parts.get(kind.main, "")
    table: dict[str, Any] = {RENAMED.get(key, key) if path == "transaction" else key: one for key, one in given.items()}
    for part in reversed(path.split(".") if path else []):
        table = {part: table}
    own: dict[str, Any] = {"causes": (), "effect": ""} if issubclass(kind.event, RuleNews) else {}
    return made(kind.event, {**own, **table, "station": station, "at": at})


def question_of(name: str, given: Mapping[str, Any], station: StationRef, at: datetime) -> tuple[str, dict[str, Any]]:
    """The hook of a question, and what it is asked; raises Unmade."""
    match name:
        case "reset.choose":
            active = made(int, given.get("active_tx", 0))
            return "plan_reset", {"station": station, "reset": Reset(), "active_transactions": active}
        case "authorize":
            token = IdToken(str(given.get("token", "")), str(given.get("type", "ISO14443")))
            return "authorize", {"request": AuthorizationRequest(station, token, at)}
        case "boot":
            return "decide_boot", {"station": station, "boot": made(BootNotification, given)}
        case "price.choose":
            transaction = made(Transaction, {"station": station.id, **given})
            started = transaction.started_at or at
            return "choose_tariff", {"question": TariffQuestion(station, transaction, started, transaction.group)}
        case "status.retry":
            return "plan_status_check", {"silence": made(StatusSilence, {**given, "station": station})}
    raise Unmade(f"no question is called {name}")


def answer_fits(answer: Any, expected: Mapping[str, Any] | str) -> bool:
    """Whether an answer has these fields; the word behind ``decide`` stands for its main one. ``none``: nobody answers."""
    if isinstance(expected, str):
        if expected != NOBODY:
            raise Unmade(f"the fields of an answer are a table, or expect is {NOBODY!r}, not {expected!r}")
        return answer is None
    shown = plain(answer) if answer is not None else {}
    short = {"reset": "when", "auth": "status", "boot": "status", "tariff": "tariff"}
    for key, wanted in expected.items():
        value = shown.get(short.get(key, key))
        if isinstance(value, dict) and not isinstance(wanted, dict):
            value = value.get("value")
        if value != wanted:
            return False
    return True


def made(hint: Any, given: Any) -> Any:
    """A value of a type from plain data; raises Unmade."""
    if get_origin(hint) in (Union, UnionType):
        inner = [one for one in get_args(hint) if one is not type(None)]
        return None if given is None else made(inner[0], given)
    if hint is Any:
        return given
    if isinstance(hint, type) and isinstance(given, hint):
        return given
    try:
        return _made(hint, given)
    except (ValueError, TypeError, ArithmeticError) as wrong:
        raise Unmade(f"{given!r} is no {getattr(hint, '__name__', hint)}: {wrong}") from None


def _made(hint: Any, given: Any) -> Any:
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(given) if given is not None else next(iter(hint))
    if is_dataclass(hint) and isinstance(hint, type):
        return _dataclass(hint, given or {})
    if hint is datetime:
        return datetime.fromisoformat(given) if given is not None else EPOCH
    if hint is Decimal:
        return Decimal(str(given)) if given is not None else Decimal(0)
    if get_origin(hint) in (tuple, list):
        return tuple(made(get_args(hint)[0], one) for one in given or ())
    if isinstance(hint, type) and hint in (str, int, float, bool):
        return hint(given) if given is not None else hint()
    return given


def _dataclass(kind: type, given: Any) -> Any:
    if not isinstance(given, Mapping):
        raise Unmade(f"{given!r} is no {kind.__name__}")
    hints = get_type_hints(kind)
    known = {one.name: one for one in fields(kind)}
    strange = [name for name in given if name not in known]
    if strange:
        raise Unmade(f"{kind.__name__} has no {strange[0]}: it has {', '.join(known)}")
    values = {}
    for name, one in known.items():
        if name in given:
            values[name] = made(hints[name], given[name])
        elif one.default is MISSING and one.default_factory is MISSING:
            values[name] = made(hints[name], None)
    return kind(**values)


def holds(value: Any, wanted: Any) -> bool:
    """Whether a value has at least what is wanted."""
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(holds(value.get(key), one) for key, one in wanted.items())
    if isinstance(wanted, list):
        return isinstance(value, list) and len(value) == len(wanted) and all(map(holds, value, wanted))
    return bool(value == wanted)


def charge(stage: Any, station: str, protocol: str, evse: int) -> None:
    """A transaction begins, in whichever words the station's version has for it."""
    started = stage.now.isoformat()
    told = {
        "StartTransaction": {"connectorId": evse, "idTag": "TEST", "meterStart": 0, "timestamp": started},
        "TransactionEvent": {
            "eventType": "Started",
            "timestamp": started,
            "triggerReason": "CablePluggedIn",
            "seqNo": 0,
            "transactionInfo": {"transactionId": f"{station}-{evse}"},
            "evse": {"id": evse, "connectorId": 1},
        },
    }
    heard = stage.plugin.csms.ocpp.heard(protocol)
    action = next(one for one in told if one in heard)
    stage.say(station, action, told[action])
