"""What has to hold for every route that there is: its sites, its headers, no change from another page, one change for one key.

A new route needs a row here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from api_wire import Response, Wire
from fake_rooms import NOW, TOKEN, FakeAlert, FakeHouse

from csms.model.authorization import IdToken
from csms.model.billing import Bill, BillStatus, Price
from csms.model.commands import CommandRecord, CommandState
from csms.model.diagnostics import Upload
from csms.model.messages import LoggedMessage
from csms.model.monitoring import EventData
from csms.model.notifications import Notification, NotificationRecord, NotificationState
from csms.model.people import Role
from csms.model.provisioning import Variable
from csms.model.security import SecurityEvent
from csms.model.transactions import Completeness, Transaction
from csms.store import KeptCertificate
from csms.web.access import SAFE
from csms.web.routes import Route
from csms.web.server import ROUTES

CARD = IdToken("04A1B2C3D4E5F6", "ISO14443")
ALERT = EventData(31, NOW, "Alerting", "true", Variable("Connector", "Problem"), "HardWiredNotification")
TOLD = Notification("msg_2", NOW, "ops", "hello")

# What a caller of the site "north" gets where the other object, or the rest of a list, is of "south".

NOT_THERE = "as if there were no such thing"
SIFTED = "a list without it"
NAMED = "a list of a station that has to be named"
CLOSED = "refused, since it belongs to no site"
OPEN = "the same for all sites"

SITES: dict[str, str] = {
    "GET /api/v1/stations": SIFTED,
    "GET /api/v1/stations/{id}": NOT_THERE,
    "PUT /api/v1/stations/{id}": CLOSED,
    "DELETE /api/v1/stations/{id}": NOT_THERE,
    "GET /api/v1/stations/{id}/messages": NOT_THERE,
    "GET /api/v1/stations/{id}/variables": NOT_THERE,
    "POST /api/v1/stations/{id}/calls": NOT_THERE,
    "POST /api/v1/stations/{id}/commands": NOT_THERE,
    "GET /api/v1/messages": SIFTED,
    "GET /api/v1/commands": SIFTED,
    "GET /api/v1/commands/{id}": NOT_THERE,
    "GET /api/v1/transactions": SIFTED,
    "GET /api/v1/transactions/{id}": NOT_THERE,
    "GET /api/v1/transactions/{id}/explanation": NOT_THERE,
    "GET /api/v1/bills": SIFTED,
    "GET /api/v1/bills.csv": SIFTED,
    "GET /api/v1/bills/{id}": NOT_THERE,
    "GET /api/v1/bills/{id}/receipt": NOT_THERE,
    "POST /api/v1/bills/{id}/release": NOT_THERE,
    "POST /api/v1/bills/{id}/write_off": NOT_THERE,
    "POST /api/v1/bills/{id}/correct": NOT_THERE,
    "POST /api/v1/bills/{id}/cancel": NOT_THERE,
    "POST /api/v1/bills/{id}/deliver": NOT_THERE,
    "GET /api/v1/tokens": CLOSED,
    "GET /api/v1/tokens/{type}/{id}": CLOSED,
    "PUT /api/v1/tokens/{type}/{id}": CLOSED,
    "DELETE /api/v1/tokens/{type}/{id}": CLOSED,
    "POST /api/v1/sessions": OPEN,
    "DELETE /api/v1/sessions/current": OPEN,
    "GET /api/v1/me": OPEN,
    "PUT /api/v1/me/password": OPEN,
    "GET /api/v1/people": CLOSED,
    "GET /api/v1/people/{name}": CLOSED,
    "PUT /api/v1/people/{name}": CLOSED,
    "DELETE /api/v1/people/{name}": CLOSED,
    "GET /api/v1/keys": CLOSED,
    "POST /api/v1/keys": CLOSED,
    "DELETE /api/v1/keys/{id}": CLOSED,
    "GET /api/v1/audit": CLOSED,
    "GET /api/v1/me/transactions": SIFTED,
    "POST /api/v1/me/transactions": NOT_THERE,
    "GET /api/v1/me/transactions/{id}": NOT_THERE,
    "POST /api/v1/me/transactions/{id}/stop": NOT_THERE,
    "GET /api/v1/channels": CLOSED,
    "GET /api/v1/notifications": CLOSED,
    "POST /api/v1/notifications": CLOSED,
    "GET /api/v1/notifications/{id}": CLOSED,
    "POST /api/v1/notifications/{id}/retry": CLOSED,
    "GET /api/v1/security-events": NAMED,
    "GET /api/v1/certificates": NAMED,
    "GET /api/v1/uploads": SIFTED,
    "GET /api/v1/uploads/{id}": NOT_THERE,
    "GET /api/v1/uploads/{id}/file": NOT_THERE,
    "DELETE /api/v1/uploads/{id}": NOT_THERE,
    "GET /api/v1/alerts": SIFTED,
    "GET /api/v1/plugins": CLOSED,
    "POST /api/v1/reload": CLOSED,
    "GET /api/v1/stalls": OPEN,
    "GET /api/v1/openapi.json": OPEN,
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "GET /metrics": CLOSED,
}
REASON = {"reason": "because"}
BODIES: dict[str, Any] = {
    "PUT /api/v1/stations/{id}": {"blocked": True},
    "POST /api/v1/stations/{id}/calls": {"action": "ClearCache", "payload": {}},
    "POST /api/v1/stations/{id}/commands": {"command": "Reset", "with": {}},
    "POST /api/v1/bills/{id}/release": REASON,
    "POST /api/v1/bills/{id}/write_off": REASON,
    "POST /api/v1/bills/{id}/correct": REASON,
    "POST /api/v1/bills/{id}/cancel": REASON,
    "PUT /api/v1/tokens/{type}/{id}": {},
    "POST /api/v1/sessions": {"name": "Ann", "password": "right"},
    "PUT /api/v1/me/password": {"old_password": "right", "new_password": "x" * 12},
    "PUT /api/v1/people/{name}": {"role": "viewer", "password": "correct horse battery"},
    "POST /api/v1/keys": {"name": "k", "role": "viewer"},
    "POST /api/v1/me/transactions": {"station": "south-1", "evse": 1},
    "POST /api/v1/notifications": {"channel": "ops", "text": "hello"},
}
"""A body that would do, of every route that takes one."""


def bill(number: int, station: str) -> Bill:
    price = Price("EUR", (), Decimal(1), "standard")
    wh = (Decimal(1000), Decimal(0), Decimal(1000))
    return Bill(number, station, BillStatus.FINAL, price, *wh, NOW, NOW, NOW, {}, id=number, number=f"main-{number}")


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


every_route = pytest.mark.parametrize("route", ROUTES, ids=name_of)
changing = pytest.mark.parametrize("route", [one for one in ROUTES if one.method not in SAFE], ids=name_of)


def asked(api: Wire, route: Route, place: str, number: int, **more: Any) -> Response:
    """The route about a station, or what has this number there."""
    path = route.path.replace("stations/{id}", f"stations/{place}-1").replace("{id}", str(number))
    path = path.replace("{type}", "ISO14443").replace("{name}", "eve")
    return api.ask(route.method, path, BODIES.get(name_of(route)), **more)


@pytest.fixture
def two_sites(house: FakeHouse) -> FakeHouse:
    """One of everything at north-1, with the number 1, and at south-1, with the number 2."""
    store = house.store
    for number, station in ((1, "north-1"), (2, "south-1")):
        house.station(station, protocol="ocpp2.0.1")
        store.transactions.rows[number] = Transaction(
            number, station, f"T-{station}", Completeness.ONGOING, id_token=CARD
        )
        store.commands.rows[number] = CommandRecord(number, station, "Reset", {}, CommandState.ACCEPTED, "api", NOW)
        store.messages.rows.append(LoggedMessage(number, station, NOW, "in", "[]"))
        store.alerts.rows.append(FakeAlert(number, station, NOW, 0, NOW, ALERT))
        store.bills.rows[number] = bill(number, station)
        store.uploads.rows[number] = Upload(number, station, "DiagnosticsLog", 1, NOW, NOW, NOW, 3)
        store.security_events.rows.append(SecurityEvent("Flapping", NOW, "csms", station, id=number))
        store.security.rows.append(KeptCertificate(station, "V2GCertificate", "1", f"CN={station}", NOW, NOW))
    store.notifications.rows[2] = NotificationRecord(2, TOLD, NotificationState.DEAD, 3, NOW)
    house.commands.answered(CommandState.EFFECTIVE, answer={"status": "Accepted"})
    return house


def test_every_route_has_a_row() -> None:
    names = [name_of(route) for route in ROUTES]
    assert sorted(SITES) == sorted(names)
    assert sorted(BODIES) == sorted(name_of(route) for route in ROUTES if route.body is not None)


@pytest.mark.parametrize(
    ("route", "role"),
    [
        pytest.param(route, role, id=f"{name_of(route)}-{role}")
        for route in ROUTES
        for role in Role
        if role.may(route.needs)
    ],
)
def test_role_by_endpoint_by_site(api: Wire, two_sites: FakeHouse, route: Route, role: Role) -> None:
    """What is on another site is not there, for every role that may ask; what is on the own one is."""
    token = two_sites.caller(role, sites=("north",), id_tokens=(CARD,), person="Ann", key=12)
    before = changes(two_sites)
    there = asked(api, route, "south", 2, token=token)
    match SITES[name_of(route)]:
        case kind if kind is NOT_THERE:
            assert there.status == 404, there.raw
            assert there.slug.startswith("unknown-")
            assert changes(two_sites) == before
        case kind if kind is CLOSED:
            assert (there.status, there.slug) == (403, "forbidden"), there.raw
            assert changes(two_sites) == before
        case kind if kind is NAMED:
            assert there.status == 403
            assert api.ask("GET", f"{route.path}?station=south-1", token=token).body["items"] == []
            assert api.ask("GET", f"{route.path}?station=north-1", token=token).body["items"]
        case kind if kind is SIFTED:
            assert there.status == 200
            assert b"south-1" not in there.raw
            assert b"north-1" in there.raw
        case _:
            assert there.status != 403
            assert b"south-1" not in there.raw


@every_route
def test_without_sites_all_of_it_is_there(api: Wire, two_sites: FakeHouse, route: Route) -> None:
    """So that what is not there is so for its site, and for nothing else."""
    there = asked(api, route, "south", 2, token=two_sites.caller(Role.ADMIN, id_tokens=(CARD,), person="Ann", key=12))
    assert there.status not in (401, 403, 422), there.raw
    if SITES[name_of(route)] in (SIFTED, NAMED):
        assert b"south-1" in there.raw
    if SITES[name_of(route)] is NOT_THERE:
        assert there.status != 404 or there.slug == "no-file", there.raw


@changing
@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_csrf_no_page_of_another_site_changes_anything(
    api: Wire, two_sites: FakeHouse, route: Route, headers: dict[str, str]
) -> None:
    before = changes(two_sites)
    answer = asked(api, route, "south", 2, headers=headers)
    assert (answer.status, answer.slug) == (403, "cross-site")
    assert changes(two_sites) == before


@changing
def test_a_request_with_a_key_changes_once(api: Wire, two_sites: FakeHouse, route: Route) -> None:
    token = two_sites.caller(Role.ADMIN, id_tokens=(CARD,), person="Ann", key=12)
    first = asked(api, route, "south", 2, token=token, headers={"Idempotency-Key": "k1"})
    after = changes(two_sites)
    again = asked(api, route, "south", 2, token=token, headers={"Idempotency-Key": "k1"})
    assert changes(two_sites) == after
    assert again.headers.get("idempotency-replayed") == "true" or again.slug in ("key-spent", "key-under-way"), (
        again.raw
    )
    assert again.status in (first.status, 409)


@every_route
@pytest.mark.parametrize("token", [TOKEN, "wrong"])
def test_clickjacking_no_answer_can_be_framed_or_kept(
    api: Wire, two_sites: FakeHouse, route: Route, token: str
) -> None:
    headers = asked(api, route, "south", 2, token=token).headers
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["server"] == "csms"


def changes(house: FakeHouse) -> str:
    """Everything that a change could have changed."""
    store = house.store
    rows = (store.stations, store.tokens, store.uploads, store.notifications, store.commands, store.transactions)
    made = (house.people.rows, house.people.made, house.people.revoked, house.commands.given, house.commands.calls)
    return repr([[one.rows for one in rows], made, vars(house.decisions), vars(house.notifications).keys()])
