"""A transaction's story as the whole CSMS tells it: what went wrong, who decided what, and what the bill rests on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_twisted
from block_kit import Make
from block_words import event, start16, stop16

from csms.model.authorization import AuthorizationStatus, IdToken, TokenRecord
from csms.model.availability import ConnectorStatus, StatusNotification
from csms.model.explanation import Chapter, Explanation
from csms.model.provisioning import Reset, ResetWhen
from csms.model.transactions import GetTransactionStatus, RequestStartTransaction, RequestStopTransaction
from csms.store import StoreFault
from csms.testing import FakeStation, TestCsms

SITE = """
[stations]
unknown = "accept"
[transactions]
read_points = false
[plugins]
enabled = ["flow_rules", "rfid_list", "billing", "./books.py"]
[plugins.billing]
currency = "EUR"
per_kwh = "1.00"
"""
BOOKS = """
from csms.api import BillDelivered, hookimpl, StoryNote, StoryNotes


class Books:
    def __init__(self, settings, csms):
        pass

    @hookimpl
    def deliver_bill(self, delivery):
        return BillDelivered(reference="entry 7")

    @hookimpl
    def explain_transaction(self, question):
        if question.transaction.station_transaction == "T9":
            raise RuntimeError("books are burnt")
"""
RULES = """
[[rule]]
name = "long-stay"
on = "tx.updated"
where = { "msg.charging_state" = "SuspendedEV" }
[[rule.do]]
log = "{station.id} is idle"
[[rule]]
name = "night"
on = "price.choose"
decide.tariff = { tariff = "standard", reason = "always" }
"""


async def started(make: Make, folder: Path) -> tuple[TestCsms, FakeStation]:
    (folder / "books.py").write_text(BOOKS)
    (folder / "rules").mkdir()
    (folder / "rules" / "a.toml").write_text(RULES)
    csms = await make(SITE)
    await csms.house.store.tokens.put(TokenRecord(IdToken("TAG"), AuthorizationStatus.ACCEPTED))
    return csms, await csms.station("CS1")


async def told(csms: TestCsms, wire_id: str = "T1") -> Explanation:
    transaction = await csms.house.store.transactions.by_wire_id("CS1", wire_id)
    assert transaction is not None
    return await csms.house.explainer.explain(transaction)


def of(story: Explanation, chapter: Chapter) -> list[str]:
    """The sentences of one chapter."""
    return [step.text for step in story.steps if step.chapter is chapter]


def more(story: Explanation, text: str) -> str:
    """All that is said with the one step that begins so."""
    (step,) = [step for step in story.steps if step.text.startswith(text)]
    return "\n".join(step.details)


async def say(station: FakeStation, *payloads: dict[str, Any]) -> None:
    for payload in payloads:
        await station.say("TransactionEvent", payload)


@pytest_twisted.ensureDeferred
async def test_a_story_has_every_event_decision_hole_and_bill_line(make: Make, tmp_path: Path) -> None:
    csms, station = await started(make, tmp_path)
    await station.say("Authorize", {"idToken": {"idToken": "TAG", "type": "ISO14443"}})
    await csms.advance(1)
    begin = event(0, "Started", wh=1000, tag="TAG")
    await say(station, begin, begin)
    await csms.advance(600)
    await say(station, event(4, "Ended", wh=3000), event(4, "Ended", wh=3000, triggerReason="StopAuthorized"))
    await say(station, event(1, "Updated", wh=900, info={"chargingState": "SuspendedEV"}))
    await csms.advance(70)
    await say(station, event(2, "Updated", wh=1500, offline=True))
    await say(station, event(3, "Updated", wh=2000, offline=True))
    await csms.advance(120)
    await csms.settle(lambda: csms.house.healer.idle)
    story = await told(csms)
    assert [step.at for step in story.steps] == sorted(step.at for step in story.steps)
    assert story.state == (
        "complete: charge",
        "a person should look: different contents under the same number: 4",
    )
    assert "duplicate: it came again once, last 2026-03-01 12:00:01Z" in more(story, "Started, event 0")
    assert "register 1000 Wh at 2026-03-01 12:00:00Z (Transaction.Begin)" in more(story, "Started, event 0")
    ended = [step for step in story.steps if step.text.startswith("Ended, event 4")]
    assert sum("conflict: event 4 was there before" in "\n".join(step.details) for step in ended) == 1
    assert "out of order" in more(story, "Updated, event 1")
    assert "the station was offline\nlate: it arrived 9 min 11 s after its time" in more(story, "Updated, event 2")
    assert of(story, Chapter.DECISION) == ["token … was asked about (authorize): Accepted", "token …: Accepted"]
    assert "decided by the plugin rfid_list" in more(story, "token …: Accepted")
    assert of(story, Chapter.GAP) == ["missing: the events 2, 3", "closed: what was missing has come"]
    (rule,) = [step for step in story.steps if step.text.startswith("rule long-stay on tx.updated: ran")]
    assert (rule.event, "on event 1" in rule.details) == ("1", True)
    assert any("rule long-stay on tx.updated: skipped" in text for text in of(story, Chapter.PLUGIN))
    assert any("rule night on price.choose: decided" in text for text in of(story, Chapter.PLUGIN))
    bill = more(story, "bill 1 quarantined, 2.00 EUR")
    for line in (
        "tariff standard (always), chosen by the plugin flow_rules, priced by the plugin billing",
        "Energy: 2 kWh x 1.00 = 2.00 EUR",
        "register Energy.Active.Import.Register",
        "begin reading: 1000 Wh at 2026-03-01 12:00:00Z (Transaction.Begin, event 0, not signed)",
        "rejected: 900 Wh at 2026-03-01 12:01:00Z (Sample.Periodic, event 1, not signed): below the begin register of 1000 Wh",
    ):
        assert line in bill
    assert story.held


@pytest_twisted.ensureDeferred
async def test_corrections_and_deliveries_are_told(make: Make, tmp_path: Path) -> None:
    csms, station = await started(make, tmp_path)
    await say(station, event(0, "Started", wh=1000, tag="TAG"), event(1, "Ended", wh=3000))
    await csms.advance(11)
    await csms.house.billing.bills.correct(1, by="Ann", reason="wrong tariff")
    await csms.advance(11)
    await csms.settle()
    story = await told(csms)
    assert of(story, Chapter.BILL) == [
        "bill main-2026-000001 final, 2.00 EUR",
        "bill main-2026-000001 corrected: wrong tariff",
        "credit note main-2026-000002 credited, -2.00 EUR: wrong tariff",
        "bill main-2026-000003 final, 2.00 EUR: wrong tariff",
    ]
    assert "takes back bill main-2026-000001" in more(story, "credit note main-2026-000002 credited")
    assert [step.who for step in story.steps if step.chapter is Chapter.BILL] == ["csms", "Ann", "Ann", "Ann"]
    delivered = [text for text in of(story, Chapter.DELIVERY) if text.endswith("delivered to books")]
    assert len(delivered) == 3
    assert "its reference entry 7" in more(story, "bill main-2026-000001 delivered")


@pytest_twisted.ensureDeferred
async def test_commands_that_it_felt_are_told_and_others_are_not(make: Make, tmp_path: Path) -> None:
    csms, station = await started(make, tmp_path)
    order = RequestStartTransaction(IdToken("TAG"), 1, 7)
    start = await csms.house.commands.submit("CS1", order, origin="api: Ann")
    await station.heard()
    station.answer({"status": "Accepted"})
    await say(station, event(0, "Started", wh=1000, tag="TAG", info={"remoteStartId": 7}))
    await say(station, event(0, "Started", tx="T9", tag="OTHER", evse={"id": 2, "connectorId": 1}))
    for wire_id in ("T1", "T9"):
        await csms.house.commands.submit("CS1", RequestStopTransaction(wire_id), origin="api: Ann")
        await station.heard()
        station.answer({"status": "Rejected"})
        await csms.settle()
    assert start.id
    story = await told(csms)
    assert of(story, Chapter.COMMAND) == [
        "RequestStartTransaction ordered by api: Ann: effective",
        "RequestStopTransaction ordered by api: Ann: rejected",
    ]
    assert "answered 2026-03-01 12:00:00Z: status Rejected" in more(story, "RequestStop")
    assert story.state[0] == "ongoing: no energy"
    assert any("could not tell" in text for text in of(await told(csms, "T9"), Chapter.PLUGIN))


@pytest_twisted.ensureDeferred
async def test_a_transaction_of_1_6_has_a_story_too(make: Make, tmp_path: Path) -> None:
    csms, _ = await started(make, tmp_path)
    station = await csms.station("CP16", "ocpp1.6")
    answer = await station.say("StartTransaction", start16(tag="TAG"))
    await station.say("StopTransaction", stop16(answer["transactionId"]))
    await csms.advance(11)
    transaction = await csms.house.store.transactions.get(answer["transactionId"])
    assert transaction is not None
    story = await csms.house.explainer.explain(transaction)
    assert of(story, Chapter.EVENT)[0].startswith("Started, event start/1/tag/")
    assert "bill main-2026-000001 final, 5.00 EUR" in of(story, Chapter.BILL)


@pytest_twisted.ensureDeferred
async def test_how_often_the_driver_was_told_the_cost_is_told(make: Make, tmp_path: Path) -> None:
    csms, station = await started(make, tmp_path)
    await say(station, event(0, "Started", wh=1000, tag="TAG"))
    for second, wire_id in ((5, "T1"), (35, "T1"), (36, "T2"), (65, "T1")):
        frame = json.dumps([2, str(second), "CostUpdated", {"transactionId": wire_id, "totalCost": 1}])
        csms.house.store.messages.log("CS1", csms.house.now() + timedelta(seconds=second), "out", frame)
    await csms.advance(70)
    story = await told(csms)
    assert "the driver was told what it costs so far, 3 times" in of(story, Chapter.COMMAND)
    assert more(story, "the driver was told").startswith("from 2026-03-01 12:00:05Z to 2026-03-01 12:01:05Z, ")


# What plans decided

STUBBORN = """
from csms.api import RetryPlan, hookimpl


class Stubborn:
    def __init__(self, settings, csms):
        pass

    @hookimpl
    def plan_retry(self, failure):
        return RetryPlan(5, "stations like to be asked twice") if failure.tries == 1 else None
"""
POLICIES = """
[transactions]
read_points = false
[plugins]
enabled = ["reset_policy", "status_retry", "./stubborn.py"]
[plugins.reset_policy]
escalate = "Immediate"
escalate_after = "60s"
[plugins.status_retry]
attempts = 2
interval = "10s"
"""


def by(story: Explanation, plugin: str) -> list[tuple[str, tuple[str, ...]]]:
    """What a plugin decided, and why."""
    return [(one.text, one.details) for one in story.steps if (one.chapter, one.who) == (Chapter.DECISION, plugin)]


async def charging(make: Make, folder: Path) -> tuple[TestCsms, FakeStation]:
    """A station that charges at EVSE 1, and tells the status of neither connector."""
    (folder / "stubborn.py").write_text(STUBBORN)
    csms = await make(POLICIES)
    for evse in (1, 2):
        await csms.house.store.availability.record("CS1", 0, status(evse), csms.house.now())
    station = await csms.station("CS1")
    await csms.advance(1)
    await say(station, event(0, "Started", wh=1000))
    return csms, station


async def refuses_until(csms: TestCsms, station: FakeStation, second: int) -> None:
    """The station refuses to tell its status, until so many seconds after the start."""
    while csms.clock.seconds() < second:
        await csms.advance(10)
        while station.calls and station.calls[0][2] == "TriggerMessage":
            station.refuse("InternalError")
            await csms.settle()


def status(evse: int) -> StatusNotification:
    return StatusNotification(datetime(2026, 2, 1, tzinfo=UTC), ConnectorStatus.AVAILABLE, evse, 1)


@pytest_twisted.ensureDeferred
async def test_what_the_reset_policy_decided_is_told_with_its_reason(make: Make, tmp_path: Path) -> None:
    csms, station = await charging(make, tmp_path)
    await csms.house.commands.submit("CS1", Reset(), origin="api: Ann")
    await station.heard()
    station.answer({"status": "Accepted"})
    await csms.settle()
    story = await told(csms)
    assert by(story, "reset_policy") == [
        (
            "the reset happens OnIdle; without a boot within 60 s it is sent again as Immediate",
            ("decided by the plugin reset_policy", "[plugins.reset_policy] when; transactions that go on: 1"),
        )
    ]
    places = [step.text for step in story.steps]
    assert places.index("the reset happens OnIdle; without a boot within 60 s it is sent again as Immediate") < (
        places.index("Reset ordered by api: Ann: accepted")
    )


@pytest_twisted.ensureDeferred
async def test_an_order_that_says_when_is_told_and_so_is_its_escalation(make: Make, tmp_path: Path) -> None:
    csms, station = await charging(make, tmp_path)
    await csms.house.commands.submit("CS1", Reset(ResetWhen.ON_IDLE), origin="api: Ann")
    await station.heard()
    station.answer({"status": "Accepted"})
    await csms.settle()
    await say(station, event(1, "Ended", wh=2000))
    await refuses_until(csms, station, 75)
    assert [call[2:] for call in station.calls] == [["Reset", {"type": "Immediate"}]]
    story = await told(csms)
    (decided,) = by(story, "reset_policy")
    assert decided[1][1] == "the order says so; transactions that go on: 1"
    (escalated,) = [one for one in by(story, "csms") if "sent again" in one[0]]
    assert escalated == (
        "the reset is sent again as Immediate",
        ("decided by the CSMS itself", "nothing happened within 60 s, and that was the plan"),
    )


@pytest_twisted.ensureDeferred
async def test_what_status_retry_decided_about_its_connector_is_told(make: Make, tmp_path: Path) -> None:
    csms, station = await charging(make, tmp_path)
    await refuses_until(csms, station, 75)
    found = by(await told(csms), "status_retry")
    assert [text for text, _ in found] == [
        *["EVSE 1 connector 1 is asked for its status"] * 2,
        "EVSE 1 connector 1 counts as faulty: its status is missing",
    ]
    assert found[1][1] == (
        "decided by the plugin status_retry",
        "request 2 of 2; silent for 41 s, asked 1 times",
    )
    assert found[2][1][1].startswith("2 requests were in vain; silent for ")


@pytest_twisted.ensureDeferred
async def test_why_a_question_about_it_was_asked_again_is_told(make: Make, tmp_path: Path) -> None:
    csms, station = await charging(make, tmp_path)
    await csms.house.commands.submit("CS1", GetTransactionStatus("T1"), origin="api: Ann")
    await csms.house.commands.submit("CS1", GetTransactionStatus("T2"), origin="api: Ann")
    for _ in range(4):
        await station.heard()
        station.refuse("InternalError", "busy")
        await csms.advance(6)
    assert by(await told(csms), "stubborn") == [
        (
            "GetTransactionStatus is sent again in 5 s",
            ("decided by the plugin stubborn", "stations like to be asked twice; try 1 failed: busy"),
        )
    ]


@pytest_twisted.ensureDeferred
async def test_a_plan_that_cannot_be_kept_is_carried_out(make: Make, tmp_path: Path) -> None:
    csms, station = await charging(make, tmp_path)

    async def full(_: object) -> None:
        raise StoreFault("full")

    csms.house.store.plans.keep = full
    await csms.house.commands.submit("CS1", Reset(), origin="api: Ann")
    assert (await station.heard())[2:] == ["Reset", {"type": "OnIdle"}]
