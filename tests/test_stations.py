"""One connected station: its calls are answered in order, however many came at once."""

from __future__ import annotations

import json

import pytest
from twisted.internet import defer
from twisted.internet.task import Clock

from csms.dialects import DIALECTS
from csms.model.station import StationRef
from csms.ocpp.rpc import Call
from csms.stations import INBOX_HIGH, Reply, Station

MANY = 5000


class Wire:
    """What a station writes, and an answerer whose first answer waits."""

    def __init__(self) -> None:
        self.answered: list[str] = []
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
        self.answered.append(json.loads(frame)[1])
        return True

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
