"""What comes before any route: paths, methods, the token, sizes, content types, JSON, and faults of our own."""

from __future__ import annotations

import json

import pytest
from api_wire import Exchange, Wire, document
from fake_rooms import TOKEN, FakeHouse
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransportWithDisconnection

from csms.crowd import Crowd, Places
from csms.model.commands import CommandState
from csms.web import api_site
from csms.web.reading import MAX_BODY, wait_of
from csms.web.server import ApiSite
from csms.web.wire import CUT

BODY_PLACES = [
    ("PUT", "/api/v1/stations/CS1"),
    ("PUT", "/api/v1/tokens/Central/A1"),
    ("POST", "/api/v1/stations/CS1/calls"),
    ("POST", "/api/v1/stations/CS1/commands"),
]
WORDS = [
    "command",
    "with",
    "Reset",
    "SetVariables",
    "values",
    "variable",
    "action",
    "payload",
    "password",
    "group",
    "evse",
    "expires",
]
"""Words of the API's bodies, so that wrong bodies get beyond the first check."""


@pytest.mark.parametrize(
    "path", ["/", "/api/v1", "/api/v1/stations/", "/api/v1//stations", "/api/v2/stations", "/plugins", "/plugins/x"]
)
def test_unknown_path_is_not_found(api: Wire, path: str) -> None:
    answer = api.ask("GET", path)
    assert (answer.status, answer.slug) == (404, "no-such-path")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["instance"] == path


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/api/v1/stations", "GET, HEAD"),
        ("PATCH", "/api/v1/stations/CS1", "DELETE, GET, HEAD, PUT"),
        ("GET", "/api/v1/stations/CS1/calls", "POST"),
        ("OPTIONS", "/metrics", "GET, HEAD"),
        ("BREW", "/healthz", "GET, HEAD"),
        ("TRACE", "/api/v1/openapi.json", "GET, HEAD"),
    ],
)
def test_wrong_method_says_which_are_right(api: Wire, method: str, path: str, allow: str) -> None:
    answer = api.ask(method, path)
    assert (answer.status, answer.slug, answer.headers["allow"]) == (405, "method-not-allowed", allow)


@pytest.mark.parametrize(
    "path", ["/api/v1/stations/%FF", "/api/v1/stations/a%00b", "/api/v1/stations/a%0Ab", "http://else/"]
)
def test_path_that_cannot_be_read_is_a_bad_request(api: Wire, path: str) -> None:
    answer = api.ask("GET", path)
    assert (answer.status, answer.slug) == (400, "bad-request")


def test_path_is_decoded_once(api: Wire, house: FakeHouse) -> None:
    house.station("a%2Fb")
    assert api.get("/api/v1/stations/a%252Fb")["id"] == "a%2Fb"
    assert api.ask("GET", "/api/v1/stations/a%2Fb").status == 404


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Bearer",
        "Bearer wrong-token-0123456789abc",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer é",
    ],
)
@pytest.mark.parametrize(
    "path", ["/api/v1/stations", "/metrics", "/api/v1/openapi.json", "/nowhere", "/plugins/demo/page"]
)
def test_without_the_token_nothing_is_told(api: Wire, path: str, header: str | None) -> None:
    answer = api.ask("GET", path, token=None, headers={"Authorization": header or ""})
    assert (answer.status, answer.slug) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith('Bearer realm="csms"')
    assert TOKEN not in answer.raw.decode()


@pytest.mark.parametrize("name", ["Authorization", "Prefer", "Content-Type"])
def test_header_that_is_not_text_does_no_harm(api: Wire, house: FakeHouse, name: str) -> None:
    house.station()
    sent = f"POST /api/v1/stations/CS1/commands HTTP/1.1\r\nHost: csms\r\n{name}: ".encode() + b"\xff\xfe\r\n"
    others = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", "Content-Length": "19"}
    rest = "".join(f"{key}: {value}\r\n" for key, value in others.items() if key != name)
    raw = sent + rest.encode() + b'\r\n{"command":"Reset"}'
    answer = Exchange(house, "POST", "/api/v1/stations/CS1/commands", raw).response()
    assert answer.status == {"Authorization": 401, "Prefer": 202, "Content-Type": 415}[name]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner),
    max_leaves=15,
)
BODIES = st.dictionaries(st.sampled_from(WORDS), st.sampled_from(WORDS) | JSON_VALUES, max_size=5) | JSON_VALUES

TARGETS = st.lists(st.integers(0x21, 0x7E) | st.just(0x25), max_size=30).map(bytes)
"""Twisted itself refuses a request line with other bytes."""


@settings(max_examples=150, deadline=None)
@given(body=BODIES, place=st.sampled_from(BODY_PLACES))
def test_no_body_whatever_is_a_fault_of_ours(body: object, place: tuple[str, str]) -> None:
    house = FakeHouse()
    house.station(protocol="ocpp1.6")
    house.commands.answered(CommandState.EFFECTIVE, answer={})
    answer = Wire(house).ask(*place, raw=json.dumps(body).encode())
    assert answer.status in (200, 201, 202, 400, 422)


@settings(max_examples=150, deadline=None)
@given(path=TARGETS, query=TARGETS)
def test_no_path_whatever_is_a_fault_of_ours(path: bytes, query: bytes) -> None:
    house = FakeHouse()
    target = b"/api/v1/stations/" + path + b"?" + query
    raw = b"GET %s HTTP/1.1\r\nHost: csms\r\nAuthorization: Bearer %s\r\n\r\n" % (target, TOKEN.encode())
    said = bytes(Exchange(house, "GET", "", raw).transport.value())
    assert b" 500 " not in said.partition(b"\r\n")[0]


def test_scheme_of_the_token_has_no_case(api: Wire) -> None:
    assert api.ask("GET", "/api/v1/stations", token=None, headers={"Authorization": f"bearer {TOKEN}"}).status == 200


@pytest.mark.parametrize("path", ["/api/v1/stations", "/nowhere", "/healthz"])
def test_every_answer_has_the_security_headers(api: Wire, path: str) -> None:
    headers = api.ask("GET", path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["server"] == "csms"


def test_head_is_get_without_the_body(api: Wire, house: FakeHouse) -> None:
    house.station()
    whole, head = (api.ask(method, "/api/v1/stations/CS1") for method in ("GET", "HEAD"))
    assert (head.status, head.raw) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.raw))


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_body_that_is_not_declared_as_json_is_refused(api: Wire, content_type: str) -> None:
    answer = api.ask("PUT", "/api/v1/stations/CS1", {}, headers={"Content-Type": content_type})
    assert (answer.status, answer.slug) == (415, "unsupported-media-type")


def test_charset_after_the_content_type_is_fine(api: Wire) -> None:
    answer = api.ask("PUT", "/api/v1/stations/CS1", {}, headers={"Content-Type": "Application/JSON; charset=utf-8"})
    assert answer.status == 201


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"{}x",
        b'{"approved": NaN}',
        b'"\xff"',
        b"[" * 100 + b"]" * 100,
        b'{"a": 1e999}',
        b'{"a": 99999999999999999999}',
        b'{"note": "\\u0000"}',
    ],
)
def test_what_is_no_strict_json_is_refused(api: Wire, raw: bytes) -> None:
    answer = api.ask("PUT", "/api/v1/stations/CS1", raw=raw)
    assert (answer.status, answer.slug) == (400, "not-json")


def test_missing_body_is_refused(api: Wire) -> None:
    answer = api.ask("PUT", "/api/v1/stations/CS1", headers={"Content-Type": "application/json"})
    assert (answer.status, answer.slug) == (400, "not-json")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("limit=%D9%A3", "limit"),
        ("limit=1&limit=2", "limit"),
        ("online=yes", "online"),
        ("admission=maybe", "admission"),
        ("search=%00", "search"),
        ("search=" + "x" * 301, "search"),
        ("colour=red", "colour"),
    ],
)
def test_wrong_query_names_the_parameter(api: Wire, query: str, parameter: str) -> None:
    answer = api.ask("GET", f"/api/v1/stations?{query}")
    assert (answer.status, answer.slug) == (400, "bad-query")
    assert [error["parameter"] for error in answer.body["errors"]] == [parameter]


@pytest.mark.parametrize("query", ["search=%FF", "&".join(["a=1"] * 60)])
def test_query_that_cannot_be_read_is_refused(api: Wire, query: str) -> None:
    assert api.ask("GET", f"/api/v1/stations?{query}").slug == "bad-request"


def test_body_of_one_mebibyte_is_read_and_one_byte_more_is_not(api: Wire) -> None:
    fits = b'{"password": "' + b"x" * (MAX_BODY - 16) + b'"}'
    assert len(fits) == MAX_BODY
    assert api.ask("PUT", "/api/v1/stations/CS1", raw=fits).slug == "invalid"
    over = api.ask("PUT", "/api/v1/stations/CS1", raw=fits + b" ")
    assert (over.status, over.slug) == (413, "too-large")


def test_chunked_body_is_measured_too(api: Wire) -> None:
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    headers = {"Transfer-Encoding": "chunked", "Content-Length": "", "Content-Type": "application/json"}
    exchange = api.begin("PUT", "/api/v1/stations/CS1", raw=chunk * 17 + b"0\r\n\r\n", headers=headers)
    assert exchange.response().slug == "too-large"


def test_huge_body_is_cut_off_before_it_is_sent(api: Wire) -> None:
    exchange = api.begin("PUT", "/api/v1/stations/CS1", raw=b"{", headers={"Content-Length": str(CUT + 1)})
    assert exchange.response().status == 413
    assert not exchange.transport.connected


def test_endless_chunks_are_cut_off(api: Wire) -> None:
    chunk = b"100000\r\n" + b" " * MAX_BODY + b"\r\n"
    headers = {"Transfer-Encoding": "chunked", "Content-Length": ""}
    exchange = api.begin("PUT", "/api/v1/stations/CS1", raw=chunk * 9, headers=headers)
    assert exchange.response().status == 413
    assert not exchange.transport.connected


def test_fault_of_ours_is_told_without_its_words(api: Wire, house: FakeHouse) -> None:
    house.store.stations.fault = RuntimeError("secret inside")
    answer = api.ask("GET", "/api/v1/stations/CS1")
    assert (answer.status, answer.slug) == (500, "internal-error")
    assert "secret" not in answer.raw.decode()
    assert "Traceback" not in answer.raw.decode()


def test_fault_while_the_database_is_ill_is_unavailable(api: Wire, house: FakeHouse) -> None:
    house.store.stations.fault = RuntimeError("disk full")
    house.store.healthy = False
    answer = api.ask("GET", "/api/v1/stations/CS1")
    assert (answer.status, answer.slug) == (503, "store-unavailable")


def test_caller_who_is_gone_is_not_answered(api: Wire, house: FakeHouse) -> None:
    house.station()
    path = "/api/v1/stations/CS1/commands"
    exchange = api.begin("POST", path, {"command": "Reset"}, headers={"Prefer": "wait=10"})
    exchange.transport.loseConnection()
    house.clock.advance(11)
    assert not exchange.answered
    assert len(house.commands.given) == 1


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("wait=5", 5),
        ("respond-async, wait=10", 10),
        ('wait="7"', 7),
        ("WAIT = 3; x=1", 3),
        ("wait=600", 60),
        ("wait=-1", 0),
        ("wait=x", 0),
        ("await=5", 0),
    ],
)
def test_prefer_wait_is_read_as_its_document_says(prefer: str | None, seconds: int) -> None:
    assert wait_of(prefer) == seconds


def test_every_problem_document_names_an_operation(api: Wire) -> None:
    assert json.loads(api.ask("GET", "/api/v1/openapi.json").raw) == document()


# Who holds a connection without a request


def head(text: str) -> bytes:
    return f"{text}\r\nHost: csms\r\nAuthorization: Bearer {TOKEN}\r\n".encode()


def drips(house: FakeHouse, exchange: Exchange, data: bytes, seconds: int) -> bool:
    """A byte or more every second; gives whether the connection is still there at the end."""
    for _ in range(seconds):
        if exchange.transport.connected:
            exchange.channel.dataReceived(data)
        house.clock.advance(1)
    return bool(exchange.transport.connected)


def test_threat_slowloris_headers_of_the_api_have_ten_seconds(house: FakeHouse) -> None:
    exchange = Exchange(house, "GET", "/healthz", head("GET /healthz HTTP/1.1"))
    assert drips(house, exchange, b"X: y\r\n", 9)
    assert not drips(house, exchange, b"X: y\r\n", 1)
    assert not exchange.answered


def test_threat_slowloris_a_body_has_a_minute(house: FakeHouse) -> None:
    begun = head("PUT /api/v1/stations/CS1 HTTP/1.1") + b"Content-Length: 1000\r\n\r\n"
    exchange = Exchange(house, "PUT", "/api/v1/stations/CS1", begun)
    assert drips(house, exchange, b" ", 59)
    assert not drips(house, exchange, b" ", 1)


def test_threat_slowloris_the_next_request_has_a_minute_too(house: FakeHouse) -> None:
    whole = head("GET /healthz HTTP/1.1") + b"\r\n"
    exchange = Exchange(house, "GET", "/healthz", whole)
    assert exchange.answered
    house.clock.advance(59)
    exchange.channel.dataReceived(whole)
    assert exchange.transport.value().count(b"200 OK") == 2
    exchange.channel.dataReceived(head("GET /healthz HTTP/1.1"))
    assert drips(house, exchange, b"X: y\r\n", 59)
    assert not drips(house, exchange, b"X: y\r\n", 1)


def guest(site: ApiSite, host: str) -> StringTransportWithDisconnection:
    """A connection to the API from that address."""
    transport = StringTransportWithDisconnection(peerAddress=IPv4Address("TCP", host, 1))  # type: ignore[no-untyped-call]
    transport.protocol = site.buildProtocol(None)  # type: ignore[no-untyped-call]
    transport.protocol.makeConnection(transport)
    return transport


def test_connections_to_the_api_are_limited_by_address_and_in_all(house: FakeHouse) -> None:
    site = api_site(house.rooms, most=3, most_of_address=2)
    first = [guest(site, "192.0.2.1") for _ in range(3)]
    others = [guest(site, "192.0.2.2"), guest(site, "192.0.2.3")]
    assert [one.connected for one in [*first, *others]] == [True, True, False, True, False]
    first[0].loseConnection()  # type: ignore[no-untyped-call]
    assert guest(site, "192.0.2.1").connected


def test_a_connection_that_has_to_wait_is_read_once_there_is_a_place(house: FakeHouse) -> None:
    site = api_site(house.rooms)
    site.crowd = Crowd(Places(1, 1, waiting=1), house.clock)
    first, second = guest(site, "192.0.2.1"), guest(site, "192.0.2.1")
    assert second.producerState == "paused"
    house.clock.advance(9)
    first.loseConnection()  # type: ignore[no-untyped-call]
    assert second.producerState == "producing"
    second.protocol.dataReceived(b"GET /healthz HTTP/1.1\r\nHost: csms.example\r\n\r\n")
    assert b"200 OK" in second.value()
