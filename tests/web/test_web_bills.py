"""Bills through the API: lists, tables, receipts, and what people decide."""

from __future__ import annotations

import csv
import io
import re
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from api_wire import Wire
from fake_rooms import NOW, FakeHouse

from csms.model.billing import (
    Bill,
    BillChange,
    BillKind,
    BillLine,
    BillRefused,
    BillStatus,
    BillStep,
    DeliveryRecord,
    DeliveryState,
    Price,
    TaxLine,
    UnknownBill,
)
from csms.model.people import Role
from csms.model.transactions import Completeness, Transaction

EVIL = '<script>alert("x")</script>'
D = Decimal


def bill(id: int, station: str = "CS1", **more: Any) -> Bill:
    """An issued bill."""
    line = BillLine("Energy", D("5.0005"), "kWh", D("0.45"), D("2.25"), "energy", NOW, NOW)
    price = Price("EUR", (line,), D("2.25"), "standard", taxes=(TaxLine("VAT", D(19), D("1.89"), D("0.36")),))
    reading = {"wh": "1000", "at": NOW.isoformat(), "context": "Transaction.Begin", "event": "0", "signed": True}
    made = Bill(
        id,
        station,
        BillStatus.FINAL,
        price,
        D("5000.5"),
        D(1000),
        D("6000.5"),
        NOW,
        NOW + timedelta(hours=1),
        NOW,
        {"priced_by": "billing", "register": "Energy.Active.Import.Register", "begin": reading, "end": reading},
        id=id,
        number=f"main-2026-{id:06}",
    )
    return replace(made, **more)


@pytest.fixture
def bills(house: FakeHouse) -> dict[int, Bill]:
    """Three bills of two stations."""
    rows = house.store.bills.rows
    rows |= {
        one.transaction: one for one in (bill(1), bill(2, "CS2"), bill(3, status=BillStatus.QUARANTINED, number=""))
    }
    return rows


def test_bills_are_listed_and_found_by_id_and_number(api: Wire, house: FakeHouse, bills: dict[int, Bill]) -> None:
    def ids(query: str) -> list[int]:
        return [item["id"] for item in api.get(f"/api/v1/bills?{query}")["items"]]

    assert ids("") == [3, 2, 1]
    assert ids("station=CS1") == [3, 1]
    assert ids("status=quarantined") == [3]
    page = api.get("/api/v1/bills?limit=2")
    assert [item["id"] for item in api.get(page["next"])["items"]] == [1]
    house.store.bills.steps = [BillStep(2, NOW, "final")]
    house.store.deliveries.rows = [DeliveryRecord(2, "books", DeliveryState.DEAD, 20, NOW, "no")]
    found = api.get("/api/v1/bills/2")
    assert found == api.get("/api/v1/bills/main-2026-000002")
    assert (found["total"], found["lines"][0]["amount"], found["taxes"][0]["amount"]) == ("2.25", "2.25", "0.36")
    assert (found["history"][0]["what"], found["deliveries"][0]["state"]) == ("final", "dead")
    assert found["evidence"]["begin"]["context"] == "Transaction.Begin"


@pytest.mark.parametrize("id", ["99", "x", "main-2026-000099"])
def test_unknown_bill_is_not_found(api: Wire, bills: dict[int, Bill], id: str) -> None:
    for path in (f"/api/v1/bills/{id}", f"/api/v1/bills/{id}/receipt"):
        answer = api.ask("GET", path)
        assert (answer.status, answer.slug) == (404, "unknown-bill")


@pytest.mark.parametrize("query", ["since=yesterday", "until=2026-03-01T00:00:00", "status=paid", "transaction=x"])
def test_a_wrong_filter_is_named(api: Wire, query: str) -> None:
    answer = api.ask("GET", f"/api/v1/bills?{query}")
    assert (answer.status, answer.slug) == (400, "bad-query")
    assert answer.body["errors"][0]["parameter"] == query.partition("=")[0]


def test_times_of_a_filter_are_understood(api: Wire, house: FakeHouse) -> None:
    api.get("/api/v1/bills?since=2026-03-02T13:00:00%2B01:00")
    assert house.store.bills.spans[-1] == (NOW, None)


# Tables


def table(api: Wire, query: str = "") -> list[dict[str, str]]:
    answer = api.ask("GET", f"/api/v1/bills.csv?{query}")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.raw.decode())))


def test_bills_are_exported_as_a_table(api: Wire, bills: dict[int, Bill]) -> None:
    credit = replace(bill(4), kind=BillKind.CREDIT, corrects=1, price=replace(bill(4).price, total=D("-2.25")))
    bills[4] = credit
    rows = table(api, "station=CS1")
    assert [row["id"] for row in rows] == ["4", "3", "1"]
    assert (rows[0]["total"], rows[0]["corrects"], rows[2]["taxes"], rows[2]["energy_wh"]) == (
        "-2.25",
        "1",
        "0.36",
        "5000.5",
    )
    assert rows[2]["issued_at"] == "2026-03-02T12:00:00+00:00"


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")', "|calc", "%x"]
)
def test_no_text_of_a_table_is_a_formula(api: Wire, bills: dict[int, Bill], text: str) -> None:
    bills.clear()
    bills[1] = bill(1, station=text, reason=f'{text},"quoted"', price=replace(bill(1).price, tariff=text))
    (row,) = table(api)
    for name in ("station", "reason", "tariff"):
        assert row[name].startswith(f"'{text}")


def test_a_table_has_all_pages(api: Wire, bills: dict[int, Bill]) -> None:
    for id in range(10, 2200):
        bills[id] = bill(id)
    assert len(table(api)) == 2193


# Receipts


def test_a_receipt_is_a_page_without_scripts_that_its_policy_lets_look_nice(
    api: Wire, house: FakeHouse, bills: dict[int, Bill]
) -> None:
    answer = api.ask("GET", "/api/v1/bills/1/receipt")
    page = answer.raw.decode()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in page
    for words in (
        "main-2026-000001",
        "5.0005 kWh",
        "VAT 19 % of 1.89 in it: 0.36",
        "2.25",
        "2026-03-02 12:00:00 UTC",
        "signed",
    ):
        assert words in page


def test_a_receipt_says_why_the_charge_ended_where_that_is_known(
    api: Wire, house: FakeHouse, bills: dict[int, Bill]
) -> None:
    assert "Reason to stop" not in api.ask("GET", "/api/v1/bills/1/receipt").raw.decode()
    ended = Transaction(1, "CS1", "T-1", Completeness.COMPLETE, stopped_reason="EVDisconnected")
    house.store.transactions.rows[1] = ended
    assert "Reason to stop: EVDisconnected<br>" in api.ask("GET", "/api/v1/bills/1/receipt").raw.decode()


def test_nothing_in_a_receipt_is_markup(api: Wire, house: FakeHouse, bills: dict[int, Bill]) -> None:
    house.store.transactions.rows[1] = Transaction(1, EVIL, EVIL, Completeness.COMPLETE, stopped_reason=EVIL)
    line = BillLine(EVIL, D(1), EVIL, D(1), D(1))
    tax = TaxLine(EVIL, D(1), D(1), D(1))
    price = Price(EVIL, (line,), D(1), EVIL, EVIL, (tax,), taxes_included=False)
    evidence = {"register": EVIL, "begin": {"wh": EVIL, "at": NOW.isoformat(), "context": EVIL, "signed": False}}
    bills[1] = bill(1, EVIL, price=price, evidence=evidence, reason=EVIL, status=BillStatus.QUARANTINED)
    page = api.ask("GET", "/api/v1/bills/1/receipt").raw.decode()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 12


def test_what_is_no_bill_says_so(api: Wire, bills: dict[int, Bill]) -> None:
    bills[3] = replace(bills[3], reason="the register fell", evidence=None, started_at=None)
    page = api.ask("GET", "/api/v1/bills/3/receipt").raw.decode()
    assert "Held: this is not a bill: the register fell" in page
    assert "From unknown" in page
    bills[4] = replace(bill(4), kind=BillKind.CREDIT, corrects=1)
    assert "Takes back bill main-2026-000001" in api.ask("GET", "/api/v1/bills/4/receipt").raw.decode()


# Decisions


@pytest.mark.parametrize("decision", ["release", "write_off", "correct", "cancel"])
def test_people_decide_and_it_is_said_who_and_why(
    api: Wire, house: FakeHouse, bills: dict[int, Bill], decision: str
) -> None:
    house.decisions.written = [bill(9)]
    token = house.caller(Role.OPERATOR, name="ann")
    answer = api.ask("POST", f"/api/v1/bills/3/{decision}", {"reason": "looked at"}, token=token)
    assert (answer.status, [one["number"] for one in answer.body["items"]]) == (200, ["main-2026-000009"])
    change = BillChange() if decision in ("release", "correct") else None
    assert house.decisions.made == [(decision, 3, "ann", "looked at", change)]
    refused = api.ask("POST", f"/api/v1/bills/3/{decision}", {"reason": "x"}, token=house.caller(Role.SUPPORT))
    assert (refused.status, refused.slug) == (403, "forbidden")


def test_a_decision_may_change_tariff_and_registers(api: Wire, house: FakeHouse, bills: dict[int, Bill]) -> None:
    body = {"reason": "r", "tariff": "staff", "meter_start_wh": "1000.5", "meter_stop_wh": 2000}
    assert api.ask("POST", "/api/v1/bills/1/correct", body).status == 200
    assert house.decisions.made[0][4] == BillChange("staff", D("1000.5"), D(2000))


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/reason"),
        ({"reason": ""}, "/reason"),
        ({"reason": "a\nb"}, "/reason"),
        ({"reason": "r", "meter_start_wh": "much"}, "/meter_start_wh"),
        ({"reason": "r", "meter_stop_wh": -1}, "/meter_stop_wh"),
        ({"reason": "r", "meter_stop_wh": "NaN"}, "/meter_stop_wh"),
        ({"reason": "r", "total": 0}, "/total"),
    ],
)
def test_a_wrong_decision_names_the_place(
    api: Wire, house: FakeHouse, bills: dict[int, Bill], body: dict[str, Any], pointer: str
) -> None:
    answer = api.ask("POST", "/api/v1/bills/1/release", body)
    assert (answer.status, [one["pointer"] for one in answer.body["errors"]]) == (422, [pointer])
    assert house.decisions.made == []


@pytest.mark.parametrize(
    ("fault", "status", "slug"),
    [(BillRefused("it is final"), 409, "bill-refused"), (UnknownBill("gone"), 404, "unknown-bill")],
)
def test_a_refused_decision_says_why(
    api: Wire, house: FakeHouse, bills: dict[int, Bill], fault: Exception, status: int, slug: str
) -> None:
    house.decisions.fault = fault
    answer = api.ask("POST", "/api/v1/bills/1/cancel", {"reason": "r"})
    assert (answer.status, answer.slug, answer.body["detail"]) == (status, slug, str(fault))


def test_dead_deliveries_are_tried_again(api: Wire, house: FakeHouse, bills: dict[int, Bill]) -> None:
    assert api.ask("POST", "/api/v1/bills/1/deliver").body == {"again": 2}
    assert house.decisions.made == [("again", 1)]


def test_a_caller_of_one_site_sees_and_decides_its_own_bills_only(
    api: Wire, house: FakeHouse, bills: dict[int, Bill]
) -> None:
    """A station's site is the part of its name before the dash, here."""
    bills |= {7: bill(7, "north-1"), 8: bill(8, "south-1")}
    token = house.caller(Role.OPERATOR, sites=("north",))
    listed = api.ask("GET", "/api/v1/bills", token=token)
    assert [one["id"] for one in listed.body["items"]] == [7]
    assert api.ask("GET", "/api/v1/bills/7", token=token).status == 200
    for method, path in (("GET", "8"), ("GET", "main-2026-000008"), ("GET", "8/receipt"), ("POST", "8/deliver")):
        assert api.ask(method, f"/api/v1/bills/{path}", token=token).status == 404
    assert api.ask("POST", "/api/v1/bills/8/cancel", {"reason": "r"}, token=token).status == 404
    assert api.ask("POST", "/api/v1/bills/7/cancel", {"reason": "r"}, token=token).status == 200
    assert house.decisions.made == [("cancel", 7, "some operator", "r", None)]
