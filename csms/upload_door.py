"""Where stations leave files: an HTTP listener of its own that takes a PUT or POST at an open place, and knows nothing else.

A body goes to the disk as it comes, never whole into memory. What is not wanted is refused before its body is read; a station that sends it anyway is
cut off. Nothing that was left here is ever served here.
"""

from __future__ import annotations

import json
from typing import Any

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET, Request, Site

from csms.blocks.uploads import Transfer, UploadRefused, Uploads
from csms.crowd import Crowd, Places
from csms.http_door import GuestChannel

IDLE_S = 60.0
LEAST = 4096
"""Bytes of a file that have to come in IDLE_S; a station with less has no line."""
GUESTS = Places(200, 50, told="too many connections for uploads: {count} cut off, the last from {address}")
"""Connections at the same time: whoever holds more is no station with a file."""
DRAINED = 1 << 16
"""So much of a refused body is read, so that the station sees the answer; more ends the connection."""
PREFIX = "/upload/"
PROBLEM = "application/problem+json"
HEADERS = {
    "Server": "csms",
    "Cache-Control": "no-store",
    "Connection": "close",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Form:
    """The file in a multipart form, which some stations send with POST: the first part with a file name."""

    def __init__(self, boundary: str) -> None:
        self._parser = PushMultipartParser(boundary, max_segment_count=20)
        self._found = self._in_file = False

    def read(self, data: bytes) -> list[bytes]:
        """What of the file is in the next part of the body; raises UploadRefused."""
        found: list[bytes] = []
        try:
            for piece in self._parser.parse(data):
                if isinstance(piece, MultipartSegment):
                    self._in_file = bool(piece.filename) and not self._found
                    self._found |= self._in_file
                elif piece is not None and self._in_file:
                    found.append(bytes(piece))
        except MultipartError as wrong:
            raise UploadRefused(400, f"the form cannot be read: {wrong}") from None
        return found

    def end(self) -> None:
        """The body is over; raises UploadRefused where the form is not."""
        try:
            self._parser.close()
        except MultipartError as wrong:
            raise UploadRefused(400, f"the form is not whole: {wrong}") from None


class UploadChannel(GuestChannel):
    """One connection, for one request; says what is asked for before the body comes, which Twisted's own does after it."""

    came = 0

    def head_is_read(self) -> None:
        """From now on the body has to come, and not too slowly."""
        self.came = 0
        self.within(IDLE_S, self._is_slow)

    def _is_slow(self) -> None:
        if self.came < LEAST:
            self.cut_off()
        else:
            self.head_is_read()

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        """A second file comes over a second connection."""
        return False

    @property
    def asked(self) -> tuple[str, str]:
        """Method and path of the request whose headers are read."""
        return self._command.decode("latin-1"), self._path.decode("latin-1")


class UploadRequest(Request):
    """One file, or one refusal."""

    log = Logger(namespace="csms.web")
    transfer: Transfer | None = None
    refused: UploadRefused | None = None
    form: Form | None = None
    drained = 0
    is_cut = False
    uploads: Uploads

    def gotLength(self, length: int | None) -> None:
        """The headers are read: open the place, or refuse; the body is not kept by Twisted."""
        super().gotLength(0)  # type: ignore[no-untyped-call]
        channel: Any = self.channel
        channel.head_is_read()
        self.uploads = channel.site.uploads
        try:
            self.form = _form(self.getHeader(b"content-type"))
            self.transfer = self.uploads.begin(_word(*channel.asked), length)
        except UploadRefused as refused:
            self.refused = refused
        except OSError as fault:
            self.refused = self._no_disk(fault)

    def handleContentChunk(self, data: bytes) -> None:
        """A part of the body."""
        channel: Any = self.channel
        channel.came += len(data)
        if self.transfer is None:
            self._drain(len(data))
            return
        try:
            for piece in [data] if self.form is None else self.form.read(data):
                self.transfer.write(piece)
        except UploadRefused as refused:
            self._refuse(refused)
        except OSError as fault:
            self._refuse(self._no_disk(fault))

    def _no_disk(self, fault: OSError) -> UploadRefused:
        self.log.error("a station's file cannot be written: {fault}", fault=fault.strerror or fault)
        return UploadRefused(507, "the file cannot be written now")

    def _refuse(self, refused: UploadRefused) -> None:
        self.refused = refused
        if self.transfer is not None:
            self.uploads.abort(self.transfer)
            self.transfer = None

    def _drain(self, size: int) -> None:
        """A refused body: the client sees why once it has sent some of it, or all."""
        self.drained += size
        if self.drained <= DRAINED or self.is_cut:
            return
        self.is_cut = True
        channel: Any = self.channel
        body = _problem(self.refused)
        facts = {**HEADERS, "Content-Type": PROBLEM, "Content-Length": len(body)}
        head = [
            f"HTTP/1.1 {self.refused.status if self.refused else 400} Refused",
            *(f"{name}: {value}" for name, value in facts.items()),
            "",
            "",
        ]
        channel.transport.write("\r\n".join(head).encode() + body)
        channel.loseConnection()

    def process(self) -> int:
        """The body is over."""
        channel: Any = self.channel
        channel.in_no_hurry()
        self.notifyFinish().addErrback(lambda _: None)
        defer.Deferred.fromCoroutine(self._finish()).addErrback(self._failed)
        return NOT_DONE_YET

    async def _finish(self) -> None:
        transfer, self.transfer = self.transfer, None
        if transfer is not None:
            try:
                if self.form is not None:
                    self.form.end()
                await self.uploads.finish(transfer)
            except UploadRefused as refused:
                self.uploads.abort(transfer)
                self.refused = refused
            except OSError as fault:
                self.refused = self._no_disk(fault)
        self._say()

    def _failed(self, failure: Failure) -> None:
        self.log.failure("a station's file was not kept", failure=failure)
        self.refused = UploadRefused(503, "the file was not kept: try again later")
        self._say()

    def _say(self) -> None:
        if self._disconnected:
            return
        answer: Any = self
        body = _problem(self.refused) if self.refused else b""
        answer.setResponseCode(self.refused.status if self.refused else 201)
        for name, value in {**HEADERS, **({"Content-Type": PROBLEM} if body else {})}.items():
            answer.setHeader(name, value)
        answer.setHeader("Content-Length", str(len(body)))
        answer.write(body)
        answer.finish()

    def connectionLost(self, reason: Failure) -> None:
        """The connection broke off: so did the file."""
        if self.transfer is not None:
            self.uploads.abort(self.transfer)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]


class UploadSite(Site):
    """The factory for the listener of uploads."""

    requestFactory = UploadRequest
    protocol = UploadChannel  # type: ignore[assignment]

    def __init__(self, uploads: Uploads, reactor: Any) -> None:
        super().__init__(None, timeout=IDLE_S, reactor=reactor)  # type: ignore[no-untyped-call]
        self.uploads = uploads
        self.crowd = Crowd(GUESTS, reactor)
        self.noisy = False

    def log(self, request: Any) -> None:
        """No access log: the words in these paths open places."""


def _word(method: str, path: str) -> str:
    """The word of a place; stations may put the file's name behind it."""
    if method not in ("PUT", "POST"):
        raise UploadRefused(405, "files are left here with PUT or POST")
    if not path.startswith(PREFIX):
        raise UploadRefused(404, "there is nothing here")
    return path.removeprefix(PREFIX).partition("?")[0].partition("/")[0]


def _form(content_type: bytes | None) -> Form | None:
    kind, options = parse_options_header((content_type or b"").decode("latin-1"))
    if kind != "multipart/form-data":
        return None
    boundary = options.get("boundary", "")
    if not 0 < len(boundary) <= 200:
        raise UploadRefused(400, "the form has no boundary")
    return Form(boundary)


def _problem(refused: UploadRefused | None) -> bytes:
    why, status = (str(refused), refused.status) if refused else ("this is not taken", 400)
    return json.dumps({"type": "about:blank", "status": status, "title": why}).encode()
