"""Transactions as a set of events, and the state that follows from the set: OCPP 2.x block E."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from csms.model.authorization import Authorization, IdToken
from csms.model.metering import MeterValue, Readings
from csms.model.station import StationRef
from csms.model.tx_points import Nature, TxPoints


class EventType(StrEnum):
    """The three kinds of transaction events."""

    STARTED = "Started"
    UPDATED = "Updated"
    ENDED = "Ended"


@dataclass(frozen=True, slots=True)
class TransactionEvent:
    """One event of one transaction, in the station's words and time.

    ``key`` makes a repeat recognisable whatever the message id: 2.x the seqNo; 1.6 ``start/<connector>/<tag>/<time>/<meter>``,
    ``stop``, or ``meter/<digest>`` of the content. ``seq_no`` is None in 1.6, which has none. ``transaction`` is the id on the
    wire, empty only in a 1.6 start, which gets its id when it is stored.
    """

    transaction: str
    type: EventType
    timestamp: datetime
    trigger: str
    key: str
    seq_no: int | None = None
    offline: bool = False
    evse: int | None = None
    connector: int | None = None
    id_token: IdToken | None = None
    meter_values: tuple[MeterValue, ...] = ()
    charging_state: str = ""
    stopped_reason: str = ""
    remote_start_id: int | None = None
    reservation_id: int | None = None

    @property
    def tells_the_time(self) -> bool:
        """Whether its timestamp is the station's present time: it is not told afterwards, which an event of 1.6 cannot say."""
        return not self.offline and self.seq_no is not None

    def readings_of(self, measurand: str) -> tuple[MeterValue, ...]:
        """The meter values with the samples of one measurand (and those of it that are UNREADABLE): cheap, for no others are decoded."""
        return METER_VALUES.of(self, measurand)


METER_VALUES = Readings(TransactionEvent.meter_values)  # type: ignore[misc]
TransactionEvent.meter_values = METER_VALUES  # type: ignore[misc, assignment]


class Completeness(StrEnum):
    """What the set of events says of a transaction; ``gave_up``: it is not complete, and nobody expects that it will be."""

    ONGOING = "ongoing"
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    GAVE_UP = "gave_up"


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction's state: a pure function of the set of its events.

    ``station_transaction`` is the id on the wire (text in 2.x, number in 1.6). ``energy_wh`` is end minus start of the register when both are
    known. ``missing`` lists sequence numbers between those seen.
    """

    id: int
    station: str
    station_transaction: str
    completeness: Completeness
    evse: int | None = None
    connector: int | None = None
    id_token: IdToken | None = None
    stop_token: IdToken | None = None
    authorization: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    start_trigger: str = ""
    stopped_reason: str = ""
    charging_state: str = ""
    remote_start_id: int | None = None
    meter_start_wh: Decimal | None = None
    meter_stop_wh: Decimal | None = None
    last_meter_wh: Decimal | None = None
    last_event_at: datetime | None = None
    events: int = 0
    missing: tuple[int, ...] = ()
    review: str = ""
    group: IdToken | None = None
    """The group of the token that it was authorized with, if any."""
    gave_up: str = ""
    """Why nobody expects any more what is missing; empty while somebody does."""
    overlaps: tuple[int, ...] = ()
    """Numbers of transactions that were active at the same EVSE at the same time."""
    heard_at: datetime | None = None
    """When the station last told anything of it, by the clock of the CSMS."""

    @property
    def energy_wh(self) -> Decimal | None:
        """End minus start of the energy register, or None while one is unknown."""
        if self.meter_start_wh is None or self.meter_stop_wh is None:
            return None
        return self.meter_stop_wh - self.meter_start_wh


@dataclass(frozen=True, slots=True)
class Judgement:
    """What may be thought of a transaction: ``quarantine`` are sentences, and while there is one its bill must not be sent.

    ``nature`` says what it was, as far as it is known by now; ``points`` are those of its station today.
    """

    quarantine: tuple[str, ...] = ()
    nature: Nature = Nature.CHARGE
    points: TxPoints = field(default_factory=TxPoints)


@dataclass(frozen=True, slots=True)
class TransactionAnswer:
    """What the station is told; ``transaction`` is the id of a 1.6 start."""

    transaction: str
    authorization: Authorization | None = None
    total_cost: Decimal | None = None
    charging_priority: int | None = None


@dataclass(frozen=True, slots=True)
class TransactionStarted:
    """A transaction's Started event is stored for the first time."""

    station: StationRef
    at: datetime
    transaction: Transaction
    event: TransactionEvent


@dataclass(frozen=True, slots=True)
class TransactionUpdated:
    """An Updated event is stored for the first time."""

    station: StationRef
    at: datetime
    transaction_id: str
    event: TransactionEvent


@dataclass(frozen=True, slots=True)
class TransactionEnded:
    """A transaction's Ended event is stored for the first time."""

    station: StationRef
    at: datetime
    transaction: Transaction
    event: TransactionEvent


@dataclass(frozen=True, slots=True)
class TransactionIncomplete:
    """Something of a transaction is missing, and the CSMS begins to ask for it; ``cause`` says what in words."""

    station: StationRef
    at: datetime
    transaction: Transaction
    cause: str


@dataclass(frozen=True, slots=True)
class TransactionHealed:
    """What was missing has come."""

    station: StationRef
    at: datetime
    transaction: Transaction


@dataclass(frozen=True, slots=True)
class TransactionGaveUp:
    """Nobody expects any more what is missing; ``why`` is a sentence. It may come all the same, and then it counts."""

    station: StationRef
    at: datetime
    transaction: Transaction
    why: str


@dataclass(frozen=True, slots=True)
class TransactionOverlap:
    """Two transactions at one EVSE at one time, which one vehicle cannot have: one of them is wrong."""

    station: StationRef
    at: datetime
    transaction: Transaction
    others: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RequestStartTransaction:
    """Command: start charging for a token; its effect is the Started event that carries ``remote_start_id``."""

    id_token: IdToken
    evse: int | None = None
    remote_start_id: int | None = None
    group: IdToken | None = None


@dataclass(frozen=True, slots=True)
class RequestStopTransaction:
    """Command: end a transaction, named by its id on the wire; its effect is the Ended event."""

    transaction: str


@dataclass(frozen=True, slots=True)
class GetTransactionStatus:
    """Command: ask whether a transaction is ongoing and whether messages wait (2.x only)."""

    transaction: str | None = None


@dataclass(frozen=True, slots=True)
class TransactionStatus:
    """What a station says of a transaction: whether it goes on (None: it did not say), and whether messages of it wait to be sent."""

    ongoing: bool | None
    queued: bool
