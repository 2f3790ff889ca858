"""The identity in the URL, the credentials, and the brake on a peer that does not read."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from csms.socket_care import STALLED_S, Brake, RefusedIdentity, basic_credentials, identity


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/ocpp/CS1", "CS1"),
        ("/ocpp/RDAM%7C123", "RDAM|123"),
        ("/ocpp/S%C3%A4ule%201", "Säule 1"),
        ("/ocpp/" + "x" * 48, "x" * 48),
    ],
)
def test_an_identity_is_percent_decoded(path: str, name: str) -> None:
    assert identity(path, "/ocpp") == name


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/ocpp", "below /ocpp/"),
        ("/other/CS1", "below /ocpp/"),
        ("/ocpp/", "one path segment"),
        ("/ocpp/a/b", "one path segment"),
        ("/ocpp/a%2Fb", "one path segment"),
        ("/ocpp/" + "x" * 49, "49 characters"),
        ("/ocpp/a:b", "colon"),
        ("/ocpp/a%3Ab", "colon"),
        ("/ocpp/a%00b", "cannot be printed"),
        ("/ocpp/%1B%5B2J", "cannot be printed"),
        ("/ocpp/%FF", "not UTF-8"),
    ],
)
def test_anything_else_is_refused_with_its_reason(path: str, why: str) -> None:
    with pytest.raises(RefusedIdentity, match=why):
        identity(path, "/ocpp")


@given(st.text(max_size=80))
def test_no_text_makes_an_identity_that_is_none(text: str) -> None:
    try:
        name = identity(f"/ocpp/{text}", "/ocpp")
    except RefusedIdentity:
        return
    assert 0 < len(name) <= 48
    assert not set(name) & set("/:\0\n")


def basic(raw: bytes) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(raw).decode()}


@pytest.mark.parametrize(
    ("headers", "given"),
    [
        (basic(b"CS1:secret"), ("CS1", b"secret")),
        (basic(b"CS1:a:b"), ("CS1", b"a:b")),
        (basic("CS1:ü".encode()), ("CS1", "ü".encode())),
        (basic(b"CS1:\xff\xfe"), ("CS1", b"\xff\xfe")),
        (basic(b"no colon"), None),
        ({"authorization": "Basic ???"}, None),
        ({"authorization": "Bearer x"}, None),
        ({}, None),
    ],
)
def test_basic_credentials(headers: dict[str, str], given: tuple[str, bytes] | None) -> None:
    assert basic_credentials(headers) == given


class FakeTransport:
    def __init__(self) -> None:
        self.reading = True
        self.aborted = False

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True

    def abortConnection(self) -> None:
        self.aborted = True


def test_a_peer_that_does_not_read_is_not_read_from_and_is_cut_off() -> None:
    clock, transport = Clock(), FakeTransport()
    brake = Brake(transport, clock)
    brake.pauseProducing()
    assert not transport.reading
    clock.advance(STALLED_S + 1)
    assert transport.aborted


def test_a_peer_that_reads_again_goes_on_unless_its_inbox_is_full() -> None:
    clock, transport = Clock(), FakeTransport()
    brake = Brake(transport, clock)
    brake.pauseProducing()
    brake.hold(True)
    brake.resumeProducing()
    assert not transport.reading
    brake.hold(False)
    assert transport.reading
    clock.advance(STALLED_S + 1)
    assert not transport.aborted
    brake.stopProducing()
    assert clock.getDelayedCalls() == []
