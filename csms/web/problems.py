"""Every way a request can fail, as RFC 9457 problem details; a closed list, so that the OpenAPI document can name them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

CONTENT_TYPE = "application/problem+json"


class Kind(Enum):
    """A kind of problem: its slug, its HTTP status, and its title."""

    BAD_REQUEST = ("bad-request", 400, "The request cannot be read")
    BAD_QUERY = ("bad-query", 400, "A query parameter is wrong")
    NOT_JSON = ("not-json", 400, "The body is not JSON")
    UNAUTHORIZED = ("unauthorized", 401, "A valid token is needed")
    FORBIDDEN = ("forbidden", 403, "This caller may not do this")
    CROSS_SITE = ("cross-site", 403, "A page of another site may not do this")
    NO_SUCH_PATH = ("no-such-path", 404, "There is nothing at this path")
    UNKNOWN_STATION = ("unknown-station", 404, "No such station")
    UNKNOWN_COMMAND = ("unknown-command", 404, "No such command")
    UNKNOWN_TRANSACTION = ("unknown-transaction", 404, "No such transaction")
    UNKNOWN_BILL = ("unknown-bill", 404, "No such bill")
    UNKNOWN_TOKEN = ("unknown-token", 404, "No such token")
    UNKNOWN_PERSON = ("unknown-person", 404, "No such person")
    UNKNOWN_KEY = ("unknown-key", 404, "No such key")
    UNKNOWN_UPLOAD = ("unknown-upload", 404, "No such upload")
    NO_FILE = ("no-file", 404, "This upload has no file")
    UNKNOWN_NOTIFICATION = ("unknown-notification", 404, "No such notification")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "This path does not take this method")
    NOT_CONNECTED = ("not-connected", 409, "The station is not connected")
    NOT_SENT = ("not-sent", 409, "The call was not sent")
    KEY_UNDER_WAY = ("key-under-way", 409, "A request with this Idempotency-Key has no answer yet")
    KEY_SPENT = ("key-spent", 409, "What this Idempotency-Key got was shown once")
    SITE_FILE_WRONG = ("site-file-wrong", 409, "The site file has mistakes, and nothing was changed")
    NOT_TAKEN = ("not-taken", 409, "The notification was not taken")
    BILL_REFUSED = ("bill-refused", 409, "This bill cannot be changed like that")
    TOO_LARGE = ("too-large", 413, "The body is too large")
    UNSUPPORTED_MEDIA_TYPE = ("unsupported-media-type", 415, "The body is not declared as JSON")
    INVALID = ("invalid", 422, "The request is well-formed, but wrong")
    KEY_REUSED = ("key-reused", 422, "This Idempotency-Key belongs to another request")
    TOO_MANY_TRIES = ("too-many-tries", 429, "Too many wrong passwords")
    INTERNAL_ERROR = ("internal-error", 500, "The CSMS failed")
    STATION_ERROR = ("station-error", 502, "The station answered with an error")
    STORE_UNAVAILABLE = ("store-unavailable", 503, "The database cannot be used at the moment")
    NO_ANSWER = ("no-answer", 504, "The station did not answer")

    @property
    def type(self) -> str:
        """The stable name that programs compare."""
        return f"urn:csms:problem:{self.value[0]}"

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[1]

    @property
    def title(self) -> str:
        """What it is, the same words each time."""
        return self.value[2]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a body: where (RFC 6901), and what."""

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True)
class QueryMistake:
    """One mistake in the query or the path: which parameter, and what."""

    parameter: str
    detail: str


@dataclass(frozen=True, slots=True)
class FileMistake:
    """One mistake in a file: its place (lines and columns start at 1), its key, what, and the cure."""

    file: str
    line: int
    column: int
    key: str
    detail: str
    cure: str


@dataclass(frozen=True, slots=True)
class OcppFault:
    """The station's CALLERROR."""

    code: str
    description: str


@dataclass(frozen=True, slots=True)
class Problem:
    """The body of every error; ``errors`` comes with 400, 409 and 422 where single mistakes can be named, ``ocpp`` with 502."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: tuple[Mistake | QueryMistake | FileMistake, ...] | None = None
    ocpp: OcppFault | None = None
    command: int | None = None


class Refused(Exception):
    """A request ends here: a kind of problem, a sentence, and what else the caller should know."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errors: tuple[Mistake | QueryMistake | FileMistake, ...] = (),
        ocpp: OcppFault | None = None,
        command: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.ocpp = ocpp
        self.command = command
        self.headers = dict(headers or {})

    def body(self, instance: str) -> dict[str, Any]:
        """The problem document; ``instance`` is the path that was asked for. Members without content are left out."""
        document: dict[str, Any] = {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "instance": instance,
        }
        optional = {"errors": self.errors or None, "ocpp": self.ocpp, "command": self.command}
        return document | {name: value for name, value in optional.items() if value is not None}
