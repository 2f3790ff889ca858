"""Who may call the API: sessions, people, keys, roles, sites, and the trail, through the API."""

from __future__ import annotations

from typing import Any

import pytest
from api_wire import Wire, document
from fake_rooms import NOW, TOKEN, FakeHouse

from csms.model.authorization import IdToken, TokenRecord
from csms.model.commands import CommandRecord, CommandState
from csms.model.messages import LoggedMessage
from csms.model.people import Role
from csms.model.transactions import Completeness, Transaction
from csms.web.server import ROUTES

CARD = IdToken("04A1B2C3D4E5F6", "ISO14443")
DRIVERS = {
    "GET /api/v1/openapi.json",
    "GET /api/v1/me",
    "PUT /api/v1/me/password",
    "GET /api/v1/me/transactions",
    "POST /api/v1/me/transactions",
    "GET /api/v1/me/transactions/{id}",
    "POST /api/v1/me/transactions/{id}/stop",
    "DELETE /api/v1/sessions/current",
}
ADMINS = {
    "GET /api/v1/people",
    "GET /api/v1/people/{name}",
    "PUT /api/v1/people/{name}",
    "DELETE /api/v1/people/{name}",
    "GET /api/v1/keys",
    "POST /api/v1/keys",
    "DELETE /api/v1/keys/{id}",
    "GET /api/v1/audit",
}


def as_caller(token: str) -> dict[str, Any]:
    return {"token": token}


# Roles


def test_the_openapi_document_says_who_may_call_what() -> None:
    shown = {
        f"{method.upper()} {path}": found["x-role"]
        for path, operations in document()["paths"].items()
        for method, found in operations.items()
        if "x-role" in found
    }
    assert shown == {f"{route.method} {route.path}": route.needs.value for route in ROUTES if not route.open}
    assert {name for name, role in shown.items() if role == "driver"} == DRIVERS
    assert {name for name, role in shown.items() if role == "admin"} >= ADMINS
    changes = {name for name in shown if not name.startswith("GET ")} - DRIVERS
    assert {name for name in changes if shown[name] == "viewer"} == set()


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_role_by_endpoint(api: Wire, house: FakeHouse, route: Any, role: Role) -> None:
    path = route.path.replace("{", "").replace("}", "")
    answer = api.ask(route.method, path, **as_caller(house.caller(role)))
    refused = answer.status == 403 and answer.slug == "forbidden" and "needs the role" in answer.body["detail"]
    assert refused == (not route.open and not role.may(route.needs))


def test_each_role_may_do_what_the_one_before_it_may() -> None:
    order = list(Role)
    assert [role.value for role in order] == ["driver", "viewer", "support", "operator", "admin"]
    for low, role in enumerate(order):
        assert [role.may(other) for other in order] == [high <= low for high in range(len(order))]


def test_a_route_that_says_nothing_is_an_admins() -> None:
    from csms.web.routes import Route

    assert Route("GET", "/x", ROUTES[0].handler, "", "", {}).needs is Role.ADMIN


@pytest.mark.parametrize(
    ("command", "given", "status"),
    [
        ("Reset", {}, 202),
        ("UnlockConnector", {"evse": 1}, 202),
        ("ClearCache", {}, 202),
        ("ChangeAvailability", {"operative": False}, 403),
        ("SetVariables", {"values": [{"variable": {"component": "C", "name": "V"}, "value": "1"}]}, 403),
        ("RequestStartTransaction", {"id_token": {"value": "A1"}}, 403),
    ],
)
def test_support_helps_and_changes_nothing_that_lasts(
    api: Wire, house: FakeHouse, command: str, given: dict[str, Any], status: int
) -> None:
    house.station()
    body = {"command": command, "with": given}
    asked = "/api/v1/stations/CS1/commands"
    assert api.ask("POST", asked, body, **as_caller(house.caller(Role.SUPPORT))).status == status
    assert api.ask("POST", asked, body, **as_caller(house.caller(Role.OPERATOR))).status == 202


def test_the_ledger_says_who_ordered(api: Wire, house: FakeHouse) -> None:
    house.station()
    token = house.caller(Role.OPERATOR, name="Ann")
    body = {"command": "ClearCache", "with": {}}
    assert api.ask("POST", "/api/v1/stations/CS1/commands", body, token=token).body["origin"] == "api: Ann"


def test_a_viewer_sees_the_end_of_a_token_and_support_all_of_it(api: Wire, house: FakeHouse) -> None:
    house.store.transactions.rows[1] = Transaction(1, "CS1", "T1", Completeness.ONGOING, id_token=CARD)
    arguments = {"id_token": {"value": CARD.value, "type": CARD.type}, "evse": 1}
    house.store.commands.rows[1] = CommandRecord(
        1, "CS1", "RequestStartTransaction", arguments, CommandState.EFFECTIVE, "api", NOW
    )
    for path in ("/api/v1/transactions", "/api/v1/transactions/1", "/api/v1/commands"):
        seen = api.ask("GET", path, **as_caller(house.caller(Role.VIEWER)))
        assert CARD.value.encode() not in seen.raw, path
        assert "…E5F6".encode() in seen.raw
        assert CARD.value.encode() in api.ask("GET", path, **as_caller(house.caller(Role.SUPPORT))).raw


# Sites: in these tests a station's site is what stands before the dash


SITE_PATHS = [
    "/api/v1/stations/south-1",
    "/api/v1/stations/south-1/messages",
    "/api/v1/stations/south-1/variables",
    "/api/v1/transactions/2",
    "/api/v1/commands/2",
]


@pytest.fixture
def two_sites(house: FakeHouse) -> FakeHouse:
    """A station, a transaction, a command and a message on each of two sites."""
    for number, site in ((1, "north"), (2, "south")):
        house.station(f"{site}-1", protocol="ocpp2.0.1")
        house.store.transactions.rows[number] = Transaction(number, f"{site}-1", f"T{number}", Completeness.ONGOING)
        record = CommandRecord(number, f"{site}-1", "Reset", {}, CommandState.ACCEPTED, "api", NOW)
        house.store.commands.rows[number] = record
        house.store.messages.rows.append(LoggedMessage(number, f"{site}-1", NOW, "in", "[]"))
    return house


@pytest.mark.parametrize("path", SITE_PATHS)
@pytest.mark.parametrize("role", [Role.VIEWER, Role.SUPPORT, Role.OPERATOR, Role.ADMIN])
def test_what_is_on_another_site_is_not_there(api: Wire, two_sites: FakeHouse, path: str, role: Role) -> None:
    if not role.may(Role.SUPPORT) and path.endswith("messages"):
        pytest.skip("a viewer never sees messages")
    mine = path.replace("south", "north").replace("/2", "/1")
    token = two_sites.caller(role, sites=("north",))
    assert api.ask("GET", path, token=token).status == 404
    assert api.ask("GET", mine, token=token).status == 200
    assert api.ask("GET", path, token=two_sites.caller(role)).status == 200


@pytest.mark.parametrize("path", ["/api/v1/stations", "/api/v1/transactions", "/api/v1/commands"])
def test_lists_have_the_own_sites_alone_however_many_others_stand_between(
    api: Wire, two_sites: FakeHouse, path: str
) -> None:
    for number in range(3, 40):
        house = two_sites
        house.station(f"other-{number}")
        house.store.transactions.rows[number] = Transaction(number, f"other-{number}", "T", Completeness.ONGOING)
        house.store.commands.rows[number] = CommandRecord(
            number, f"other-{number}", "Reset", {}, CommandState.ACCEPTED, "api", NOW
        )
    token = two_sites.caller(Role.VIEWER, sites=("north", "south"))
    found: list[Any] = []
    page = f"{path}?limit=1"
    while page:
        answer = api.ask("GET", page, token=token).body
        found += answer["items"]
        page = answer["next"]
    assert sorted(item.get("station") or item["id"] for item in found) == ["north-1", "south-1"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/stations/south-1/commands", {"command": "Reset", "with": {}}),
        ("POST", "/api/v1/stations/south-1/calls", {"action": "ClearCache", "payload": {}}),
        ("DELETE", "/api/v1/stations/south-1", None),
        ("PUT", "/api/v1/stations/south-1", {"blocked": True}),
        ("PUT", "/api/v1/stations/south-9", {"approved": True}),
    ],
)
def test_nothing_is_ordered_or_changed_on_another_site(
    api: Wire, two_sites: FakeHouse, method: str, path: str, body: Any
) -> None:
    token = two_sites.caller(Role.ADMIN, sites=("north",))
    before = dict(two_sites.store.stations.rows)
    assert api.ask(method, path, body, token=token).status in (403, 404)
    assert (two_sites.commands.given, two_sites.commands.calls) == ([], [])
    assert two_sites.store.stations.rows == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/tokens", None),
        ("PUT", "/api/v1/tokens/ISO14443/A1", {}),
        ("GET", "/api/v1/people", None),
        ("PUT", "/api/v1/people/eve", {"role": "admin", "password": "correct horse battery"}),
        ("POST", "/api/v1/keys", {"name": "k", "role": "admin"}),
        ("GET", "/api/v1/plugins", None),
        ("GET", "/metrics", None),
    ],
)
def test_what_belongs_to_no_site_is_closed_to_callers_of_single_sites(
    api: Wire, house: FakeHouse, method: str, path: str, body: Any
) -> None:
    house.store.tokens.rows[CARD.key, CARD.type] = TokenRecord(CARD)
    answer = api.ask(method, path, body, token=house.caller(Role.ADMIN, sites=("north",)))
    assert (answer.status, answer.slug) == (403, "forbidden")
    assert (house.people.rows, house.people.made) == ({}, [])


# Sessions, people, keys


def test_who_logs_in_gets_a_session(api: Wire, house: FakeHouse) -> None:
    answer = api.ask("POST", "/api/v1/sessions", {"name": "Ann", "password": "right"}, token=None)
    assert (answer.status, answer.body["token"], answer.body["role"]) == (201, "csms_session", "viewer")
    assert house.audit.rows[-1].caller == "nobody"
    assert "right" not in house.audit.rows[-1].detail


def test_a_wrong_password_and_an_unknown_name_look_the_same(api: Wire) -> None:
    answers = [
        api.ask("POST", "/api/v1/sessions", {"name": name, "password": "wrong"}, token=None) for name in ("Ann", "Bob")
    ]
    assert [(one.status, one.raw) for one in answers] == [(401, answers[0].raw)] * 2


def test_who_guesses_waits(api: Wire, house: FakeHouse) -> None:
    house.people.wait_s = 29.5
    answer = api.ask("POST", "/api/v1/sessions", {"name": "Ann", "password": "right"}, token=None)
    assert (answer.status, answer.slug, answer.headers["retry-after"]) == (429, "too-many-tries", "30")


def test_log_out_revokes_the_session_and_nothing_else(api: Wire, house: FakeHouse) -> None:
    token = house.caller(Role.DRIVER, key=12)
    assert api.ask("DELETE", "/api/v1/sessions/current", token=token).status == 204
    assert house.people.revoked == [12]
    assert api.ask("DELETE", "/api/v1/sessions/current", token=TOKEN).status == 403


def test_me_is_who_asks(api: Wire, house: FakeHouse) -> None:
    me = api.ask("GET", "/api/v1/me", token=house.caller(Role.VIEWER, name="Ann", sites=("north",))).body
    assert (me["name"], me["role"], me["sites"]) == ("Ann", "viewer", ["north"])


@pytest.mark.parametrize(
    ("old", "new", "status"), [("right", "x" * 12, 204), ("wrong", "x" * 12, 422), ("right", "zz9", 422)]
)
def test_a_person_changes_the_own_password(api: Wire, house: FakeHouse, old: str, new: str, status: int) -> None:
    body = {"old_password": old, "new_password": new}
    token = house.caller(Role.DRIVER, person="Ann")
    assert api.ask("PUT", "/api/v1/me/password", body, token=token).status == status
    assert all(new not in row.detail and old not in row.detail for row in house.audit.rows)


def test_a_key_has_no_password(api: Wire, house: FakeHouse) -> None:
    body = {"old_password": "right", "new_password": "x" * 12}
    assert api.ask("PUT", "/api/v1/me/password", body, token=house.caller(Role.ADMIN)).status == 403


def test_people_are_made_changed_and_forgotten(api: Wire) -> None:
    body = {"role": "operator", "sites": ["north"], "password": "correct horse battery"}
    made = api.ask("PUT", "/api/v1/people/Ann", body)
    assert (made.status, made.headers["location"]) == (201, "/api/v1/people/Ann")
    assert "password" not in made.body
    changed = api.ask(
        "PUT", "/api/v1/people/Ann", {"role": "viewer", "id_tokens": [{"value": "A1", "type": "Central"}]}
    )
    assert (changed.status, changed.body["role"], changed.body["sites"]) == (200, "viewer", [])
    assert api.get("/api/v1/people")["items"] == [changed.body]
    assert api.get("/api/v1/people/Ann") == changed.body
    assert api.ask("DELETE", "/api/v1/people/Ann").status == 204
    assert [api.ask(how, "/api/v1/people/Ann").slug for how in ("GET", "DELETE")] == ["unknown-person"] * 2


@pytest.mark.parametrize(
    "body",
    [
        {"role": "viewer"},
        {"role": "king", "password": "correct horse battery"},
        {"role": "viewer", "password": "short"},
        {"role": "viewer", "password": "correct horse battery", "sites": [""]},
        {"role": "viewer", "password": "correct horse battery", "id_tokens": [{"value": "", "type": "Central"}]},
    ],
)
def test_a_wrong_person_is_refused(api: Wire, house: FakeHouse, body: dict[str, Any]) -> None:
    assert api.ask("PUT", "/api/v1/people/Ann", body).status == 422
    assert house.people.rows == {}


def test_keys_are_made_listed_and_revoked(api: Wire, house: FakeHouse) -> None:
    made = api.ask("POST", "/api/v1/keys", {"name": "grafana", "role": "viewer", "expires_in_days": 30})
    assert (made.status, made.body["token"], made.body["key"]["expires"]) == (
        201,
        "csms_secret",
        "2026-04-01T12:00:00Z",
    )
    assert house.people.made[0][-1] == "site token"
    assert api.get("/api/v1/keys")["items"] == []
    assert api.ask("DELETE", "/api/v1/keys/7").status == 204
    assert [api.ask("DELETE", f"/api/v1/keys/{id}").slug for id in ("700", "x")] == ["unknown-key"] * 2


# A driver


@pytest.fixture
def driver(house: FakeHouse) -> str:
    """A driver with one card, whose transaction 1 is under way at CS1; transaction 2 is somebody else's."""
    house.station("CS1", protocol="ocpp2.0.1")
    other = IdToken("SOMEBODY")
    for id, token in ((1, CARD), (2, other)):
        house.store.transactions.rows[id] = Transaction(id, "CS1", f"T{id}", Completeness.ONGOING, id_token=token)
    return house.caller(Role.DRIVER, name="Dora", id_tokens=(CARD,))


def test_a_driver_sees_the_own_charging_alone(api: Wire, driver: str) -> None:
    mine = api.ask("GET", "/api/v1/me/transactions", token=driver).body["items"]
    assert [one["id"] for one in mine] == [1]
    assert api.ask("GET", "/api/v1/me/transactions/1", token=driver).body["bill"] is None
    assert api.ask("GET", "/api/v1/me/transactions/2", token=driver).status == 404
    assert api.ask("POST", "/api/v1/me/transactions/2/stop", token=driver).status == 404
    assert api.ask("GET", "/api/v1/transactions", token=driver).status == 403


def test_a_driver_starts_with_the_own_card_and_stops_again(api: Wire, house: FakeHouse, driver: str) -> None:
    started = api.ask("POST", "/api/v1/me/transactions", {"station": "CS1", "evse": 1}, token=driver)
    stopped = api.ask("POST", "/api/v1/me/transactions/1/stop", token=driver)
    assert (started.status, stopped.status) == (202, 202)
    first, second = house.commands.given
    assert (first.id_token, first.evse, second.transaction) == (CARD, 1, "T1")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"station": "CS1", "id_token": {"value": "SOMEBODY"}}, 422),
        ({"station": "CS9"}, 404),
        ({"station": "CS1", "id_token": {"value": CARD.value.lower(), "type": CARD.type}}, 202),
    ],
)
def test_a_driver_cannot_charge_as_somebody_else(
    api: Wire, house: FakeHouse, driver: str, body: dict[str, Any], status: int
) -> None:
    assert api.ask("POST", "/api/v1/me/transactions", body, token=driver).status == status
    assert len(house.commands.given) == (status == 202)


def test_a_driver_without_a_card_sees_nothing(api: Wire, house: FakeHouse) -> None:
    house.station("CS1")
    token = house.caller(Role.DRIVER)
    assert api.ask("GET", "/api/v1/me/transactions", token=token).body["items"] == []
    assert api.ask("POST", "/api/v1/me/transactions", {"station": "CS1"}, token=token).status == 422


# The trail


def test_changes_stand_in_the_trail_with_how_they_ended(api: Wire, house: FakeHouse) -> None:
    viewer = house.caller(Role.VIEWER, name="Vic")
    api.ask("PUT", "/api/v1/tokens/ISO14443/A1", {"note": "Ann", "group": {"value": "GROUP0001", "type": "Central"}})
    api.ask("DELETE", "/api/v1/tokens/ISO14443/ZZ")
    api.ask("DELETE", "/api/v1/tokens/ISO14443/A1", token=viewer)
    api.ask("GET", "/api/v1/tokens/ISO14443/A1")
    rows = [(row.caller, row.method, row.status) for row in house.audit.rows]
    assert rows == [("site token", "PUT", 201), ("site token", "DELETE", 404), ("Vic", "DELETE", 403)]
    assert "GROUP0001" not in house.audit.rows[0].detail
    shown = api.get("/api/v1/audit?limit=2")
    assert [one["id"] for one in shown["items"]] == [3, 2]
    assert [one["id"] for one in api.get(shown["next"])["items"]] == [1]
    assert [one["id"] for one in api.get("/api/v1/audit?caller=Vic")["items"]] == [3]


def test_a_password_is_never_in_the_trail(api: Wire, house: FakeHouse) -> None:
    api.ask("PUT", "/api/v1/people/Ann", {"role": "viewer", "password": "canary-password-1"})
    api.ask("PUT", "/api/v1/stations/CS1", {"password": "canary-password-2"})
    api.ask("POST", "/api/v1/sessions", {"name": "Ann", "password": "canary-password-3"}, token=None)
    assert len(house.audit.rows) == 3
    assert not any("canary" in row.detail for row in house.audit.rows)


def test_what_is_not_json_is_said_so_in_the_trail(api: Wire, house: FakeHouse) -> None:
    api.ask("POST", "/api/v1/me/transactions/1/stop", raw=b"{no", token=house.caller(Role.DRIVER))
    assert house.audit.rows[0].detail == "(not JSON)"


# Once


def test_a_request_with_a_key_happens_once(api: Wire, house: FakeHouse) -> None:
    house.station()
    body = {"command": "ClearCache", "with": {}}
    answers = [
        api.ask("POST", "/api/v1/stations/CS1/commands", body, headers={"Idempotency-Key": "k1"}) for _ in range(2)
    ]
    assert len(house.commands.given) == 1
    assert answers[0].body == answers[1].body
    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert [one.headers.get("idempotency-replayed") for one in answers] == [None, "true"]
    assert answers[1].status == 202


def test_a_refusal_is_repeated_too(api: Wire) -> None:
    wanted = {"Idempotency-Key": "k1"}
    answers = [api.ask("DELETE", "/api/v1/tokens/ISO14443/ZZ", headers=wanted) for _ in range(2)]
    assert [(one.status, one.slug) for one in answers] == [(404, "unknown-token")] * 2


def test_a_key_belongs_to_one_request_of_one_caller(api: Wire, house: FakeHouse) -> None:
    wanted = {"Idempotency-Key": "k1"}
    api.ask("PUT", "/api/v1/tokens/ISO14443/A1", {}, headers=wanted)
    other = api.ask("PUT", "/api/v1/tokens/ISO14443/A2", {}, headers=wanted)
    assert (other.status, other.slug) == (422, "key-reused")
    somebody = house.caller(Role.OPERATOR, key=3)
    assert api.ask("PUT", "/api/v1/tokens/ISO14443/A2", {}, headers=wanted, token=somebody).status == 201


def test_a_key_whose_request_has_no_answer_yet_is_not_tried_again(api: Wire, house: FakeHouse) -> None:
    house.station("CS1", protocol="ocpp2.0.1")
    wanted = {"Idempotency-Key": "k1"}
    body = {"action": "ClearCache", "payload": {}}
    first = api.begin("POST", "/api/v1/stations/CS1/calls", body, headers=wanted)
    second = api.ask("POST", "/api/v1/stations/CS1/calls", body, headers=wanted)
    assert (second.status, second.slug) == (409, "key-under-way")
    house.commands.answered(CommandState.EFFECTIVE, answer={"status": "Accepted"})
    assert first.response().status == 200
    assert api.ask("POST", "/api/v1/stations/CS1/calls", body, headers=wanted).body == first.response().body
    assert len(house.commands.calls) == 1


def test_a_secret_is_not_kept_to_be_shown_again(api: Wire, house: FakeHouse) -> None:
    wanted = {"Idempotency-Key": "k1"}
    body = {"name": "grafana", "role": "viewer"}
    assert api.ask("POST", "/api/v1/keys", body, headers=wanted).body["token"] == "csms_secret"
    again = api.ask("POST", "/api/v1/keys", body, headers=wanted)
    assert (again.status, again.slug) == (409, "key-spent")
    assert len(house.people.made) == 1
    assert not any(b"csms_secret" in (row.body or b"") for row in house.done.rows.values())


@pytest.mark.parametrize("key", ["x" * 256, "a\x07b"])
def test_a_key_that_cannot_be_kept_is_refused(api: Wire, key: str) -> None:
    answer = api.ask("PUT", "/api/v1/tokens/ISO14443/A1", {}, headers={"Idempotency-Key": key})
    assert (answer.status, answer.slug) == (400, "bad-request")


# Browsers (CSRF)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://csms.evil.example"},
    ],
)
def test_csrf_a_page_of_another_site_changes_nothing(api: Wire, house: FakeHouse, headers: dict[str, str]) -> None:
    answer = api.ask("PUT", "/api/v1/tokens/ISO14443/A1", {}, headers=headers)
    assert (answer.status, answer.slug) == (403, "cross-site")
    assert house.store.tokens.rows == {}


@pytest.mark.parametrize("headers", [{"Origin": "http://csms"}, {"Sec-Fetch-Site": "same-origin"}, {}])
def test_the_own_page_may(api: Wire, headers: dict[str, str]) -> None:
    assert api.ask("PUT", "/api/v1/tokens/ISO14443/A1", {}, headers=headers).status == 201
