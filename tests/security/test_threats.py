"""Threats by their names, over real TLS sockets where a socket is part of them. docs/security.md has the table of all, and a test of it is here."""

from __future__ import annotations

import base64
import re
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from tls_kit import HOST, Door, TlsStation, site
from twisted.logger import LogLevel
from websockets.exceptions import ConnectionClosed

from csms.authority import write_pair
from csms.cli.show import plain
from csms.log_lines import log_line
from csms.testing import running_csms
from csms.tls import TlsFault

ROOT = Path(__file__).parents[2]
PASSWORD = "a-password-of-20-chr"
HURRIED = site().replace('"60s"', '"2s"\nmax_unauthenticated_per_address = 1')
PATIENCE_S = 30


def until_closed(plain_socket: socket.socket, drip: bytes = b"") -> bytes:
    """What comes until the other end closes; meanwhile a byte is sent every tenth of a second."""
    plain_socket.settimeout(0.1)
    heard, last = b"", time.monotonic() + PATIENCE_S
    while time.monotonic() < last:
        try:
            if drip:
                plain_socket.sendall(drip)
            part = plain_socket.recv(4096)
        except (TimeoutError, ssl.SSLWantReadError):
            continue
        except (OSError, ssl.SSLError):
            return heard
        if not part:
            return heard
        heard += part
    raise AssertionError(f"still open after {PATIENCE_S} s")


@pytest_twisted.ensureDeferred
async def test_threat_slowloris_over_tls(door: Any) -> None:
    """Neither a drip of header bytes nor a TLS handshake that never begins keeps a socket beyond the deadline."""
    here = await door(HURRIED)

    def drips() -> None:
        with (
            socket.create_connection((HOST, here.number(tls=True))) as raw,
            here.context().wrap_socket(raw, server_hostname=HOST) as shaken,
        ):
            shaken.sendall(b"GET /ocpp/CS1 HTTP/1.1\r\nX-")
            until_closed(shaken, b"a")

    def stalls() -> None:
        with socket.create_connection((HOST, here.number(tls=True))) as raw:
            assert until_closed(raw) == b""

    await here.wait(drips)
    await here.wait(stalls)
    await here.station()  # The one place that this address has is free again.


@pytest_twisted.ensureDeferred
async def test_threat_crowds_behind_one_address_over_tls(door: Any) -> None:
    """While one socket holds the only place of its address the others wait, unread; when it is cut off they are answered, one after the other."""
    here = await door(HURRIED)

    def asks(number: int) -> bytes:
        with (
            socket.create_connection((HOST, here.number(tls=True)), timeout=PATIENCE_S) as raw,
            here.context().wrap_socket(raw, server_hostname=HOST) as shaken,
        ):
            shaken.sendall(b"GET /ocpp/CS%d HTTP/1.1\r\nX-: y\r\n\r\n" % number)
            return until_closed(shaken)

    def crowd() -> list[bytes]:
        with socket.create_connection((HOST, here.number(tls=True))), ThreadPoolExecutor(4) as pool:
            return list(pool.map(asks, range(4)))

    assert [head[:12] for head in await here.wait(crowd)] == [b"HTTP/1.1 400"] * 4


@pytest_twisted.ensureDeferred
async def test_threat_header_bomb_over_tls(door: Any) -> None:
    here = await door()

    def bomb() -> bytes:
        with (
            socket.create_connection((HOST, here.number(tls=True))) as raw,
            here.context().wrap_socket(raw, server_hostname=HOST) as shaken,
        ):
            shaken.sendall(b"GET /ocpp/CS1 HTTP/1.1\r\nX: " + b"a" * 100_000)
            return until_closed(shaken)

    assert (await here.wait(bomb))[:12] in (b"HTTP/1.1 431", b"")


@pytest_twisted.ensureDeferred
async def test_threat_certificates_change_under_an_open_socket(door: Any) -> None:
    """New files are for new connections, files that will not do change nothing, and open sockets notice neither."""
    here = await door()
    station = await here.station()
    write_pair(here.folder / "tls", "server-ecdsa", *here.authority.server(HOST, "ecdsa", 20))
    assert here.contexts.reload()
    second = await here.station("CS2")
    new, old = (one.dialled.tls.getpeercert()["serialNumber"] for one in (second, station))
    assert new != old
    (here.folder / "tls" / "server-ecdsa.pem").write_text("nonsense")
    with pytest.raises(TlsFault, match=r"server-ecdsa\.pem"):
        here.contexts.reload()
    for one in (station, second):
        assert "currentTime" in await one.say("Heartbeat", {})
    assert (await here.dial("CS1", "wrong-password-of-20", tls=here.context())).status == 401, "TLS still works"


@pytest_twisted.ensureDeferred
async def test_threat_duplicate_identity_over_tls(door: Any) -> None:
    """Profile 2 has proved itself: the newest wins, the older is closed, an event says so; a wrong password wins nothing."""
    here = await door()
    first = await here.station()
    assert (await here.dial("CS1", "wrong-password-of-20", tls=here.context())).status == 401
    assert "currentTime" in await first.say("Heartbeat", {})
    second = await here.dial("CS1", PASSWORD, tls=here.context())
    assert second.status == 101
    assert "the newest stays" in here.expect("DuplicateIdentity")[0]
    with pytest.raises(ConnectionClosed):
        await first.dialled.hears()
    assert "currentTime" in await TlsStation(second).say("Heartbeat", {})


async def refusals(here: Door) -> dict[str, bytes]:
    """The whole answers to stations that may not come in, by why."""
    provision = here.csms.house.provisioning.provision
    await provision("KNOWN", password=PASSWORD)
    await provision("BLOCKED", password=PASSWORD, blocked=True)

    def answer(station: str, password: str) -> bytes:
        shown = base64.b64encode(f"{station}:{password}".encode()).decode()
        head = f"GET /ocpp/{station} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n"
        head += f"Sec-WebSocket-Protocol: ocpp2.0.1\r\nAuthorization: Basic {shown}\r\n\r\n"
        with (
            socket.create_connection((HOST, here.number(tls=True))) as raw,
            here.context().wrap_socket(raw, server_hostname=HOST) as shaken,
        ):
            shaken.sendall(head.encode())
            return until_closed(shaken)

    cases = {"wrong": ("KNOWN", "x" * 20), "unknown": ("NOBODY", "x" * 20), "blocked": ("BLOCKED", PASSWORD)}
    return {why: await here.wait(lambda case=case: answer(*case)) for why, case in cases.items()}


@pytest_twisted.ensureDeferred
async def test_threat_identities_are_found_by_trying(door: Any) -> None:
    """Where unknown stations are refused, the answers to unknown, wrong and blocked are alike to the byte."""
    answers = await refusals(await door(unknown="refuse"))
    assert len(set(answers.values())) == 1, answers
    assert answers["wrong"].startswith(b"HTTP/1.1 401")


def test_threat_terminal_escapes_in_logs_and_tables() -> None:
    """A station's text neither moves the cursor, nor turns the reading direction, nor begins a line of the log."""
    evil = "\x1b[2J\x1b]0;owned\x07\r\x9b2J\u202egnp\n2026-03-01T12:00:00+0000 [csms#info] all is well"
    text = log_line(
        {"log_format": "{x}", "x": evil, "log_time": 0.0, "log_level": LogLevel.info, "log_namespace": "csms"}
    )
    assert text is not None
    assert not set(text) & set("\x1b\x07\r\x9b\u202e")
    assert "\\x1b[2J" in text
    assert [line[:1] for line in text.splitlines()][1:] == ["\t"]
    assert plain(evil).isprintable()


@pytest_twisted.ensureDeferred
async def test_threat_sql_in_identities_and_tokens(tmp_path: Path, installed_plugins: None) -> None:
    evil = "x'; DROP TABLE station; --"
    async with running_csms(tmp_path) as csms:
        station = await csms.station(evil)
        other = await csms.station("CS1")
        for text in (evil[:36], "' OR 1=1 --", '" OR ""="', "%", "_", "\\"):
            answer = await station.say("Authorize", {"idToken": {"idToken": text, "type": "Central"}})
            assert answer["idTokenInfo"]["status"] != "Accepted"
        assert {one.id for one in await csms.house.store.stations.list()} == {evil, "CS1"}
        assert "currentTime" in await other.say("Heartbeat", {})


@pytest_twisted.ensureDeferred
async def test_threat_replay_of_recorded_messages(tmp_path: Path, installed_plugins: None) -> None:
    """Events that are played again, over another connection and with other message ids, are answered and count once."""
    event = {
        "eventType": "Started",
        "timestamp": "2026-03-01T12:00:00Z",
        "triggerReason": "CablePluggedIn",
        "seqNo": 0,
        "transactionInfo": {"transactionId": "T1"},
        "evse": {"id": 1, "connectorId": 1},
    }
    ended = {**event, "eventType": "Ended", "seqNo": 1, "triggerReason": "EVDeparted"}
    async with running_csms(tmp_path) as csms:
        station = await csms.station("CS1")
        for one in (event, ended):
            await station.say("TransactionEvent", one)
        await station.close()
        again = await csms.station("CS1")
        told = len(csms.events)
        for one in (event, ended, event):
            assert await again.say("TransactionEvent", one) == {}
        kinds = {type(one).__name__ for one in csms.events[told:]}
        assert not kinds & {"TransactionStarted", "TransactionEnded"}
        assert await csms.house.store.transactions.active() == []


# The table


ROW = re.compile(r"^\| (?P<threat>[^|]+) \| (?P<tests>`tests/[^|]+) \|$", re.MULTILINE)
THREATS = {
    "impersonation",
    "no limit on tries",
    "duplicate identity",
    "identities found by trying",
    "another station's transaction",
    "handshake floods",
    "slowloris and TLS stalls",
    "header bombs",
    "messages too large",
    "deflate bombs",
    "depth bombs",
    "unbounded queues",
    "running out of descriptors",
    "floods from a valid station",
    "SQL in identities and tokens",
    "scripts in texts of stations",
    "formulas in tables",
    "escapes in logs and terminals",
    "CSRF and clickjacking",
    "cross-site WebSocket",
    "SSRF",
    "URLs told to stations",
    "upload endpoints",
    "unsigned or wrong firmware",
    "replay",
    "secrets in logs, bundles and answers",
    "weak or lost station keys",
    "a fall back to a weaker profile",
    "old TLS and weak suites",
    "certificate lifecycle",
    "certificates changed under open sockets",
    "privilege escapes in the API",
    "tenant escapes in the API",
    "rules as injection",
    "error paths that raise",
}


def test_every_threat_has_a_test_that_exists() -> None:
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    rows = {found["threat"]: re.findall(r"`([^`]+)`", found["tests"]) for found in ROW.finditer(text)}
    assert rows.keys() == THREATS
    for threat, tests in rows.items():
        for one in tests:
            file, _, name = one.partition("::")
            assert re.search(rf"\bdef {name}\(", (ROOT / file).read_text("utf-8")), (threat, one)
