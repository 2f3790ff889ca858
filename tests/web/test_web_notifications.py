"""Notifications through the API: channels, what was given up, retry, telling by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from api_wire import Wire
from fake_rooms import FakeHouse

from csms.model.notifications import NotificationState
from csms.model.people import Role

BODY = {"channel": "ops", "text": "hello", "level": "warn"}


def test_something_is_told_and_seen(api: Wire) -> None:
    assert api.ask("POST", "/api/v1/notifications", BODY).status == 202
    (found,) = api.get("/api/v1/notifications?channel=ops&state=waiting")["items"]
    assert (found["id"], found["state"], found["notification"]["text"]) == (1, "waiting", "hello")
    assert api.get("/api/v1/notifications/1") == found
    assert api.get("/api/v1/notifications?state=dead")["items"] == []
    (channel,) = api.get("/api/v1/channels")["items"]
    assert channel == {"name": "ops", "kind": "webhook", "waiting": 1, "delivered": 0, "dead": 0}


def test_what_is_not_taken_is_refused_with_the_reason(api: Wire, house: FakeHouse) -> None:
    refused = api.ask("POST", "/api/v1/notifications", {**BODY, "channel": "opps"})
    assert (refused.status, refused.slug) == (409, "not-taken")
    assert "no channel called opps" in refused.body["detail"]
    house.notifications.taken = False
    assert "graver" in api.ask("POST", "/api/v1/notifications", BODY).body["detail"]
    assert api.ask("POST", "/api/v1/notifications", {**BODY, "level": "loud"}).status == 422


def test_a_dead_one_is_retried_and_no_other(api: Wire, house: FakeHouse) -> None:
    api.ask("POST", "/api/v1/notifications", BODY)
    assert api.ask("POST", "/api/v1/notifications/1/retry").status == 409
    rows = house.store.notifications.rows
    rows[1] = replace(rows[1], state=NotificationState.DEAD)
    assert api.ask("POST", "/api/v1/notifications/1/retry").status == 202
    assert rows[1].state is NotificationState.WAITING
    for id in ("2", "x", "9" * 30):
        assert api.ask("POST", f"/api/v1/notifications/{id}/retry").status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/channels"),
        ("GET", "/api/v1/notifications"),
        ("GET", "/api/v1/notifications/1"),
        ("POST", "/api/v1/notifications"),
        ("POST", "/api/v1/notifications/1/retry"),
        ("POST", "/api/v1/reload"),
    ],
)
def test_callers_of_single_sites_are_kept_out(api: Wire, house: FakeHouse, method: str, path: str) -> None:
    body = BODY if path.endswith("notifications") and method == "POST" else None
    answer = api.ask(method, path, body, token=house.caller(Role.ADMIN, sites=("north",)))
    assert (answer.status, answer.slug) == (403, "forbidden")
