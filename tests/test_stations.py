"""One connected station: its calls are answered in order, however many came at once."""

from __future__ import annotations

import json

import pytest
from twisted.internet import defer
from twisted.internet.task import Clock

from csms.dialects import DIALECTS
from csms.model.commands import CommandFailed
from csms.model.station import StationRef
from csms.ocpp.rpc import Call
from csms.stations import INBOX_HIGH, MOST_WAITING, Reply, Station

MANY = 5000


class Wire:
    """What a station writes, and an answerer whose first answer waits."""

    def __init__(self) -> None:
        self.answered: list[str] = []
        self.open = True
        self.holds: list[bool] = []
        self.first: defer.Deferred[None] = defer.Deferred()
        self.told: list[object] = []
        self.station = Station(
            StationRef("CS1", "ocpp2.0.1", connected=True),
            DIALECTS["ocpp2.0.1"],
            fence=1,
            peer_address="test",
            write=self._write,
            drop=lambda reason: None,
            hold=self.holds.append,
            ping=defer.Deferred,
            answer=self._answer,
            tell=self.told.append,
            clock=Clock(),
            call_timeout_s=30.0,
        )

    def _write(self, frame: bytes) -> bool:
        if self.open:
            self.answered.append(json.loads(frame)[1])
        return self.open

    async def _answer(self, station: Station, call: Call) -> Reply:
        if call.id == "0":
            await self.first
        if call.id == "1":
            raise ValueError("the answerer promised not to")
        return Reply({"currentTime": "2026-03-01T12:00:00Z"}, events=(call.id,))


@pytest.mark.parametrize("wakes", ["answers", "fails"])
def test_thousands_of_calls_in_one_piece_are_answered_in_order(wakes: str) -> None:
    wire = Wire()
    for number in range(MANY):
        wire.station.receive(f'[2,"{number}","Heartbeat",{{}}]')
    assert wire.answered == []
    assert wire.holds == [True]
    if wakes == "answers":
        wire.first.callback(None)
    else:
        wire.first.errback(ValueError("no"))
    left = [str(number) for number in range(MANY) if number != 1 and (number or wakes == "answers")]
    assert wire.answered == wire.told == left
    assert wire.holds == [True, False]


def test_reading_stops_where_too_many_calls_wait() -> None:
    wire = Wire()
    for number in range(INBOX_HIGH + 1):
        wire.station.receive(f'[2,"{number}","Heartbeat",{{}}]')
    assert wire.holds == []
    wire.station.receive('[2,"last","Heartbeat",{}]')
    assert wire.holds == [True]


@pytest.mark.parametrize("end", ["lost", "closing"])
def test_however_many_calls_wait_for_their_turn_all_end_with_the_connection(end: str) -> None:
    wire = Wire()
    codes: list[str] = []
    for _ in range(MOST_WAITING + 1):
        _called(wire, codes)
    assert (len(wire.answered), codes) == (1, [])
    if end == "lost":
        wire.station.gone()
    else:
        wire.open = False
        wire.station.receive(json.dumps([3, wire.answered[0], {"status": "Accepted"}]))
    assert codes == [*["NotConnected"] * MOST_WAITING, "ConnectionLost" if end == "lost" else ""]


def test_more_than_a_thousand_calls_do_not_wait() -> None:
    wire = Wire()
    codes: list[str] = []
    for _ in range(MOST_WAITING + 2):
        _called(wire, codes)
    assert codes == ["Busy"]


def test_waiting_calls_go_out_one_by_one_in_order() -> None:
    wire = Wire()
    codes: list[str] = []
    for _ in range(3):
        _called(wire, codes)
    for number in range(3):
        assert wire.answered == [f"1.{one}" for one in range(1, number + 2)]
        wire.station.receive(json.dumps([3, wire.answered[-1], {"status": "Accepted"}]))
    assert codes == ["", "", ""]


def _called(wire: Wire, codes: list[str]) -> None:
    """Begin a call; how it ends is added to ``codes``, an answer as an empty text."""
    call = defer.Deferred.fromCoroutine(wire.station.call("Reset", {"type": "OnIdle"}))
    call.addCallbacks(lambda answer: "", lambda failure: failure.trap(CommandFailed) and failure.value.code)
    call.addCallback(codes.append)
