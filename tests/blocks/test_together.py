"""What stations say in one round is answered together, and nobody can tell: answers, news and the database are those of one by one."""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from block_kit import Make
from twisted.internet import defer
from twisted.logger import globalLogPublisher

from csms.blocks import together
from csms.hooks import Breaker, Implementation
from csms.model.availability import StatusChanged
from csms.model.metering import MeterValuesReceived
from csms.model.station import CallReceived
from csms.model.transactions import TransactionEnded, TransactionStarted, TransactionUpdated
from csms.store import StoreFault
from csms.store.writer import Writer
from csms.testing import FakeStation, Refused, TestCsms, make_csms

Said = tuple[str, dict[str, Any]]
TABLES = {
    "transaction": 'SELECT * FROM "transaction" ORDER BY station, wire_id',
    "event": "SELECT t.station, t.wire_id, e.key, e.seq_no, e.protocol, e.action, e.type, e.at, e.received_at, e.offline, e.authorization, e.body, "
    'e.decision, e.repeats FROM transaction_event e JOIN "transaction" t ON t.id = e.transaction_id ORDER BY 1, 2, 3',
    "telemetry": "SELECT station, evse, at, digest, body FROM telemetry ORDER BY 1, 3, 4",
    "connector": "SELECT * FROM connector ORDER BY 1, 2, 3",
    "skew": "SELECT id, clock_skew_s FROM station ORDER BY 1",
}
TOLD = (TransactionStarted, TransactionUpdated, TransactionEnded, MeterValuesReceived, StatusChanged)
"""What follows from a message itself; the healer asks for what is missing at times of its own."""


def wire(csms: TestCsms) -> str:
    return csms.house.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def values(at: str, wh: float) -> list[dict[str, Any]]:
    power = {"value": 7000, "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "W"}}
    return [{"timestamp": at, "sampledValue": [{"value": wh, "unitOfMeasure": {"unit": "kWh"}}, power]}]


def event(csms: TestCsms, seq: int, kind: str = "Updated", **more: Any) -> Said:
    at = more.pop("at", wire(csms))
    payload = {
        "eventType": kind,
        "timestamp": at,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": seq,
        "transactionInfo": {"transactionId": more.pop("tx", "T1"), "chargingState": "Charging"},
        "meterValue": values(at, 1.5 + seq / 8),
        **more,
    }
    return "TransactionEvent", payload


def meter_values(csms: TestCsms, wh: float) -> Said:
    return "MeterValues", {"evseId": 1, "meterValue": values(wire(csms), wh)}


def status(csms: TestCsms, word: str, connector: int = 1) -> Said:
    said = {"timestamp": wire(csms), "connectorStatus": word, "evseId": 1, "connectorId": connector}
    return "StatusNotification", said


class Parties:
    """How many messages were written together each time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        real = together.Together._write

        def write(one: together.Together, lane: together.Lane, party: together.Party) -> None:
            self.sizes.append(len(party))
            real(one, lane, party)

        monkeypatch.setattr(together.Together, "_write", write)


@pytest.fixture
def parties(monkeypatch: pytest.MonkeyPatch) -> Parties:
    return Parties(monkeypatch)


async def fleet(csms: TestCsms, count: int) -> list[FakeStation]:
    """Stations that charge, and whose clocks are known."""
    stations = [await csms.station(f"CS{number}") for number in range(count)]
    for station in stations:
        await station.say(*event(csms, 0, "Started", evse={"id": 1, "connectorId": 1}))
        await station.say(*event(csms, 1))
    return stations


def say_at_once(csms: TestCsms, said: list[tuple[FakeStation, Said]]) -> list[defer.Deferred[dict[str, Any]]]:
    with csms.gate.round:
        return [station.say(*what) for station, what in said]


async def answers(said: list[defer.Deferred[dict[str, Any]]]) -> list[object]:
    """Each answer, or the code of each refusal."""
    found: list[object] = []
    for one in said:
        try:
            found.append(await one)
        except Refused as refused:
            found.append(refused.code)
    return found


@pytest_twisted.ensureDeferred
async def test_what_many_say_at_once_is_kept_in_one_go(make: Make, parties: Parties) -> None:
    csms = await make()
    stations = await fleet(csms, 4)
    parties.sizes.clear()
    csms.events.clear()
    for what in (event(csms, 2), meter_values(csms, 3)):
        assert await answers(say_at_once(csms, [(station, what) for station in stations])) == [{}] * 4
    assert parties.sizes == [4, 4]
    assert [len(csms.told(kind)) for kind in (TransactionUpdated, MeterValuesReceived)] == [4, 4]
    for station in stations:
        kept = await csms.house.store.transactions.by_wire_id(station.id, "T1")
        assert kept is not None
        assert (kept.events, kept.last_meter_wh, kept.missing) == (3, 1750, ())


@pytest_twisted.ensureDeferred
async def test_calls_are_counted_once_each_however_they_are_answered(make: Make) -> None:
    csms = await make()
    stations = await fleet(csms, 3)
    counts = csms.house.metrics._calls_in.counts
    before = counts["TransactionEvent"]
    one, two, three = stations
    await answers(say_at_once(csms, [(one, event(csms, 2)), (two, event(csms, 1)), (three, event(csms, 9))]))
    assert counts["TransactionEvent"] - before == 3


@pytest_twisted.ensureDeferred
async def test_whoever_is_not_accepted_is_told_to_boot(make: Make) -> None:
    csms = await make()
    (good,) = await fleet(csms, 1)
    new = await csms.station("NEW", booted=False)
    said = say_at_once(csms, [(new, meter_values(csms, 1)), (good, meter_values(csms, 1))])
    assert await answers(said) == ["SecurityError", {}]


@pytest_twisted.ensureDeferred
async def test_what_one_of_them_makes_impossible_is_answered_by_itself(make: Make, monkeypatch: Any) -> None:
    csms = await make()
    stations = await fleet(csms, 3)
    faults: list[Any] = []
    real = csms.house.store.transactions.record_all

    def broken(works: Any) -> Any:
        return real([*works, "no event"])  # type: ignore[list-item]

    monkeypatch.setattr(csms.house.store.transactions, "record_all", broken)
    globalLogPublisher.addObserver(faults.append)
    said = await answers(say_at_once(csms, [(station, event(csms, 2)) for station in stations]))
    globalLogPublisher.removeObserver(faults.append)
    assert said == [{}, {}, {}]
    assert [fault["count"] for fault in faults if "stations said" in str(fault.get("log_format"))] == [3]


@pytest_twisted.ensureDeferred
async def test_a_full_disk_leaves_all_unanswered_and_their_repeats_are_kept(make: Make, monkeypatch: Any) -> None:
    csms = await make()
    stations = await fleet(csms, 3)
    told: list[Any] = []

    def full(writer: Writer, batch: Any) -> Any:
        return [(order, None, StoreFault("disk_full")) for order in batch]

    monkeypatch.setattr(Writer, "_commit", full)
    globalLogPublisher.addObserver(told.append)
    silent = say_at_once(csms, [(station, event(csms, 2)) for station in stations])
    await csms.settle()
    globalLogPublisher.removeObserver(told.append)
    assert not any(one.called for one in silent)
    assert len([one for one in told if "does not take writes" in str(one.get("log_format"))]) == 1
    assert not any("bug" in str(one.get("log_format")) for one in told)
    monkeypatch.undo()
    assert await answers(say_at_once(csms, [(station, event(csms, 2)) for station in stations])) == [{}] * 3
    kept = [await csms.house.store.transactions.by_wire_id(station.id, "T1") for station in stations]
    assert [one and one.events for one in kept] == [3, 3, 3]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("word", ["event", "values", "status"])
async def test_an_older_connection_writes_nothing_and_is_cut_off(make: Make, word: str, parties: Parties) -> None:
    csms = await make()
    old, good = await fleet(csms, 2)
    await csms.station("CS0", booted=False)
    parties.sizes.clear()
    what = {"event": event(csms, 2), "values": meter_values(csms, 1), "status": status(csms, "Faulted")}[word]
    silent, answered = say_at_once(csms, [(old, what), (good, what)])
    assert await answered == {}
    await csms.settle(lambda: old.dropped)
    assert parties.sizes == [2]
    assert not silent.called
    kept = await csms.house.store.transactions.by_wire_id("CS0", "T1")
    assert kept is not None
    assert kept.events == 2
    assert await csms.house.store.telemetry.list("CS0") == []
    assert await csms.house.store.availability.list("CS0") == []


@pytest_twisted.ensureDeferred
async def test_one_that_is_gone_before_the_commit_is_kept_and_not_answered(make: Make) -> None:
    csms = await make()
    gone, good = await fleet(csms, 2)
    csms.events.clear()
    silent, answered = say_at_once(csms, [(gone, event(csms, 2)), (good, event(csms, 2))])
    await gone.close()
    assert await answered == {}
    assert not silent.called
    assert len(csms.told(TransactionUpdated)) == 2
    kept = await csms.house.store.transactions.by_wire_id("CS0", "T1")
    assert kept is not None
    assert kept.events == 3


@pytest_twisted.ensureDeferred
async def test_news_that_raise_cut_one_off_and_harm_no_other(make: Make) -> None:
    csms = await make()
    bad, good = await fleet(csms, 2)

    def witness(news: object) -> None:
        if isinstance(news, TransactionUpdated) and news.station.id == bad.id:
            raise ZeroDivisionError

    csms.house.hooks.witness = witness
    _, answered = say_at_once(csms, [(bad, event(csms, 2)), (good, event(csms, 2))])
    assert await answered == {}
    assert bad.dropped
    assert not good.dropped


def asked(csms: TestCsms, answer: Any) -> None:
    """A plugin that is asked for every call."""
    one = Implementation("mine", answer, ("station", "action", "payload"), Breaker(csms.clock, 5, 60))
    csms.house.hooks.chains = {**csms.house.hooks.chains, "answer_call": (one,)}


@pytest_twisted.ensureDeferred
async def test_a_plugin_takes_over_what_it_wants_and_is_asked_once(make: Make, parties: Parties) -> None:
    csms = await make()
    stations = await fleet(csms, 4)
    seen: list[str] = []
    thinking: defer.Deferred[None] = defer.Deferred()

    def answer(station: Any, action: str, payload: Mapping[str, Any]) -> Any:
        seen.append(station.id)
        return {"CS0": {"totalCost": 1.5}, "CS1": thinking, "CS2": {"wrong": 1}}.get(station.id)

    asked(csms, answer)
    parties.sizes.clear()
    said = say_at_once(csms, [(station, event(csms, 2)) for station in stations])
    assert await said[0] == {"totalCost": 1.5}
    assert await said[3] == {}
    assert not said[1].called
    thinking.callback(None)
    assert await said[1] == {}
    with pytest.raises(Refused, match="InternalError"):
        await said[2]
    assert seen == ["CS0", "CS1", "CS2", "CS3"]
    assert parties.sizes == [1]
    kept = [await csms.house.store.transactions.by_wire_id(station.id, "T1") for station in stations]
    assert [one and one.events for one in kept] == [2, 3, 2, 3]


@pytest_twisted.ensureDeferred
async def test_who_listens_to_calls_hears_each_of_them(make: Make) -> None:
    csms = await make()
    stations = await fleet(csms, 2)
    heard: list[Any] = []
    one = Implementation(
        "mine", lambda event: heard.append(event), ("event",), Breaker(csms.clock, 5, 60), (CallReceived,)
    )
    csms.house.hooks.resolve({**csms.house.hooks.chains, "on_event": (one,)})
    csms.house.hooks.witness = None
    await answers(say_at_once(csms, [(station, event(csms, 2)) for station in stations]))
    assert [(call.station.id, call.action, call.payload["seqNo"]) for call in heard] == [
        ("CS0", "TransactionEvent", 2),
        ("CS1", "TransactionEvent", 2),
    ]


class Script:
    """What four stations say in some rounds: most of it plain, some of it a repeat, late, new, wrong or told twice in different words."""

    def __init__(self, csms: TestCsms, seed: int) -> None:
        self._csms = csms
        self._dice = random.Random(seed)
        self._seq = dict.fromkeys(range(4), 1)

    def round(self) -> list[tuple[int, Said]]:
        """What is said at once: by each station one thing, or two, or nothing."""
        return [
            (number, self._one(number)) for number in range(4) for _ in range(self._dice.choice((0, 1, 1, 1, 1, 2)))
        ]

    def _one(self, number: int) -> Said:
        csms, dice = self._csms, self._dice
        seq = self._seq[number]
        match dice.randrange(16):
            case 0:
                return event(csms, seq)
            case 1:
                return event(csms, seq, triggerReason="Trigger")
            case 2:
                return event(csms, seq + 3)
            case 3:
                self._seq[number] += 1
                return event(csms, seq + 1, idToken={"idToken": "TAG", "type": "ISO14443"})
            case 4:
                return event(csms, seq + 5, offline=True, at="2026-03-01T09:00:00Z")
            case 5:
                return event(csms, seq + 1, at="2026-03-01T13:00:00Z")
            case 6:
                return event(csms, seq + 1, evse={"id": dice.randint(1, 2), "connectorId": 1})
            case 7:
                return event(csms, seq + 1, "Ended")
            case 8:
                return event(csms, 0, tx=f"T{dice.randint(1, 3)}")
            case 9 | 10:
                return meter_values(csms, dice.randint(1, 3))
            case 11:
                return status(csms, dice.choice(("Available", "Occupied", "Faulted")), dice.randint(1, 2))
            case 12:
                return "Heartbeat", {}
        self._seq[number] += 1
        return event(csms, seq + 1)


async def played(folder: Path, seed: int, *, fast: bool) -> tuple[list[object], list[str], dict[str, list[Any]]]:
    """A script's answers, the news of each kind by station, and what is in the database; but for the numbers of transactions, which nobody promises
    to give to stations in this order or that."""
    csms = await make_csms(folder, site='[plugins]\nenabled = ["rfid_list", "flow_rules"]')
    csms.gate.limits = replace(csms.gate.limits, fast_path=fast)
    stations = await fleet(csms, 4)
    csms.events.clear()
    script, said = Script(csms, seed), []
    for _ in range(10):
        said += await answers(say_at_once(csms, [(stations[number], what) for number, what in script.round()]))
        await csms.advance(7)
    news = sorted((one for kind in TOLD for one in csms.told(kind)), key=lambda one: one.station.id)
    await csms.close()
    with sqlite3.connect(folder / "csms.sqlite") as connection:
        rows = {name: connection.execute(query).fetchall() for name, query in TABLES.items()}
    rows["transaction"] = [row[1:] for row in rows["transaction"]]
    return said, [re.sub(r"\bid=\d+", "id=", repr(one)) for one in news], rows


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("seed", range(12))
async def test_together_or_by_itself_is_the_same(
    tmp_path: Path, installed_plugins: None, seed: int, parties: Parties
) -> None:
    for folder in (tmp_path / "fast", tmp_path / "slow"):
        folder.mkdir()
    fast = await played(tmp_path / "fast", seed, fast=True)
    assert max(parties.sizes) > 1
    parties.sizes.clear()
    slow = await played(tmp_path / "slow", seed, fast=False)
    assert parties.sizes == []
    assert fast == slow
