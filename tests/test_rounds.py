"""What comes in one turn of the reactor is answered action by action, in order for each station, and nobody harms the others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet import defer
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from csms.dialects import DIALECTS
from csms.model.station import StationRef
from csms.ocpp.rpc import Call
from csms.rounds import Round
from csms.stations import Reply, Station


class Fleet:
    """Stations that share a round; ``answered`` are their answers in the order in which they were given."""

    def __init__(self, round: Round[Station] | None = None) -> None:
        self.round: Round[Station] = Round() if round is None else round
        self.answered: list[tuple[str, str]] = []
        self.dropped: list[str] = []

    def station(self, name: str, *, breaks: bool = False) -> Station:
        def write(frame: bytes) -> bool:
            if breaks:
                raise RuntimeError("a socket that is no good")
            self.answered.append((name, json.loads(frame)[1]))
            return True

        return Station(
            StationRef(name, "ocpp2.0.1", connected=True),
            DIALECTS["ocpp2.0.1"],
            fence=1,
            peer_address="test",
            write=write,
            drop=lambda reason: self.dropped.append(name),
            hold=lambda held: None,
            ping=defer.Deferred,
            answer=self._answer,
            tell=lambda event: None,
            clock=Clock(),
            call_timeout_s=30.0,
            round=self.round,
        )

    async def _answer(self, station: Station, call: Call) -> Reply:
        return Reply({})


def heartbeat(id: str) -> str:
    return f'[2,"{id}","Heartbeat",{{}}]'


def status(id: str) -> str:
    said = {"timestamp": "2026-03-01T12:00:00Z", "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1}
    return json.dumps([2, id, "StatusNotification", said])


def test_calls_of_one_round_are_answered_action_by_action() -> None:
    fleet = Fleet()
    one, two, three = fleet.station("A"), fleet.station("B"), fleet.station("C")
    with fleet.round:
        one.receive(heartbeat("1"))
        two.receive(status("2"))
        three.receive(heartbeat("3"))
        assert fleet.answered == []
    assert fleet.answered == [("A", "1"), ("C", "3"), ("B", "2")]


def test_calls_of_one_station_stay_in_their_order() -> None:
    fleet = Fleet()
    one, two = fleet.station("A"), fleet.station("B")
    with fleet.round:
        one.receive(heartbeat("1"))
        one.receive(status("2"))
        two.receive(status("3"))
        one.receive(heartbeat("4"))
    assert [id for name, id in fleet.answered if name == "A"] == ["1", "2", "4"]
    assert ("B", "3") in fleet.answered


def test_outside_of_a_round_a_call_is_answered_at_once() -> None:
    fleet = Fleet()
    one = fleet.station("A")
    one.receive(heartbeat("1"))
    with fleet.round:
        one.receive(heartbeat("2"))
    one.receive(heartbeat("3"))
    assert fleet.answered == [("A", "1"), ("A", "2"), ("A", "3")]


def test_what_is_read_is_answered_though_reading_ended_badly() -> None:
    fleet = Fleet()
    one = fleet.station("A")

    def read() -> None:
        with fleet.round:
            one.receive(heartbeat("1"))
            raise SystemExit

    with pytest.raises(SystemExit):
        read()
    assert fleet.answered == [("A", "1")]


def test_a_station_that_is_gone_before_its_turn_is_not_answered() -> None:
    fleet = Fleet()
    one = fleet.station("A")
    with fleet.round:
        one.receive(heartbeat("1"))
        one.gone()
    assert fleet.answered == []


def test_a_station_whose_answering_raises_is_dropped_and_the_others_are_answered() -> None:
    faults: list[Any] = []
    globalLogPublisher.addObserver(faults.append)
    fleet = Fleet()
    bad, good = fleet.station("A", breaks=True), fleet.station("B")
    with fleet.round:
        bad.receive(heartbeat("1"))
        good.receive(heartbeat("2"))
    globalLogPublisher.removeObserver(faults.append)
    assert fleet.answered == [("B", "2")]
    assert fleet.dropped == ["A"]
    assert any("bug" in str(fault.get("log_format")) for fault in faults)


def test_what_serving_one_action_raises_keeps_no_other_from_being_served() -> None:
    faults: list[Any] = []
    globalLogPublisher.addObserver(faults.append)
    served = []

    def serve(action: str, waiting: list[Any]) -> None:
        if action == "Heartbeat":
            raise ZeroDivisionError
        served.append((action, len(waiting)))

    fleet = Fleet(Round(serve))
    with fleet.round:
        fleet.station("A").receive(heartbeat("1"))
        fleet.station("B").receive(status("2"))
        fleet.station("C").receive(status("3"))
    globalLogPublisher.removeObserver(faults.append)
    assert served == [("StatusNotification", 2)]
    assert len([fault for fault in faults if "bug" in str(fault.get("log_format"))]) == 1
