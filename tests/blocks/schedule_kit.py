"""Schedules: what six interleaved transactions of two stations tell, and everything that can happen to it on its way.

A schedule is told to one pair of stations; what of it was not lost is told to another pair, in order and at once: the clean run. Both live in one
house (``csms.rehearsal``), so that the same time passes for both, and everything that the CSMS concludes has to be the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

from csms.config import Site
from csms.model.authorization import AuthorizationStatus, IdToken, TokenRecord
from csms.model.billing import Bill, BillKind, BillStatus
from csms.model.transactions import Transaction
from csms.ocpp.schemas import shortest_answer
from csms.rehearsal import Stage
from csms.store import verify
from csms.testing import FakeStation

SITE = """
[plugins]
enabled = ["rfid_list", "billing"]
[plugins.billing]
[[plugins.billing.tariff]]
name = "day"
currency = "EUR"
per_kwh = "0.50"
per_minute = "0.02"
per_start = "1.00"
[[plugins.billing.tariff.step]]
name = "later"
hours = "12:07-13:00"
per_kwh = "0.25"
[transactions]
silence = "60s"
ask_after = "5s"
ask_again = "10s"
ask_tries = 3
"""
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEGIN = NOON + timedelta(hours=1)
V201, V16 = "ocpp2.0.1", "ocpp1.6"
STEP = timedelta(seconds=2)
PATIENCE = 60
"""So many times ten seconds the CSMS has to come to a conclusion."""
TRANSACTIONS = {
    "a1": (V201, 1, 0),
    "a2": (V201, 1, 7),
    "a3": (V201, 2, 1),
    "b1": (V16, 1, 0),
    "b2": (V16, 1, 7),
    "b3": (V16, 2, 1),
}
"""Version, EVSE, and the minute after noon in which it begins; the second one at an EVSE begins after the first one has ended."""
SHORTEST = 2
LONGEST = {V201: 5, V16: 3}


class Mishap(StrEnum):
    """What can happen to a message. ``lost``: nobody ever hears of it. ``blind``: the answer to a start of 1.6 never comes."""

    LOST = "lost"
    TWICE = "twice"
    LATE = "late"
    CUT = "cut"
    AWAY = "away"
    BLIND = "blind"


@dataclass(frozen=True)
class Message:
    """One message of one transaction, number ``number`` of ``length``; the first one starts it, the last one ends it."""

    label: str
    number: int
    length: int
    offline: bool = False
    blind: bool = False

    @property
    def protocol(self) -> str:
        return TRANSACTIONS[self.label][0]

    @property
    def first(self) -> bool:
        return self.number == 0

    @property
    def last(self) -> bool:
        return self.number == self.length - 1

    @property
    def at(self) -> datetime:
        """Its own time."""
        return NOON + timedelta(minutes=TRANSACTIONS[self.label][2] + self.number, seconds=ord(self.label[0]) % 7)

    @property
    def wh(self) -> int:
        """The register rises at each EVSE, by another amount each minute."""
        minute = TRANSACTIONS[self.label][2] + self.number
        return 1000 * TRANSACTIONS[self.label][1] + 97 * minute + minute * minute


@dataclass(frozen=True)
class Plan:
    """How long each transaction is, and what happens to which message: (message, mishap, how long it takes)."""

    lengths: tuple[int, ...]
    mishaps: tuple[tuple[int, Mishap, int], ...]

    def messages(self) -> list[Message]:
        """Everything that is said, in its own order."""
        found = [
            Message(label, number, length)
            for label, length in zip(TRANSACTIONS, self.lengths, strict=True)
            for number in range(length)
        ]
        return sorted(found, key=lambda one: (one.at, one.label))


@dataclass
class Delivery:
    """A message at its place in the row; ``cut``: its answer is lost with the connection."""

    place: float
    message: Message
    cut: bool = False


def deliveries(plan: Plan) -> tuple[list[Delivery], set[tuple[str, int]]]:
    """What arrives, in the order in which it does, and what never does."""
    row = [Delivery(place, message) for place, message in enumerate(plan.messages())]
    more: list[Delivery] = []
    lost: set[tuple[str, int]] = set()
    for which, mishap, amount in plan.mishaps:
        one = row[which % len(row)]
        match mishap:
            case Mishap.LOST:
                lost.add((one.message.label, one.message.number))
            case Mishap.TWICE:
                more.append(Delivery(one.place + amount + 0.4, one.message))
            case Mishap.LATE:
                one.place += amount + 0.5
            case Mishap.CUT:
                one.cut = True
                more.append(Delivery(one.place + 0.1, one.message))
            case Mishap.AWAY:
                _away(row, one, amount)
            case Mishap.BLIND:
                _blind(row, one)
    for one in more:
        one.message = next(same.message for same in row if _name(same) == _name(one))
    arriving = [one for one in [*row, *more] if _name(one) not in lost]
    return sorted(_after_their_starts(arriving), key=lambda one: one.place), lost


def _name(one: Delivery) -> tuple[str, int]:
    return one.message.label, one.message.number


def _away(row: list[Delivery], first: Delivery, amount: int) -> None:
    """A station is away: what it has to say waits, and is told afterwards, as offline."""
    end = first.place + amount
    for one in row:
        if one.message.protocol == first.message.protocol and first.place <= one.place < end:
            one.place = end + one.place / 1000
            one.message = replace(one.message, offline=True)


def _blind(row: list[Delivery], which: Delivery) -> None:
    """A station of 1.6 never hears the answer to one start, and ends it under a number of its own."""
    if which.message.protocol == V16:
        for one in row:
            if one.message.label == which.message.label:
                one.message = replace(one.message, blind=True)


def _after_their_starts(arriving: list[Delivery]) -> Iterator[Delivery]:
    """A station of 1.6 can say nothing of a transaction whose number it does not know; where it never will, it says the end alone."""
    starts: dict[str, float] = {}
    for one in arriving:
        if one.message.first:
            starts[one.message.label] = min(one.place, starts.get(one.message.label, one.place))
    for one in arriving:
        message = one.message
        if message.protocol == V16 and not message.first:
            message = replace(message, blind=message.blind or message.label not in starts)
            if message.blind and not message.last:
                continue
            if not message.blind and one.place <= starts[message.label]:
                one.place = starts[message.label] + 0.2 + message.number / 100
        yield Delivery(one.place, message, one.cut)


# Who says it


class World(Stage):
    """A house for many schedules; each has stations of its own."""

    def __init__(self, site: Site) -> None:
        self.waiting: dict[str, set[str]] = {}
        """The transactions of which messages wait at a station, by their numbers on the wire."""
        super().__init__(site, "billing", BEGIN, dry=False)
        self.house.healer.start()
        for label in TRANSACTIONS:
            token = TokenRecord(IdToken(f"TAG-{label}"), AuthorizationStatus.ACCEPTED, concurrent=0)
            self._finish(self.house.store.tokens.put(token))
        self.schedules = 0

    def _answer(self, station: FakeStation) -> bool:
        calls, station.calls = station.calls, []
        for _, id, action, payload in calls:
            reply = shortest_answer(station.protocol, action)
            if action == "GetTransactionStatus":
                waits = payload.get("transactionId") in self.waiting.get(station.id, ())
                reply = {"messagesInQueue": waits, "ongoingIndicator": waits}
            station.send([3, id, reply])
        return bool(calls)

    def of(self, work: Any) -> Any:
        """What comes of a coroutine now."""
        return self._finish(work)

    def pass_time(self, time: timedelta) -> None:
        self.pass_until(self.now + time)

    def unsettled(self) -> bool:
        """Whether anything is still open: something is asked for, or goes on, or has no bill."""
        store, tomorrow = self.house.store, self.now + timedelta(days=1)
        return bool(
            self.of(store.transactions.active())
            or self.of(store.healing.due(tomorrow, 1, timedelta(days=1)))
            or self.of(store.healing.wanting(1))
            or self.of(store.transactions.due_bills(1))
        )


@dataclass
class Pair:
    """The two stations that one run of a schedule is told by."""

    world: World
    name: str
    ids: dict[str, str] = field(default_factory=dict)
    given: dict[str, set[str]] = field(default_factory=dict)

    def station(self, protocol: str) -> str:
        return f"{self.name}-{protocol[4]}"

    def connect(self, protocol: str) -> None:
        self.world.connect(self.station(protocol), protocol)

    def wire_id(self, message: Message) -> str:
        if message.protocol == V201:
            return f"{self.name}-{message.label}"
        if message.blind:
            return str(-1 - list(TRANSACTIONS).index(message.label))
        return self.ids[message.label]

    def deliver(self, one: Delivery) -> None:
        """Say a message; a cut connection is there again at once."""
        message = one.message
        action, payload = said16(message, self) if message.protocol == V16 else said201(message, self)
        answer = self.world.say(self.station(message.protocol), action, payload)
        assert answer is not None, f"{action} was refused"
        if action == "StartTransaction":
            self.ids.setdefault(message.label, str(answer["transactionId"]))
            self.given.setdefault(message.label, set()).add(str(answer["transactionId"]))
        if one.cut:
            self.world.lose(self.station(message.protocol))
            self.connect(message.protocol)

    def is_free(self) -> None:
        """All vehicles are gone."""
        for evse in (1, 2):
            at = iso(self.world.now)
            free = {"timestamp": at, "connectorStatus": "Available", "evseId": evse, "connectorId": 1}
            self.world.say(self.station(V201), "StatusNotification", free)
            free16 = {"connectorId": evse, "errorCode": "NoError", "status": "Available", "timestamp": at}
            self.world.say(self.station(V16), "StatusNotification", free16)


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def said201(message: Message, pair: Pair) -> tuple[str, dict[str, Any]]:
    """A TransactionEvent."""
    kind = "Started" if message.first else "Ended" if message.last else "Updated"
    context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(kind, "Sample.Periodic")
    state = {"Started": "EVConnected", "Ended": "EVConnected"}.get(kind, "Charging")
    info = {"transactionId": pair.wire_id(message), "chargingState": state}
    payload: dict[str, Any] = {
        "eventType": kind,
        "timestamp": iso(message.at),
        "triggerReason": "Authorized" if message.first else "MeterValuePeriodic",
        "seqNo": message.number,
        "transactionInfo": info | ({"stoppedReason": "Local"} if message.last else {}),
        "evse": {"id": TRANSACTIONS[message.label][1], "connectorId": 1},
        "meterValue": [{"timestamp": iso(message.at), "sampledValue": [{"value": message.wh, "context": context}]}],
    }
    if message.first or message.last:
        payload["idToken"] = {"idToken": f"TAG-{message.label}", "type": "ISO14443"}
    if message.offline:
        payload["offline"] = True
    return "TransactionEvent", payload


def said16(message: Message, pair: Pair) -> tuple[str, dict[str, Any]]:
    """A StartTransaction, MeterValues or StopTransaction."""
    evse, at = TRANSACTIONS[message.label][1], iso(message.at)
    if message.first:
        tag = f"TAG-{message.label}"
        return "StartTransaction", {"connectorId": evse, "idTag": tag, "meterStart": message.wh, "timestamp": at}
    wire_id = int(pair.wire_id(message))
    if message.last:
        end = {"meterStop": message.wh, "timestamp": at, "reason": "Local", "idTag": f"TAG-{message.label}"}
        return "StopTransaction", {"transactionId": wire_id, **end}
    sample = {"value": str(message.wh), "context": "Sample.Periodic", "measurand": "Energy.Active.Import.Register"}
    values = [{"timestamp": at, "sampledValue": [sample]}]
    return "MeterValues", {"connectorId": evse, "transactionId": wire_id, "meterValue": values}


# What came of it


def conclusions(pair: Pair) -> dict[str, dict[str, Any]]:
    """All that the CSMS says of each transaction, by label, with labels in place of numbers."""
    known = {label: found(pair, label) for label in TRANSACTIONS}
    names = {one.id: label for label, one in known.items() if one is not None}
    bills: dict[int, list[Bill]] = {}
    for protocol in (V201, V16):
        for bill in pair.world.of(pair.world.house.store.bills.list(station=pair.station(protocol), limit=1000)):
            bills.setdefault(bill.transaction, []).append(bill)
    return {
        label: {"transaction": None} if one is None else _concluded(one, bills.get(one.id, []), names)
        for label, one in known.items()
    }


def _concluded(transaction: Transaction, bills: Sequence[Bill], names: Mapping[int, str]) -> dict[str, Any]:
    counting = [one for one in bills if one.status is BillStatus.FINAL and one.kind is BillKind.BILL]
    open = [one for one in bills if one.status.open]
    return {
        "transaction": _plain(transaction, names),
        "bill": _said(next(iter(counting or open), None), names),
        "issued": sum((one.price.total for one in bills if one.number), Decimal(0)),
        "counting": len(counting),
    }


def found(pair: Pair, label: str) -> Transaction | None:
    """The transaction of a label, by any number that it may have on the wire."""
    protocol = TRANSACTIONS[label][0]
    blind = Message(label, 1, 2, blind=True)
    named = [pair.wire_id(replace(blind, blind=False))] if protocol == V201 or label in pair.ids else []
    rows = pair.world.house.store.transactions
    for wire_id in dict.fromkeys([*named, pair.wire_id(blind)]):
        transaction: Transaction | None = pair.world.of(rows.by_wire_id(pair.station(protocol), wire_id))
        if transaction is not None:
            return transaction
    return None


def _plain(transaction: Transaction, names: Mapping[int, str]) -> Transaction:
    return replace(
        transaction,
        id=0,
        station="",
        station_transaction="",
        heard_at=None,
        gave_up="given up" if transaction.gave_up else "",
        overlaps=(),
        review=_labelled(transaction.review, names),
    )


def _said(bill: Bill | None, names: Mapping[int, str]) -> object:
    if bill is None:
        return None
    reason = re.sub(r"not complete, and it will not be: [^;]*", "given up", _labelled(bill.reason, names))
    # That new events led to a bill, or that an older one was right after all, depends on the order.
    status = bill.status.value
    return (
        status,
        bill.price,
        bill.energy_wh,
        bill.meter_start_wh,
        bill.meter_stop_wh,
        bill.evidence,
        status != "final" and reason,
    )


def _labelled(text: str, names: Mapping[int, str]) -> str:
    """The numbers of transactions as labels, in the order of the labels."""

    def label(match: re.Match[str]) -> str:
        return "transaction " + ", ".join(sorted(names.get(int(one), one) for one in match[1].split(", ")))

    return re.sub(r"transaction (\d+(?:, \d+)*)", label, text)


@dataclass
class Result:
    """What a schedule and its clean run came to, by label; and what was lost."""

    told: dict[str, dict[str, Any]]
    clean: dict[str, dict[str, Any]]
    lost: set[tuple[str, int]]
    pair: Pair


def run(world: World, plan: Plan) -> Result:
    """Tell a schedule and its clean run, and wait until the CSMS has come to its conclusions."""
    world.schedules += 1
    pair, clean = (Pair(world, f"{name}{world.schedules}") for name in ("S", "C"))
    arriving, lost = deliveries(plan)
    for one in (pair, clean):
        for protocol in (V201, V16):
            one.connect(protocol)
    for message in _once_in_order(arriving):
        clean.deliver(Delivery(0, message))
    _tell(pair, arriving)
    for one in (pair, clean):
        one.is_free()
    for _ in range(PATIENCE):
        world.pass_time(timedelta(seconds=10))
        if not world.unsettled():
            break
    told, other = conclusions(pair), conclusions(clean)
    for one in (pair, clean):
        for protocol in (V201, V16):
            world.lose(one.station(protocol))
    return Result(told, other, lost, pair)


def _once_in_order(arriving: Sequence[Delivery]) -> list[Message]:
    """What arrives, each once, in its own order."""
    once = {(one.message.label, one.message.number): one.message for one in arriving}
    return sorted(once.values(), key=lambda one: (one.at, one.label))


def _tell(pair: Pair, arriving: Sequence[Delivery]) -> None:
    station = pair.station(V201)
    for number, one in enumerate(arriving):
        later = {pair.wire_id(two.message) for two in arriving[number:] if two.message.protocol == V201}
        pair.world.waiting[station] = later
        pair.deliver(one)
        pair.world.pass_time(STEP)
    pair.world.waiting[station] = set()


def troubles(world: World) -> list[str]:
    """What is wrong with the books of all schedules so far: holes in the numbers of bills, bills ahead of their events."""
    return verify(Path(world.house.store.file))
