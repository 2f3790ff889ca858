"""Who may call the HTTP API: people log in with a password and get a session, programs have keys, and the site file's token is an admin.

Secrets are made here and shown once; kept are the SHA-256 of a key (256 random bits need no slow hash) and the Argon2id hash of a password.
Guessing is slowed down per address, and an unknown name takes as long as a wrong password.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from twisted.internet import defer
from twisted.internet.threads import deferToThreadPool

from csms.model.people import ApiKey, Caller, Person, Role, TooManyTries
from csms.store import Store

PREFIX = "csms_"
SHORTEST = 16
"""Characters of the site file's token."""
SITE_TOKEN = "site token"
"""What the trail calls whoever has the site file's token."""
SESSION = timedelta(hours=12)
AT_ONCE = 2
"""How many passwords are hashed at a time: each takes 64 MiB."""
TRIES, TRIES_PER_S, MOST_ADDRESSES = 10, 1 / 30, 10_000


@dataclass(slots=True)
class Guesses:
    """Wrong passwords by address: a handful at once, then one every half minute."""

    now: Callable[[], float]
    counts: dict[str, tuple[float, float]] = field(default_factory=dict)

    def check(self, address: str) -> None:
        """Raise TooManyTries if this address has none left."""
        left = self._left(address)
        if left < 1:
            raise TooManyTries((1 - left) / TRIES_PER_S)

    def wrong(self, address: str) -> None:
        """One more."""
        left = self._left(address)
        self.counts.pop(address, None)
        self.counts[address] = (left - 1, self.now())
        if len(self.counts) > MOST_ADDRESSES:
            del self.counts[next(iter(self.counts))]

    def _left(self, address: str) -> float:
        left, at = self.counts.get(address, (float(TRIES), self.now()))
        return min(float(TRIES), left + (self.now() - at) * TRIES_PER_S)


class People:
    """Knows callers by their bearer token, and makes tokens."""

    def __init__(
        self,
        store: Store,
        site_token: str,
        reactor: Any,
        now: Callable[[], datetime],
        hasher: PasswordHasher | None = None,
    ) -> None:
        if len(site_token) < SHORTEST:
            raise ValueError(f"the API needs a token of at least {SHORTEST} characters")
        self._store = store
        self._site_token = digest_of(site_token)
        self._reactor = reactor
        self._now = now
        self._hasher = hasher or PasswordHasher()
        self._hashing = defer.DeferredSemaphore(AT_ONCE)
        self._guesses = Guesses(reactor.seconds)
        self._nobody = ""

    async def caller(self, bearer: str) -> Caller | None:
        """Who has this token, or None."""
        digest = digest_of(bearer)
        if hmac.compare_digest(digest, self._site_token):
            return Caller(SITE_TOKEN, Role.ADMIN)
        return await self._store.keys.holder(digest, self._now())

    async def make_key(
        self, name: str, role: Role, sites: tuple[str, ...], expires: datetime | None, *, by: str
    ) -> tuple[str, ApiKey]:
        """A new key for a program: the secret, which is shown this once, and the record."""
        return await self._made(ApiKey(0, name, role, sites, None, self._now(), by, expires))

    async def revoke(self, key: int) -> bool:
        """The key or session is worth nothing from now on; False if it was not."""
        return await self._store.keys.revoke(key, self._now())

    async def log_in(self, name: str, password: str, address: str) -> tuple[str, ApiKey] | None:
        """A session for a person, or None: nobody of that name, a wrong password, or switched off. Raises TooManyTries."""
        self._guesses.check(address)
        person = await self._store.people.get(name)
        known = await self._store.people.password_hash(name)
        if not await self._fits(known or await self._nobody_s_hash(), password) or person is None or not person.enabled:
            self._guesses.wrong(address)
            return None
        expires = self._now() + SESSION
        session = ApiKey(0, "session", person.role, person.sites, person.name, self._now(), person.name, expires)
        return await self._made(session)

    async def put_person(self, person: Person, password: str | None) -> None:
        """Write all of a person; without a password the old one stays."""
        hashed = None if password is None else await self._hashed(password)
        await self._store.people.put(person, self._now(), password_hash=hashed)

    async def change_password(self, caller: Caller, old: str, new: str, address: str) -> bool:
        """A person changes the own password, which ends the other sessions; False if the old one is wrong. Raises TooManyTries."""
        assert caller.person is not None
        self._guesses.check(address)
        known = await self._store.people.password_hash(caller.person)
        if not await self._fits(known or "", old):
            self._guesses.wrong(address)
            return False
        await self._store.people.set_password(caller.person, await self._hashed(new), self._now(), but=caller.key)
        return True

    async def _made(self, key: ApiKey) -> tuple[str, ApiKey]:
        secret = PREFIX + secrets.token_urlsafe(32)
        return secret, await self._store.keys.add(digest_of(secret), key)

    async def _hashed(self, password: str) -> str:
        return str(await self._hashing.run(self._threaded, self._hasher.hash, password))

    async def _nobody_s_hash(self) -> str:
        if not self._nobody:
            self._nobody = await self._hashed(secrets.token_urlsafe(16))
        return self._nobody

    async def _fits(self, known: str, password: str) -> bool:
        def verify() -> bool:
            try:
                return self._hasher.verify(known, password)
            except (Argon2Error, InvalidHashError):
                return False

        return bool(await self._hashing.run(self._threaded, verify))

    def _threaded(self, call: Callable[..., Any], *given: Any) -> defer.Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), call, *given)


def digest_of(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.strip().encode("utf-8", "replace")).digest()
