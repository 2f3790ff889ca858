"""Where stations leave files: one whole file a place, within its limits, and nothing stays of what was not taken."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import defer
from twisted.internet.testing import StringTransportWithDisconnection

from csms.blocks.uploads import AT_ONCE, PLACES, TRIES, Uploads
from csms.model.commands import CommandClosed
from csms.model.diagnostics import GetLog, UploadReceived
from csms.redaction import HIDDEN, without_secrets
from csms.testing import TestCsms, make_csms
from csms.upload_door import DRAINED, GUESTS, LEAST, UploadSite

SITE = """
[uploads]
listen = "tcp:0"
url = "http://csms.example:9002"
tls = false
max_size = 1
station_quota = 2
quota = 3
"""
Make = Callable[..., Awaitable[TestCsms]]


@pytest.fixture
def make(tmp_path: Path, installed_plugins: None) -> Iterator[Make]:
    """``await make()``: a CSMS that takes files."""
    made: list[TestCsms] = []

    async def start(site: str = SITE) -> TestCsms:
        made.append(await make_csms(tmp_path, site=site))
        await made[-1].house.uploads.open()
        return made[-1]

    yield start
    for csms in made:
        csms.house.uploads.stop()
        pytest_twisted.blockon(defer.Deferred.fromCoroutine(csms.close()))


async def place(csms: TestCsms, station: str = "CS1") -> str:
    """The path of a new place."""
    url = await csms.house.uploads.offer(station, "DiagnosticsLog", 7)
    return url.removeprefix("http://csms.example:9002")


class Client:
    """One connection, byte for byte."""

    def __init__(self, csms: TestCsms, site: UploadSite | None = None) -> None:
        self.csms = csms
        self.transport: Any = StringTransportWithDisconnection()  # type: ignore[no-untyped-call]
        site = site or UploadSite(csms.house.uploads, csms.clock)
        self.channel: Any = site.buildProtocol(None)  # type: ignore[no-untyped-call,arg-type]
        self.transport.protocol = self.channel
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """Some bytes."""
        self.channel.dataReceived(data)

    def head(self, method: str, path: str, length: int | None, more: str = "") -> None:
        """Request line and headers; without a length the body comes in chunks."""
        size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        self.send(f"{method} {path} HTTP/1.1\r\nHost: csms.example\r\n{size}\r\n{more}\r\n".encode())

    async def status(self) -> int:
        """What is answered."""
        await self.csms.settle(self.transport.value)
        return int(self.transport.value().split()[1])

    def lose(self) -> None:
        """The connection breaks off."""
        self.transport.loseConnection()


async def sent(csms: TestCsms, path: str, body: bytes, method: str = "PUT", more: str = "") -> int:
    """The answer to one file."""
    client = Client(csms)
    client.head(method, path, len(body), more)
    client.send(body)
    return await client.status()


def files(csms: TestCsms) -> list[bytes]:
    """What is in the folder."""
    return [file.read_bytes() for file in csms.house.uploads.file("").iterdir()]


@pytest_twisted.ensureDeferred
async def test_a_file_is_taken_once_kept_and_told(make: Make) -> None:
    csms = await make()
    path = await place(csms)
    assert await sent(csms, path, b"log") == 201
    assert files(csms) == [b"log"]
    (told,) = csms.told(UploadReceived)
    assert (told.station.id, told.upload.size, told.upload.request_id) == ("CS1", 3, 7)
    (kept,) = await csms.house.store.uploads.list(station="CS1")
    assert kept == told.upload
    (name,) = os.listdir(csms.house.uploads.file(""))
    assert name == await csms.house.store.uploads.file_of(kept.id)
    assert len(name) == 32
    assert await sent(csms, path, b"again") == 404
    assert files(csms) == [b"log"]


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest_twisted.ensureDeferred
async def test_a_file_may_have_a_name_behind_its_place(make: Make, method: str) -> None:
    csms = await make()
    assert await sent(csms, f"{await place(csms)}/diag-1.zip?x=1", b"log", method) == 201


@pytest_twisted.ensureDeferred
async def test_a_file_may_come_in_chunks(make: Make) -> None:
    csms = await make()
    client = Client(csms)
    client.head("PUT", await place(csms), None)
    client.send(b"3\r\nabc\r\n")
    client.send(b"2\r\nde\r\n0\r\n\r\n")
    assert await client.status() == 201
    assert files(csms) == [b"abcde"]


FORM = (
    b'--B\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="d.zip"\r\nContent-Type: application/zip\r\n\r\nPK\r\n'
    b"--B--\r\n"
)
IN_FORM = "Content-Type: multipart/form-data; boundary=B\r\n"


@pytest_twisted.ensureDeferred
async def test_a_file_may_come_in_a_form(make: Make) -> None:
    csms = await make()
    assert await sent(csms, await place(csms), FORM, "POST", IN_FORM) == 201
    assert files(csms) == [b"PK"]


@pytest.mark.parametrize("body", [FORM[:-20], b"--B--\r\n", b"nonsense", b""])
@pytest_twisted.ensureDeferred
async def test_a_form_that_is_not_whole_is_refused(make: Make, body: bytes) -> None:
    csms = await make()
    path = await place(csms)
    assert await sent(csms, path, body, "POST", IN_FORM) == 400
    assert files(csms) == []
    assert await sent(csms, path, b"log") == 201


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "", 405),
        ("DELETE", "", 405),
        ("PUT", "/upload/", 404),
        ("PUT", "/upload/" + "x" * 43, 404),
        ("PUT", "/", 404),
        ("PUT", "/upload/../csms.toml", 404),
        ("PUT", "/upload/%00", 404),
    ],
)
@pytest_twisted.ensureDeferred
async def test_nothing_else_is_there(make: Make, method: str, path: str, status: int) -> None:
    csms = await make()
    assert await sent(csms, path or await place(csms), b"log", method) == status
    assert files(csms) == []


@pytest_twisted.ensureDeferred
async def test_an_empty_file_is_refused_and_may_come_again(make: Make) -> None:
    csms = await make()
    path = await place(csms)
    assert await sent(csms, path, b"") == 400
    assert await sent(csms, path, b"log") == 201


@pytest_twisted.ensureDeferred
async def test_a_transfer_that_breaks_off_leaves_nothing_and_may_be_tried_again_some_times(make: Make) -> None:
    csms = await make()
    path = await place(csms)
    for _ in range(TRIES - 1):
        client = Client(csms)
        client.head("PUT", path, 100)
        client.send(b"half")
        client.lose()
    assert files(csms) == []
    assert await sent(csms, path, b"log") == 201
    other = await place(csms)
    for _ in range(TRIES):
        client = Client(csms)
        client.head("PUT", other, 100)
        client.lose()
    assert await sent(csms, other, b"log") == 403


@pytest_twisted.ensureDeferred
async def test_a_place_takes_one_connection_at_a_time_and_all_of_them_a_few(make: Make) -> None:
    csms = await make()
    path = await place(csms)
    clients = [Client(csms)]
    clients[0].head("PUT", path, 3)
    assert await sent(csms, path, b"log") == 409
    for _ in range(AT_ONCE - 1):
        clients.append(Client(csms))
        clients[-1].head("PUT", await place(csms, "CS2"), 3)
    assert await sent(csms, await place(csms, "CS3"), b"log") == 503
    clients[0].send(b"log")
    assert await clients[0].status() == 201
    assert await sent(csms, await place(csms, "CS3"), b"log") == 201


MIB = 1 << 20


@pytest_twisted.ensureDeferred
async def test_a_file_that_says_that_it_is_too_large_is_refused_before_it_comes(make: Make) -> None:
    csms = await make()
    path = await place(csms)
    client = Client(csms)
    client.head("PUT", path, MIB + 1)
    client.send(b"x" * (DRAINED + 1))
    assert await client.status() == 413
    assert not client.transport.connected
    assert files(csms) == []


@pytest_twisted.ensureDeferred
async def test_a_file_that_becomes_too_large_is_cut_off(make: Make) -> None:
    csms = await make()
    path = await place(csms)
    client = Client(csms)
    client.head("PUT", path, None)
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    for _ in range(40):
        if client.transport.connected:
            client.send(chunk)
    assert await client.status() == 413
    assert not client.transport.connected
    assert files(csms) == []
    assert await sent(csms, path, b"log") == 201


@pytest_twisted.ensureDeferred
async def test_files_on_their_way_share_the_quota(make: Make) -> None:
    """Two that together are larger than what is left are not both begun."""
    csms = await make()
    assert await sent(csms, await place(csms), b"x" * MIB) == 201
    first, second = Client(csms), Client(csms)
    first.head("PUT", await place(csms), None)
    second.head("PUT", await place(csms), 1)
    second.send(b"x")
    assert await second.status() == 507
    first.lose()
    assert await sent(csms, await place(csms), b"x") == 201


@pytest_twisted.ensureDeferred
async def test_headers_that_come_slowly_are_cut_off(make: Make) -> None:
    csms = await make()
    client = Client(csms)
    client.send(b"PUT /upload/x HTTP/1.1\r\n")
    for number in range(9):
        csms.clock.advance(1)
        client.send(f"X-{number}: y\r\n".encode())
    assert client.transport.connected
    csms.clock.advance(1)
    assert not client.transport.connected


@pytest_twisted.ensureDeferred
async def test_a_file_that_comes_too_slowly_is_cut_off_and_may_come_again(make: Make) -> None:
    csms = await make()
    path = await place(csms)
    client = Client(csms)
    client.head("PUT", path, MIB)
    for _ in range(4):
        csms.clock.advance(30)
        client.send(b"x" * LEAST)
    assert client.transport.connected
    for _ in range(5):
        csms.clock.advance(30)
        if client.transport.connected:
            client.send(b"x")
    assert not client.transport.connected
    assert files(csms) == []
    assert await sent(csms, path, b"log") == 201


@pytest_twisted.ensureDeferred
async def test_a_transfer_has_no_longer_than_its_place_once_more(make: Make) -> None:
    csms = await make()
    client = Client(csms)
    client.head("PUT", await place(csms), MIB)
    for _ in range(3 * 120):
        csms.clock.advance(30)
        client.send(b"x" * LEAST)
        if client.transport.value():
            break
        await csms.settle(lambda: True)
    assert await client.status() == 408
    assert files(csms) == []


@pytest_twisted.ensureDeferred
async def test_connections_are_limited_and_one_request_each(make: Make) -> None:
    csms = await make()
    site = UploadSite(csms.house.uploads, csms.clock)
    guests = [Client(csms, site) for _ in range(GUESTS.most_of_address + 1)]
    assert [guest.transport.connected for guest in guests] == [*([True] * GUESTS.most_of_address), False]
    guests[0].head("GET", "/", 0)
    assert await guests[0].status() == 405
    assert not guests[0].transport.connected
    late = Client(csms, site)
    assert late.transport.connected
    for guest in [*guests, late]:
        guest.lose()
    assert not site.crowd.count


@pytest_twisted.ensureDeferred
async def test_stations_have_quotas_and_all_have_one(make: Make) -> None:
    csms = await make()
    full = b"x" * MIB
    for _ in range(2):
        assert await sent(csms, await place(csms), full) == 201
    assert await sent(csms, await place(csms), b"x") == 507
    assert await sent(csms, await place(csms, "CS2"), full) == 201
    assert await sent(csms, await place(csms, "CS3"), b"x") == 507
    assert await csms.house.uploads.remove(1)
    assert len(files(csms)) == 2
    assert await sent(csms, await place(csms), b"x") == 201


@pytest_twisted.ensureDeferred
async def test_a_full_disk_is_told_and_loses_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    csms = await make()
    path = await place(csms)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("csms.blocks.uploads.Transfer.write", full)
        assert await sent(csms, path, b"log") == 507
    with monkeypatch.context() as patch:
        patch.setattr("csms.blocks.uploads.Transfer.finish", full)
        assert await sent(csms, path, b"log") == 507
    assert files(csms) == []
    assert await sent(csms, path, b"log") == 201


@pytest_twisted.ensureDeferred
async def test_places_close_and_files_go_when_their_time_is_over(make: Make) -> None:
    csms = await make(SITE + 'expires = "10m"\nkeep = "2d"\n')
    path, kept = await place(csms), await place(csms)
    assert await sent(csms, kept, b"log") == 201
    await csms.advance(601)
    assert await sent(csms, path, b"log") == 404
    await csms.settle(lambda: False)
    assert [one.id for one in await csms.house.store.uploads.list()] == [2]
    await csms.advance(2 * 86400)
    await csms.settle(lambda: not files(csms))
    assert files(csms) == []
    assert await csms.house.store.uploads.list() == []


@pytest_twisted.ensureDeferred
async def test_places_outlive_a_restart_and_halves_do_not(make: Make) -> None:
    csms = await make()
    path, rules = await place(csms), csms.house.uploads._rules
    client = Client(csms)
    client.head("PUT", path, 100)
    client.send(b"half")
    kept = await place(csms)
    assert await sent(csms, kept, b"log") == 201
    csms.house.uploads.file("f" * 32).write_bytes(b"whole, and the crash came before its row")
    csms.house.uploads.file("README").write_bytes(b"not ours")
    again = Uploads(csms.house.store, rules, csms.clock, csms.house.now, lambda event: None)
    await again.open()
    assert sorted(files(csms)) == [b"log", b"not ours"]
    again.begin(path.removeprefix("/upload/"), 3)
    again.stop()


@pytest_twisted.ensureDeferred
async def test_nobody_who_reads_the_database_or_the_log_can_use_a_place(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    waiting = defer.Deferred.fromCoroutine(csms.house.commands.send("CS1", GetLog(), origin="test"))
    call = await station.heard()
    station.answer({"status": "Accepted"})
    record = await waiting
    word = call[3]["log"]["remoteLocation"].rpartition("/")[2]
    assert len(word) == 43
    assert word not in repr(record)
    logged = without_secrets([json.dumps(call).encode()])
    assert word not in str(logged)
    assert f"/upload/{HIDDEN}" in str(logged)
    for file in csms.house.store.file.parent.glob("csms*"):
        assert word.encode() not in file.read_bytes()
    assert await sent(csms, f"/upload/{word}", b"log") == 201
    await csms.settle(lambda: csms.told(CommandClosed))
    kept = await csms.house.store.commands.get(record.id)
    assert kept is not None
    assert kept.state == "effective"


@pytest_twisted.ensureDeferred
async def test_a_site_without_a_listener_offers_none(make: Make) -> None:
    csms = await make("")
    await csms.station("CS1")
    record = await csms.house.commands.send("CS1", GetLog(), origin="test")
    assert (record.state, record.error_code) == ("failed", "NoUploads")
    assert "[uploads] listen" in record.error


@pytest_twisted.ensureDeferred
async def test_a_station_has_so_many_open_places(make: Make) -> None:
    csms = await make()
    await csms.station("CS1")
    for _ in range(PLACES):
        await place(csms)
    record = await csms.house.commands.send("CS1", GetLog(), origin="test")
    assert (record.state, record.error_code) == ("failed", "TooManyUploads")
