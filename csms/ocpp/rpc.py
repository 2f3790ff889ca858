"""The OCPP-J peer, without I/O: one frame in gives one event out, calls and answers become frames. One call of ours is in flight at a time.

    [2, id, action, payload]                        CALL
    [3, id, payload]                                CALLRESULT
    [4, id, code, description, details]             CALLERROR

A frame that cannot be read is answered by a CALLERROR with the id ``-1``. Other message types are refused in 2.x (part 4, 4.4) and ignored in 1.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from csms.ocpp.errors import V16, ErrorCode, OcppError, spell
from csms.ocpp.schemas import check
from csms.ocpp.strict_json import NotStrictJson, dumps, loads

CALL, RESULT, ERROR = 2, 3, 4
NO_ID = "-1"
MAX_ID = 36

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """The other side asks something; the payload fits its schema."""

    id: str
    action: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to our call; ``action`` is the call's."""

    id: str
    action: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class Failure:
    """Our call was refused, or answered against the schema; ``code`` as it stood on the wire."""

    id: str
    action: str
    code: str
    description: str
    details: Payload


@dataclass(frozen=True, slots=True)
class Garbled:
    """Not a frame that can be handled; ``reply`` is the CALLERROR to send."""

    code: ErrorCode
    description: str
    reply: bytes


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing to do."""

    why: str


class CallInFlight(Exception):
    """A call of ours waits for its answer; the next one has to wait too."""


Received = Call | Result | Failure | Garbled | Ignored


class Peer:
    """One end of one connection."""

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.in_flight: Call | None = None

    def receive(self, frame: str | bytes) -> Received:
        """What a text frame means; never raises."""
        try:
            message = loads(frame)
        except NotStrictJson as wrong:
            return self._garbled(NO_ID, OcppError(ErrorCode.RPC_FRAMEWORK_ERROR, f"not JSON: {wrong}"))
        if not isinstance(message, list) or not message:
            return self._garbled(NO_ID, OcppError(ErrorCode.RPC_FRAMEWORK_ERROR, "not a JSON array"))
        match message:
            case [2, *_]:
                return self._call(message)
            case [3, str() as id, dict() as payload]:
                return self._result(id, payload)
            case [4, str() as id, str() as code, *rest]:
                return self._error(id, code, rest)
            case [3 | 4, *_]:
                return Ignored("an answer that cannot be read")
            case [int() as kind, *_] if not isinstance(kind, bool):
                return self._unknown_type(kind, message)
        return self._garbled(NO_ID, OcppError(ErrorCode.RPC_FRAMEWORK_ERROR, "the message type is not a number"))

    def call(self, message_id: str, action: str, payload: Payload) -> bytes:
        """The frame of our next call; raises CallInFlight while one is unanswered."""
        if self.in_flight is not None:
            raise CallInFlight(self.in_flight.id)
        self.in_flight = Call(message_id, action, payload)
        return dumps([CALL, message_id, action, payload])

    def answer(self, call: Call, payload: Payload) -> bytes:
        """The frame that answers a call."""
        return dumps([RESULT, call.id, payload])

    def refuse(self, call: Call, error: OcppError) -> bytes:
        """The frame that refuses a call, in this version's spelling."""
        return self._error_frame(call.id, error)

    def give_up(self, message_id: str) -> None:
        """Nobody waits for this answer any more; should it come, it is ignored."""
        if self.in_flight is not None and self.in_flight.id == message_id:
            self.in_flight = None

    def _call(self, message: list[Any]) -> Received:
        id = _readable_id(message)
        if id is None:
            text = f"the message id is not a text of 1 to {MAX_ID} characters"
            return self._garbled(NO_ID, OcppError(ErrorCode.RPC_FRAMEWORK_ERROR, text))
        match message:
            case [_, _, str() as action, dict() as payload]:
                try:
                    check(self.protocol, action, payload)
                except OcppError as error:
                    return self._garbled(id, error)
                return Call(id, action, payload)
            case [_, _, str(), _]:
                wrong = OcppError(ErrorCode.FORMAT_VIOLATION, "the payload is not a JSON object")
            case _:
                wrong = OcppError(ErrorCode.PROTOCOL_ERROR, "a call is [2, id, action, payload]")
        return self._garbled(id, wrong)

    def _result(self, id: str, payload: Payload) -> Received:
        call = self._taken(id)
        if call is None:
            return Ignored(f"an answer to no call of ours: {id[:MAX_ID]}")
        try:
            check(self.protocol, call.action, payload, answer=True)
        except OcppError as error:
            text = f"the answer does not fit its schema: {error.description}"
            return Failure(id, call.action, spell(error.code, self.protocol), text, {})
        return Result(id, call.action, payload)

    def _error(self, id: str, code: str, rest: list[Any]) -> Received:
        call = self._taken(id)
        if call is None:
            return Ignored(f"an error to no call of ours: {id[:MAX_ID]} {code[:50]}")
        description = rest[0] if rest and isinstance(rest[0], str) else ""
        details = rest[1] if len(rest) > 1 and isinstance(rest[1], dict) else {}
        return Failure(id, call.action, code, description, details)

    def _taken(self, id: str) -> Call | None:
        call = self.in_flight
        if call is None or call.id != id:
            return None
        self.in_flight = None
        return call

    def _unknown_type(self, kind: int, message: list[Any]) -> Received:
        if self.protocol == V16:
            return Ignored(f"message type {kind}")
        error = OcppError(ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED, f"message type {kind} is not known")
        return self._garbled(_readable_id(message) or NO_ID, error)

    def _garbled(self, id: str, error: OcppError) -> Garbled:
        return Garbled(error.code, error.description, self._error_frame(id, error))

    def _error_frame(self, id: str, error: OcppError) -> bytes:
        return dumps([ERROR, id, spell(error.code, self.protocol), error.description, error.details])


def _readable_id(message: list[Any]) -> str | None:
    id = message[1] if len(message) > 1 else None
    return id if isinstance(id, str) and 0 < len(id) <= MAX_ID else None
