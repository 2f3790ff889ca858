"""People and keys against a real database: who is let in, and for how long."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from argon2 import PasswordHasher
from twisted.internet import reactor

from csms.blocks.people import SESSION, TRIES, Guesses, People
from csms.model.authorization import IdToken
from csms.model.people import Person, Role, TooManyTries
from csms.store import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SITE_TOKEN = "the-token-of-the-site-file"
PASSWORD = "correct horse battery"
ANN = Person("Ann", Role.OPERATOR, ("north",), (IdToken("A1", "Central"),), True, NOW)


def kept_in(folder: Path) -> bytes:
    """All bytes of the database's files."""
    return b"".join(file.read_bytes() for file in folder.glob("csms.sqlite*"))


class Door:
    """People, with a clock that is set by hand."""

    def __init__(self, store: Store) -> None:
        self.now = NOW
        self.store = store
        loop: Any = reactor
        self.people = People(store, SITE_TOKEN, loop, lambda: self.now, PasswordHasher(1, 8, 1))

    async def session(self, password: str = PASSWORD, name: str = "ann") -> str:
        """The token of somebody who logs in."""
        made = await self.people.log_in(name, password, "192.0.2.1")
        assert made is not None
        return made[0]


@asynccontextmanager
async def door(folder: Path) -> AsyncIterator[Door]:
    """An open door, with Ann known."""
    store = Store(folder / "csms.sqlite", reactor)
    await store.open()
    try:
        opened = Door(store)
        await opened.people.put_person(ANN, PASSWORD)
        yield opened
    finally:
        await store.close()


@pytest_twisted.ensureDeferred
async def test_the_site_token_is_an_admin_and_nothing_else_is_anybody(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        admin = await at.people.caller(f" {SITE_TOKEN} ")
        assert admin is not None
        assert (admin.role, admin.sites) == (Role.ADMIN, ())
        assert await at.people.caller("csms_" + "x" * 43) is None
        assert await at.people.caller("") is None


@pytest.mark.parametrize("token", ["", "short"])
def test_the_api_does_not_open_without_a_good_token(token: str) -> None:
    nothing: Any = None
    with pytest.raises(ValueError, match="at least 16 characters"):
        People(nothing, token, reactor, lambda: NOW)


@pytest_twisted.ensureDeferred
async def test_a_session_is_its_person_until_it_ends(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        token = await at.session()
        caller = await at.people.caller(token)
        assert caller is not None
        assert (caller.name, caller.role, caller.sites, caller.id_tokens) == ("Ann", ANN.role, ANN.sites, ANN.id_tokens)
        await at.people.put_person(Person("Ann", Role.VIEWER), None)
        now = await at.people.caller(token)
        assert now is not None
        assert (now.role, now.sites) == (Role.VIEWER, ())
        at.now = NOW + SESSION
        assert await at.people.caller(token) is None


@pytest_twisted.ensureDeferred
async def test_wrong_unknown_and_switched_off_get_nothing(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        for name, password in (("ann", "wrong"), ("bob", PASSWORD), ("ann", "")):
            assert await at.people.log_in(name, password, "192.0.2.1") is None
        token = await at.session()
        await at.people.put_person(Person("Ann", Role.VIEWER, enabled=False), None)
        assert await at.people.caller(token) is None
        assert await at.people.log_in("ann", PASSWORD, "192.0.2.1") is None


@pytest_twisted.ensureDeferred
async def test_who_guesses_is_slowed_down_and_others_are_not(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        for _ in range(TRIES):
            assert await at.people.log_in("ann", "wrong", "198.51.100.7") is None
        with pytest.raises(TooManyTries):
            await at.people.log_in("ann", PASSWORD, "198.51.100.7")
        assert await at.people.log_in("ann", PASSWORD, "192.0.2.1") is not None


def test_tries_come_back_with_time() -> None:
    now = [0.0]
    guesses = Guesses(lambda: now[0])
    for _ in range(TRIES):
        guesses.check("a")
        guesses.wrong("a")
    with pytest.raises(TooManyTries) as no:
        guesses.check("a")
    now[0] = no.value.wait_s
    guesses.check("a")


@pytest_twisted.ensureDeferred
async def test_a_new_password_ends_the_other_sessions(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        mine, other = await at.session(), await at.session()
        caller = await at.people.caller(mine)
        assert caller is not None
        assert not await at.people.change_password(caller, "wrong", "another horse battery", "192.0.2.1")
        assert await at.people.change_password(caller, PASSWORD, "another horse battery", "192.0.2.1")
        assert await at.people.caller(mine) is not None
        assert await at.people.caller(other) is None
        assert await at.people.log_in("ann", PASSWORD, "192.0.2.1") is None
        await at.session("another horse battery")


@pytest_twisted.ensureDeferred
async def test_a_key_lives_until_it_expires_or_is_revoked(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        soon, _ = await at.people.make_key("grafana", Role.VIEWER, ("north",), NOW + timedelta(days=1), by="Ann")
        long, key = await at.people.make_key("backup", Role.ADMIN, (), None, by="Ann")
        caller = await at.people.caller(soon)
        assert caller is not None
        assert (caller.name, caller.role, caller.sites) == ("grafana", Role.VIEWER, ("north",))
        at.now = NOW + timedelta(days=1)
        assert await at.people.caller(soon) is None
        assert await at.people.revoke(key.id)
        assert not await at.people.revoke(key.id)
        assert await at.people.caller(long) is None
        assert [(one.name, one.revoked_at is None) for one in await at.store.keys.list()] == [
            ("grafana", True),
            ("backup", False),
        ]


@pytest_twisted.ensureDeferred
async def test_who_is_forgotten_is_out_also_when_the_name_comes_back(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        token = await at.session()
        assert await at.store.people.delete("ANN", NOW)
        assert not await at.store.people.delete("ANN", NOW)
        await at.people.put_person(ANN, PASSWORD)
        assert await at.people.caller(token) is None


@pytest_twisted.ensureDeferred
async def test_no_secret_is_in_the_file(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        secrets = [await at.session(), (await at.people.make_key("k", Role.VIEWER, (), None, by="Ann"))[0]]
    assert not any(secret.encode() in kept_in(tmp_path) for secret in (*secrets, PASSWORD))


@pytest_twisted.ensureDeferred
async def test_the_trail_and_the_answers_are_kept(tmp_path: Path) -> None:
    async with door(tmp_path) as at:
        entry = await at.store.audit.begin(NOW, "Ann", "operator", "192.0.2.1", "PUT", "/x", "{}")
        assert (await at.store.audit.list())[0].status is None
        await at.store.audit.end(entry, 204)
        assert [(one.caller, one.status) for one in await at.store.audit.list(caller="Ann")] == [("Ann", 204)]
        done, day = at.store.done_requests, timedelta(days=1)
        assert await done.begin("Ann", "k", b"1", NOW, day) is None
        known = await done.begin("Ann", "k", b"2", NOW, day)
        assert known is not None
        assert (known.digest, known.status) == (b"1", None)
        await done.finish("Ann", "k", 201, "{}", b"[]")
        known = await done.begin("Ann", "k", b"1", NOW, day)
        assert known is not None
        assert (known.status, known.body) == (201, b"[]")
        assert await done.begin("Ann", "k", b"1", NOW + 2 * day, day) is None
