"""Tokens for apps: signed, expiring, good for one transaction, and short enough for a 1.6 tag.

A token is base32 of a random number and a MAC over that number and the token's details, which are kept under the number; 20 characters. What a
station shows as its kind does not matter: the MAC is the proof.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import secrets
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from twisted.internet import defer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from csms.api import (
    Authorization,
    AuthorizationRequest,
    AuthorizationStatus,
    Csms,
    Duration,
    IdToken,
    Purpose,
    WebRegistry,
    hookimpl,
)

LENGTH, NUMBER_BYTES, MAC_BYTES = 20, 4, 8
PADDING = "===="
LONGEST = timedelta(days=7)
LARGEST_BODY = 16 * 1024
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
FIELDS = ("driver", "station", "group", "lifetime")


@dataclass(frozen=True, slots=True)
class Details:
    """What a token stands for; ``station`` None means any, ``group`` the group the driver belongs to."""

    driver: str
    expires: datetime
    station: str | None = None
    group: str | None = None

    def text(self) -> str:
        """The one way to write the details down, for keeping and signing."""
        return json.dumps([self.driver, self.expires.isoformat(), self.station, self.group])

    @classmethod
    def read(cls, text: str) -> Details:
        """The details kept under a token's number."""
        driver, expires, station, group = json.loads(text)
        return cls(driver, datetime.fromisoformat(expires), station, group)


class AppTokens:
    """Makes tokens for an app by ``POST /plugins/app_tokens/tokens`` and answers ``authorize`` for them."""

    @dataclass(frozen=True)
    class Settings:
        """``secret`` signs; empty: made at the first start and kept. ``lifetime`` is that of a token that asks for none."""

        secret: str = ""
        lifetime: Duration = timedelta(minutes=15)

        def __post_init__(self) -> None:
            """Raises ValueError in plain words."""
            if self.secret and len(self.secret) < 16:
                raise ValueError("secret has at least 16 characters; leave it empty to have one made")
            if not timedelta(seconds=1) <= self.lifetime <= LONGEST:
                raise ValueError("lifetime is 1s to 7d")

    def __init__(self, settings: Settings, csms: Csms) -> None:
        self._csms = csms
        self._secret = settings.secret
        self._lifetime = settings.lifetime

    @hookimpl
    def register_web(self, site: WebRegistry) -> None:
        """The resource that makes tokens."""
        site("tokens", TokensResource(self, self._csms, self._lifetime))

    async def make(
        self, driver: str, lifetime: timedelta, *, station: str | None = None, group: str | None = None
    ) -> tuple[str, datetime]:
        """A new token and when it expires."""
        details = Details(driver, self._csms.now() + lifetime, station, group)
        while True:
            number = secrets.token_bytes(NUMBER_BYTES)
            if await self._csms.take(f"token/{number.hex()}", details.text()):
                break
        mac = await self._mac(number, details.text())
        return base64.b32encode(number + mac).decode().removesuffix(PADDING), details.expires

    @hookimpl
    def authorize(self, request: AuthorizationRequest) -> Awaitable[Authorization | None] | None:
        """No opinion on what is not one of our tokens; the first transaction that starts with one uses it up."""
        parts = _parts(request.id_token.value)
        return self._judge(request, *parts) if parts else None

    async def _judge(self, request: AuthorizationRequest, number: bytes, mac: bytes) -> Authorization | None:
        kept = await self._csms.kept(f"token/{number.hex()}")
        if kept is None or not hmac.compare_digest(mac, await self._mac(number, kept)):
            return None
        details = Details.read(kept)
        if details.station is not None and details.station != request.station.id:
            reason = f"the token is for station {details.station}"
            return Authorization(AuthorizationStatus.NOT_AT_THIS_LOCATION, reason=reason)
        used = f"used/{number.hex()}"
        if (by := await self._csms.kept(used)) is not None:
            return await self._again(request, details, by)
        if details.expires <= request.at:
            reason = f"expired at {details.expires.isoformat()}"
            return Authorization(AuthorizationStatus.EXPIRED, expires=details.expires, reason=reason)
        if (here := _transaction(request)) is not None and not await self._csms.take(used, here):
            return await self._again(request, details, await self._csms.kept(used) or "")
        return _accepted(details)

    async def _again(self, request: AuthorizationRequest, details: Details, by: str) -> Authorization:
        """A used token is good for its own transaction only, and for a driver who comes back to that one."""
        own = _transaction(request) == by
        if not own and request.purpose is Purpose.AUTHORIZE:
            own = bool(await self._csms.read.active_transactions(station=request.station.id, token=request.id_token))
        return _accepted(details) if own else Authorization(AuthorizationStatus.INVALID, reason="already used")

    async def _mac(self, number: bytes, details: str) -> bytes:
        if not self._secret:
            await self._csms.take("secret", secrets.token_hex(32))
            self._secret = await self._csms.kept("secret") or ""
        return hmac.digest(self._secret.encode(), number + details.encode(), "sha256")[:MAC_BYTES]


def _accepted(details: Details) -> Authorization:
    group = IdToken(details.group, "Central") if details.group else None
    reason = f"app token of {details.driver}"
    return Authorization(AuthorizationStatus.ACCEPTED, group, details.expires, reason)


def _transaction(request: AuthorizationRequest) -> str | None:
    """The transaction that would use the token up; None for mere questions."""
    if request.purpose is Purpose.AUTHORIZE or request.transaction is None:
        return None
    return json.dumps([request.station.id, request.transaction])


def _parts(value: str) -> tuple[bytes, bytes] | None:
    """Number and MAC of a text that could be a token; only one spelling of each is one."""
    if len(value) != LENGTH or not value.isascii():
        return None
    try:
        raw = base64.b32decode(value.upper() + PADDING)
    except ValueError:
        return None
    if base64.b32encode(raw).decode() != value.upper() + PADDING:
        return None
    return raw[:NUMBER_BYTES], raw[NUMBER_BYTES:]


class Refused(Exception):
    """A request cannot be met: an HTTP status and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class TokensResource(Resource):
    """``POST {"driver": "..", "station": null, "group": null, "lifetime": "15m"}`` gives 201 and a token."""

    isLeaf = True

    def __init__(self, tokens: AppTokens, csms: Csms, lifetime: timedelta) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tokens = tokens
        self._csms = csms
        self._lifetime = lifetime

    def render(self, request: Any) -> int:
        """Answer later; a caller who is gone is not answered."""
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        work = defer.Deferred.fromCoroutine(self._answer(request))
        work.addCallback(lambda answer: None if gone else _write(request, *answer))
        work.addErrback(lambda failure: self._csms.log.failure("a token's answer was not sent", failure=failure))
        return NOT_DONE_YET

    async def _answer(self, request: Any) -> tuple[int, Mapping[str, Any]]:
        try:
            order = self._order(request)
            token, expires = await self._tokens.make(**order)
        except Refused as refused:
            return refused.status, {"type": "about:blank", "status": refused.status, "title": str(refused)}
        except Exception:
            self._csms.log.failure("no token could be made")
            return 500, {"type": "about:blank", "status": 500, "title": "no token could be made: see the server's log"}
        return 201, {"token": token, "type": "Central", "expires": expires.isoformat().replace("+00:00", "Z")}

    def _order(self, request: Any) -> dict[str, Any]:
        if request.method != b"POST":
            request.setHeader(b"allow", b"POST")
            raise Refused(405, "only POST makes a token")
        body = request.content.read(LARGEST_BODY + 1) if request.content else b""
        if len(body) > LARGEST_BODY:
            raise Refused(413, f"the body has at most {LARGEST_BODY} bytes")
        try:
            order = json.loads(body)
        except (ValueError, RecursionError):
            raise Refused(400, "the body is not JSON") from None
        return read_order(order, self._lifetime)


def read_order(order: object, lifetime: timedelta) -> dict[str, Any]:
    """The checked arguments of ``make``; raises Refused."""
    if not isinstance(order, dict) or (unknown := [key for key in order if key not in FIELDS]):
        what = f"unknown field {unknown[0]}: " if isinstance(order, dict) else ""
        raise Refused(422, f"{what}the body is an object with {', '.join(FIELDS)}")
    driver = order.get("driver")
    if not isinstance(driver, str) or not 0 < len(driver.strip()) <= 255:
        raise Refused(422, "driver is a text of 1 to 255 characters")
    for field, longest in (("station", 48), ("group", 36)):
        value = order.get(field)
        if value is not None and (not isinstance(value, str) or not 0 < len(value) <= longest):
            raise Refused(422, f"{field} is null or a text of 1 to {longest} characters")
    wanted = order.get("lifetime")
    length = lifetime if wanted is None else _duration(wanted)
    return {"driver": driver, "lifetime": length, "station": order.get("station"), "group": order.get("group")}


def _duration(value: object) -> timedelta:
    text = value if isinstance(value, str) else ""
    if re.fullmatch(r"(\d{1,9}(ms|s|m|h|d))+", text, re.ASCII):
        seconds = sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|s|m|h|d)", text))
        if 1 <= seconds <= LONGEST.total_seconds():
            return timedelta(seconds=seconds)
    raise Refused(422, 'lifetime is a text such as "15m", from 1s to 7d')


def _write(request: Any, status: int, body: Mapping[str, Any]) -> None:
    request.setResponseCode(status)
    kind = b"application/json" if status < 400 else b"application/problem+json"
    request.setHeader(b"content-type", kind)
    request.setHeader(b"cache-control", b"no-store")
    request.write(json.dumps(body).encode())
    request.finish()
