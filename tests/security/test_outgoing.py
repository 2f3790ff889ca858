"""Threat: requests that stations make the server send (SSRF). What may be dialled, what is followed, and what is read, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import defer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from csms.outgoing import Fetcher, check_url
from csms.reach import OutgoingFault, Reach, http_agent

LOOPBACK = Reach((ip_network("127.0.0.0/8"),))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "fc00::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert Reach().fault(address)


def test_public_addresses_and_allowed_networks_are_dialled() -> None:
    assert not Reach().fault("93.184.216.34")
    assert not Reach().fault("2606:2800:220:1:248:1893:25c8:1946")
    assert not Reach((ip_network("10.1.0.0/16"),)).fault("10.1.2.3")
    assert Reach((ip_network("10.1.0.0/16"),)).fault("10.2.2.3")


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "fe80::1", "0.0.0.0"])
def test_even_an_operators_host_is_not_where_clouds_keep_secrets(address: str) -> None:
    assert Reach(private=True).fault(address)
    assert not Reach(private=True).fault("192.168.1.1")


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://x/",
        "ftp://x/",
        "http://",
        "http://user:pw@host/",
        "http://h\u00f6st/",
        "http://host:99999/",
        "http://host/a b",
        "http://host/\r\nX: y",
        "//host/",
        "",
    ],
)
def test_what_is_no_plain_url_is_refused(url: str) -> None:
    with pytest.raises(OutgoingFault):
        check_url(url)


class Pages(Resource):
    """A web server with traps."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    def render(self, request: Any) -> Any:
        self.asked.append(request.path)
        match request.path:
            case b"/well":
                return b"well " + request.content.read()
            case b"/here":
                request.redirect(b"/well")
                return b""
            case b"/away":
                request.redirect(b"http://127.0.0.2:1/well")
                return b""
            case b"/round":
                request.redirect(b"/round")
                return b""
            case b"/long":
                return b"x" * 100_000
            case b"/silent":
                return NOT_DONE_YET
        request.setResponseCode(404)
        return b""


@pytest.fixture
def web() -> Iterator[tuple[Pages, str]]:
    from twisted.internet import reactor

    pages = Pages()
    site = Site(pages)
    site.displayTracebacks = False
    port = reactor.listenTCP(0, site, interface="127.0.0.1")  # type: ignore[attr-defined]
    yield pages, f"http://127.0.0.1:{port.getHost().port}"
    pytest_twisted.blockon(defer.maybeDeferred(port.stopListening))


def fetcher(reach: Reach) -> Fetcher:
    from twisted.internet import reactor

    return Fetcher(reactor, http_agent(reactor, reach))


@pytest_twisted.ensureDeferred
async def test_a_page_is_read_and_a_body_is_posted(web: Any) -> None:
    fetch = fetcher(LOOPBACK)
    assert (await fetch(web[1] + "/well")).body == b"well "
    assert (await fetch(web[1] + "/well", body=b"hello")).body == b"well hello"
    assert (await fetch(web[1] + "/here")).body == b"well "
    assert (await fetch(web[1] + "/no")).status == 404


@pytest.mark.parametrize(
    ("path", "why"),
    [("/away", "another host"), ("/round", "circles"), ("/long", "longer than"), ("/silent", "within 0.3 s")],
)
@pytest_twisted.ensureDeferred
async def test_traps_are_told(web: Any, path: str, why: str) -> None:
    with pytest.raises(OutgoingFault, match=why):
        await fetcher(LOOPBACK)(web[1] + path, timeout_s=0.3 if path == "/silent" else 5.0)


@pytest_twisted.ensureDeferred
async def test_a_name_that_leads_home_is_refused_and_nothing_is_sent(web: Any) -> None:
    """A name server that points a public name at a private address."""
    port = web[1].rpartition(":")[2]
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(OutgoingFault, match="private address"):
            await fetcher(Reach())(f"http://{host}:{port}/well")
    assert web[0].asked == []


@pytest_twisted.ensureDeferred
async def test_a_host_that_is_not_there_is_told_in_words() -> None:
    with pytest.raises(OutgoingFault, match="no host called"):
        await fetcher(LOOPBACK)("http://no-such-host.invalid/")


@pytest.mark.parametrize("url", ["http://pki.example.org/est", "http://10.0.0.1/", "http://localhost.example.org/"])
@pytest_twisted.ensureDeferred
async def test_a_password_is_not_sent_in_the_clear(url: str) -> None:
    from twisted.internet import reactor

    with pytest.raises(OutgoingFault, match="no https"):
        await Fetcher(reactor, http_agent(reactor))(url, authorization="Basic eA==")
