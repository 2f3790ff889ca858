"""Channels of kind ``webhook``: each notification is a signed POST, in the manner of Standard Webhooks.

The signature covers id, time and body, so that nobody else can make one and none can be played back later; the id is the same at every try.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from io import BytesIO
from urllib.parse import urlsplit

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import FileBodyProducer
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from csms.api import ChannelRegistry, ChannelSettings, Csms, DeliveryFailed, Notification, hookimpl

PREFIX = "whsec_"
SHORTEST_KEY, LONGEST_KEY = 24, 64
GONE = 410
LONGEST_WAIT_S = 86400.0
BODY_S = 5.0
BODY_BYTES = 65536


@dataclass(frozen=True, kw_only=True)
class WebhookSettings(ChannelSettings):
    """``secret`` is ``whsec_`` and base64 of 24 to 64 random bytes; ``headers`` are sent beside our own."""

    url: str
    secret: str = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError in plain words."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username:
            raise ValueError("url is such as https://example.org/hook")
        key_of(self.secret)
        for name, value in self.headers.items():
            if not (name + value).isprintable() or not name or name.lower().startswith("webhook-"):
                raise ValueError(f"headers cannot have {name!r}")


def key_of(secret: str) -> bytes:
    """The bytes behind ``whsec_``; ValueError in plain words."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise ValueError("secret is whsec_ and base64 of 24 to 64 bytes; make one with: csms notify secret")
    return key


def signature(key: bytes, id: str, timestamp: int, body: bytes) -> str:
    """The ``webhook-signature`` header: version and base64 of the HMAC-SHA256 of id, timestamp and body."""
    signed = f"{id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


class NotifyWebhook:
    """Offers the kind ``webhook``."""

    def __init__(self, settings: None, csms: Csms) -> None:
        self._csms = csms

    @hookimpl
    def register_channels(self, register: ChannelRegistry) -> None:
        """``[notify.<name>] kind = "webhook"``."""
        register("webhook", WebhookSettings, lambda name, settings: WebhookChannel(settings, self._csms))


class WebhookChannel:
    """One URL."""

    def __init__(self, settings: WebhookSettings, csms: Csms) -> None:
        self._settings = settings
        self._csms = csms
        self._key = key_of(settings.secret)

    async def deliver(self, notification: Notification) -> None:
        """POST once; only a 2xx is a yes, and 410 says never again."""
        body = payload(notification)
        timestamp = int(self._csms.now().timestamp())
        headers = Headers({name: [value] for name, value in self._settings.headers.items()})
        for name, value in {
            "content-type": "application/json",
            "user-agent": "csms",
            "webhook-id": notification.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._key, notification.id, timestamp, body),
        }.items():
            headers.setRawHeaders(name, [value])
        producer = FileBodyProducer(BytesIO(body))  # type: ignore[no-untyped-call]
        response: IResponse = await self._csms.agent.request(b"POST", self._settings.url.encode(), headers, producer)
        response.deliverBody(Unread(self._csms.clock))  # type: ignore[no-untyped-call]
        if not 200 <= response.code < 300:
            raise DeliveryFailed(
                f"the target answered {response.code}",
                final=response.code == GONE,
                again_in_s=self._asked_to_wait(response),
            )

    def _asked_to_wait(self, response: IResponse) -> float:
        """The seconds of ``Retry-After``, as a number or a date; 0 without one."""
        (text, *_) = response.headers.getRawHeaders("retry-after") or ["0"]
        try:
            seconds = (
                float(text) if text.isdecimal() else (parsedate_to_datetime(text) - self._csms.now()).total_seconds()
            )
        except (ValueError, TypeError):
            return 0.0
        return min(max(seconds, 0.0), LONGEST_WAIT_S)

    async def close(self) -> None:
        """No connection is kept."""


def payload(notification: Notification) -> bytes:
    """The body: type, time and the notification as ``data``."""
    told = notification.plain()
    return json.dumps({"type": "csms.notification", "timestamp": told["at"], "data": told}, ensure_ascii=False).encode()


class Unread(Protocol):
    """What the target says beyond its status is not read: the exchange ends with it, or soon."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._bytes = 0
        self._deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """The body begins."""
        self._deadline = self._clock.callLater(BODY_S, self._enough)

    def dataReceived(self, data: bytes) -> None:
        """A part of the body."""
        self._bytes += len(data)
        if self._bytes > BODY_BYTES:
            self._enough()

    def _enough(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The body is over."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
