"""One connected station: its queue of calls coming in, its one call going out, and how it is told apart from an older socket.

Knows the RPC peer and the dialect, not the socket (it is given ``write``), not the database and not the policy (it is given ``answer``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from itertools import count
from typing import Any, NamedTuple

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from csms.model.commands import CommandAnswer, CommandFailed, CommandState, merged, not_connected
from csms.model.security import SecurityProfile
from csms.model.station import StationRef
from csms.ocpp.dialect import Dialect, NotSupportedByStation, Payload
from csms.ocpp.errors import OcppError
from csms.ocpp.rpc import Call, Failure, Garbled, Peer, Result
from csms.ocpp.triggers import asked_for
from csms.rounds import Round
from csms.running import run_now
from csms.turns import Turns

INBOX_HIGH = 32
INBOX_LOW = 8
"""Unanswered calls of one station at which reading its socket stops, and goes on."""
HOLDS = """ref id dialect protocol fence peer_address accepted asked enrolling profile lost heard_at heartbeat_s skew_s reported boots _write
_drop _hold _ping _answer _tell _clock _timeout_s _round _peer _inbox _answering _serving _due _held _turns _waiting _ids __weakref__"""
"""No dict for each station: ten thousand of them stand in memory."""
MOST_WAITING = 1000
"""So many of our calls to one station may wait for their turn."""


class Reply(NamedTuple):
    """What answers a call: a payload, an error, or nothing at all (the station repeats); and the news to tell once it is sent."""

    payload: Payload | None = None
    error: OcppError | None = None
    events: tuple[object, ...] = ()


Before = Callable[[str], Awaitable[None]]
Answerer = Callable[["Station", Call], Coroutine[Any, Any, Reply]]


class Station:
    """One connection of one station. ``fence`` grows with every connection of that station; ``write`` says whether the socket was still open.

    ``accepted`` says that its boot was; ``asked`` are the actions that it was asked for before that.
    """

    __slots__ = tuple(HOLDS.split())
    log = Logger()

    def __init__(
        self,
        ref: StationRef,
        dialect: Dialect,
        *,
        fence: int,
        peer_address: str,
        write: Callable[[bytes], bool],
        drop: Callable[[str], None],
        hold: Callable[[bool], None],
        ping: Callable[[], defer.Deferred[None]],
        answer: Answerer,
        tell: Callable[[object], None],
        clock: IReactorTime,
        call_timeout_s: float,
        round: Round[Station] | None = None,
        fast_path: bool = True,
    ) -> None:
        self.ref = ref
        self.id = ref.id
        """The identity from the URL."""
        self.dialect = dialect
        self.protocol = dialect.protocol
        """The negotiated subprotocol, such as ``ocpp2.0.1``."""
        self.fence = fence
        self.peer_address = peer_address
        self.accepted = False
        self.asked: frozenset[str] = frozenset()
        self.enrolling = False
        self.profile = SecurityProfile.NONE
        self.lost = False
        self.heard_at = clock.seconds()
        self.heartbeat_s: int | None = None
        self.skew_s: float | None = None
        self.reported: dict[tuple[int, int], float] = {}
        self.boots = 0
        self._write = write
        self._drop = drop
        self._hold = hold
        self._ping = ping
        self._answer = answer
        self._tell = tell
        self._clock = clock
        self._timeout_s = call_timeout_s
        self._round: Round[Station] = Round() if round is None else round
        self._peer = Peer(dialect.protocol, dialect.quick if fast_path else None)
        self._inbox: list[Call] = []
        self._answering: Call | None = None
        self._serving = False
        self._due = False
        self._held = False
        self._turns = Turns()
        self._waiting: defer.Deferred[Result | Failure] | None = None
        self._ids = count(1)

    def became(self, **facts: str) -> None:
        """The station told something about itself at boot: vendor, model, firmware."""
        self.ref = replace(self.ref, **facts)  # type: ignore[arg-type]

    # Coming in

    def receive(self, frame: str | bytes) -> None:
        """One text frame; calls are answered in order, answers to our call at once."""
        self.heard_at = self._clock.seconds()
        received = self._peer.receive(frame)
        match received:
            case Call():
                self._inbox.append(received)
                if self._answering is None and not self._due:
                    self._due = True
                    self._round.add(received.action, self)
                elif len(self._inbox) > INBOX_HIGH and not self._held:
                    self._held = True
                    self._hold(True)
            case Result() | Failure():
                waiting, self._waiting = self._waiting, None
                if waiting is not None:
                    waiting.callback(received)
            case Garbled(reply=bytes() as reply):
                self.log.info("{station} sent {what}", station=self.id, what=received.description)
                self._write(reply)
            case _:
                self.log.debug("{station} sent something to ignore: {what}", station=self.id, what=received)

    def begin(self) -> None:
        """Answer what has come in, one call after the other."""
        self._due = False
        self._safely(self._next)

    def take(self) -> Call | None:
        """The call that is to be answered now, for somebody who sees to it with ``answer_by`` or ``answered``; None where there is none."""
        self._due = False
        if self.lost or not self._inbox or self._answering is not None:
            return None
        self._answering = call = self._inbox.pop(0)
        return call

    def answer_by(self, answering: Coroutine[Any, Any, Reply]) -> None:
        """The call that was taken is answered by what this comes to."""
        self._safely(run_now, answering, self._answered, self._broke)

    def answered(self, reply: Reply) -> None:
        """The call that was taken is answered."""
        self._safely(self._answered, reply)

    def _safely(self, step: Callable[..., None], *given: Any) -> None:
        """A step of answering: should it raise, this station is dropped, and no other one hears of it."""
        try:
            step(*given)
        except Exception:
            self.log.failure("bug: answering {station} raised", station=self.id)
            self.drop("the CSMS cannot serve this station now")

    def _next(self) -> None:
        """Answer calls until one has to wait or none is left; one loop at a time, so that a long inbox needs no deep stack."""
        if self._serving:
            return
        self._serving = True
        try:
            while self._inbox and self._answering is None and not self.lost:
                self._answering = call = self._inbox.pop(0)
                run_now(self._answer(self, call), self._answered, self._broke)
        finally:
            self._serving = False
        if self._held and len(self._inbox) < INBOX_LOW:
            self._held = False
            self._hold(False)

    def _answered(self, reply: Reply) -> None:
        call = self._answering
        if call is not None and not self.lost:
            if reply.error is not None:
                self._write(self._peer.refuse(call, reply.error))
            elif reply.payload is not None:
                self._write(self._peer.answer(call, reply.payload))
        for event in reply.events:
            self._tell(event)
        self._answering = None
        if self._inbox:
            self._next()

    def _broke(self, fault: Exception) -> None:
        """The answerer promises not to raise; should it do so, the station is left to repeat and life goes on."""
        action = self._answering.action if self._answering else ""
        self.log.error(
            "bug: answering {action} of {station} raised {fault!r}", action=action, station=self.id, fault=fault
        )
        self._answering = None
        self._next()

    # Going out

    async def call(
        self,
        action: str,
        payload: Payload,
        *,
        before: Before | None = None,
        timeout_s: float | None = None,
    ) -> Payload:
        """Send one call and give its answer; ``before`` is given the action when its turn has come, just before it is written.

        Raises CommandFailed: NotConnected, Busy, Timeout, ConnectionLost, or the station's own error code.
        """
        if len(self._turns) >= MOST_WAITING:
            text = f"{len(self._turns)} calls to station {self.id} wait already, and it answers one at a time"
            raise CommandFailed(CommandState.FAILED, "Busy", text)
        await self._turns.take()
        try:
            if before is not None and not self.lost:
                await before(action)
            if self.lost:
                raise not_connected(self.id)
            answer = await self._exchange(action, payload, timeout_s or self._timeout_s)
        finally:
            self._turns.give()
        if not self.accepted and answer.get("status") == "Accepted":
            self.asked |= {asked_for(action, payload)}
        return answer

    async def _exchange(self, action: str, payload: Payload, timeout_s: float) -> Payload:
        message_id = f"{self.fence}.{next(self._ids)}"
        if not self._write(self._peer.call(message_id, action, payload)):
            self._peer.give_up(message_id)
            raise not_connected(self.id)
        waiting: defer.Deferred[Result | Failure] = defer.Deferred()
        self._waiting = waiting
        try:
            answer = await waiting.addTimeout(timeout_s, self._clock)
        except defer.TimeoutError:
            self._waiting = None
            self._peer.give_up(message_id)
            text = f"station {self.id} did not answer {action} within {timeout_s:g} s"
            raise CommandFailed(CommandState.TIMED_OUT, "Timeout", text) from None
        if isinstance(answer, Failure):
            text = answer.description or f"station {self.id} refused {action}"
            raise CommandFailed(CommandState.REJECTED, answer.code, text)
        return answer.payload

    async def send(self, command: object, *, before: Before | None = None, most: int | None = None) -> CommandAnswer:
        """Send a neutral command in this station's words, in several calls where its version or ``most`` items in a message need them."""
        try:
            outgoing = self.dialect.outgoing(command)
            parts = [(part, *outgoing.encode(part)) for part in outgoing.split(command, most)]
        except NotSupportedByStation as no:
            raise CommandFailed(CommandState.FAILED, "NotSupportedByStation", str(no)) from None
        answers = []
        for part, action, payload in parts:
            answer = await self.call(action, payload, before=before)
            answers.append(outgoing.decode_answer(part, answer))
            before = None
        return merged(answers)

    # The end

    async def alive(self, within_s: float) -> bool:
        """Whether the other end answers a ping within so many seconds."""
        if self.lost:
            return False
        try:
            await self._ping().addTimeout(within_s, self._clock)
        except (defer.TimeoutError, defer.CancelledError):
            return False
        return True

    def drop(self, reason: str) -> None:
        """Close the connection; the reason goes into the close frame."""
        self._drop(reason)

    def gone(self) -> None:
        """The socket is closed: what was being answered is finished but not sent, what waits for an answer is uncertain."""
        self.lost = True
        self._inbox.clear()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            text = f"the connection of {self.id} was lost before it answered"
            waiting.errback(CommandFailed(CommandState.UNCERTAIN, "ConnectionLost", text))
