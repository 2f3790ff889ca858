"""Tokens for apps: signed, expiring, good for one transaction."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from csms_plugins.app_tokens import AppTokens
from fake_csms import NOON, OLD_STATION, STATION, FakeCsms, ask, result
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import defer
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET
from twisted.web.test.requesthelper import DummyRequest

from csms.api import (
    Authorization,
    AuthorizationRequest,
    AuthorizationStatus,
    IdToken,
    Purpose,
    StationRef,
    Transaction,
    WebRegistry,
)
from csms.model.transactions import Completeness


def house(tmp_path: Path, **settings: object) -> tuple[AppTokens, FakeCsms, IResource]:
    fake = FakeCsms(tmp_path, "app_tokens")
    plugin = AppTokens(AppTokens.Settings(**settings), fake.csms)  # type: ignore[arg-type]
    web = WebRegistry("app_tokens")
    plugin.register_web(web)
    return plugin, fake, web.found["app_tokens/tokens"]


def made(resource: IResource, **order: object) -> str:
    status, answer, _ = ask(resource, "POST", {"driver": "ann", **order})
    assert status == 201
    assert answer["type"] == "Central"
    token: str = answer["token"]
    return token


def judged(
    plugin: AppTokens,
    token: str,
    purpose: Purpose = Purpose.AUTHORIZE,
    transaction: str | None = None,
    station: StationRef = STATION,
    minutes: int = 0,
) -> Authorization | None:
    at = NOON + timedelta(minutes=minutes)
    request = AuthorizationRequest(station, IdToken(token, "Central"), at, purpose, transaction=transaction)
    answer: Authorization | None = result(plugin.authorize(request))
    return answer


def status_of(answer: Authorization | None) -> str:
    assert answer is not None
    return answer.status.value


def test_a_token_fits_a_1_6_tag_and_is_accepted_in_any_case(tmp_path: Path) -> None:
    plugin, _, resource = house(tmp_path)
    token = made(resource, group="FLEET")
    assert len(token) == 20
    assert token.isalnum()
    answer = judged(plugin, token.lower(), station=OLD_STATION)
    assert answer is not None
    assert (answer.status, answer.group) == (AuthorizationStatus.ACCEPTED, IdToken("FLEET", "Central"))
    assert answer.expires == NOON + timedelta(minutes=15)
    assert "ann" in answer.reason


def test_the_first_transaction_uses_it_up_and_its_own_later_events_are_accepted(tmp_path: Path) -> None:
    plugin, _, resource = house(tmp_path)
    token = made(resource)
    for _ in range(2):
        assert status_of(judged(plugin, token)) == "Accepted", "asking uses nothing up"
    assert status_of(judged(plugin, token, Purpose.REMOTE_START)) == "Accepted"
    assert status_of(judged(plugin, token, Purpose.TRANSACTION, "T1")) == "Accepted"
    assert status_of(judged(plugin, token, Purpose.TRANSACTION, "T1", minutes=60)) == "Accepted"
    other = judged(plugin, token, Purpose.TRANSACTION, "T2")
    assert other is not None
    assert (other.status, other.reason) == (AuthorizationStatus.INVALID, "already used")
    assert status_of(judged(plugin, token, Purpose.TRANSACTION, "T1", OLD_STATION)) == "Invalid"
    assert status_of(judged(plugin, token, Purpose.REMOTE_START)) == "Invalid"
    assert status_of(judged(plugin, token)) == "Invalid"


def test_a_driver_who_comes_back_to_the_running_transaction_is_known(tmp_path: Path) -> None:
    plugin, fake, resource = house(tmp_path)
    token = made(resource)
    judged(plugin, token, Purpose.TRANSACTION, "T1")
    fake.read.transactions = [Transaction(1, "CS1", "T1", Completeness.ONGOING, id_token=IdToken(token, "Central"))]
    assert status_of(judged(plugin, token)) == "Accepted"
    assert status_of(judged(plugin, token, station=OLD_STATION)) == "Invalid"
    assert status_of(judged(plugin, token, Purpose.REMOTE_START, "T2")) == "Invalid", "a start is not a return"
    fake.read.transactions = [Transaction(2, "CS1", "T9", Completeness.ONGOING, id_token=IdToken("04A1", "ISO14443"))]
    assert status_of(judged(plugin, token)) == "Invalid", "what runs there is another driver's"


def test_of_two_transactions_at_once_the_first_has_the_token(tmp_path: Path) -> None:
    plugin, fake, resource = house(tmp_path)
    token = made(resource)
    take = fake.csms.take

    async def second(key: str, value: str) -> bool:
        await take(key, '["CS2", "T7"]')
        return await take(key, value)

    object.__setattr__(fake.csms, "take", second)
    answer = judged(plugin, token, Purpose.TRANSACTION, "T1")
    assert answer is not None
    assert (answer.status, answer.reason) == (AuthorizationStatus.INVALID, "already used")
    assert status_of(judged(plugin, token, Purpose.TRANSACTION, "T7", StationRef("CS2"))) == "Accepted"
    assert status_of(judged(plugin, token, Purpose.TRANSACTION, "T1")) == "Invalid"


def test_one_token_uses_no_other_up(tmp_path: Path) -> None:
    plugin, _, resource = house(tmp_path)
    first, other = made(resource), made(resource)
    assert status_of(judged(plugin, first, Purpose.TRANSACTION, "T1")) == "Accepted"
    assert status_of(judged(plugin, other, Purpose.TRANSACTION, "T2")) == "Accepted"


def test_a_late_token_is_expired(tmp_path: Path) -> None:
    plugin, _, resource = house(tmp_path)
    token = made(resource, lifetime="1m30s")
    assert status_of(judged(plugin, token, minutes=1)) == "Accepted"
    assert status_of(judged(plugin, token, minutes=2)) == "Expired"
    assert status_of(judged(plugin, token, Purpose.TRANSACTION, "T1", minutes=2)) == "Expired"
    end = NOON + timedelta(minutes=2)
    answer = judged(plugin, made(resource, lifetime="2m"), minutes=2)
    assert answer == Authorization(AuthorizationStatus.EXPIRED, expires=end, reason=f"expired at {end.isoformat()}"), (
        "the end is no longer in it"
    )


def test_a_token_for_one_station_is_no_use_at_another(tmp_path: Path) -> None:
    plugin, _, resource = house(tmp_path)
    token = made(resource, station="CS1")
    assert status_of(judged(plugin, token)) == "Accepted"
    elsewhere = judged(plugin, token, Purpose.TRANSACTION, "T", OLD_STATION)
    assert elsewhere == Authorization(AuthorizationStatus.NOT_AT_THIS_LOCATION, reason="the token is for station CS1")
    assert status_of(judged(plugin, token, Purpose.TRANSACTION, "T")) == "Accepted", "the other station used nothing up"


def test_a_changed_token_or_changed_details_are_not_ours(tmp_path: Path) -> None:
    plugin, fake, resource = house(tmp_path)
    token = made(resource)
    for place in (8, 12, 19):
        for letter in "AEIQ7":
            changed = token[:place] + letter + token[place + 1 :]
            assert changed == token or judged(plugin, changed) is None
    key = next(key for key in fake.notes if key.startswith("token/"))
    fake.notes[key] = fake.notes[key].replace("ann", "bob")
    assert judged(plugin, token) is None


def test_the_secret_is_made_once_and_outlives_a_restart(tmp_path: Path) -> None:
    plugin, fake, resource = house(tmp_path)
    token = made(resource)
    assert len(fake.notes["secret"]) == 64
    again = AppTokens(AppTokens.Settings(), fake.csms)
    assert status_of(judged(again, token)) == "Accepted"
    other = AppTokens(AppTokens.Settings(secret="another secret of mine"), fake.csms)
    assert judged(other, token) is None
    assert judged(plugin, token) is not None


@given(value=st.one_of(st.text(max_size=40), st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=20, max_size=20)))
def test_no_other_text_is_ever_a_token(value: str) -> None:
    plugin, _, resource = house(Path())
    made(resource)
    assert judged(plugin, value) is None


@pytest.mark.parametrize(
    ("lifetime", "seconds"),
    [("1s", 1), ("1000ms", 1), ("7d", 604800), ("1h30m", 5400), ("6d23h59m60s", 604800)],
)
def test_a_lifetime_is_from_a_second_to_a_week(tmp_path: Path, lifetime: str, seconds: int) -> None:
    status, answer, request = ask(house(tmp_path)[2], "POST", {"driver": "ann", "lifetime": lifetime})
    assert status == 201
    assert datetime.fromisoformat(answer["expires"]) == NOON + timedelta(seconds=seconds)
    assert answer["expires"].endswith("Z")
    assert request.responseHeaders.getRawHeaders("content-type") == ["application/json"]


def test_an_order_may_be_as_long_as_the_words_say(tmp_path: Path) -> None:
    plugin, _, resource = house(tmp_path)
    order = {"driver": "d" * 255, "station": "s" * 48, "group": "g" * 36}
    answer = judged(plugin, made(resource, **order), station=StationRef("s" * 48, "ocpp2.0.1"))
    assert answer is not None
    assert (answer.status, answer.group) == (AuthorizationStatus.ACCEPTED, IdToken("g" * 36, "Central"))
    assert answer.reason == f"app token of {'d' * 255}"
    status, _, _ = ask(resource, "POST", b'{"driver": "ann"}'.ljust(16 * 1024))
    assert status == 201
    status, _, request = ask(resource, "POST", b'{"driver": "ann"}'.ljust(16 * 1024 + 1))
    assert status == 413
    assert request.responseHeaders.getRawHeaders("cache-control") == ["no-store"]


def test_a_driver_of_no_group_is_in_none(tmp_path: Path) -> None:
    plugin, _, resource = house(tmp_path)
    answer = judged(plugin, made(resource))
    assert answer is not None
    assert answer.group is None


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not JSON"),
        (b"\xff", 400, "not JSON"),
        (b"[" * 16000, 400, "not JSON"),
        (b"x" * 20000, 413, "at most"),
        ([], 422, "the body is an object with driver, station, group, lifetime"),
        ({}, 422, "driver is a text"),
        ({"driver": " "}, 422, "driver is a text"),
        ({"driver": "a", "diver": "b"}, 422, "unknown field diver"),
        ({"driver": "a", "station": 1}, 422, "station is null or a text"),
        ({"driver": "a", "group": ""}, 422, "group is null or a text"),
        ({"driver": "a", "lifetime": "soon"}, 422, "lifetime is a text"),
        ({"driver": "d" * 256}, 422, "driver is a text of 1 to 255 characters"),
        ({"driver": "a", "station": "s" * 49}, 422, "station is null or a text of 1 to 48 characters"),
        ({"driver": "a", "station": ""}, 422, "station is null or a text of 1 to 48 characters"),
        ({"driver": "a", "group": "g" * 37}, 422, "group is null or a text of 1 to 36 characters"),
        ({"driver": "a", "lifetime": 900}, 422, "lifetime is a text"),
        ({"driver": "a", "lifetime": "\u0663m"}, 422, "lifetime is a text"),
        ({"driver": "a", "lifetime": "999ms"}, 422, "from 1s to 7d"),
        ({"driver": "a", "lifetime": "7d1ms"}, 422, "from 1s to 7d"),
        ({"driver": "a", "lifetime": "8d"}, 422, "from 1s to 7d"),
        ({"driver": "a", "lifetime": "0s"}, 422, "from 1s to 7d"),
    ],
)
def test_a_bad_order_is_refused_in_words(tmp_path: Path, body: object, status: int, words: str) -> None:
    _, fake, resource = house(tmp_path)
    code, answer, request = ask(resource, "POST", body)
    assert (code, answer["status"]) == (status, status)
    assert words in answer["title"]
    assert request.responseHeaders.getRawHeaders("content-type") == ["application/problem+json"]
    assert fake.notes == {}


def test_only_post_makes_a_token(tmp_path: Path) -> None:
    code, answer, request = ask(house(tmp_path)[2], "GET")
    assert code == 405
    assert answer == {"type": "about:blank", "status": 405, "title": "only POST makes a token"}
    assert request.responseHeaders.getRawHeaders("allow") == ["POST"]


def test_a_caller_who_is_gone_is_not_answered(tmp_path: Path) -> None:
    _, fake, resource = house(tmp_path)
    take, waiting = fake.csms.take, defer.Deferred[None]()

    async def slow(key: str, value: str) -> bool:
        await waiting
        return await take(key, value)

    object.__setattr__(fake.csms, "take", slow)
    request = DummyRequest([b""])
    request.method, request.content = b"POST", io.BytesIO(b'{"driver": "ann"}')
    assert resource.render(request) == NOT_DONE_YET  # type: ignore[no-untyped-call]
    request.processingFailed(Failure(ConnectionDone()))
    waiting.callback(None)
    assert (request.written, request.finished) == ([], 0)
    assert fake.logged == []


def test_a_house_that_cannot_keep_says_so_without_details(tmp_path: Path) -> None:
    plugin, fake, resource = house(tmp_path)

    async def broken(key: str, value: str) -> bool:
        raise OSError("disk full")

    object.__setattr__(fake.csms, "take", broken)
    code, answer, _ = ask(resource, "POST", {"driver": "ann"})
    assert code == 500
    assert answer == {
        "type": "about:blank", "status": 500, "title": "no token could be made: see the server's log"
    }  # fmt: skip
    assert fake.said("critical") == ["no token could be made"]
    assert plugin is not None


@pytest.mark.parametrize("wrong", [{"secret": "short"}, {"lifetime": timedelta(0)}, {"lifetime": timedelta(days=8)}])
def test_wrong_settings_are_told_in_words(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AppTokens.Settings(**wrong)  # type: ignore[arg-type]
