"""One HTTP request on the wire: how much of its body is kept, and how an answer is written."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any

from twisted.logger import Logger
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure
from twisted.web.server import Request

from csms.http_door import GuestChannel
from csms.web.json_text import dumps
from csms.web.problems import CONTENT_TYPE, Kind, Refused
from csms.web.reading import MAX_BODY

log = Logger(namespace="csms.web")

CUT = 8 * MAX_BODY
"""A body over MAX_BODY is read and thrown away, so that the client sees the 413; one over CUT ends the connection."""
SECURITY_HEADERS = {
    "Server": "csms",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_LIMIT = f"a body has at most {MAX_BODY} bytes"


class ApiRequest(Request):
    """A request that keeps at most MAX_BODY bytes of its body, and whose failures are problem documents."""

    too_large = False
    received = 0
    is_cut = False

    def gotLength(self, length: int | None) -> None:
        """The declared size of the body, or None where it comes in chunks."""
        super().gotLength(0 if length and length > MAX_BODY else length)  # type: ignore[no-untyped-call]
        self._limits.head_is_read()
        if length is not None and length > CUT:
            self._cut()

    def handleContentChunk(self, data: bytes) -> None:
        """A part of the body."""
        if self.is_cut:
            return
        self.received += len(data)
        if self.received <= MAX_BODY:
            super().handleContentChunk(data)  # type: ignore[no-untyped-call]
            return
        if not self.too_large:
            self.too_large = True
            self._forget_body()
        if self.received > CUT:
            self._cut()

    def process(self) -> None:
        """The body is here."""
        self._limits.in_no_hurry()
        super().process()  # type: ignore[no-untyped-call]

    @property
    def _limits(self) -> GuestChannel:
        channel: Any = self.channel
        return channel  # type: ignore[no-any-return]

    def _forget_body(self) -> None:
        content: Any = self.content
        content.close()
        self.content = BytesIO()

    def _cut(self) -> None:
        """Say why, and close: nobody reads on."""
        self.is_cut = True
        body = dumps(Refused(Kind.TOO_LARGE, _LIMIT).body(""))
        head = (
            "HTTP/1.1 413 Content Too Large",
            f"Content-Type: {CONTENT_TYPE}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        channel: Any = self.channel
        channel.transport.write("\r\n".join([*head, "", ""]).encode() + body)
        channel.loseConnection()

    def processingFailed(self, reason: Failure) -> Failure:
        """A bug in front of the routes: logged, told without its traceback."""
        log.failure("a request failed", failure=reason)
        write_problem(self, bug())
        return reason


def header(request: Request, name: bytes) -> str | None:
    """A request header as text; bytes that are not UTF-8 are replaced, since Twisted's own reader raises."""
    value: bytes | None = request.getHeader(name)
    return None if value is None else value.decode("utf-8", "replace")


def check_size(request: Request) -> None:
    """Refuses with 413 if the body was larger than MAX_BODY."""
    if getattr(request, "too_large", False):
        raise Refused(Kind.TOO_LARGE, _LIMIT)


def write(request: Any, status: int, body: bytes, headers: dict[str, str]) -> None:
    """Send a whole answer."""
    request.setResponseCode(status)
    for name, value in headers.items():
        request.setHeader(name, value)
    if status != 204:
        request.setHeader("Content-Length", str(len(body)))
    request.write(body)
    request.finish()


def write_file(request: Any, path: Path, headers: dict[str, str]) -> None:
    """Send a file, as fast as the client takes it; a client that goes away ends it."""
    file = path.open("rb")
    for name, value in {**headers, "Content-Length": str(os.fstat(file.fileno()).st_size)}.items():
        request.setHeader(name, value)

    def sent(result: object) -> None:
        file.close()
        if not isinstance(result, Failure):
            request.finish()

    FileSender().beginFileTransfer(file, request).addBoth(sent)  # type: ignore[no-untyped-call]


def write_problem(request: Request, refused: Refused) -> None:
    """Send a problem document."""
    body = dumps(refused.body(path_of(request)))
    write(request, refused.kind.status, body, {"Content-Type": CONTENT_TYPE, **refused.headers})


def address_of(request: Request) -> str:
    """The caller's address, for the trail."""
    peer: Any = request.getClientAddress()  # type: ignore[no-untyped-call]
    return str(getattr(peer, "host", ""))


def path_of(request: Request) -> str:
    """The path as it was sent, without the query; shown in problems."""
    return request.uri.partition(b"?")[0].decode("latin-1")[:500]


def bug() -> Refused:
    """What a caller is told of a fault that is ours."""
    return Refused(Kind.INTERNAL_ERROR, "this is a fault of the CSMS; its log says more")
