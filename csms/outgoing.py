"""Asking hosts that others named over HTTP, within bounds: time, size, redirects, and no redirect to another host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from twisted.internet import defer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer
from zope.interface import implementer

from csms.reach import OutgoingFault

REDIRECTS = 3


@dataclass(frozen=True, slots=True)
class Fetched:
    """An HTTP answer: status, headers in small letters, body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Fetcher:
    """Asks hosts that somebody else named, within bounds."""

    def __init__(self, clock: Any, agent: IAgent) -> None:
        self._clock = clock
        self._agent = agent

    async def __call__(
        self,
        url: str,
        *,
        body: bytes | None = None,
        content_type: str = "",
        authorization: str = "",
        max_bytes: int = 65536,
        timeout_s: float = 10.0,
    ) -> Fetched:
        """The answer to a GET, or to a POST of a body; raises OutgoingFault, also for one that is too long or too late."""
        headers = {"user-agent": "csms", "content-type": content_type, "authorization": authorization}
        told = Headers({name: [text] for name, text in headers.items() if text})
        if authorization and not _is_private(url):
            raise OutgoingFault(f"{_shown(url)} is no https: a password is not sent in the clear")
        work = defer.Deferred.fromCoroutine(self._fetch(url, body, told, max_bytes))

        def late(result: object, seconds: float) -> Failure:
            return Failure(  # type: ignore[no-untyped-call]
                OutgoingFault(f"no whole answer from {_shown(url)} within {seconds:g} s")
            )

        try:
            return await work.addTimeout(timeout_s, self._clock, onTimeoutCancel=late)
        except OutgoingFault:
            raise
        except Exception as fault:
            raise OutgoingFault(f"{_shown(url)}: {_reason(fault)}") from None

    async def _fetch(self, url: str, body: bytes | None, headers: Headers, max_bytes: int) -> Fetched:
        for _ in range(REDIRECTS + 1):
            check_url(url)
            found = await self._once(url, body, headers, max_bytes)
            target = found.headers.get("location", "")
            if body is not None or found.status not in (301, 302, 303, 307, 308) or not target:
                return found
            onward = urljoin(url, target)
            if _place(onward) != _place(url):
                raise OutgoingFault(f"{_shown(url)} leads to another host, {_shown(onward)}")
            url = onward
        raise OutgoingFault(f"{_shown(url)} leads in circles")

    async def _once(self, url: str, body: bytes | None, headers: Headers, max_bytes: int) -> Fetched:
        method, producer = (b"GET", None) if body is None else (b"POST", _Bytes(body))
        response = await self._agent.request(method, url.encode("ascii"), headers, producer)
        reading = _Reading(max_bytes)
        response.deliverBody(reading)  # type: ignore[no-untyped-call]
        told = {
            name.decode("latin-1").lower(): values[0].decode("latin-1")
            for name, values in response.headers.getAllRawHeaders()
        }
        return Fetched(response.code, told, await reading.done)


def check_url(url: str) -> None:
    """Raise OutgoingFault for anything but a plain http or https URL."""
    try:
        parts = urlsplit(url)
        port_is_well = parts.port is None or 0 < parts.port < 65536
    except ValueError:
        raise OutgoingFault("the address is no URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or not port_is_well:
        raise OutgoingFault("the address is no http or https URL")
    if parts.username is not None or not url.isprintable() or " " in url:
        raise OutgoingFault("the address has a user name or a blank in it")


def _is_private(url: str) -> bool:
    """Whether nobody on the way reads along: TLS, or this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")


def _place(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _shown(url: str) -> str:
    """A URL without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}"[:200]


def _reason(fault: Exception) -> str:
    reasons = getattr(fault, "reasons", None)
    if reasons:
        fault = reasons[0].value
    return str(fault)[:200] or type(fault).__name__


class _Reading(Protocol):
    """A body, up to so many bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._parts: list[bytes] = []
        self._size = 0
        self.done: defer.Deferred[bytes] = defer.Deferred(lambda _: self._cut())

    def _cut(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """A part of it."""
        self._size += len(data)
        if self._size > self._most:
            if not self.done.called:
                self.done.errback(OutgoingFault(f"the answer is longer than {self._most} bytes"))
            self._cut()
            return
        self._parts.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end of it, or of the connection."""
        if self.done.called:
            return
        if isinstance(reason.value, ResponseDone | PotentialDataLoss):
            self.done.callback(b"".join(self._parts))
        else:
            self.done.errback(OutgoingFault("the connection was lost in the middle of the answer"))


@implementer(IBodyProducer)
class _Bytes:
    """A body that is there already."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: Any) -> defer.Deferred[None]:
        """Write it."""
        consumer.write(self._body)
        return defer.succeed(None)

    def pauseProducing(self) -> None:
        """It is written at once."""

    def resumeProducing(self) -> None:
        """It is written at once."""

    def stopProducing(self) -> None:
        """It is written at once."""
