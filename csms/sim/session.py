"""The station's side of the conversation: one call out at a time, repeated when nobody answers; events about charges outlive the socket.

Knows the RPC peer and a line to write frames to; it does not know what the messages mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from csms.ocpp.errors import ErrorCode, OcppError
from csms.ocpp.rpc import Call, Failure, Garbled, Ignored, Peer, Result
from csms.ocpp.schemas import check
from csms.sim.uplink import Line

Payload = dict[str, Any]


class CallLost(Exception):
    """The line went away, or nobody answered, before an answer came."""


class CallRefused(Exception):
    """The CSMS answered with an error: ``code`` is the word of its OCPP version."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code


class Lane(Enum):
    """Which calls may leave when: only BOOT and ASKED before the boot is accepted; only KEPT outlives the line."""

    BOOT = "boot"
    ASKED = "asked"
    ROUTINE = "routine"
    KEPT = "kept"


class Words(Protocol):
    """Makes the payload of a kept call when it is sent; ``offline`` says that it happened, or first failed to go out, without a line."""

    def __call__(self, *, offline: bool) -> Payload:
        """The payload."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What answers a call, and what to do once the answer is out."""

    payload: Payload
    then: Callable[[], None] | None = None


@dataclass(slots=True, eq=False)
class _Waiting:
    action: str
    words: Words
    lane: Lane
    offline: bool
    answer: Deferred[Payload] = field(default_factory=Deferred)
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer is waited for, how long a failed event rests, and how often a call is tried when it is answered with an error."""

    answer_s: float = 30.0
    rest_s: float = 10.0
    tries: int = 3


class Session:
    """Calls out and answers in, over one line after another. ``respond`` answers the CSMS's calls and may raise OcppError."""

    log = Logger()

    def __init__(
        self,
        protocol: str,
        *,
        station: str,
        clock: IReactorTime,
        random: Random,
        respond: Callable[[Call], Answer],
        patience: Callable[[], Patience] = Patience,
    ) -> None:
        self.protocol = protocol
        self.boot_accepted = False
        self.unwelcome: Callable[[], None] = lambda: None
        self._station = station
        self._clock = clock
        self._respond = respond
        self._patience = patience
        self._id_prefix = f"{random.getrandbits(48):012x}"
        self._id_count = 0
        self._peer = Peer(protocol)
        self._line: Line | None = None
        self._queue: list[_Waiting] = []
        self._flying: tuple[str, _Waiting] | None = None
        self._deadline: IDelayedCall | None = None
        self._rest: IDelayedCall | None = None

    @property
    def online(self) -> bool:
        """Whether there is a line."""
        return self._line is not None

    @property
    def undelivered(self) -> int:
        """How many kept calls wait for an answer."""
        flying = self._flying is not None and self._flying[1].lane is Lane.KEPT
        return flying + sum(waiting.lane is Lane.KEPT for waiting in self._queue)

    @property
    def idle(self) -> bool:
        """Whether nothing waits to go out or to be answered."""
        return not self._queue and self._flying is None

    def opened(self, line: Line) -> None:
        """A new line; what was kept goes out once the boot is accepted."""
        self._line, self._peer = line, Peer(self.protocol)
        self._pump()

    def lost(self) -> None:
        """The line is gone: kept calls wait for the next one, the others fail with CallLost."""
        self._line = None
        for timer in (self._deadline, self._rest):
            if timer is not None and timer.active():
                timer.cancel()
        self._rest = None
        waiting = ([self._flying[1]] if self._flying else []) + self._queue
        self._flying = None
        self._queue = [one for one in waiting if one.lane is Lane.KEPT]
        for one in waiting:
            if one.lane is Lane.KEPT:
                one.offline = True
            else:
                one.answer.errback(CallLost("the connection was lost"))

    def close(self) -> None:
        """Close the line, if there is one."""
        if self._line is not None:
            self._line.close()

    def accept_boot(self, *, accepted: bool) -> None:
        """Open or shut the gate that only boot calls pass."""
        self.boot_accepted = accepted
        self._pump()

    def ask(self, action: str, payload: Payload, lane: Lane = Lane.ROUTINE) -> Deferred[Payload]:
        """Send a call; the answer's payload, or CallLost or CallRefused."""
        if self._line is None:
            return _failed(CallLost("there is no connection"))
        return self._enqueue(_Waiting(action, lambda *, offline: payload, lane, offline=False))

    def keep(self, action: str, words: Words) -> Deferred[Payload]:
        """Send a call that is repeated, in order, until it is answered; CallRefused when it was refused too often and is dropped."""
        return self._enqueue(_Waiting(action, words, Lane.KEPT, offline=self._line is None))

    def post(self, action: str, payload: Payload, lane: Lane = Lane.ROUTINE) -> None:
        """Send a call whose answer does not matter."""
        self.ask(action, payload, lane).addErrback(self.shrug, action)

    def shrug(self, failure: Any, action: str) -> None:
        """Note that a call nobody waits for failed."""
        failure.trap(CallLost, CallRefused)
        self.log.info(
            "{station}: {action} failed: {why}", station=self._station, action=action, why=failure.getErrorMessage()
        )

    def received(self, frame: str | bytes) -> None:
        """One frame from the CSMS."""
        match self._peer.receive(frame):
            case Call() as call:
                self._reply(call)
            case Result(id=id, payload=payload):
                if (waiting := self._landed(id)) is not None:
                    waiting.answer.callback(dict(payload))
                    self._pump()
            case Failure(id=id, code=code, description=description):
                self._refused(id, str(code), description)
            case Garbled(reply=reply):
                if reply and self._line:
                    self._line.send(reply)
            case Ignored(why=why):
                self.log.info("{station}: frame ignored: {why}", station=self._station, why=why)

    def _enqueue(self, waiting: _Waiting) -> Deferred[Payload]:
        self._queue.append(waiting)
        self._pump()
        return waiting.answer

    def _pump(self) -> None:
        if self._line is None or self._flying is not None:
            return
        waiting = self._next()
        if waiting is None:
            return
        self._queue.remove(waiting)
        self._id_count += 1
        id = f"{self._id_prefix}-{self._id_count}"
        frame = self._peer.call(id, waiting.action, waiting.words(offline=waiting.offline))
        self._flying = (id, waiting)
        self._deadline = self._clock.callLater(self._patience().answer_s, self._unanswered, id)
        self._line.send(frame)

    def _next(self) -> _Waiting | None:
        for waiting in self._queue:
            if waiting.lane in (Lane.BOOT, Lane.ASKED):
                return waiting
        if not self.boot_accepted:
            return None
        resting = self._rest is not None
        return next((one for one in self._queue if not (resting and one.lane is Lane.KEPT)), None)

    def _landed(self, id: str) -> _Waiting | None:
        if self._flying is None or self._flying[0] != id:
            return None
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        waiting, self._flying = self._flying[1], None
        return waiting

    def _refused(self, id: str, code: str, description: str) -> None:
        waiting = self._landed(id)
        if waiting is None:
            return
        waiting.failures += 1
        if waiting.lane is Lane.KEPT and waiting.failures < self._patience().tries:
            self._again(waiting)
        else:
            waiting.answer.errback(CallRefused(code, description))
        if code == "SecurityError" and waiting.lane is not Lane.BOOT:
            self.unwelcome()
        self._pump()

    def _unanswered(self, id: str) -> None:
        waiting = self._landed(id)
        if waiting is None:
            return
        self._peer.give_up(id)
        waiting.failures += waiting.lane is not Lane.KEPT
        if waiting.lane in (Lane.KEPT, Lane.ROUTINE) and waiting.failures < self._patience().tries:
            self._again(waiting)
        else:
            waiting.answer.errback(CallLost(f"no answer in {self._patience().answer_s:.0f} s"))
        self._pump()

    def _again(self, waiting: _Waiting) -> None:
        self._queue.insert(0, waiting)
        if waiting.lane is Lane.KEPT:
            self._rest = self._clock.callLater(self._patience().rest_s * max(1, waiting.failures), self._rested)

    def _rested(self) -> None:
        self._rest = None
        self._pump()

    def _reply(self, call: Call) -> None:
        assert self._line is not None
        line, peer = self._line, self._peer
        try:
            check(self.protocol, call.action, call.payload)
            answer = self._respond(call)
        except OcppError as refusal:
            line.send(peer.refuse(call, refusal))
        except Exception:
            self.log.failure("{station}: {action} could not be answered", station=self._station, action=call.action)
            line.send(peer.refuse(call, OcppError(ErrorCode.INTERNAL_ERROR, "the simulated station failed")))
        else:
            line.send(peer.answer(call, answer.payload))
            if answer.then is not None:
                answer.then()


def _failed(fault: Exception) -> Deferred[Payload]:
    lost: Deferred[Payload] = Deferred()
    lost.errback(fault)
    return lost
