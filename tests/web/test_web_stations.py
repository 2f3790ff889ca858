"""Stations through the API: list, one with its connectors, changes, variables."""

from __future__ import annotations

from typing import Any

import pytest
from api_wire import Wire
from fake_rooms import GENERATED, NOW, FakeHouse

from csms.model.availability import ConnectorRecord, ConnectorStatus
from csms.model.provisioning import Variable, VariableValue
from csms.model.station import Admission

CS1 = "/api/v1/stations/CS1"


def test_station_is_shown_with_its_facts(api: Wire, house: FakeHouse) -> None:
    house.station(protocol="ocpp1.6", vendor="V", model="M", online=True, seen_at=NOW, clock_skew_s=1.5)
    body = api.get(CS1)
    assert (body["id"], body["connected"], body["online"], body["vendor"]) == ("CS1", True, True, "V")
    assert (body["admission"], body["seen_at"], body["clock_skew_s"]) == ("approved", "2026-03-02T12:00:00Z", 1.5)
    assert (body["status"], body["evses"]) == (None, [])


def test_connectors_stand_in_a_tree(api: Wire, house: FakeHouse) -> None:
    house.station()
    places = [(2, 1), (0, 0), (1, 2), (1, 1), (3, 0)]
    house.store.availability.rows = [
        ConnectorRecord("CS1", evse, connector, ConnectorStatus.AVAILABLE, NOW, detail=f"{evse}.{connector}")
        for evse, connector in places
    ]
    body = api.get(CS1)
    assert body["status"]["detail"] == "0.0"
    tree = {evse["id"]: [(one["id"], one["status"]["detail"]) for one in evse["connectors"]] for evse in body["evses"]}
    assert tree == {1: [(1, "1.1"), (2, "1.2")], 2: [(1, "2.1")], 3: []}
    assert [evse["status"] and evse["status"]["detail"] for evse in body["evses"]] == [None, None, "3.0"]


def test_unknown_station_is_not_found_everywhere(api: Wire) -> None:
    for method, path in [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/messages"),
        ("GET", "/variables"),
    ]:
        answer = api.ask(method, CS1 + path)
        assert (answer.status, answer.slug) == (404, "unknown-station")


def test_list_is_filtered(api: Wire, house: FakeHouse) -> None:
    house.station("A", vendor="Red", online=True)
    house.station("B", admission=Admission.PENDING)
    house.station("C", vendor="Red")

    def ids(query: str) -> list[str]:
        return [item["id"] for item in api.get(f"/api/v1/stations?{query}")["items"]]

    assert ids("") == ["A", "B", "C"]
    assert ids("admission=pending") == ["B"]
    assert ids("online=true") == ["A"]
    assert ids("online=false") == ["B", "C"]
    assert ids("search=Red&online=false") == ["C"]
    assert ids("after=B") == ["C"]


def test_pages_lead_through_the_whole_list(api: Wire, house: FakeHouse) -> None:
    for name in ("A", "B&c=d", "C e", "D", "E"):
        house.station(name, vendor="x")
    seen: list[str] = []
    path: str | None = "/api/v1/stations?limit=2&search=x"
    while path:
        page = api.get(path)
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        path = page["next"]
    assert seen == ["A", "B&c=d", "C e", "D", "E"]


def test_put_makes_a_station_and_says_where(api: Wire, house: FakeHouse) -> None:
    answer = api.ask("PUT", "/api/v1/stations/S%C3%A4ule%201", {"approved": False, "heartbeat_interval": 60})
    assert (answer.status, answer.headers["location"]) == (201, "/api/v1/stations/S%C3%A4ule%201")
    assert (answer.body["admission"], answer.body["heartbeat_interval_s"]) == ("pending", 60)
    assert house.store.stations.rows["Säule 1"].admission is Admission.PENDING
    assert api.ask("PUT", "/api/v1/stations/S%C3%A4ule%201", {"approved": True}).status == 200


def test_given_password_is_set_and_never_shown(api: Wire, house: FakeHouse) -> None:
    answer = api.ask("PUT", CS1, {"password": "0123456789abcdef"})
    assert house.provisioning.passwords["CS1"] == "0123456789abcdef"
    assert (answer.body["password"], answer.body["has_password"]) == (None, True)
    assert b"0123456789abcdef" not in answer.raw


def test_generated_password_is_shown_once(api: Wire, house: FakeHouse) -> None:
    assert api.ask("PUT", CS1, {"password": True}).body["password"] == GENERATED
    assert house.provisioning.passwords["CS1"] == GENERATED
    assert GENERATED not in str(api.get(CS1))


def test_blocking_goes_through(api: Wire, house: FakeHouse) -> None:
    house.station()
    answer = api.ask("PUT", CS1, {"blocked": True})
    assert (answer.status, answer.body["admission"]) == (200, "blocked")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"approved": "yes"}, "/approved"),
        ({"approved": 1}, "/approved"),
        ({"aproved": True}, "/aproved"),
        ({"approved": True, "blocked": True}, ""),
        ({"password": False}, "/password"),
        ({"password": 1}, "/password"),
        ({"password": "short"}, "/password"),
        ({"password": "x" * 41}, "/password"),
        ({"password": "0123456789abcde\n"}, "/password"),
        ({"heartbeat_interval": 0}, "/heartbeat_interval"),
        ({"heartbeat_interval": 86401}, "/heartbeat_interval"),
        ({"heartbeat_interval": 1.5}, "/heartbeat_interval"),
        ([], ""),
        ("text", ""),
    ],
)
def test_wrong_change_names_the_place(api: Wire, house: FakeHouse, body: Any, pointer: str) -> None:
    answer = api.ask("PUT", CS1, body)
    assert (answer.status, answer.slug) == (422, "invalid")
    assert pointer in [error["pointer"] for error in answer.body["errors"]]
    assert house.store.stations.rows == {}


@pytest.mark.parametrize("id", ["x" * 49, "a%3Ab", "a:b", "a%2Fb"])
def test_what_is_no_identity_cannot_be_made(api: Wire, house: FakeHouse, id: str) -> None:
    answer = api.ask("PUT", f"/api/v1/stations/{id}", {})
    assert (answer.status, answer.slug) == (422, "invalid")
    assert answer.body["errors"][0]["parameter"] == "id"
    assert house.store.stations.rows == {}


def test_longest_identity_is_fine(api: Wire) -> None:
    assert api.ask("PUT", "/api/v1/stations/" + "x" * 48, {}).status == 201


def test_delete_forgets(api: Wire, house: FakeHouse) -> None:
    house.station()
    answer = api.ask("DELETE", CS1)
    assert (answer.status, answer.raw) == (204, b"")
    assert api.ask("GET", CS1).status == 404


def test_variables_are_shown_without_passwords(api: Wire, house: FakeHouse) -> None:
    house.station()
    house.variables(
        "CS1",
        VariableValue(Variable("SecurityCtrlr", "BasicAuthPassword"), "hunter2hunter2"),
        VariableValue(Variable("OCPPCommCtrlr", "HeartbeatInterval"), "300", unit="s"),
    )
    items = api.get(f"{CS1}/variables")["items"]
    assert [item["value"] for item in items] == ["(hidden)", "300"]
    assert items[1]["variable"]["name"] == "HeartbeatInterval"
