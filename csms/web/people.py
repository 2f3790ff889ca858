"""The API's answers about its own callers: log in and out, people, keys of programs, and the trail of what they changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from math import ceil
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, Field, TypeAdapter

from csms.model.authorization import IdToken
from csms.model.people import ApiKey, AuditEntry, Caller, Person, Role, TooManyTries
from csms.web.bodies import STRICT, known_token, printable
from csms.web.commands import is_number
from csms.web.paging import page
from csms.web.problems import Kind, Mistake, Refused
from csms.web.reading import invalid
from csms.web.rooms import Rooms
from csms.web.routes import AFTER_ID, LIMIT, Answered, Asked, Gives, Param, Route
from csms.web.views import LoggedIn, MadeKey, Page

Name = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(printable)]
Password = Annotated[str, Field(min_length=12, max_length=200)]
Sites = Annotated[tuple[Name, ...], Field(max_length=100)]
Token = Annotated[IdToken, AfterValidator(known_token)]


class LogInBody(BaseModel):
    """Name and password."""

    model_config = STRICT
    name: Annotated[str, Field(max_length=60)]
    password: Annotated[str, Field(max_length=200)]


class PersonBody(BaseModel):
    """All of a person; without a password the old one stays. No ``sites``: all of them. ``id_tokens`` are a driver's own."""

    model_config = STRICT
    role: Role
    sites: Sites = ()
    id_tokens: Annotated[tuple[Token, ...], Field(max_length=20)] = ()
    enabled: bool = True
    password: Password | None = None


class NewPasswordBody(BaseModel):
    """A person's own new password."""

    model_config = STRICT
    old_password: Annotated[str, Field(max_length=200)]
    new_password: Password


class KeyBody(BaseModel):
    """A new key for a program; ``expires_in_days`` null: it lasts until it is revoked."""

    model_config = STRICT
    name: Name
    role: Role
    sites: Sites = ()
    expires_in_days: Annotated[int, Field(ge=1, le=3650)] | None = 365


async def log_in(rooms: Rooms, asked: Asked) -> Answered:
    """A session for a person."""
    body = asked.body
    made = await _guessing(lambda: rooms.people.log_in(body.name, body.password, asked.address))
    if made is None:
        challenge = {"WWW-Authenticate": 'Bearer realm="csms"'}
        raise Refused(Kind.UNAUTHORIZED, "name or password is wrong", headers=challenge)
    secret, key = made
    return Answered(LoggedIn(secret, key.person or "", key.role, key.sites, key.expires), 201)


async def log_out(rooms: Rooms, asked: Asked) -> Answered:
    """The token of this request is worth nothing from now on."""
    if asked.caller.key is None:
        raise Refused(Kind.FORBIDDEN, "the site file's token is no session: change it in the site file")
    await rooms.people.revoke(asked.caller.key)
    return Answered(None, 204)


async def get_me(rooms: Rooms, asked: Asked) -> Answered:
    """Who the token of this request belongs to."""
    return Answered(asked.caller)


async def put_my_password(rooms: Rooms, asked: Asked) -> Answered:
    """A new password; the person's other sessions end."""
    caller, body = asked.caller, asked.body
    if caller.person is None:
        raise Refused(Kind.FORBIDDEN, "only a person has a password, and this is a key")
    changing = rooms.people.change_password
    if not await _guessing(lambda: changing(caller, body.old_password, body.new_password, asked.address)):
        raise invalid([Mistake("/old_password", "this is not the present password")])
    return Answered(None, 204)


async def _guessing(work: Callable[[], Any]) -> Any:
    try:
        return await work()
    except TooManyTries as no:
        raise Refused(Kind.TOO_MANY_TRIES, str(no), headers={"Retry-After": str(ceil(no.wait_s))}) from None


async def list_people(rooms: Rooms, asked: Asked) -> Answered:
    """People by name."""
    people = await rooms.store.people.list(after=asked.query["after"], limit=asked.query["limit"])
    return Answered(page(asked, people, lambda person: person.name))


async def get_person(rooms: Rooms, asked: Asked) -> Answered:
    """One person."""
    return Answered(await _known(rooms, asked))


async def put_person(rooms: Rooms, asked: Asked) -> Answered:
    """Make somebody known, or change all of them."""
    name, body = asked.place["name"], asked.body
    if not 0 < len(name) <= 60:
        raise Refused(Kind.INVALID, "a name has 1 to 60 characters")
    before = await rooms.store.people.get(name)
    if before is None and body.password is None:
        raise invalid([Mistake("/password", "somebody new needs a password")])
    shown = before.name if before else name
    await rooms.people.put_person(Person(shown, body.role, body.sites, body.id_tokens, body.enabled), body.password)
    person = await _known(rooms, asked)
    if before is not None:
        return Answered(person)
    return Answered(person, 201, {"Location": f"/api/v1/people/{quote(name, safe='')}"})


async def delete_person(rooms: Rooms, asked: Asked) -> Answered:
    """Forget a person; their sessions end."""
    if not await rooms.store.people.delete(asked.place["name"], rooms.now()):
        raise _nobody(asked)
    return Answered(None, 204)


async def _known(rooms: Rooms, asked: Asked) -> Person:
    person = await rooms.store.people.get(asked.place["name"])
    if person is None:
        raise _nobody(asked)
    return person


def _nobody(asked: Asked) -> Refused:
    return Refused(Kind.UNKNOWN_PERSON, f"nobody is called {asked.place['name'][:60]}")


async def list_keys(rooms: Rooms, asked: Asked) -> Answered:
    """Keys by number; their secrets are known to nobody but those who have them."""
    keys = await rooms.store.keys.list(after=asked.query["after"], limit=asked.query["limit"])
    return Answered(page(asked, keys, lambda key: key.id))


async def make_key(rooms: Rooms, asked: Asked) -> Answered:
    """A new key."""
    body = asked.body
    expires = rooms.now() + timedelta(days=body.expires_in_days) if body.expires_in_days else None
    secret, key = await rooms.people.make_key(body.name, body.role, body.sites, expires, by=asked.caller.name)
    return Answered(MadeKey(secret, key), 201)


async def revoke_key(rooms: Rooms, asked: Asked) -> Answered:
    """The key is worth nothing from now on."""
    text = asked.place["id"]
    if not is_number(text) or not await rooms.people.revoke(int(text)):
        raise Refused(Kind.UNKNOWN_KEY, f"there is no key {text[:30]}, or it is revoked")
    return Answered(None, 204)


async def list_audit(rooms: Rooms, asked: Asked) -> Answered:
    """The trail, the newest first."""
    query = asked.query
    entries = await rooms.audit.list(caller=query["caller"], before=query["before"], limit=query["limit"])
    return Answered(page(asked, entries, lambda entry: entry.id, key="before"))


UNKNOWN = (Kind.UNKNOWN_PERSON,)
ROUTES = (
    Route(
        "POST",
        "/api/v1/sessions",
        log_in,
        "Log in",
        "people",
        {201: Gives("A token for twelve hours", LoggedIn)},
        (Kind.UNAUTHORIZED, Kind.TOO_MANY_TRIES),
        body=TypeAdapter(LogInBody),
        open=True,
        shows_secret=True,
    ),
    Route(
        "DELETE",
        "/api/v1/sessions/current",
        log_out,
        "Log out",
        "people",
        {204: Gives("The token of this request is worth nothing now")},
        needs=Role.DRIVER,
    ),
    Route("GET", "/api/v1/me", get_me, "Who I am", "people", {200: Gives("The caller", Caller)}, needs=Role.DRIVER),
    Route(
        "PUT",
        "/api/v1/me/password",
        put_my_password,
        "Change my password",
        "people",
        {204: Gives("It is changed; other sessions have ended")},
        (Kind.TOO_MANY_TRIES,),
        body=TypeAdapter(NewPasswordBody),
        needs=Role.DRIVER,
    ),
    Route(
        "GET",
        "/api/v1/people",
        list_people,
        "List people",
        "people",
        {200: Gives("People by name", Page[Person])},
        query=(Param("after", str, "go on after this name (the `next` of a page has it)", default=""), LIMIT),
    ),
    Route(
        "GET", "/api/v1/people/{name}", get_person, "One person", "people", {200: Gives("The person", Person)}, UNKNOWN
    ),
    Route(
        "PUT",
        "/api/v1/people/{name}",
        put_person,
        "Make somebody known, or change them",
        "people",
        {200: Gives("The changed person", Person), 201: Gives("The new person", Person, headers=("Location",))},
        body=TypeAdapter(PersonBody),
        doc="What is left out of the body gets its default, except the password, which stays. A new password, or `enabled: false`, "
        "ends the person's sessions.",
    ),
    Route(
        "DELETE",
        "/api/v1/people/{name}",
        delete_person,
        "Forget a person",
        "people",
        {204: Gives("They are forgotten, and their sessions have ended")},
        UNKNOWN,
    ),
    Route(
        "GET",
        "/api/v1/keys",
        list_keys,
        "List keys and sessions",
        "people",
        {200: Gives("Keys by number", Page[ApiKey])},
        query=(AFTER_ID, LIMIT),
    ),
    Route(
        "POST",
        "/api/v1/keys",
        make_key,
        "Make a key for a program",
        "people",
        {201: Gives("The key, whose secret this answer alone shows", MadeKey)},
        body=TypeAdapter(KeyBody),
        shows_secret=True,
    ),
    Route(
        "DELETE",
        "/api/v1/keys/{id}",
        revoke_key,
        "Revoke a key or a session",
        "people",
        {204: Gives("It is worth nothing now")},
        (Kind.UNKNOWN_KEY,),
    ),
    Route(
        "GET",
        "/api/v1/audit",
        list_audit,
        "Who changed what",
        "people",
        {200: Gives("The trail, the newest first", Page[AuditEntry])},
        query=(
            Param("caller", str, "only what this caller did"),
            Param("before", int, "only entries before this number (the `next` of a page has it)", default=0),
            LIMIT,
        ),
    ),
)
