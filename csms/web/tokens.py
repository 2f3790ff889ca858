"""The API's answers about the CSMS's own token list."""

from __future__ import annotations

from datetime import UTC
from urllib.parse import quote

from csms.model.authorization import IdToken, TokenRecord
from csms.model.people import Role
from csms.web.bodies import token_body, token_fault
from csms.web.paging import page
from csms.web.problems import Kind, QueryMistake, Refused
from csms.web.rooms import Rooms
from csms.web.routes import LIMIT, Answered, Asked, Gives, Param, Route
from csms.web.views import Page


async def list_tokens(rooms: Rooms, asked: Asked) -> Answered:
    """Tokens."""
    query = asked.query
    records = await rooms.store.tokens.list(search=query["search"], after=query["after"], limit=query["limit"])
    return Answered(page(asked, records, lambda record: record.id_token.key))


async def get_token(rooms: Rooms, asked: Asked) -> Answered:
    """One token."""
    token = _token(asked)
    record = await rooms.store.tokens.get(token)
    if record is None:
        raise _unknown(token)
    return Answered(record)


async def put_token(rooms: Rooms, asked: Asked) -> Answered:
    """Make a token known, or change it."""
    token, body = _token(asked), asked.body
    fault = token_fault(token.type, token.value)
    if fault:
        raise Refused(Kind.INVALID, fault, errors=(QueryMistake("type" if "type" in fault else "id", fault),))
    new = await rooms.store.tokens.get(token) is None
    expires = body.expires.astimezone(UTC) if body.expires else None
    record = TokenRecord(token, body.status, body.group, expires, body.note, body.concurrent)
    await rooms.store.tokens.put(record)
    if not new:
        return Answered(record)
    place = f"/api/v1/tokens/{token.type}/{quote(token.value, safe='')}"
    return Answered(record, 201, {"Location": place})


async def delete_token(rooms: Rooms, asked: Asked) -> Answered:
    """Forget a token."""
    token = _token(asked)
    if not await rooms.store.tokens.delete(token):
        raise _unknown(token)
    return Answered(None, 204)


def _token(asked: Asked) -> IdToken:
    return IdToken(asked.place["id"], asked.place["type"])


def _unknown(token: IdToken) -> Refused:
    return Refused(Kind.UNKNOWN_TOKEN, f"no token {token.type[:30]} {token.value[:100]} is in the list")


UNKNOWN = (Kind.UNKNOWN_TOKEN,)
ROUTES = (
    Route(
        "GET",
        "/api/v1/tokens",
        list_tokens,
        "List tokens",
        "tokens",
        {200: Gives("Tokens", Page[TokenRecord])},
        query=(
            Param("search", str, "only tokens with this text in value or note", default=""),
            Param("after", str, "go on after this value (the `next` of a page has it)", default=""),
            LIMIT,
        ),
        needs=Role.SUPPORT,
    ),
    Route(
        "GET",
        "/api/v1/tokens/{type}/{id}",
        get_token,
        "One token",
        "tokens",
        {200: Gives("The token", TokenRecord)},
        UNKNOWN,
        needs=Role.SUPPORT,
    ),
    Route(
        "PUT",
        "/api/v1/tokens/{type}/{id}",
        put_token,
        "Make a token known, or change it",
        "tokens",
        {200: Gives("The changed token", TokenRecord), 201: Gives("The new token", TokenRecord, headers=("Location",))},
        body=token_body(),
        doc="What is left out of the body gets its default: a PUT says everything about a token.",
        needs=Role.OPERATOR,
    ),
    Route(
        "DELETE",
        "/api/v1/tokens/{type}/{id}",
        delete_token,
        "Forget a token",
        "tokens",
        {204: Gives("It is forgotten")},
        UNKNOWN,
        needs=Role.OPERATOR,
    ),
)
