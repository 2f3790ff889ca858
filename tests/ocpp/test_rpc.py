"""The peer: what each frame means in each version, what is answered, and how our own call is matched."""

from __future__ import annotations

import json
from typing import Any

import pytest

from csms.ocpp.errors import V16, V21, V201, ErrorCode, OcppError
from csms.ocpp.rpc import Call, CallInFlight, Failure, Garbled, Ignored, Peer, Result, Send

ALL = [V16, V201, V21]
BOOT_ANSWER = {"currentTime": "2026-05-06T10:00:00Z", "interval": 300, "status": "Accepted"}
UNCONFIRMED = {"id": 1, "pending": 0, "basetime": "2026-05-06T10:00:00Z", "data": [{"t": 0, "v": "230.4"}]}


def hear(protocol: str, message: Any) -> Any:
    """What a fresh peer makes of a message."""
    return Peer(protocol).receive(json.dumps(message))


def reply_of(received: Any) -> list[Any]:
    """The CALLERROR that answers a garbled frame."""
    assert isinstance(received, Garbled)
    assert received.reply is not None
    reply = json.loads(received.reply)
    assert reply[0] == 4
    assert len(reply) == 5
    assert reply[3] == received.description
    assert reply[4] == {}
    return list(reply[1:3])


# Calls coming in


@pytest.mark.parametrize("protocol", ALL)
def test_call_is_heard(protocol: str) -> None:
    frame = '[2,"7","Heartbeat",{}]'
    assert Peer(protocol).receive(frame) == Call("7", "Heartbeat", {})
    assert Peer(protocol).receive(frame.encode()) == Call("7", "Heartbeat", {})


def test_call_with_payload_keeps_every_field() -> None:
    payload = {"chargePointModel": "M", "chargePointVendor": "Vé"}
    assert hear(V16, [2, "7", "BootNotification", payload]) == Call("7", "BootNotification", payload)


@pytest.mark.parametrize("id", ["x", "x" * 36, "é" * 36, " ", "-1"])
def test_message_id_up_to_36_characters(id: str) -> None:
    assert hear(V201, [2, id, "Heartbeat", {}]) == Call(id, "Heartbeat", {})


@pytest.mark.parametrize("id", ["", "x" * 37, 7, None, [], {}, True])
def test_message_id_that_cannot_be_used_is_answered_with_minus_one(id: Any) -> None:
    assert reply_of(hear(V201, [2, id, "Heartbeat", {}])) == ["-1", "RpcFrameworkError"]
    assert reply_of(hear(V16, [2, id, "Heartbeat", {}])) == ["-1", "ProtocolError"]


@pytest.mark.parametrize(
    "frame", ["", "hello?", '[2,"7","Heartbeat",{}', "{}", "[]", "7", "null", '"x"', "[" * 50 + "]" * 50, b"\xff\xfe"]
)
def test_frame_that_cannot_be_read_is_answered_with_minus_one(frame: str | bytes) -> None:
    assert reply_of(Peer(V201).receive(frame)) == ["-1", "RpcFrameworkError"]
    assert reply_of(Peer(V21).receive(frame)) == ["-1", "RpcFrameworkError"]
    assert reply_of(Peer(V16).receive(frame)) == ["-1", "ProtocolError"]


@pytest.mark.parametrize("kind", ["2", 2.0, True, None, [2], {}])
def test_message_type_that_is_no_integer_is_answered_with_minus_one(kind: Any) -> None:
    assert reply_of(hear(V201, [kind, "7", "Heartbeat", {}])) == ["-1", "RpcFrameworkError"]


WRONG_CALLS: dict[str, tuple[list[Any], str, str]] = {
    "no payload": ([2, "7", "Heartbeat"], "RpcFrameworkError", "ProtocolError"),
    "no action": ([2, "7"], "RpcFrameworkError", "ProtocolError"),
    "action is a number": ([2, "7", 8, {}], "RpcFrameworkError", "ProtocolError"),
    "five elements": ([2, "7", "Heartbeat", {}, {}], "RpcFrameworkError", "ProtocolError"),
    "payload is a list": ([2, "7", "Heartbeat", []], "FormatViolation", "FormationViolation"),
    "payload is a text": ([2, "7", "Heartbeat", "{}"], "FormatViolation", "FormationViolation"),
    "unknown action": ([2, "7", "Levitate", {}], "NotImplemented", "NotImplemented"),
    "unknown field": ([2, "7", "Heartbeat", {"x": 1}], "FormatViolation", "FormationViolation"),
    "missing field": ([2, "7", "Authorize", {}], "OccurrenceConstraintViolation", "OccurenceConstraintViolation"),
    "wrong type": ([2, "7", "DataTransfer", {"vendorId": 1}], "TypeConstraintViolation", "TypeConstraintViolation"),
    "too long": (
        [2, "7", "DataTransfer", {"vendorId": "x" * 256}],
        "PropertyConstraintViolation",
        "PropertyConstraintViolation",
    ),
}
"""The message; the code in 2.x; the code in 1.6."""


@pytest.mark.parametrize("kind", WRONG_CALLS)
def test_wrong_call_is_refused_by_its_id(kind: str) -> None:
    message, later, in_16 = WRONG_CALLS[kind]
    assert reply_of(hear(V201, message)) == ["7", later]
    assert reply_of(hear(V21, message)) == ["7", later]
    assert reply_of(hear(V16, message)) == ["7", in_16]


def test_payload_of_null_is_empty_in_16_and_wrong_later() -> None:
    assert hear(V16, [2, "7", "Heartbeat", None]) == Call("7", "Heartbeat", {})
    assert reply_of(hear(V16, [2, "7", "Authorize", None])) == ["7", "OccurenceConstraintViolation"]
    assert reply_of(hear(V201, [2, "7", "Heartbeat", None])) == ["7", "FormatViolation"]
    assert reply_of(hear(V21, [2, "7", "Heartbeat", None])) == ["7", "FormatViolation"]


def test_refusal_of_a_giant_mistake_is_small() -> None:
    received = hear(V201, [2, "7", "Authorize" + "x" * 100_000, {}])
    assert len(received.reply) < 400
    received = hear(V201, [2, "7", "Heartbeat", {"x" * 100_000: 1}])
    assert len(received.reply) < 400


# Other message types


@pytest.mark.parametrize("kind", [0, 1, 5, 6, 7, 9, -2, 2**40])
def test_unknown_type_is_refused_in_201_and_ignored_in_16(kind: int) -> None:
    assert reply_of(hear(V201, [kind, "7", "Heartbeat", {}])) == ["7", "MessageTypeNotSupported"]
    assert reply_of(hear(V201, [kind])) == ["-1", "MessageTypeNotSupported"]
    assert isinstance(hear(V16, [kind, "7", "Heartbeat", {}]), Ignored)


@pytest.mark.parametrize("kind", [0, 1, 7, 9, -2])
def test_unknown_type_is_ignored_in_21(kind: int) -> None:
    assert isinstance(hear(V21, [kind, "7", "Heartbeat", {}]), Ignored)


def test_unconfirmed_message_is_heard_in_21() -> None:
    received = hear(V21, [6, "7", "NotifyPeriodicEventStream", UNCONFIRMED])
    assert received == Send("7", "NotifyPeriodicEventStream", UNCONFIRMED)


@pytest.mark.parametrize(
    "rest",
    [
        ["7", "NotifyPeriodicEventStream", {}],
        ["7", "NotifyPeriodicEventStream", []],
        ["7", "NotifyPeriodicEventStream"],
        ["7", "Heartbeat", {}],
        ["7", "Levitate", {}],
        ["", "NotifyPeriodicEventStream", UNCONFIRMED],
        [],
    ],
)
def test_wrong_unconfirmed_message_is_never_answered(rest: list[Any]) -> None:
    assert isinstance(hear(V21, [6, *rest]), Ignored)


def test_unconfirmed_message_cannot_be_called() -> None:
    assert reply_of(hear(V21, [2, "7", "NotifyPeriodicEventStream", UNCONFIRMED])) == ["7", "NotImplemented"]


@pytest.mark.parametrize(
    ("protocol", "message", "why"),
    [
        (V21, [6, "7", "Heartbeat", {}], "an action that is not sent unconfirmed"),
        (V21, [6, "", "NotifyPeriodicEventStream", UNCONFIRMED], "an unconfirmed message without an id"),
        (
            V21,
            [6, "7", "NotifyPeriodicEventStream"],
            "an unconfirmed message that cannot be read: this is not [type, id, action, payload]",
        ),
        (V16, [3, "b", {}], "an answer to no call of ours"),
        (V16, [4, "b", "", "no"], "an error to no call of ours: GenericError no"),
        (V16, [4, "b"], "an error to no call of ours: GenericError"),
        (V16, [9, "7"], "message type 9"),
    ],
)
def test_what_is_ignored_is_told_why(protocol: str, message: list[Any], why: str) -> None:
    assert hear(protocol, message) == Ignored(why)


def test_a_refusal_says_what_is_wrong() -> None:
    assert hear(V201, [9, "7"]).description == "message type 9 is not known"
    assert hear(V201, [9, "7"]).code is ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED
    assert hear(V201, []).description == "not a JSON array, or an empty one"
    assert hear(V201, []).code is ErrorCode.RPC_FRAMEWORK_ERROR
    peer = calling()
    received = peer.receive('[3,"a"]')
    assert isinstance(received, Failure)
    assert received.description == "the answer cannot be used: this is not [3, id, payload]"
    assert received.details == {}


def test_complaint_about_our_answer_is_ignored_in_21() -> None:
    received = hear(V21, [5, "7", "FormatViolation", "no\x1b good", {}])
    assert received == Ignored("an answer of ours was not understood: FormatViolation no? good")


# Our answers


def test_answer_and_refusal_are_frames() -> None:
    peer, call = Peer(V16), Call("7", "BootNotification", {})
    assert json.loads(peer.answer(call, BOOT_ANSWER)) == [3, "7", BOOT_ANSWER]
    error = OcppError(ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION, "why", {"a": 1})
    assert json.loads(peer.refuse(call, error)) == [4, "7", "OccurenceConstraintViolation", "why", {"a": 1}]
    assert json.loads(Peer(V201).refuse(call, error))[2] == "OccurrenceConstraintViolation"


# Our calls


def calling(protocol: str = V201) -> Peer:
    """A peer whose Reset is on its way, with the id ``a``."""
    peer = Peer(protocol)
    payload = {"type": "Hard" if protocol == V16 else "Immediate"}
    assert json.loads(peer.call("a", "Reset", payload)) == [2, "a", "Reset", payload]
    return peer


def test_one_call_at_a_time() -> None:
    peer = calling()
    assert peer.in_flight == Call("a", "Reset", {"type": "Immediate"})
    with pytest.raises(CallInFlight, match="Reset a is not answered yet"):
        peer.call("b", "Reset", {"type": "Immediate"})
    assert peer.in_flight.id == "a"


def test_call_that_cannot_be_written_leaves_the_slot_free() -> None:
    peer = Peer(V201)
    with pytest.raises(TypeError):
        peer.call("a", "DataTransfer", {"data": {1, 2}})
    assert peer.in_flight is None


@pytest.mark.parametrize("protocol", ALL)
def test_answer_is_matched_and_frees_the_slot(protocol: str) -> None:
    peer = calling(protocol)
    assert peer.receive('[3,"a",{"status":"Accepted"}]') == Result("a", "Reset", {"status": "Accepted"})
    assert peer.in_flight is None
    assert isinstance(peer.receive('[3,"a",{"status":"Accepted"}]'), Ignored)


def test_refusal_is_matched_and_frees_the_slot() -> None:
    peer = calling()
    received = peer.receive('[4,"a","NotSupported","no",{"x":1}]')
    assert received == Failure("a", "Reset", "NotSupported", "no", {"x": 1})
    assert peer.in_flight is None


@pytest.mark.parametrize(
    ("rest", "code", "description"),
    [
        ([], "GenericError", ""),
        (["", "no"], "GenericError", "no"),
        ([7, 7, 7], "GenericError", ""),
        (["SecurityError", "no\n", None], "SecurityError", "no?"),
        (["Own" * 100, "x" * 1000, {}], ("Own" * 100)[:50], "x" * 255),
    ],
)
def test_refusal_with_mistakes_is_a_refusal(rest: list[Any], code: str, description: str) -> None:
    peer = calling()
    assert peer.receive(json.dumps([4, "a", *rest])) == Failure("a", "Reset", code, description, {})


@pytest.mark.parametrize(
    ("rest", "later", "in_16"),
    [
        ([{}], "OccurrenceConstraintViolation", "OccurenceConstraintViolation"),
        ([{"status": 1}], "TypeConstraintViolation", "TypeConstraintViolation"),
        ([{"status": "Perhaps"}], "PropertyConstraintViolation", "PropertyConstraintViolation"),
        ([{"status": "Accepted", "x": 1}], "FormatViolation", "FormationViolation"),
        ([[]], "FormatViolation", "FormationViolation"),
        ([], "RpcFrameworkError", "ProtocolError"),
        ([{"status": "Accepted"}, {}], "RpcFrameworkError", "ProtocolError"),
    ],
)
def test_wrong_answer_is_our_calls_failure(rest: list[Any], later: str, in_16: str) -> None:
    for protocol, code in ((V201, later), (V21, later), (V16, in_16)):
        peer = calling(protocol)
        received = peer.receive(json.dumps([3, "a", *rest]))
        assert isinstance(received, Failure)
        assert (received.id, received.action, received.code) == ("a", "Reset", code)
        assert received.description.startswith("the answer cannot be used: ")
        assert peer.in_flight is None


@pytest.mark.parametrize("id", ["b", "", "-1", None, 7, ["a"], {"a": 1}])
@pytest.mark.parametrize("kind", [3, 4])
def test_answer_to_another_call_is_ignored_and_ours_still_waits(kind: int, id: Any) -> None:
    peer = calling()
    assert isinstance(peer.receive(json.dumps([kind, id, {"status": "Accepted"}])), Ignored)
    assert isinstance(peer.receive(json.dumps([kind])), Ignored)
    assert peer.in_flight is not None


def test_late_answer_is_ignored_after_giving_up() -> None:
    peer = calling()
    peer.give_up("a")
    assert peer.in_flight is None
    assert isinstance(peer.receive('[3,"a",{"status":"Accepted"}]'), Ignored)
    peer.call("b", "ClearCache", {})
    assert isinstance(peer.receive('[4,"a","GenericError","",{}]'), Ignored)
    assert peer.in_flight is not None


def test_giving_up_another_call_changes_nothing() -> None:
    peer = calling()
    peer.give_up("b")
    assert peer.in_flight is not None
    Peer(V201).give_up("a")


def test_calls_may_cross() -> None:
    peer = calling()
    assert peer.receive('[2,"a","Heartbeat",{}]') == Call("a", "Heartbeat", {})
    assert peer.in_flight is not None
    assert peer.receive('[3,"a",{"status":"Accepted"}]') == Result("a", "Reset", {"status": "Accepted"})


def test_null_answers_a_call_in_16_only() -> None:
    peer = Peer(V16)
    peer.call("a", "FirmwareStatusNotification", {"status": "Idle"})
    assert peer.receive('[3,"a",null]') == Result("a", "FirmwareStatusNotification", {})
    peer = Peer(V201)
    peer.call("a", "SetDisplayMessage", {})
    assert isinstance(peer.receive('[3,"a",null]'), Failure)


def test_calls_are_compared_by_what_they_say() -> None:
    call = Call("7", "Heartbeat", {})
    for other in (Call("8", "Heartbeat", {}), Call("7", "Authorize", {}), Call("7", "Heartbeat", {"x": 1}), "7"):
        assert call != other
    assert call == Call("7", "Heartbeat", {})


def test_events_are_frozen() -> None:
    call = Call("7", "Heartbeat", {})
    with pytest.raises(AttributeError):
        call.id = "8"  # type: ignore[misc]
    assert not hasattr(call, "__dict__")


def test_unknown_protocol_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        Peer("ocpp1.5")


@pytest.mark.parametrize("id", ["7", "Heartbeat", "{", 'a\\"b', "}{"])
def test_the_body_is_the_payload_as_it_stood_on_the_wire(id: str) -> None:
    frame = '[2 , "' + id + '","DataTransfer" ,{"vendorId":"x" , "data":{"n":1.10}} ]'
    call = Peer(V201).receive(frame)
    assert isinstance(call, Call)
    assert call.body == b'{"vendorId":"x" , "data":{"n":1.10}}'


def test_the_body_of_a_call_without_a_frame_is_written() -> None:
    assert Call("7", "Heartbeat", {}).body == b"{}"
