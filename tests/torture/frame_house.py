"""A whole CSMS in this process, with its real sockets but for the wire and its real blocks but for the threads, on a clock that stands still."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from frame_judge import RESULT, Answer, Expected
from frame_makers import Attempt, Maker
from frame_payloads import V16, V201
from frame_wire import CLOSE, PING, PONG, TEXT, Broken, Inflow, frame
from quick_clock import QuickClock
from socket_kit import Socket
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, formatEvent, globalLogBeginner
from twisted.python.failure import Failure

from csms.config import load_site
from csms.house import House
from csms.model.availability import ChangeAvailability, TriggerMessage, UnlockConnector
from csms.model.commands import RawCall
from csms.model.provisioning import GetBaseReport, GetVariables, Reset, SetVariables, Variable, VariableValue
from csms.model.transactions import GetTransactionStatus, RequestStopTransaction
from csms.ocpp.schemas import schemas_of
from csms.stations import Station
from csms.store.inline import InlineStore
from csms.store.verify import verify

SITE = """
[server]
profiles = [0]
max_rate = 100000
[stations]
unknown = "accept"
[plugins]
enabled = ["flow_rules", "rfid_list", "app_tokens", "reset_policy", "status_retry", "billing", "ocmf"]
[plugins.app_tokens]
secret = "0123456789abcdef0123456789abcdef"
[plugins.billing]
per_kwh = "0.45"
per_minute = "0.02"
[plugins.flow_rules]
presets = ["fault-autoreset", "lost-station", "alert-gap"]
"""
STATIONS = ((V201, False), (V16, False), (V201, True), (V16, True), (V201, False), (V16, False))
STEP_S = 0.01
PATIENCE_S = 20.0
"""So long, on its own clock, an answer may take."""
TALKERS = ("csms.plugin.flow_rules", "LogChannel")
"""Rules that tell people of lost stations are no trouble."""
VARIABLE = Variable("SecurityCtrlr", "OrganizationName")
ORDERS = (
    GetBaseReport(), Reset(), GetVariables((VARIABLE,)), SetVariables((VariableValue(VARIABLE, "x"),)), GetTransactionStatus("T1"),
    RequestStopTransaction("T1"), ChangeAvailability(True, 1), UnlockConnector(1), TriggerMessage("StatusNotification", 1),
)  # fmt: skip


class Troubles:
    """Everything that the server logs and must not, in words."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        globalLogBeginner.beginLoggingTo([self], discardBuffer=True, redirectStandardIO=False)

    def __call__(self, event: Any) -> None:
        """As an observer of the log."""
        failure, namespace = event.get("log_failure"), str(event.get("log_namespace"))
        if namespace.endswith(TALKERS) and failure is None:
            return
        if failure is not None or event.get("log_level", LogLevel.info) >= LogLevel.error:
            trace = f"\n{failure.getTraceback()}" if failure else ""
            self.texts.append(f"{namespace} logged: {formatEvent(event)}{trace}")

    def taken(self) -> list[str]:
        """Those since the last look."""
        texts, self.texts = self.texts, []
        return texts


class FrameHouse:
    """The server; what it must not do goes to ``troubles``."""

    def __init__(self, folder: Path, troubles: Troubles) -> None:
        file = folder / "csms.toml"
        file.write_text(SITE)
        self.clock = QuickClock()
        self.troubles = troubles
        self.clients: list[Client] = []
        """Everybody who answers pings."""
        self.house = House(load_site(file), self.clock, self._now, store=InlineStore(self.clock))
        self.finish(self.house.open())

    def _now(self) -> datetime:
        return datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(seconds=self.clock.seconds())

    def finish(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What comes of something that waits for nothing but this clock."""
        found: list[Any] = []
        Deferred.fromCoroutine(work).addBoth(found.append)
        for _ in range(100):
            if found:
                break
            self.clock.advance(0.1)
        if not found:
            raise Broken("something that the server does never ends")
        if isinstance(found[0], Failure):
            found[0].raiseException()
        return found[0]

    def wrong_in_the_database(self) -> list[str]:
        """What ``csms db verify`` says."""
        return verify(self.house.store.file)

    def close(self) -> None:
        """Everything ends."""
        self.finish(self.house.close())


class Client:
    """One station's end of its connection; ``orders`` are the commands whose outcome is not known yet, with their time."""

    def __init__(self, server: FrameHouse, id: str, protocol: str, *, deflate: bool, dice: random.Random) -> None:
        self.id = id
        self.server = server
        self.dice = dice
        self.maker = Maker(protocol, dice, deflate=deflate)
        self.orders: dict[Deferred[Any], float] = {}
        self._ids = itertools.count(1)
        self._closed: int | None = None
        self._heard: list[list[Any]] = []
        self.open()
        server.clients.append(self)

    @property
    def station(self) -> Station | None:
        """The server's idea of it."""
        return self._socket.protocol.station  # type: ignore[no-any-return]

    def open(self) -> None:
        """A new connection."""
        self._socket = Socket(self.server)  # type: ignore[arg-type]
        self._inflow: Inflow | None = None
        self._closed = None
        self._heard = []
        self.maker.calls = []
        extension = ("Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover",) * self.maker.deflate
        self._socket.ask_for(f"/ocpp/{quote(self.id)}", protocols=self.maker.protocol, headers=extension)
        self._wait(lambda: b"\r\n\r\n" in self._socket.transport.value(), "the handshake is not answered")
        answer, _, rest = self._socket.transport.value().partition(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 101"):
            raise Broken(f"the handshake is answered {answer[:60]!r}")
        if self.maker.deflate != (b"permessage-deflate" in answer):
            raise Broken("compression was not agreed on")
        self._socket.transport.clear()
        self._inflow = Inflow()
        self._digest(rest, self._inflow)
        self._wait(lambda: self.station is not None, "the connection does not begin")

    def boot(self) -> None:
        """As stations do."""
        self.throw(self.maker.right_call("BootNotification"))

    def throw(self, attempt: Attempt) -> None:
        """Send it, and see that what has to follow follows, and nothing else; raises Broken."""
        self._heard = []
        for piece in attempt.pieces:
            if self._closed is None:
                self._wait(self._readable, "the server does not read any more")
                self._socket.protocol.dataReceived(piece)
                self._listen()
        if attempt.expected.close:
            self._wait(lambda: self._closed is not None, "the connection is not closed")
            if self._closed not in attempt.expected.close:
                raise Broken(f"closed with {self._closed}, not {sorted(attempt.expected.close)}")
            self._lose()
            return
        self._wait(lambda: self._closed is not None or len(self._heard) >= len(attempt.expected.answers), "no answer")
        if self._closed is not None:
            raise Broken(f"closed with {self._closed}")
        heard, self._heard = self._heard, []
        self._compare(heard, attempt.expected)

    def _compare(self, answers: list[list[Any]], expected: Expected) -> None:
        wanted = {answer.id: answer for answer in expected.answers}
        for heard in answers:
            answer = wanted.pop(heard[1], None) if isinstance(heard[1], str) else None
            if answer is None:
                raise Broken(f"an answer to nothing: {str(heard)[:300]}")
            self._look(heard, answer)
        if wanted:
            raise Broken(f"no answer to {[*wanted]}")

    def _look(self, heard: list[Any], answer: Answer) -> None:
        if heard[0] == 3:
            if RESULT not in answer.codes:
                raise Broken(f"accepted, not refused with {sorted(answer.codes)}")
            return
        shape = len(heard) == 5 and all(isinstance(part, str) for part in heard[1:4]) and isinstance(heard[4], dict)
        if not shape or len(heard[3]) > 255:
            raise Broken(f"no CALLERROR: {str(heard)[:300]}")
        if heard[2] not in answer.codes:
            raise Broken(f"refused with {heard[2]} ({heard[3]}), not {sorted(answer.codes)}")

    def _wait(self, done: Any, otherwise: str) -> None:
        end = self.server.clock.seconds() + PATIENCE_S
        self._listen()
        while not done():
            if self.server.clock.seconds() > end:
                raise Broken(otherwise)
            self.server.clock.advance(0 if self.server.clock.due() else 0.1)
            # The others answer their pings meanwhile; what else they heard is looked at when it is their turn.
            for one in (self, *self.server.clients):
                one._listen()

    def _readable(self) -> bool:
        return self._closed is not None or self._socket.transport.producerState == "producing"

    def _listen(self) -> None:
        transport = self._socket.transport
        if self._inflow is not None and transport.io.tell():
            sent = transport.value()
            transport.clear()
            self._digest(sent, self._inflow)

    def _digest(self, sent: bytes, inflow: Inflow) -> None:
        for one in inflow.read(sent):
            if one.opcode == TEXT:
                self._message(one.payload)
            elif one.opcode == PING:
                self._socket.protocol.dataReceived(frame(PONG, one.payload))
            elif one.opcode == CLOSE:
                self._closed = int.from_bytes(one.payload[:2], "big") if one.payload else 1005

    def _message(self, payload: bytes) -> None:
        message = json.loads(payload)
        if message[0] != 2:
            self._heard.append(message)
            return
        _, _, action, body = message
        problems = schemas_of(self.maker.protocol).problems(action, body)
        if problems:
            raise Broken(f"the server calls {action} against its schema: {problems[0].message}")
        self.maker.calls.append(message)

    def listen(self) -> None:
        """Hear what came while others spoke; raises Broken for anything that nobody asked for."""
        self._listen()
        if self._heard:
            raise Broken(f"an answer to nothing: {self._heard[0]}")
        if self._closed is not None:
            raise Broken(f"closed with {self._closed}, without cause")
        if self._socket.aborted:
            raise Broken(f"dropped: {self._socket.protocol.wasNotCleanReason}")

    def _lose(self) -> None:
        """The connection is over; the next one begins."""
        self._socket.close()
        self.open()
        if self.dice.random() < 0.9:
            self.boot()

    def lose(self) -> None:
        """The network is gone."""
        self._lose()

    def hang_up(self) -> None:
        """The network is gone, and nobody comes back."""
        self._socket.close()

    def tell_maker(self) -> None:
        """What the station knows of its own state."""
        if self.station is not None:
            self.maker.accepted, self.maker.asked = self.station.accepted, self.station.asked

    def order(self) -> None:
        """The server is told to ask something of this station."""
        command: object = self.dice.choice(ORDERS)
        if self.dice.random() < 0.6:
            action = self.dice.choice(self.maker.payloads.actions)
            command = RawCall(action, self.maker.payloads.good(action))
        waiting = Deferred.fromCoroutine(self.server.house.commands.send(self.id, command, origin="torture"))
        self.orders[waiting] = self.server.clock.seconds()
        waiting.addBoth(self._ordered, waiting)

    def _ordered(self, outcome: Any, waiting: Deferred[Any]) -> None:
        self.orders.pop(waiting, None)
        if isinstance(outcome, Failure):
            self.server.troubles.texts.append(f"a command raised:\n{outcome.getTraceback()}")
