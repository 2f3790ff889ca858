"""A route is one row: method, path, who answers, what it takes and what it gives. The server matches these rows and the OpenAPI document is made of
them, so that the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pydantic import TypeAdapter

from csms.model.people import Caller, Role
from csms.web.problems import Kind, Refused
from csms.web.rooms import Rooms

MOST = 1000
JSON = "application/json"
NOBODY = Caller("nobody", Role.DRIVER)
"""Who asks for what needs no token."""


@dataclass(frozen=True, slots=True)
class Param:
    """One query parameter: a text, a whole number between ``low`` and ``high``, true or false, a time, or one word of an Enum.

    One of ``many`` may be given so many times, and is a tuple.
    """

    name: str
    kind: type
    doc: str
    default: Any = None
    low: int = 0
    high: int = 2**63 - 1
    many: int = 1


LIMIT = Param("limit", int, "how many at most", default=100, low=1, high=MOST)
AFTER_ID = Param("after", int, "go on after this id (the `next` of a page has it)", default=0)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that has passed every check: path and query parameters by name, the body as its type, seconds to wait."""

    path: str
    place: Mapping[str, str]
    query: Mapping[str, Any]
    given: Mapping[str, str | list[str]]
    body: Any
    wait_s: float
    table: RouteTable
    caller: Caller
    address: str = ""

    @property
    def origin(self) -> str:
        """Who ordered something, for the command ledger."""
        return f"api: {self.caller.name}"


@dataclass(frozen=True, slots=True)
class Answered:
    """What a handler gives; a body of bytes goes out as it is, a Path is a file's content, None is no body, anything else is written as JSON."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON


@dataclass(frozen=True, slots=True)
class Gives:
    """One good answer for the document: what it means, and the type of its body (None: no body)."""

    text: str
    shape: Any = None
    content_type: str = JSON
    headers: tuple[str, ...] = ()


Handler = Callable[[Rooms, Asked], Awaitable[Answered]]


@dataclass(frozen=True)
class Route:
    """One row. ``body`` is the pydantic adapter of the request body; ``problems`` are those beyond what every route may answer.

    ``needs`` is the least role that may ask, an admin where nobody said otherwise. An answer that ``shows_secret`` is not kept to be repeated.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    tag: str
    gives: Mapping[int, Gives]
    problems: tuple[Kind, ...] = ()
    query: tuple[Param, ...] = ()
    body: TypeAdapter[Any] | None = None
    needs: Role = Role.ADMIN
    open: bool = False
    waits: bool = False
    shows_secret: bool = False
    doc: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """The segments of the path; those in braces are parameters."""
        return tuple(self.path.strip("/").split("/"))

    @property
    def name(self) -> str:
        """The operation's id: the handler's name."""
        return self.handler.__name__

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path's parameters."""
        return tuple(part[1:-1] for part in self.parts if part.startswith("{"))

    def place(self, segments: tuple[str, ...]) -> dict[str, str] | None:
        """The path's parameters if these segments fit, else None."""
        if len(segments) != len(self.parts):
            return None
        found: dict[str, str] = {}
        for part, segment in zip(self.parts, segments, strict=True):
            if part.startswith("{"):
                if not segment:
                    return None
                found[part[1:-1]] = segment
            elif part != segment:
                return None
        return found


class RouteTable:
    """All rows of one server; ``document`` keeps the OpenAPI document once it is made."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self.routes = routes
        self.document: bytes | None = None

    def match(self, method: str, segments: tuple[str, ...]) -> tuple[Route, dict[str, str]]:
        """The row for a request, and the path's parameters; HEAD is answered by GET. Refuses with 404 or 405."""
        wanted = "GET" if method == "HEAD" else method
        allowed: list[str] = []
        for route in self.routes:
            place = route.place(segments)
            if place is None:
                continue
            if route.method == wanted:
                return route, place
            allowed += ["GET", "HEAD"] if route.method == "GET" else [route.method]
        if allowed:
            words = ", ".join(sorted(set(allowed)))
            raise Refused(Kind.METHOD_NOT_ALLOWED, f"this path takes {words}", headers={"Allow": words})
        raise Refused(Kind.NO_SUCH_PATH, "see /api/v1/openapi.json for what there is")

    def is_open(self, segments: tuple[str, ...]) -> bool:
        """Whether a path may be asked for without a token."""
        return any(route.open and route.place(segments) is not None for route in self.routes)


def enum_words(kind: type) -> list[str] | None:
    """The words of an Enum, or None for other kinds."""
    return [str(one.value) for one in kind] if issubclass(kind, Enum) else None
