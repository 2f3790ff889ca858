"""The OCPP-J peer, without I/O: one frame in gives one event out, calls and answers become frames. One call of ours is in flight at a time.

    [2, id, action, payload]                        CALL
    [3, id, payload]                                CALLRESULT
    [4, id, code, description, details]             CALLERROR
    [5, id, code, description, details]             CALLRESULTERROR, 2.1: our answer was no good
    [6, id, action, payload]                        SEND, 2.1: never answered

What cannot be read is answered by a CALLERROR, with the id ``-1`` where there is none of 1 to 36 characters. Other message types are refused in
2.0.1 (part 4, 4.4) and ignored in 1.6 and 2.1. A payload of null is an empty one in 1.6 (1.6-J, 4.2.1) and a mistake later; one left out is a
mistake always. An answer is never answered: a bad one to our call is that call's failure, and to no call of ours it is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from csms.ocpp.errors import MAX_DESCRIPTION, V16, V21, V201, ErrorCode, OcppError, printable, spell
from csms.ocpp.quick import MAX_ID, QuickReader
from csms.ocpp.schemas import schemas_of
from csms.ocpp.strict_json import NotStrictJson, dumps, loads

CALL: Final = 2
RESULT: Final = 3
ERROR: Final = 4
RESULT_ERROR: Final = 5
SEND: Final = 6
NO_ID: Final = "-1"
MAX_CODE: Final = 50

Payload = dict[str, Any]


class Call(NamedTuple):
    """The other side asks something; the payload fits its schema. A tuple, for it is made with every message; only what it says is compared.

    ``request`` is what a ``QuickReader`` made of the payload; then nobody has parsed it yet (``parsed`` is None), and ``wire`` has its JSON alone.
    """

    id: str
    action: str
    parsed: Payload | None
    wire: bytes = b""
    request: Any = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Call) and (self.id, self.action, self.payload) == (
            other.id,
            other.action,
            other.payload,
        )

    def __ne__(self, other: object) -> bool:
        return not self == other

    @property
    def payload(self) -> Payload:
        """The payload, parsed; each time anew where nobody has."""
        return loads(self.wire) if self.parsed is None else self.parsed

    @property
    def body(self) -> bytes:
        """The payload's JSON as it stood on the wire, every digit and sign of it, for those who keep evidence."""
        if self.parsed is None:
            return self.wire
        # The action is known and the id cannot hold an unescaped quote, so no brace stands between the action's name and the payload.
        named = self.wire.find(b'"%s"' % self.action.encode())
        start = self.wire.find(b"{", named)
        return self.wire[start : self.wire.rfind(b"}") + 1] if named > 0 and start > 0 else dumps(self.parsed)


@dataclass(frozen=True, slots=True)
class Send:
    """The other side tells something and wants no answer (2.1); the payload fits its schema."""

    id: str
    action: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to our call; ``action`` is the call's, the payload fits its schema."""

    id: str
    action: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class Failure:
    """Our call was refused, or its answer cannot be used; ``code`` as the version spells it, at most 50 characters."""

    id: str
    action: str
    code: str
    description: str
    details: Payload


@dataclass(frozen=True, slots=True)
class Garbled:
    """Not a frame that can be handled; ``reply`` is the CALLERROR to send, None where nothing may be sent."""

    code: ErrorCode
    description: str
    reply: bytes | None


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing to do."""

    why: str


class CallInFlight(Exception):
    """A call of ours waits for its answer; the next one has to wait too."""


Received = Call | Send | Result | Failure | Garbled | Ignored


class Peer:
    """One end of one connection; ``in_flight`` is our call that is not yet answered. ``quick`` is the short way in for what it can read."""

    def __init__(self, protocol: str, quick: QuickReader | None = None) -> None:
        self.protocol = protocol
        self.in_flight: Call | None = None
        self._quick = quick
        self._schemas = schemas_of(protocol)

    def receive(self, frame: str | bytes) -> Received:
        """What a text frame means; never raises."""
        if self._quick is not None and type(frame) is bytes:
            found = self._quick.read(frame)
            if found is not None:
                id, action, body, request = found
                return Call(id, action, None, body, request)
        try:
            message = loads(frame)
        except NotStrictJson as wrong:
            return self._unreadable(f"not JSON: {wrong}")
        if type(message) is not list or not message:
            return self._unreadable("not a JSON array, or an empty one")
        kind = message[0]
        # Not match: 2.0 and true are equal to integers, and neither is one.
        if type(kind) is not int:
            return self._unreadable("the message type is not an integer")
        if kind == CALL:
            return self._called(message, frame.encode() if isinstance(frame, str) else frame)
        if kind == RESULT:
            return self._answered(message)
        if kind == ERROR:
            return self._refused(message)
        return self._later_type(kind, message)

    def call(self, message_id: str, action: str, payload: Payload) -> bytes:
        """The frame of our next call; raises CallInFlight while one is unanswered. Whether the payload fits is the caller's to know."""
        if self.in_flight is not None:
            raise CallInFlight(f"{self.in_flight.action} {self.in_flight.id} is not answered yet")
        frame = dumps([CALL, message_id, action, payload])
        self.in_flight = Call(message_id, action, payload)
        return frame

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

    # Coming in

    def _called(self, message: list[Any], frame: bytes) -> Received:
        id = _readable_id(message)
        if id is None:
            return self._unreadable(f"the message id is not a text of 1 to {MAX_ID} characters")
        try:
            action, payload = self._request(message)
            if action in self._schemas.unconfirmed:
                raise OcppError(ErrorCode.NOT_IMPLEMENTED, f"{action} is sent unconfirmed, not called")
            self._schemas.check(action, payload)
        except OcppError as error:
            return Garbled(error.code, error.description, self._error_frame(id, error))
        return Call(id, action, payload, frame)

    def _sent(self, message: list[Any]) -> Received:
        try:
            action, payload = self._request(message)
            if action not in self._schemas.unconfirmed:
                return Ignored("an action that is not sent unconfirmed")
            self._schemas.check(action, payload)
        except OcppError as error:
            return Ignored(f"an unconfirmed message that cannot be read: {error.description}")
        id = _readable_id(message)
        return Ignored("an unconfirmed message without an id") if id is None else Send(id, action, payload)

    def _request(self, message: list[Any]) -> tuple[str, Payload]:
        """Action and payload of a message of four elements."""
        if len(message) != 4 or type(message[2]) is not str:
            raise OcppError(ErrorCode.RPC_FRAMEWORK_ERROR, "this is not [type, id, action, payload]")
        return message[2], self._payload(message[3])

    def _payload(self, payload: object) -> Payload:
        if type(payload) is dict:
            return payload
        if payload is None and self.protocol == V16:
            return {}
        raise OcppError(ErrorCode.FORMAT_VIOLATION, "the payload is not a JSON object")

    def _answered(self, message: list[Any]) -> Received:
        call = self._taken(message)
        if call is None:
            return Ignored("an answer to no call of ours")
        try:
            if len(message) != 3:
                raise OcppError(ErrorCode.RPC_FRAMEWORK_ERROR, "this is not [3, id, payload]")
            payload = self._payload(message[2])
            self._schemas.check(call.action, payload, answer=True)
        except OcppError as error:
            text = printable(f"the answer cannot be used: {error.description}", MAX_DESCRIPTION)
            return Failure(call.id, call.action, spell(error.code, self.protocol), text, {})
        return Result(call.id, call.action, payload)

    def _refused(self, message: list[Any]) -> Received:
        call = self._taken(message)
        if call is None:
            return Ignored(f"an error to no call of ours: {_words_of_error(message)}")
        code, description, details = _error_of(message)
        return Failure(call.id, call.action, code, description, details)

    def _later_type(self, kind: int, message: list[Any]) -> Received:
        if self.protocol == V21 and kind == SEND:
            return self._sent(message)
        if self.protocol == V21 and kind == RESULT_ERROR:
            return Ignored(f"an answer of ours was not understood: {_words_of_error(message)}")
        if self.protocol != V201:
            return Ignored(f"message type {kind}")
        error = OcppError(ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED, f"message type {kind} is not known")
        return Garbled(error.code, error.description, self._error_frame(_readable_id(message) or NO_ID, error))

    def _taken(self, message: list[Any]) -> Call | None:
        """Our call that this message answers; the slot is free again."""
        call = self.in_flight
        if call is None or len(message) < 2 or call.id != message[1]:
            return None
        self.in_flight = None
        return call

    def _unreadable(self, why: str) -> Garbled:
        error = OcppError(ErrorCode.RPC_FRAMEWORK_ERROR, why)
        return Garbled(error.code, error.description, self._error_frame(NO_ID, error))

    def _error_frame(self, id: str, error: OcppError) -> bytes:
        return dumps([ERROR, id, spell(error.code, self.protocol), error.description, error.details])


def _readable_id(message: list[Any]) -> str | None:
    id = message[1] if len(message) > 1 else None
    return id if type(id) is str and 0 < len(id) <= MAX_ID else None


def _error_of(message: list[Any]) -> tuple[str, str, Payload]:
    """Code, description and details of an error message, as far as they are there: an error that is wrong itself is still a refusal."""
    code, description, details, *_ = [*message[2:], None, None, None]
    return (
        printable(code, MAX_CODE) if isinstance(code, str) and code else ErrorCode.GENERIC_ERROR.value,
        printable(description, MAX_DESCRIPTION) if isinstance(description, str) else "",
        details if isinstance(details, dict) else {},
    )


def _words_of_error(message: list[Any]) -> str:
    code, description, _ = _error_of(message)
    return f"{code} {description}".rstrip()
