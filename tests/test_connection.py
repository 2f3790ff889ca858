"""The handshake and the socket, over a transport in memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_twisted
from socket_kit import Socket
from twisted.internet import defer
from twisted.logger import capturedLogs

from csms.model.commands import CommandFailed
from csms.model.provisioning import StationBooted
from csms.model.station import StationConnected
from csms.model.transactions import TransactionStarted
from csms.testing import TestCsms, make_csms

Make = Callable[..., Awaitable[TestCsms]]


@pytest.fixture
def make(tmp_path: Path, installed_plugins: None) -> Iterator[Make]:
    made: list[TestCsms] = []

    async def start(site: str = "") -> TestCsms:
        made.append(await make_csms(tmp_path, site=site))
        return made[-1]

    yield start
    for csms in made:
        pytest_twisted.blockon(defer.Deferred.fromCoroutine(csms.close()))


@pytest_twisted.ensureDeferred
async def test_a_station_connects_with_the_subprotocol_we_like_best(make: Make) -> None:
    csms = await make()
    head = await Socket(csms).ask("/ocpp/CS1", protocols="ocpp1.6, ocpp2.0.1")
    assert head.startswith("HTTP/1.1 101")
    assert "Sec-WebSocket-Protocol: ocpp2.0.1" in head
    await csms.settle(lambda: csms.house.switchboard.count)
    assert csms.house.switchboard.station("CS1") is not None


@pytest.mark.parametrize("path", ["/ocpp/a%2Fb", "/ocpp/%00", "/ocpp/" + "x" * 300, "/ocpp/a:b", "/wrong/CS1", "/"])
@pytest_twisted.ensureDeferred
async def test_what_is_no_identity_is_404(make: Make, path: str) -> None:
    csms = await make()
    assert (await Socket(csms).ask(path)).startswith("HTTP/1.1 404")
    assert await csms.house.store.stations.list() == []


@pytest_twisted.ensureDeferred
async def test_a_wrong_password_is_401_with_a_challenge(make: Make) -> None:
    csms = await make()
    await csms.house.provisioning.provision("CS1", password="s" * 20)
    for password in (None, "wrong"):
        head = await Socket(csms).ask("/ocpp/CS1", password=password)
        assert head.startswith("HTTP/1.1 401")
        assert 'WWW-Authenticate: Basic realm="csms"' in head
    assert (await Socket(csms).ask("/ocpp/CS1", password="s" * 20)).startswith("HTTP/1.1 101")


@pytest_twisted.ensureDeferred
async def test_without_a_common_subprotocol_the_handshake_is_finished_and_closed(make: Make) -> None:
    csms = await make()
    socket = Socket(csms)
    head = await socket.ask("/ocpp/CS1", protocols="ocpp1.5")
    assert head.startswith("HTTP/1.1 101")
    assert "Sec-WebSocket-Protocol" not in head
    await csms.settle(lambda: b"no common OCPP subprotocol" in socket.transport.value())
    assert b"no common OCPP subprotocol" in socket.transport.value()
    assert csms.house.switchboard.count == 0


@pytest_twisted.ensureDeferred
async def test_an_endless_header_is_refused(make: Make) -> None:
    csms = await make()
    socket = Socket(csms)
    socket.protocol.dataReceived(b"GET /ocpp/CS1 HTTP/1.1\r\nX: " + b"x" * 20_000)
    assert socket.transport.value().startswith(b"HTTP/1.1 431")


@pytest_twisted.ensureDeferred
async def test_whole_split_and_joined_frames_are_read_alike(make: Make) -> None:
    csms = await make()
    socket = Socket(csms)
    await socket.ask("/ocpp/CS1")
    await csms.settle(lambda: csms.house.switchboard.count)
    boot = '[2,"%d","BootNotification",{"reason":"PowerUp","chargingStation":{"model":"M","vendorName":"V"}}]'
    for number in (1, 2, 3):
        text = (boot % number).encode()
        frame = bytes((0x81, 0x80 | len(text))) + b"\0\0\0\0" + text
        match number:
            case 1:
                socket.protocol.dataReceived(frame)
            case 2:
                for byte in frame:
                    socket.protocol.dataReceived(bytes((byte,)))
            case _:
                socket.protocol.dataReceived(frame + frame.replace(b'"3"', b'"4"'))
    await csms.settle(lambda: socket.transport.value().count(b"Accepted") == 4)
    assert socket.transport.value().count(b'"Accepted"') == 4


@pytest_twisted.ensureDeferred
async def test_a_second_socket_is_refused_while_the_first_answers_pings(make: Make) -> None:
    csms = await make()
    first, second = Socket(csms), Socket(csms)
    await first.ask("/ocpp/CS1")
    await csms.settle(lambda: csms.house.switchboard.count)
    asking = defer.Deferred.fromCoroutine(second.ask("/ocpp/CS1"))
    await csms.settle(lambda: b"\x89\x04csms" in first.transport.value())
    first.protocol.dataReceived(b"\x8a\x84\0\0\0\0csms")
    assert (await asking).startswith("HTTP/1.1 409")
    assert csms.house.switchboard.station("CS1") is first.protocol.station


@pytest_twisted.ensureDeferred
async def test_a_second_socket_replaces_a_dead_one_and_its_late_close_changes_nothing(make: Make) -> None:
    csms = await make()
    first, second = Socket(csms), Socket(csms)
    await first.ask("/ocpp/CS1")
    await csms.settle(lambda: csms.house.switchboard.count)
    asking = defer.Deferred.fromCoroutine(second.ask("/ocpp/CS1"))
    await csms.settle(lambda: b"\x89\x04csms" in first.transport.value())
    await csms.advance(3)
    assert (await asking).startswith("HTTP/1.1 101")
    await csms.settle(lambda: csms.house.switchboard.station("CS1") is second.protocol.station)
    first.close()
    await csms.settle()
    assert csms.house.switchboard.station("CS1") is second.protocol.station


@pytest_twisted.ensureDeferred
async def test_what_is_answered_while_the_connection_closes_is_told_all_the_same(make: Make) -> None:
    csms = await make()
    socket = Socket(csms)
    await socket.ask("/ocpp/CS1")
    socket.send('[2,"1","BootNotification",{"reason":"PowerUp","chargingStation":{"model":"M","vendorName":"V"}}]')
    await csms.settle(lambda: csms.told(StationBooted))
    station = csms.house.switchboard.station("CS1")
    assert station is not None
    when = '"eventType":"Started","timestamp":"2026-03-01T12:00:00Z","triggerReason":"CablePluggedIn","seqNo":0'
    socket.send(f'[2,"2","TransactionEvent",{{{when},"transactionInfo":{{"transactionId":"T1"}}}}]')
    station.drop("the test says so")
    sent = socket.transport.value()
    await csms.settle(lambda: csms.told(TransactionStarted))
    assert len(csms.told(TransactionStarted)) == 1
    assert socket.transport.value() == sent
    with pytest.raises(CommandFailed, match="not connected"):
        await station.call("Reset", {"type": "OnIdle"})


@pytest_twisted.ensureDeferred
async def test_a_connection_that_is_lost_in_its_handshake_leaves_no_ghost(make: Make) -> None:
    csms = await make()
    socket = Socket(csms)
    socket.ask_for("/ocpp/CS1")
    socket.close()
    await csms.settle()
    assert csms.house.switchboard.count == 0
    assert csms.told(StationConnected) == []


@pytest_twisted.ensureDeferred
async def test_a_handshake_that_is_decided_too_late_is_not_opened(make: Make) -> None:
    csms = await make()
    socket = Socket(csms)
    socket.ask_for("/ocpp/CS1")
    csms.clock.advance(5)
    assert socket.aborted
    await csms.settle()
    socket.close()
    await csms.settle()
    assert csms.house.switchboard.count == 0
    assert b"101 Switching" not in socket.transport.value()


@pytest_twisted.ensureDeferred
async def test_a_crowd_beyond_the_waiting_room_is_cut_off_and_told_now_and_then(make: Make) -> None:
    csms = await make("[server]\nmax_unauthenticated_per_address = 2\nmax_waiting = 0")
    gate = csms.house.gate()
    with capturedLogs() as logged:
        sockets = [Socket(csms, gate=gate) for _ in range(9)]
        assert [one.aborted for one in sockets] == [False] * 2 + [True] * 7
        assert [event["count"] for event in logged if "count" in event] == [1]
        csms.clock.advance(10)
        csms.clock.advance(10)
        assert [event["count"] for event in logged if "count" in event] == [1, 6]
    for one in sockets:
        one.close()
    assert not Socket(csms, gate=gate).aborted


@pytest_twisted.ensureDeferred
async def test_a_connection_that_has_ended_is_forgotten_at_once(make: Make) -> None:
    """Of thousands that come back at once the old ones must not stand in memory beside the new ones until a search for cycles."""
    csms = await make()
    gc.collect()
    gc.disable()
    try:
        socket = Socket(csms)
        await socket.ask("/ocpp/CS1")
        await csms.settle(lambda: csms.house.switchboard.count)
        known = weakref.ref(socket.protocol)
        socket.close()
        await csms.settle(lambda: not csms.house.switchboard.count)
        await csms.settle()
        del socket.protocol
        assert known() is None
    finally:
        gc.enable()
