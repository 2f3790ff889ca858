"""Twenty stations that talk as fast as they are answered, and a memory of every event that was answered.

A station keeps its messages in a queue, as real ones do: one call outstanding, and what was not answered is sent again after a reconnect with the
same content and a new message id. It never looks into the server; ``kill_verdict`` compares its memory with what the server tells.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import uuid
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import websockets
from over_tls import Door, way

Payload = dict[str, Any]
LONGEST = 25
"""A transaction has fewer readings than this between its start and its end, unless its station says otherwise."""


@dataclass(slots=True)
class Charge:
    """One transaction as the station knows it; ``answered`` are the keys of its events that the server confirmed, ``forgotten`` those that the
    station sent, and gave up when no answer came."""

    station: str
    begin_wh: int
    end_wh: int = 0
    wire_id: str = ""
    answered: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    begun: bool = False
    ended: bool = False
    settled: bool = False


@dataclass(slots=True)
class Message:
    """Something to be answered; ``key`` names an event of ``charge`` whatever its message id, and is empty for the boot."""

    action: str
    payload: Payload
    charge: Charge | None = None
    key: str = ""
    tries: int = 0


class KillStation(ABC):
    """One station: makes messages, sends them one at a time, remembers what was answered.

    ``forgets_after`` so many tries it gives up a reading (0: never). With ``strays`` an answer that nobody waits for is no error: the network repeats
    things.
    """

    subprotocol: str

    def __init__(
        self,
        name: str,
        random_numbers: random.Random,
        *,
        patience_s: float | None = None,
        forgets_after: int = 0,
        strays: bool = False,
    ) -> None:
        self.name = name
        self.journal: dict[str, Message] | None = None
        """Each message by the id of every try, where somebody wants to know."""
        self._patience_s = patience_s
        self._forgets_after = forgets_after
        self._strays = strays
        self.charges: list[Charge] = []
        self.errors: list[str] = []
        self.answers = 0
        self.repeats = 0
        self.longest = LONGEST
        self.pause_s = 0.0
        """Between an answer and the next message."""
        self.comes_in: AbstractAsyncContextManager[object] = nullcontext()
        """Held until it is connected, where so many stations share one processor that they would keep the server waiting."""
        self.closed_with: list[int] = []
        """The codes of the server's close frames."""
        self._random = random_numbers
        self._register_wh = random_numbers.randrange(100_000)
        self._clock = datetime.now(UTC)
        self._ids = itertools.count(1)
        self._queue: deque[Message] = deque([self._boot()])

    @property
    def done(self) -> bool:
        """Whether nothing waits to be answered, and no transaction runs."""
        return not self._queue and (not self.charges or self.charges[-1].ended)

    async def talk(self, place: str | Door, *, finish: bool = False, until: asyncio.Event | None = None) -> None:
        """Connect and talk until the connection is lost or an answer is late; with ``finish`` until the running transaction has ended, at the
        latest when ``until`` is set."""
        try:
            async with await self._connected(place) as connection:
                self._came_back()
                while (until is None or not until.is_set()) and (message := self._next(finish=finish)):
                    await self._exchange(connection, message)
                    if self.pause_s and not finish:
                        await asyncio.sleep(self.pause_s)
        except websockets.ConnectionClosed as closed:
            self.closed_with += [closed.rcvd.code] if closed.rcvd else []
        except (OSError, TimeoutError, websockets.WebSocketException):
            return

    async def _connected(self, place: str | Door) -> websockets.ClientConnection:
        address, context = way(place, self.name)
        protocol = websockets.Subprotocol(self.subprotocol)
        async with self.comes_in:
            return await websockets.connect(
                address, ssl=context, subprotocols=[protocol], compression=None, ping_interval=None, close_timeout=1
            )

    def _came_back(self) -> None:
        """After an outage one station in four boots again; the others go on where they were, but for what they forget."""
        if self._queue and self._forgets(self._queue[0]):
            lost = self._queue.popleft()
            assert lost.charge is not None
            lost.charge.forgotten.append(lost.key)
        if self._queue and self._queue[0].action != "BootNotification" and self._random.random() < 0.25:
            self._queue.appendleft(self._boot())

    def _forgets(self, message: Message) -> bool:
        reading = message.payload.get("eventType") == "Updated"
        return reading and 0 < self._forgets_after <= message.tries

    def _next(self, *, finish: bool) -> Message | None:
        if not self._queue:
            if finish and self.done:
                return None
            self._queue.extend(self._more())
        return self._queue[0]

    async def _exchange(self, connection: Any, message: Message) -> None:
        """Send the first message of the queue; it leaves the queue when it is answered."""
        number = f"{self.name}-{next(self._ids)}"
        self.repeats += message.tries > 0
        message.tries += 1
        if self.journal is not None:
            self.journal[number] = message
        async with asyncio.timeout(self._patience_s):
            await connection.send(json.dumps([2, number, message.action, message.payload]))
            while (answer := json.loads(await connection.recv()))[1] != number:
                await self._other(connection, answer)
        self._queue.popleft()
        self.answers += 1
        if answer[0] != 3:
            self.errors.append(f"{self.name} {message.action}: {answer}")
            return
        if message.charge is not None:
            self._answered(message.charge, message, answer[2])

    async def _other(self, connection: Any, frame: list[Any]) -> None:
        """The server asks something of its own: refused, so that it does not wait."""
        if frame[0] == 2:
            await connection.send(json.dumps([4, frame[1], "NotSupported", "", {}]))
        elif not self._strays:
            self.errors.append(f"{self.name}: an answer nobody waits for: {frame}")

    def _answered(self, charge: Charge, message: Message, answer: Payload) -> None:
        charge.answered.append(message.key)

    def _time(self) -> str:
        """Now, but later than every time before."""
        self._clock = max(self._clock + timedelta(milliseconds=1), datetime.now(UTC))
        return self._clock.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _meter(self) -> int:
        self._register_wh += self._random.randrange(1, 400)
        return self._register_wh

    @abstractmethod
    def _boot(self) -> Message: ...

    @abstractmethod
    def _more(self) -> Iterator[Message]:
        """The messages of one more transaction, or as many of them as can be made now."""


class KillStation201(KillStation):
    """Speaks OCPP 2.0.1; the key of an event is its seqNo."""

    subprotocol = "ocpp2.0.1"

    def _boot(self) -> Message:
        station = {"model": "Kill", "vendorName": "Test"}
        return Message("BootNotification", {"reason": "PowerUp", "chargingStation": station})

    def _more(self) -> Iterator[Message]:
        charge = Charge(self.name, self._register_wh, wire_id=uuid.UUID(int=self._random.getrandbits(128)).hex)
        self.charges.append(charge)
        updates = self._random.randrange(1, self.longest)
        yield self._event(charge, 0, "Started", "Authorized", "Transaction.Begin", charge.begin_wh)
        for seq_no in range(1, updates + 1):
            yield self._event(charge, seq_no, "Updated", "MeterValuePeriodic", "Sample.Periodic", self._meter())
        charge.end_wh = self._meter()
        yield self._event(charge, updates + 1, "Ended", "StopAuthorized", "Transaction.End", charge.end_wh)

    def _event(self, charge: Charge, seq_no: int, type: str, trigger: str, context: str, wh: int) -> Message:
        sample = {"value": wh, "context": context, "measurand": "Energy.Active.Import.Register"}
        payload: Payload = {
            "eventType": type,
            "timestamp": self._time(),
            "triggerReason": trigger,
            "seqNo": seq_no,
            "transactionInfo": {"transactionId": charge.wire_id},
            "meterValue": [{"timestamp": self._time(), "sampledValue": [sample]}],
        }
        if type == "Started":
            payload |= {"idToken": {"idToken": "KILL", "type": "ISO14443"}, "evse": {"id": 1, "connectorId": 1}}
        return Message("TransactionEvent", payload, charge, str(seq_no))

    def _answered(self, charge: Charge, message: Message, answer: Payload) -> None:
        super()._answered(charge, message, answer)
        charge.begun = True
        charge.ended = message.payload["eventType"] == "Ended"


class KillStation16(KillStation):
    """Speaks OCPP 1.6; the key of an event is its own time, and a transaction's number comes with the answer to its start."""

    subprotocol = "ocpp1.6"

    def _boot(self) -> Message:
        return Message("BootNotification", {"chargePointModel": "Kill", "chargePointVendor": "Test"})

    def _more(self) -> Iterator[Message]:
        """A start, and once it has its number the rest of the transaction."""
        if not self.charges or self.charges[-1].ended:
            charge = Charge(self.name, self._register_wh)
            self.charges.append(charge)
            at = self._time()
            payload = {"connectorId": 1, "idTag": "KILL", "meterStart": charge.begin_wh, "timestamp": at}
            yield Message("StartTransaction", payload, charge, at)
            return
        yield from self._rest(self.charges[-1])

    def _rest(self, charge: Charge) -> Iterator[Message]:
        number = int(charge.wire_id)
        for _ in range(self._random.randrange(1, self.longest)):
            at = self._time()
            sample = {"value": str(self._meter()), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
            values = [{"timestamp": at, "sampledValue": [sample]}]
            yield Message("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": values}, charge, at)
        charge.end_wh, at = self._meter(), self._time()
        payload = {"transactionId": number, "meterStop": charge.end_wh, "timestamp": at, "idTag": "KILL"}
        yield Message("StopTransaction", payload, charge, at)

    def _answered(self, charge: Charge, message: Message, answer: Payload) -> None:
        super()._answered(charge, message, answer)
        if message.action == "StartTransaction":
            charge.wire_id, charge.begun = str(answer["transactionId"]), True
        charge.ended = message.action == "StopTransaction"
