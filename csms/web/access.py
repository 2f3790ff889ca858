"""Who asks, and may they: a bearer token becomes a caller, whose role is held against the route's; pages of other sites are turned away."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import orjson
from twisted.web.server import Request

from csms.model.authorization import token_end
from csms.model.people import Caller, Role
from csms.web.problems import Kind, Refused
from csms.web.rooms import PeopleRoom
from csms.web.wire import header

SAFE = frozenset({"GET", "HEAD"})
FOREIGN = frozenset({"cross-site", "same-site"})
TOKEN_FIELDS = frozenset(
    {
        "id_token",
        "stop_token",
        "group",
        "idToken",
        "idTag",
        "parentIdTag",
        "groupIdToken",
        "group_id_token",
        "id_tokens",
        "additionalInfo",
        "additionalIdToken",
    }
)


async def caller_of(people: PeopleRoom, request: Request) -> Caller:
    """Who sent this; refuses with 401."""
    given = header(request, b"authorization")
    scheme, _, token = (given or "").partition(" ")
    caller = await people.caller(token) if scheme.casefold() == "bearer" and token.strip() else None
    if caller is not None:
        return caller
    error = ', error="invalid_token"' if given else ""
    text = "this token is not valid" if given else "send Authorization: Bearer TOKEN"
    raise Refused(Kind.UNAUTHORIZED, text, headers={"WWW-Authenticate": f'Bearer realm="csms"{error}'})


def must(caller: Caller, needed: Role, what: str) -> None:
    """Refuses with 403 unless the caller's role is the needed one or above it."""
    if not caller.role.may(needed):
        raise Refused(Kind.FORBIDDEN, f"{what} needs the role {needed}; {caller.name} is {caller.role}")


def check_origin(request: Request) -> None:
    """Refuses a change that a page of another site sends, whatever it carries: no page but our own has any business here."""
    if request.method.decode("latin-1") in SAFE:
        return
    origin, site = header(request, b"origin"), header(request, b"sec-fetch-site")
    foreign = site is not None and site.casefold() in FOREIGN
    if origin is not None and urlsplit(origin).netloc.casefold() != (header(request, b"host") or "").casefold():
        foreign = True
    if foreign:
        raise Refused(Kind.CROSS_SITE, "a page of another site sent this")


def for_role(role: Role, body: bytes) -> bytes:
    """An answer as a caller of this role may see it: to a viewer, drivers' tokens show their last characters only."""
    if role is not Role.VIEWER or not any(field.encode() in body for field in TOKEN_FIELDS):
        return body
    return orjson.dumps(masked(orjson.loads(body)))


def masked(value: Any, *, hide: bool = False) -> Any:
    """The same JSON with drivers' tokens cut to their last characters."""
    match value:
        case dict():
            return {key: _member(key, inner, hide) for key, inner in value.items()}
        case list():
            return [masked(one, hide=hide) for one in value]
        case str() if hide:
            return token_end(value)
    return value


def _member(key: str, value: Any, hide: bool) -> Any:
    """The type of a token is shown; its text is not."""
    return value if hide and key == "type" else masked(value, hide=hide or key in TOKEN_FIELDS)
