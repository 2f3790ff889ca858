"""A request that changes something: it stands in the trail before it begins, and happens once if it carries an ``Idempotency-Key``."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import orjson

from csms.model.people import Caller, DoneRequest
from csms.redaction import redacted
from csms.web.access import masked
from csms.web.json_text import dumps
from csms.web.problems import Kind, Refused
from csms.web.rooms import Rooms
from csms.web.routes import Answered, Route

KEEP = timedelta(hours=24)
LONGEST_KEY = 255
LONGEST_DETAIL = 2000
Work = Callable[[], Awaitable[Answered]]


@dataclass(frozen=True, slots=True)
class Change:
    """What the trail and the idempotency need to know of a request; ``key`` is its Idempotency-Key, or empty."""

    caller: Caller
    address: str
    method: str
    path: str
    query: bytes
    raw: bytes
    key: str = ""

    @property
    def owner(self) -> str:
        """Whose keys this one is among: two callers may choose the same key."""
        return f"key {self.caller.key}" if self.caller.key else self.caller.name

    @property
    def digest(self) -> bytes:
        """Equal for equal requests."""
        parts = (self.method.encode(), self.path.encode(), self.query, self.raw)
        return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).digest()


async def change(rooms: Rooms, route: Route, asked: Change, work: Work) -> Answered:
    """Do the work, with a line in the trail; a refusal ends in the trail too, and is raised."""
    entry = await rooms.audit.begin(
        rooms.now(),
        asked.caller.name,
        asked.caller.role.value,
        asked.address,
        asked.method,
        asked.path,
        detail_of(asked.raw),
    )
    status = 500
    try:
        answer = await (_once(rooms, route, asked, work) if asked.key else work())
        status = answer.status
    except Refused as refused:
        status = refused.kind.status
        raise
    finally:
        await rooms.audit.end(entry, status)
    return answer


async def note_refusal(rooms: Rooms, asked: Change, status: int) -> None:
    """A line in the trail for somebody who was not let in."""
    entry = await rooms.audit.begin(
        rooms.now(), asked.caller.name, asked.caller.role.value, asked.address, asked.method, asked.path, ""
    )
    await rooms.audit.end(entry, status)


def key_of(given: str | None) -> str:
    """The Idempotency-Key, or empty; refuses one that cannot be kept."""
    key = (given or "").strip()
    if len(key) > LONGEST_KEY or not key.isprintable():
        raise Refused(Kind.BAD_REQUEST, f"an Idempotency-Key has at most {LONGEST_KEY} printable characters")
    return key


def detail_of(raw: bytes) -> str:
    """The body as the trail keeps it: without passwords and without drivers' tokens."""
    try:
        body = orjson.loads(raw) if raw else None
    except ValueError:
        return "(not JSON)"
    return "" if body is None else dumps(masked(redacted(body))).decode()[:LONGEST_DETAIL]


async def _once(rooms: Rooms, route: Route, asked: Change, work: Work) -> Answered:
    """The work if the key is new, else the answer it had."""
    done = await rooms.done_requests.begin(asked.owner, asked.key, asked.digest, rooms.now(), KEEP)
    if done is not None:
        return _again(done, asked, route)
    try:
        answer = await work()
    except Refused as refused:
        if refused.kind is Kind.STORE_UNAVAILABLE:
            await rooms.done_requests.drop(asked.owner, asked.key)
        else:
            await _keep(rooms, asked, refused.kind.status, {}, dumps(refused.body(asked.path)))
        raise
    body = b"" if answer.body is None or route.shows_secret else dumps(answer.body)
    await _keep(rooms, asked, answer.status, dict(answer.headers), body)
    return answer


async def _keep(rooms: Rooms, asked: Change, status: int, headers: dict[str, str], body: bytes) -> None:
    await rooms.done_requests.finish(asked.owner, asked.key, status, dumps(headers).decode(), body)


def _again(done: DoneRequest, asked: Change, route: Route) -> Answered:
    if done.digest != asked.digest:
        raise Refused(Kind.KEY_REUSED, "this Idempotency-Key came with another request before")
    if done.status is None:
        text = "the request with this Idempotency-Key is under way, or was when the CSMS stopped: look at what became of it"
        raise Refused(Kind.KEY_UNDER_WAY, text)
    if route.shows_secret and done.status < 400:
        raise Refused(
            Kind.KEY_SPENT, f"this was done at {done.at:%Y-%m-%d %H:%M:%S}Z; its answer had a secret, which is not kept"
        )
    headers = {**orjson.loads(done.headers), "Idempotency-Replayed": "true"}
    body = orjson.Fragment(done.body) if done.body else None
    kind = "application/problem+json" if done.status >= 400 else "application/json"
    return Answered(body, done.status, headers, kind)
