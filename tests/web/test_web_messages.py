"""The log of messages through the API: one station's frames by number, and a search."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from api_wire import Wire
from fake_rooms import NOW, FakeHouse

from csms.model.messages import Direction, LoggedMessage, MessageKind, MessageQuery
from csms.model.people import Role
from csms.model.transactions import Completeness, Transaction
from csms.web.messages import MAX_FRAMES

CS1 = "/api/v1/stations/CS1"
SEARCH = "/api/v1/messages"


def test_messages_are_shown_by_cursor(api: Wire, house: FakeHouse) -> None:
    house.station()
    house.store.messages.rows = [
        LoggedMessage(number, "CS1", NOW + timedelta(seconds=number), "in" if number % 2 else "out", f'[2,"{number}"]')
        for number in range(1, 6)
    ]

    def ids(query: str) -> list[int]:
        return [item["id"] for item in api.get(f"{CS1}/messages?{query}")["items"]]

    assert ids("") == [1, 2, 3, 4, 5]
    assert ids("limit=2") == [4, 5]
    assert ids("after=2&limit=2") == [3, 4]
    assert ids("before=3") == [1, 2]
    assert api.get(f"{CS1}/messages?after=4")["items"] == [
        {"id": 5, "station": "CS1", "at": "2026-03-02T12:00:05Z", "direction": "in", "frame": '[2,"5"]'}
    ]


def test_messages_lead_on_in_their_direction(api: Wire, house: FakeHouse) -> None:
    house.station()
    house.store.messages.rows = [LoggedMessage(number, "CS1", NOW, "in", "[]") for number in range(1, 8)]
    seen: list[list[int]] = []
    for start in ("?limit=3", "?after=0&limit=3"):
        path: str | None = f"{CS1}/messages{start}"
        numbers: list[int] = []
        while path:
            page = api.get(path)
            numbers += [item["id"] for item in page["items"]]
            path = page["next"]
        seen.append(numbers)
    assert seen == [[5, 6, 7, 2, 3, 4, 1], [1, 2, 3, 4, 5, 6, 7]]


def test_large_frames_make_short_pages_and_nothing_is_left_out(api: Wire, house: FakeHouse) -> None:
    house.station()
    frame = "[" + " " * (MAX_FRAMES // 2 - 10) + "]"
    house.store.messages.rows = [LoggedMessage(number, "CS1", NOW, "in", frame) for number in range(1, 6)]
    house.store.messages.rows.append(LoggedMessage(6, "CS1", NOW, "in", frame * 3))
    seen: list[list[int]] = []
    for start in ("", "?after=0"):
        path: str | None = f"{CS1}/messages{start}"
        while path:
            page = api.get(path)
            seen.append([item["id"] for item in page["items"]])
            path = page["next"]
    assert seen == [[6], [4, 5], [2, 3], [1], [1, 2], [3, 4], [5], [6]]


def test_passwords_in_frames_are_hidden(api: Wire, house: FakeHouse) -> None:
    house.station()
    frame = '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"hunter2hunter2hunter2"}]'
    house.store.messages.rows = [LoggedMessage(1, "CS1", NOW, "out", frame)]
    shown = api.get(f"{CS1}/messages")["items"][0]["frame"]
    assert "hunter2" not in shown
    assert "AuthorizationKey" in shown


# The search


def found(api: Wire, path: str | None, **asking: Any) -> list[list[int]]:
    """The numbers of every part of a search."""
    parts: list[list[int]] = []
    while path:
        answer = api.ask("GET", path, **asking)
        assert answer.status == 200
        parts.append([item["id"] for item in answer.body["items"]])
        path = answer.body["next"]
    return parts


def test_a_search_says_how_far_it_came_and_where_it_goes_on(api: Wire, house: FakeHouse) -> None:
    stations = ["CS1", "CS2", "CS2", "CS2", "CS1"]
    house.store.messages.rows = [
        LoggedMessage(number, station, NOW + timedelta(seconds=number), "in", "[]")
        for number, station in enumerate(stations, 1)
    ]
    first = api.get(f"{SEARCH}?station=CS1")
    assert ([one["id"] for one in first["items"]], first["searched_to"]) == ([5], "2026-03-02T12:00:04Z")
    assert first["next"] == f"{SEARCH}?station=CS1&before=4"
    assert found(api, f"{SEARCH}?station=CS1") == [[5], [], [1]]
    assert found(api, f"{SEARCH}?station=CS1&station=CS2&limit=1") == [[5], [4], [3], [2], [1]]
    assert (house.store.messages.asked[-1].stations) == ("CS1", "CS2")


def test_everything_that_can_be_looked_for_gets_to_the_log(api: Wire, house: FakeHouse) -> None:
    house.store.transactions.rows[7] = Transaction(7, "CS1", "T-7", Completeness.ONGOING)
    query = (
        "direction=in&kind=error&action=Authorize&message_id=m%C3%BC1&error_code=FormationViolation&text=a%20%22b&transaction=7"
        "&since=2026-03-01T01:00:00%2B01:00&until=2026-03-02T00:00:00Z"
    )
    api.get(f"{SEARCH}?{query}")
    assert house.store.messages.asked == [
        MessageQuery(
            stations=("CS1",),
            direction=Direction.IN,
            kind=MessageKind.ERROR,
            action="Authorize",
            message_id="m\u00fc1",
            error_code="FormationViolation",
            transaction="T-7",
            text='a "b',
            since=datetime(2026, 3, 1, tzinfo=UTC),
            until=datetime(2026, 3, 2, tzinfo=UTC),
        )
    ]


def test_a_transaction_of_another_station_has_no_messages_here(api: Wire, house: FakeHouse) -> None:
    house.store.transactions.rows[7] = Transaction(7, "CS1", "T-7", Completeness.ONGOING)
    assert api.get(f"{SEARCH}?transaction=7&station=CS2") == {"items": [], "searched_to": None, "next": None}
    assert house.store.messages.asked == []
    assert api.ask("GET", f"{SEARCH}?transaction=8").slug == "unknown-transaction"


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("since=yesterday", "since"),
        ("until=2026-03-02T00:00:00", "until"),
        ("kind=shout", "kind"),
        ("direction=up", "direction"),
        ("error_code=GenericError&kind=call", "error_code"),
        ("text=a&text=b", "text"),
        ("&".join(f"station=CS{number}" for number in range(21)), "station"),
        ("limit=0", "limit"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_with_its_parameter(api: Wire, query: str, parameter: str) -> None:
    answer = api.ask("GET", f"{SEARCH}?{query}")
    assert (answer.status, answer.slug) == (400, "bad-query")
    assert [one["parameter"] for one in answer.body["errors"]] == [parameter]


def test_a_viewer_searches_nothing(api: Wire, house: FakeHouse) -> None:
    house.store.messages.rows = [LoggedMessage(1, "CS1", NOW, "in", '[2,"1","Authorize",{"idTag":"04A1B2C3D4E5F6"}]')]
    assert api.ask("GET", SEARCH, token=house.caller(Role.VIEWER)).status == 403
    assert house.store.messages.asked == []
    assert found(api, SEARCH, token=house.caller(Role.SUPPORT)) == [[1]]


def test_a_caller_of_one_site_finds_what_its_stations_said(api: Wire, house: FakeHouse) -> None:
    house.store.messages.rows = [
        LoggedMessage(number, f"{site}-1", NOW, "in", "[]") for number, site in enumerate(["north", "south"] * 3)
    ]
    house.store.transactions.rows[7] = Transaction(7, "south-1", "T-7", Completeness.ONGOING)
    token = house.caller(Role.SUPPORT, sites=("north",))
    assert [one for part in found(api, SEARCH, token=token) for one in part] == [4, 2, 0]
    assert found(api, f"{SEARCH}?station=south-1", token=token) == [[], [], []]
    assert api.ask("GET", f"{SEARCH}?transaction=7", token=token).slug == "unknown-transaction"


def test_a_password_is_not_found_by_its_letters(api: Wire, house: FakeHouse) -> None:
    frame = '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"open sesame"}]'
    house.store.messages.rows = [LoggedMessage(1, "CS1", NOW, "out", frame)]
    (item,) = api.get(SEARCH)["items"]
    assert "sesame" not in item["frame"]
    assert api.get(f"{SEARCH}?text=sesame")["items"] == []
    assert len(api.get(f"{SEARCH}?text=AuthorizationKey")["items"]) == 1


def test_what_is_found_in_large_frames_comes_in_short_parts(api: Wire, house: FakeHouse) -> None:
    frame = "[" + " " * (MAX_FRAMES - 10) + "]"
    house.store.messages.rows = [LoggedMessage(number, "CS1", NOW, "in", frame) for number in range(1, 4)]
    assert found(api, SEARCH) == [[3], [2], [1]]
