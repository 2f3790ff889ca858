"""Bad input over real sockets: each kind has a stated outcome, and a good neighbour's heartbeats are answered all the while."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from raw_socket import BINARY, DEFLATE, TEXT, Gone, RawSocket, deflated, frame
from server_process import ServerProcess

BOOT = {
    "ocpp2.0.1": {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}},
    "ocpp1.6": {"chargePointModel": "M", "chargePointVendor": "V"},
}
NEIGHBOUR_PATIENCE_S = 2.0
Story = Callable[[RawSocket], Awaitable[None]]


def new_path() -> str:
    """The path of a station nobody used before."""
    return f"/ocpp/BAD-{uuid.uuid4().hex[:12]}"


async def booted(port: int, path: str, protocol: str = "ocpp2.0.1", *, deflate: bool = False) -> RawSocket:
    """A raw station after its handshake and its boot."""
    socket = await RawSocket.upgrade(port, path, protocols=protocol, headers=DEFLATE if deflate else None)
    assert socket.status == 101
    await socket.say([2, "boot", "BootNotification", BOOT[protocol]])
    answer = await socket.hear()
    assert answer[0] == 3, answer
    assert answer[2]["status"] == "Accepted"
    return socket


@asynccontextmanager
async def good_neighbour(port: int) -> AsyncIterator[None]:
    """A well-behaved station that sends heartbeats the whole time; every one must be answered soon."""
    socket = await booted(port, new_path().replace("BAD", "GOOD"))
    answered: asyncio.Queue[int] = asyncio.Queue()

    async def beat() -> None:
        for number in itertools.count():
            await socket.say([2, f"h{number}", "Heartbeat", {}])
            answer = await asyncio.wait_for(socket.hear(), NEIGHBOUR_PATIENCE_S)
            assert answer[:2] == [3, f"h{number}"], answer
            answered.put_nowait(number)
            await asyncio.sleep(0.02)

    async def two_more() -> None:
        seen = answered.qsize()
        for _ in range(seen + 2):
            await answered.get()

    beating = asyncio.create_task(beat())
    try:
        yield
        waiting = asyncio.create_task(two_more())
        await asyncio.wait({beating, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
    finally:
        beating.cancel()
        (outcome,) = await asyncio.gather(beating, return_exceptions=True)
        socket.close()
    assert isinstance(outcome, asyncio.CancelledError), f"the neighbour was disturbed: {outcome!r}"


def with_bad_station(
    server: ServerProcess, story: Story, protocol: str = "ocpp2.0.1", *, deflate: bool = False
) -> None:
    """Run a story on a booted raw station beside a good neighbour."""

    async def run() -> None:
        async with good_neighbour(server.port):
            socket = await booted(server.port, new_path(), protocol, deflate=deflate)
            await story(socket)
            socket.close()

    asyncio.run(run())


def authorize(**changed: Any) -> dict[str, Any]:
    """An Authorize request with something changed."""
    return {"idToken": {"idToken": "TAG1", "type": "ISO14443", **changed}}


REFUSED = {
    "unknown action": ("ocpp2.0.1", "Levitate", {}, "NotImplemented"),
    "action of the server": ("ocpp2.0.1", "Reset", {"type": "Immediate"}, None),
    "missing field": ("ocpp2.0.1", "Authorize", {"idToken": {"idToken": "TAG1"}}, "OccurrenceConstraintViolation"),
    "wrong type": ("ocpp2.0.1", "Authorize", authorize(idToken=7), "TypeConstraintViolation"),
    "wrong word": ("ocpp2.0.1", "Authorize", authorize(type="Smell"), "PropertyConstraintViolation"),
    "too long": ("ocpp2.0.1", "Authorize", authorize(idToken="x" * 37), "PropertyConstraintViolation"),
    "field nobody knows": ("ocpp2.0.1", "Authorize", {**authorize(), "colour": "red"}, "FormatViolation"),
    "payload is a list": ("ocpp2.0.1", "Authorize", [], None),
    "payload is null": ("ocpp2.0.1", "Heartbeat", None, None),
    "1.6 unknown action": ("ocpp1.6", "Levitate", {}, "NotImplemented"),
    "1.6 missing field": ("ocpp1.6", "Authorize", {}, "OccurenceConstraintViolation"),
    "1.6 wrong type": ("ocpp1.6", "Authorize", {"idTag": 7}, "TypeConstraintViolation"),
    "1.6 too long": ("ocpp1.6", "Authorize", {"idTag": "x" * 21}, "PropertyConstraintViolation"),
    "1.6 field nobody knows": ("ocpp1.6", "Authorize", {"idTag": "TAG1", "colour": "red"}, "FormationViolation"),
}
"""Protocol, action, payload, and the error code; None where any CALLERROR with our message id will do."""


@pytest.mark.parametrize("kind", REFUSED)
def test_wrong_call_gets_callerror_and_the_socket_stays(server: ServerProcess, kind: str) -> None:
    protocol, action, payload, code = REFUSED[kind]

    async def story(socket: RawSocket) -> None:
        await socket.say([2, "wrong", action, payload])
        answer = await socket.hear()
        assert answer[:2] == [4, "wrong"], answer
        assert code is None or answer[2] == code, answer
        assert len(answer) == 5
        assert isinstance(answer[4], dict)
        await socket.say([2, "right", "Heartbeat", {}])
        assert (await socket.hear())[:2] == [3, "right"]

    with_bad_station(server, story, protocol)


GARBAGE = {
    "no JSON": "hello?",
    "half JSON": '[2,"7","Heartbeat",{}',
    "no array": '{"action":"Heartbeat"}',
    "empty array": "[]",
    "empty": "",
    "deep": "[" * 100_000 + "]" * 100_000,
    "not a number": '[2,"7","Heartbeat",{"a":NaN}]',
    "no action": '[2,"7"]',
    "number as id": '[2,7,"Heartbeat",{}]',
}


@pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp1.6"])
@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_answered_and_the_socket_stays(server: ServerProcess, kind: str, protocol: str) -> None:
    async def story(socket: RawSocket) -> None:
        await socket.say(GARBAGE[kind])
        await socket.say([2, "right", "Heartbeat", {}])
        answer = await socket.hear()
        if answer[0] == 4:
            assert answer[1] in ("-1", "7"), answer
            answer = await socket.hear()
        assert answer[:2] == [3, "right"], answer

    with_bad_station(server, story, protocol)


def test_garbage_in_201_has_message_id_minus_one(server: ServerProcess) -> None:
    async def story(socket: RawSocket) -> None:
        await socket.say("hello?")
        assert (await socket.hear())[:3] == [4, "-1", "RpcFrameworkError"]

    with_bad_station(server, story)


IGNORED = {
    "answer nobody asked for": ("ocpp2.0.1", [3, "nobody asked", {}]),
    "error nobody asked for": ("ocpp2.0.1", [4, "nobody asked", "GenericError", "", {}]),
    "1.6 answer nobody asked for": ("ocpp1.6", [3, "nobody asked", {}]),
    "1.6 unknown message type": ("ocpp1.6", [9, "7", "Heartbeat", {}]),
}


@pytest.mark.parametrize("kind", IGNORED)
def test_message_to_ignore_leaves_the_socket_open(server: ServerProcess, kind: str) -> None:
    protocol, message = IGNORED[kind]

    async def story(socket: RawSocket) -> None:
        await socket.say(message)
        await socket.say([2, "right", "Heartbeat", {}])
        assert (await socket.hear())[:2] == [3, "right"]

    with_bad_station(server, story, protocol)


def test_unknown_message_type_in_201_is_named_as_such(server: ServerProcess) -> None:
    """2.0.1 has an error code for it; what the message says is ignored."""

    async def story(socket: RawSocket) -> None:
        await socket.say([9, "7", "Heartbeat", {}])
        assert (await socket.hear())[:3] == [4, "7", "MessageTypeNotSupported"]
        await socket.say([2, "right", "Heartbeat", {}])
        assert (await socket.hear())[:2] == [3, "right"]

    with_bad_station(server, story)


def test_unknown_message_type_is_refused_in_201_and_ignored_in_16(server: ServerProcess) -> None:
    async def refused(socket: RawSocket) -> None:
        await socket.say([9, "7", "Heartbeat", {}])
        assert (await socket.hear())[:3] == [4, "7", "MessageTypeNotSupported"]

    async def ignored(socket: RawSocket) -> None:
        await socket.say([9, "7", "Heartbeat", {}])
        await socket.say([2, "right", "Heartbeat", {}])
        assert (await socket.hear())[:2] == [3, "right"]

    with_bad_station(server, refused)
    with_bad_station(server, ignored, "ocpp1.6")


def test_oversized_frame_is_closed_with_1009(server: ServerProcess) -> None:
    async def story(socket: RawSocket) -> None:
        await socket.send(frame(TEXT, b'"' + b"x" * 300_000 + b'"'))
        assert await socket.end() == 1009

    with_bad_station(server, story)


def test_oversized_message_in_small_frames_is_closed_with_1009(server: ServerProcess) -> None:
    async def story(socket: RawSocket) -> None:
        for number in range(5):
            await socket.send(frame(0 if number else TEXT, b"x" * 65_000, fin=False))
        assert await socket.end() == 1009

    with_bad_station(server, story)


def test_deflate_bomb_is_closed_and_costs_no_memory(server: ServerProcess) -> None:
    bomb = deflated(b'"' + bytes(200 * 1024 * 1024) + b'"')
    assert len(bomb) < 262_144, "the bomb is small on the wire"
    before = server.resident_kib()

    async def story(socket: RawSocket) -> None:
        assert "permessage-deflate" in socket.headers["sec-websocket-extensions"]
        await socket.send(frame(TEXT, bomb, compressed=True))
        assert await socket.end() in (1009, None)

    with_bad_station(server, story, deflate=True)
    assert server.resident_kib() - before < 32 * 1024


def test_compressed_message_is_read(server: ServerProcess) -> None:
    async def story(socket: RawSocket) -> None:
        await socket.send(frame(TEXT, deflated(b'[2,"7","Heartbeat",{}]'), compressed=True))
        assert (await socket.hear())[:2] == [3, "7"]

    with_bad_station(server, story, deflate=True)


def test_broken_deflate_data_closes_only_this_socket(server: ServerProcess) -> None:
    async def story(socket: RawSocket) -> None:
        await socket.send(frame(TEXT, b"\xff" * 64, compressed=True))
        assert await socket.end() in (1002, 1007, None)

    with_bad_station(server, story, deflate=True)


@pytest.mark.parametrize(
    ("bad", "codes"),
    [
        pytest.param(frame(BINARY, b"\x00\x01\x02"), (1003,), id="binary"),
        pytest.param(frame(TEXT, b"\xff\xfe"), (1007,), id="no UTF-8"),
        pytest.param(frame(5, b"x"), (1002,), id="reserved opcode"),
        pytest.param(frame(0, b"x"), (1002,), id="continuation of nothing"),
        pytest.param(frame(9, b"x" * 126), (1002,), id="long ping"),
        pytest.param(b"\x81\x02{}", (1002,), id="not masked"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", (1002, 1009), id="HTTP again"),
    ],
)
def test_wrong_frame_closes_the_socket_with_its_code(server: ServerProcess, bad: bytes, codes: tuple[int, ...]) -> None:
    async def story(socket: RawSocket) -> None:
        await socket.send(bad)
        assert await socket.end() in codes

    with_bad_station(server, story)


def test_half_frame_then_silence_disturbs_nobody(server: ServerProcess) -> None:
    async def story(socket: RawSocket) -> None:
        await socket.send(frame(TEXT, b'[2,"7","Heart', length=40))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.read(), 0.5)

    with_bad_station(server, story)


def test_half_handshake_is_cut_off_by_the_deadline(server: ServerProcess) -> None:
    async def run() -> None:
        async with good_neighbour(server.port):
            socket = await RawSocket.connect(server.port)
            await socket.send(b"GET /ocpp/SLOW HTTP/1.1\r\nHost: x\r\n")
            with pytest.raises(Gone):
                await socket.read_head()

    asyncio.run(run())


def test_endless_header_is_refused(server: ServerProcess) -> None:
    async def run() -> None:
        async with good_neighbour(server.port):
            socket = await RawSocket.connect(server.port)
            await socket.send(b"GET /ocpp/CP1 HTTP/1.1\r\nX: " + b"x" * 100_000)
            try:
                await socket.read_head()
            except Gone:
                return
            assert socket.status == 431

    asyncio.run(run())
