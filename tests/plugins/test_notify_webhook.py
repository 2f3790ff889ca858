"""The webhook channel against a real HTTP server on the loopback: what it sends, how it is signed, and what it makes of answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from csms_plugins.notify_webhook import NotifyWebhook, WebhookChannel, WebhookSettings
from fake_csms import NOON, FakeCsms
from twisted.internet import reactor
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from csms.api import DeliveryFailed, Notification
from csms.reach import http_agent

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
TOLD = Notification("msg_1", NOON, "ops", "CS1 is faulted: Grüße", "warn", "Fault", "main", "CS1", "rules", {"evse": 1})


class Target(Resource):
    """Keeps what came; answers as told."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.got: list[tuple[Any, bytes]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b"ok"
        self.endless = False
        self.over: Any = None

    def render_POST(self, request: Any) -> bytes | int:
        """One notification; an endless answer is ended by the other side only."""
        if self.endless:
            self.over = request.notifyFinish()
            request.write(b"x" * 5_000_000)
            return NOT_DONE_YET
        self.got.append((request.requestHeaders, request.content.read()))
        request.setResponseCode(self.status)
        for name, value in self.headers.items():
            request.setHeader(name, value)
        return self.body


@pytest.fixture
def target() -> Iterator[tuple[Target, str]]:
    """The server and its address."""
    loop: Any = reactor
    resource = Target()
    port = loop.listenTCP(0, Site(resource), interface="127.0.0.1")  # type: ignore[no-untyped-call]
    yield resource, f"http://127.0.0.1:{port.getHost().port}/hook"
    pytest_twisted.blockon(port.stopListening())


def channel(tmp_path: Path, url: str, **more: Any) -> WebhookChannel:
    house = FakeCsms(tmp_path, agent=http_agent(reactor))
    return WebhookChannel(WebhookSettings(kind="webhook", url=url, secret=SECRET, **more), house.csms)


@pytest_twisted.ensureDeferred
async def test_a_notification_is_posted_signed_over_id_time_and_body(
    tmp_path: Path, target: tuple[Target, str]
) -> None:
    server, url = target
    await channel(tmp_path, url, headers={"Authorization": "Bearer x"}).deliver(TOLD)
    ((headers, body),) = server.got
    sent = {name.decode().lower(): values[0].decode() for name, values in headers.getAllRawHeaders()}
    assert (sent["webhook-id"], sent["webhook-timestamp"]) == ("msg_1", str(int(NOON.timestamp())))
    expected = hmac.new(KEY, f"msg_1.{sent['webhook-timestamp']}.".encode() + body, hashlib.sha256).digest()
    assert sent["webhook-signature"] == "v1," + base64.b64encode(expected).decode()
    assert (sent["content-type"], sent["authorization"]) == ("application/json", "Bearer x")
    told = json.loads(body)
    assert (told["type"], told["timestamp"]) == ("csms.notification", NOON.isoformat())
    assert told["data"] == {**TOLD.plain()}


@pytest.mark.parametrize("status", [301, 400, 401, 404, 429, 500, 503])
@pytest_twisted.ensureDeferred
async def test_any_other_answer_is_a_failure_that_may_be_tried_again(
    tmp_path: Path, target: tuple[Target, str], status: int
) -> None:
    server, url = target
    server.status, server.headers = status, {"Location": url}
    with pytest.raises(DeliveryFailed, match=str(status)) as failed:
        await channel(tmp_path, url).deliver(TOLD)
    assert not failed.value.final
    assert len(server.got) == 1


@pytest_twisted.ensureDeferred
async def test_gone_is_final(tmp_path: Path, target: tuple[Target, str]) -> None:
    server, url = target
    server.status = 410
    with pytest.raises(DeliveryFailed) as failed:
        await channel(tmp_path, url).deliver(TOLD)
    assert failed.value.final


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120), ("Mon, 02 Mar 2026 12:01:00 GMT", 60), ("soon", 0), ("-5", 0), ("999999999", 86400)],
)
@pytest_twisted.ensureDeferred
async def test_a_wish_to_wait_is_told(tmp_path: Path, target: tuple[Target, str], text: str, seconds: int) -> None:
    server, url = target
    server.status, server.headers = 503, {"Retry-After": text}
    with pytest.raises(DeliveryFailed) as failed:
        await channel(tmp_path, url).deliver(TOLD)
    assert failed.value.again_in_s == seconds


@pytest_twisted.ensureDeferred
async def test_a_long_answer_is_not_read(tmp_path: Path, target: tuple[Target, str]) -> None:
    server, url = target
    server.endless = True
    await channel(tmp_path, url).deliver(TOLD)
    with pytest.raises((ConnectionDone, ConnectionLost)):
        await server.over.addTimeout(5, reactor)


@pytest_twisted.ensureDeferred
async def test_a_target_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="refused"):
        await channel(tmp_path, "http://127.0.0.1:9/hook").deliver(TOLD)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "ftp://x"}, "url is such as"),
        ({"url": "https://user:pw@x/"}, "url is such as"),
        ({"secret": "whsec_short"}, "secret is whsec_"),
        ({"secret": "whsec_" + base64.b64encode(b"x" * 10).decode()}, "secret is whsec_"),
        ({"headers": {"webhook-id": "x"}}, "headers cannot have"),
        ({"headers": {"x": "a\r\nb: c"}}, "headers cannot have"),
    ],
)
def test_wrong_settings_are_told(change: dict[str, Any], words: str) -> None:
    good = WebhookSettings(kind="webhook", url="https://x/", secret=SECRET)
    assert SECRET not in repr(good)
    with pytest.raises(ValueError, match=words):
        replace(good, **change)


def test_the_kind_is_offered(tmp_path: Path) -> None:
    offered: dict[str, Any] = {}
    plugin = NotifyWebhook(None, FakeCsms(tmp_path).csms)
    plugin.register_channels(lambda kind, settings, open: offered.update({kind: open}))  # type: ignore[arg-type]
    settings = WebhookSettings(kind="webhook", url="https://x/", secret=SECRET)
    assert isinstance(offered["webhook"]("ops", settings), WebhookChannel)
