"""Transactions with events, meter values and bill, and the token list, through the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from api_wire import Wire
from fake_rooms import NOW, FakeEvent, FakeHouse

from csms.model.authorization import AuthorizationStatus, IdToken, TokenRecord
from csms.model.billing import Bill, BillLine, BillStatus, Price
from csms.model.people import Role
from csms.model.transactions import Completeness, EventType, Transaction

TOKEN_A = "/api/v1/tokens/ISO14443/A1"


def transaction(id: int, station: str = "CS1", *, ended: bool = False) -> Transaction:
    """A transaction that may have ended."""
    return Transaction(
        id,
        station,
        f"T{id}",
        Completeness.COMPLETE if ended else Completeness.ONGOING,
        id_token=IdToken("A1"),
        started_at=NOW,
        ended_at=NOW + timedelta(hours=1) if ended else None,
        meter_start_wh=Decimal("1000"),
        meter_stop_wh=Decimal("6000.5") if ended else None,
        events=2,
        missing=(3,),
    )


def event(seq_no: int, body: bytes, minutes: int) -> FakeEvent:
    """A stored event."""
    at = NOW + timedelta(minutes=minutes)
    kind = EventType.UPDATED if seq_no else EventType.STARTED
    return FakeEvent(str(seq_no), seq_no, "ocpp2.0.1", "TransactionEvent", kind, at, at, False, "Accepted", body)


def bill(id: int) -> Bill:
    """A bill of one line."""
    line = BillLine("energy", Decimal("5.0005"), "kWh", Decimal("0.45"), Decimal("2.25"))
    price = Price("EUR", (line,), Decimal("3.25"), tariff="standard", note="")
    registers = (Decimal("5000.5"), Decimal("1000"), Decimal("6000.5"))
    return Bill(id, "CS1", BillStatus.FINAL, price, *registers, NOW, NOW, NOW, {"meter": "x"})


def test_transactions_are_listed(api: Wire, house: FakeHouse) -> None:
    house.store.transactions.rows = {
        1: transaction(1, ended=True),
        2: transaction(2),
        3: transaction(3, "CS2"),
    }

    def ids(query: str) -> list[int]:
        return [item["id"] for item in api.get(f"/api/v1/transactions?{query}")["items"]]

    assert ids("") == [3, 2, 1]
    assert ids("station=CS1") == [2, 1]
    assert ids("active=true") == [3, 2]
    assert ids("active=false") == [1]
    page = api.get("/api/v1/transactions?limit=2")
    assert [item["id"] for item in api.get(page["next"])["items"]] == [1]


def test_transaction_is_shown_with_all_that_is_known(api: Wire, house: FakeHouse) -> None:
    house.store.transactions.rows[5] = transaction(5, ended=True)
    house.store.transactions.kept[5] = [
        event(0, b'{"seqNo":0,"x":1.10}', 5),
        event(1, b"{}", 1),
        event(2, b'{"no":"event"}', 2),
    ]
    house.store.bills.rows[5] = bill(5)
    answer = api.ask("GET", "/api/v1/transactions/5")
    body = answer.body
    assert (body["station_transaction"], body["energy_wh"], body["event_count"]) == ("T5", "5000.5", 2)
    assert (body["id_token"], body["missing"]) == ({"value": "A1", "type": "ISO14443"}, [3])
    assert [one["seq_no"] for one in body["events"]] == [0, 1, 2]
    assert body["events"][0]["payload"] == {"seqNo": 0, "x": 1.1}
    assert b'"x":1.10' in answer.raw, "the evidence is shown as it came"
    values = [(value["timestamp"], value["sampled"][0]["value"]) for value in body["meter_values"]]
    assert values == [("2026-03-02T12:01:00Z", "1"), ("2026-03-02T12:05:00Z", "0")]
    assert (body["bill"]["total"], body["bill"]["currency"], body["bill"]["status"]) == ("3.25", "EUR", "final")
    assert body["bill"]["lines"][0]["amount"] == "2.25"
    assert body["bill"]["energy_wh"] == "5000.5"


def test_transaction_without_bill_has_none(api: Wire, house: FakeHouse) -> None:
    house.store.transactions.rows[5] = transaction(5)
    body = api.get("/api/v1/transactions/5")
    assert (body["bill"], body["events"], body["energy_wh"]) == (None, [], None)


def test_a_transactions_story_is_told(api: Wire, house: FakeHouse) -> None:
    house.store.transactions.rows[5] = transaction(5, ended=True)
    body = api.get("/api/v1/transactions/5/explanation")
    assert (body["transaction"], body["station_transaction"], body["completeness"]) == (5, "T5", "complete")
    assert (body["state"], body["held"]) == (["complete: charge"], ["no end"])
    (step,) = body["steps"]
    assert step == {
        "at": "2026-03-02T12:00:00Z",
        "chapter": "event",
        "text": "Started",
        "details": ["online"],
        "who": "",
        "event": "0",
    }
    assert api.ask("GET", "/api/v1/transactions/6/explanation").slug == "unknown-transaction"


def test_callers_of_other_sites_are_told_no_story(api: Wire, house: FakeHouse) -> None:
    house.store.transactions.rows = {5: transaction(5, "north-1"), 6: transaction(6, "south-1")}
    token = house.caller(Role.VIEWER, sites=("north",))
    assert api.ask("GET", "/api/v1/transactions/5/explanation", token=token).status == 200
    assert api.ask("GET", "/api/v1/transactions/6/explanation", token=token).slug == "unknown-transaction"


@pytest.mark.parametrize("id", ["9", "T1", "9" * 30])
def test_unknown_transaction_is_not_found(api: Wire, id: str) -> None:
    answer = api.ask("GET", f"/api/v1/transactions/{id}")
    assert (answer.status, answer.slug) == (404, "unknown-transaction")


# Tokens


def test_token_is_put_shown_changed_and_forgotten(api: Wire, house: FakeHouse) -> None:
    body = {
        "status": "Blocked",
        "group": {"value": "FLEET", "type": "Central"},
        "expires": "2027-01-01T00:00:00+01:00",
        "note": "lost",
        "concurrent": 0,
    }
    made = api.ask("PUT", TOKEN_A, body)
    assert (made.status, made.headers["location"]) == (201, TOKEN_A)
    expires = datetime(2026, 12, 31, 23, tzinfo=UTC)
    kept = TokenRecord(IdToken("A1"), AuthorizationStatus.BLOCKED, IdToken("FLEET", "Central"), expires, "lost", 0)
    assert list(house.store.tokens.rows.values()) == [kept]
    assert api.get(TOKEN_A) == made.body
    assert made.body["expires"] == "2026-12-31T23:00:00Z"
    changed = api.ask("PUT", TOKEN_A, {})
    assert (changed.status, changed.body["status"], changed.body["note"]) == (200, "Accepted", "")
    assert api.ask("DELETE", TOKEN_A).status == 204
    for method in ("GET", "DELETE"):
        answer = api.ask(method, TOKEN_A)
        assert (answer.status, answer.slug) == (404, "unknown-token")


def test_unusual_token_value_keeps_its_spelling(api: Wire) -> None:
    made = api.ask("PUT", "/api/v1/tokens/Central/a%2Fb%20%C3%A4", {"status": "Accepted"})
    assert made.headers["location"] == "/api/v1/tokens/Central/a%2Fb%20%C3%A4"
    assert api.get(made.headers["location"])["id_token"] == {"value": "a/b ä", "type": "Central"}


def test_tokens_are_listed(api: Wire) -> None:
    for value in ("A1", "A2", "B1"):
        api.ask("PUT", f"/api/v1/tokens/ISO14443/{value}", {"note": "blue" if value == "A2" else ""})
    page = api.get("/api/v1/tokens?limit=2")
    assert [item["id_token"]["value"] for item in page["items"]] == ["A1", "A2"]
    assert [item["id_token"]["value"] for item in api.get(page["next"])["items"]] == ["B1"]
    assert [item["id_token"]["value"] for item in api.get("/api/v1/tokens?search=blue")["items"]] == ["A2"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"status": "accepted"}, "/status"),
        ({"status": None}, "/status"),
        ({"group": "FLEET"}, "/group"),
        ({"group": {"value": ""}}, "/group"),
        ({"group": {"value": "x", "colour": 1}}, "/group/colour"),
        ({"expires": "tomorrow"}, "/expires"),
        ({"expires": "2027-01-01T00:00:00"}, "/expires"),
        ({"expires": 1800000000}, "/expires"),
        ({"note": "x" * 501}, "/note"),
        ({"note": "a\nb"}, "/note"),
        ({"concurrent": -1}, "/concurrent"),
        ({"idTag": "A1"}, "/idTag"),
    ],
)
def test_wrong_token_names_the_place(api: Wire, house: FakeHouse, body: Any, pointer: str) -> None:
    answer = api.ask("PUT", TOKEN_A, body)
    assert (answer.status, answer.slug) == (422, "invalid")
    assert [error["pointer"] for error in answer.body["errors"]] == [pointer]
    assert house.store.tokens.rows == {}


@pytest.mark.parametrize("path", ["ISO-14443/A1", "x" * 21 + "/A1", "Central/" + "x" * 256])
def test_what_is_no_token_cannot_be_put(api: Wire, house: FakeHouse, path: str) -> None:
    answer = api.ask("PUT", f"/api/v1/tokens/{path}", {})
    assert (answer.status, answer.slug) == (422, "invalid")
    assert house.store.tokens.rows == {}
