"""Properties of the peer: nothing that comes in raises, every call gets one reply, and two peers always match their answers."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from csms.ocpp.errors import V16, V21, V201, ErrorCode, OcppError
from csms.ocpp.rpc import Call, Failure, Garbled, Ignored, Peer, Result, Send
from csms.ocpp.schemas import actions

protocols = st.sampled_from([V16, V201, V21])
ANY_EVENT = (Call, Failure, Garbled, Ignored, Result, Send)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
)
ids = st.text(max_size=40) | st.just("ours")
known = st.sampled_from(sorted(actions(V16) | actions(V21)))
messages = (
    st.tuples(st.integers(-1, 9) | scalars, ids | values, known | values, values).map(list)
    | st.tuples(st.sampled_from([3, 4]), ids, values).map(list)
    | st.lists(values, max_size=6)
    | values
)
frames = st.binary(max_size=200) | st.text(max_size=200) | messages.map(json.dumps) | messages.map(
    lambda message: json.dumps(message).encode()
)  # fmt: skip


def check_reply(received: Garbled, id: object) -> None:
    """A reply is a CALLERROR that any reader accepts, to this id or to none."""
    assert received.reply is not None
    kind, answered, code, description, details = json.loads(received.reply)
    assert kind == 4
    assert answered in (id, "-1")
    assert len(answered) <= 36
    assert code
    assert len(description) <= 255
    assert details == {}


@given(protocol=protocols, frame=frames)
@settings(max_examples=600, deadline=None)
def test_nothing_that_comes_in_raises(protocol: str, frame: str | bytes) -> None:
    peer = Peer(protocol)
    peer.call("ours", "ClearCache", {})
    received = peer.receive(frame)
    assert isinstance(received, ANY_EVENT)
    if isinstance(received, Garbled):
        try:
            message = json.loads(frame)
        except ValueError:
            message = None
        check_reply(received, message[1] if isinstance(message, list) and len(message) > 1 else None)
    # What one side sends in error, the other side never answers again: no two peers can argue for ever.
    if isinstance(received, Garbled) and received.reply is not None:
        assert isinstance(Peer(protocol).receive(received.reply), Ignored)


@given(protocol=protocols, id=st.text(min_size=1, max_size=36), action=known | st.text(max_size=50), payload=values)
@settings(max_examples=400, deadline=None)
def test_call_with_a_readable_id_has_exactly_one_reply(protocol: str, id: str, action: str, payload: Any) -> None:
    """Either it is heard and waits for ``answer`` or ``refuse``, or the CALLERROR stands ready; never both, never neither."""
    received = Peer(protocol).receive(json.dumps([2, id, action, payload]))
    assert isinstance(received, Call | Garbled)
    if isinstance(received, Call):
        assert (received.id, received.action) == (id, action)
        error = OcppError(ErrorCode.INTERNAL_ERROR, "no")
        assert json.loads(Peer(protocol).refuse(received, error)) == [4, id, "InternalError", "no", {}]
    else:
        check_reply(received, id)


TURNS = st.lists(
    st.tuples(st.sampled_from(["call", "deliver", "answer", "refuse", "give up"]), st.integers(0, 1)), max_size=80
)
CALLS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "Heartbeat": ({}, {"currentTime": "2026-05-06T10:00:00Z"}),
    "ClearCache": ({}, {"status": "Accepted"}),
}


class Side:
    """One of two connected peers, what is on its way to it, and what it still has to answer."""

    def __init__(self, protocol: str) -> None:
        self.peer = Peer(protocol)
        self.wire: deque[bytes] = deque()
        self.unanswered: deque[Call] = deque()
        self.called = 0
        self.waiting: str | None = None
        self.given_up: set[str] = set()


@given(protocol=protocols, turns=TURNS)
@settings(max_examples=400, deadline=None)
def test_two_peers_always_match_their_answers(protocol: str, turns: list[tuple[str, int]]) -> None:
    """Whatever the order of calls, deliveries, answers and timeouts, on an ordered line between two peers."""
    sides = (Side(protocol), Side(protocol))
    for turn, number in turns:
        here, there = sides[number], sides[1 - number]
        take_turn(turn, here, there)
        assert (here.peer.in_flight.id if here.peer.in_flight else None) == here.waiting
    drain(sides)
    assert [side.waiting for side in sides] == [None, None]


def take_turn(turn: str, here: Side, there: Side) -> None:
    if turn == "call" and here.waiting is None:
        here.called += 1
        here.waiting = str(here.called)
        action = ("Heartbeat", "ClearCache")[here.called % 2]
        there.wire.append(here.peer.call(here.waiting, action, CALLS[action][0]))
    elif turn == "deliver" and here.wire:
        deliver(here)
    elif turn == "answer" and here.unanswered:
        call = here.unanswered.popleft()
        there.wire.append(here.peer.answer(call, CALLS[call.action][1]))
    elif turn == "refuse" and here.unanswered:
        error = OcppError(ErrorCode.GENERIC_ERROR, "no")
        there.wire.append(here.peer.refuse(here.unanswered.popleft(), error))
    elif turn == "give up" and here.waiting is not None:
        here.peer.give_up(here.waiting)
        here.given_up.add(here.waiting)
        here.waiting = None


def deliver(here: Side) -> None:
    frame = here.wire.popleft()
    match here.peer.receive(frame):
        case Call() as call:
            here.unanswered.append(call)
        case Result(id=id, action=action, payload=payload):
            assert id == here.waiting
            assert payload == CALLS[action][1]
            here.waiting = None
        case Failure(id=id, code=code):
            assert (id, code) == (here.waiting, "GenericError")
            here.waiting = None
        case Ignored():
            assert json.loads(frame)[1] in here.given_up
        case other:
            raise AssertionError(other)


def drain(sides: tuple[Side, Side]) -> None:
    """Deliver and answer everything that is still on its way."""
    while any(side.wire or side.unanswered for side in sides):
        for here, there in (sides, sides[::-1]):
            take_turn("deliver", here, there)
            take_turn("answer", here, there)
