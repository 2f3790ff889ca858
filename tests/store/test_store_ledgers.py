"""Tokens, commands, bills and what is only kept, in the store."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from csms.model.authorization import AuthorizationStatus, IdToken, TokenRecord
from csms.model.commands import CommandState
from csms.model.monitoring import EventData, NotifyEvent
from csms.model.provisioning import NotifyReport, Variable, VariableValue
from csms.model.transactions import EventType, TransactionEvent
from csms.store import Fenced, NoSuchRow, SeriesPosition, Store
from csms.store.messages import FLUSH_S, GROUPS

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def transaction(store: Store, wire_id: str, *types: EventType) -> int:
    """A transaction with these events; its number."""
    for seq_no, type in enumerate(types):
        event = TransactionEvent(wire_id, type, T0 + timedelta(minutes=seq_no), "Authorized", str(seq_no), seq_no)
        recorded = await store.transactions.record("CP1", 0, "ocpp2.0.1", "TransactionEvent", event, b"{}", T0)
    return recorded.transaction.id


@pytest_twisted.ensureDeferred
async def test_a_token_is_found_without_regard_to_case(store: Store) -> None:
    token = TokenRecord(
        IdToken("AbC"), AuthorizationStatus.BLOCKED, IdToken("G", "Central"), T0, "of 50% Bob", concurrent=0
    )
    await store.tokens.put(token)
    assert await store.tokens.get(IdToken("aBC")) == token
    assert await store.tokens.get(IdToken("aBC", "eMAID")) is None
    await store.tokens.put(replace(token, status=AuthorizationStatus.ACCEPTED, group=None))
    assert await store.tokens.list(search="50%") == [replace(token, status=AuthorizationStatus.ACCEPTED, group=None)]
    assert await store.tokens.list(search="5_%") == []
    assert await store.tokens.delete(IdToken("ABC"))
    assert not await store.tokens.delete(IdToken("ABC"))


@pytest_twisted.ensureDeferred
async def test_pages_of_tokens_keep_the_types_of_a_value_together(store: Store) -> None:
    tokens = [TokenRecord(IdToken(value, type)) for value, type in (("a", "X"), ("b", "X"), ("b", "Y"), ("c", "X"))]
    await store.tokens.put_many(reversed(tokens))
    assert await store.tokens.list(limit=2) == tokens[:3]
    assert await store.tokens.list(after="b", limit=2) == tokens[3:]


@pytest_twisted.ensureDeferred
async def test_a_command_goes_through_its_states(store: Store) -> None:
    made = await store.commands.add("CP1", "Reset", {"when": None, "wait": Decimal("1.5")}, "api", T0)
    assert (made.state, made.arguments) == (CommandState.QUEUED, {"when": None, "wait": "1.5"})
    other = await store.commands.add("CP2", "ClearCache", {}, "rule", T0)
    await store.commands.update(made.id, state=CommandState.SENT, sent_at=T0, tries=1, wire="Reset")
    assert [one.id for one in await store.commands.list(open_only=True)] == [made.id, other.id]
    closed = await store.commands.update(
        made.id, state=CommandState.REJECTED, closed_at=T0, answer={"status": "Rejected"}, error="no"
    )
    assert closed == await store.commands.get(made.id)
    assert (closed.sent_at, closed.tries, closed.wire, closed.error) == (T0, 1, "Reset", "no")
    assert closed.answer == {"status": "Rejected"}
    assert await store.commands.list(open_only=True) == [other]
    assert await store.commands.list(after=made.id) == [other]
    assert await store.commands.list(station="CP1") == [closed]
    assert await store.commands.update(other.id) == other
    assert await store.commands.get(99) is None
    with pytest.raises(NoSuchRow):
        await store.commands.update(99, state=CommandState.FAILED)


VARIABLE = Variable("OCPPCommCtrlr", "HeartbeatInterval")
AT_PLUG = Variable("Connector", "Available", evse=1, connector=2)


@pytest_twisted.ensureDeferred
async def test_the_device_model_keeps_what_a_report_told_of_a_variable(store: Store) -> None:
    full = VariableValue(VARIABLE, "60", mutability="ReadWrite", data_type="integer", unit="s")
    await store.variables.put("CP1", 0, (full, VariableValue(AT_PLUG, "true")), T0)
    await store.variables.put("CP1", 0, (VariableValue(VARIABLE, "90"),), T0)
    changed = replace(full, value="90")
    assert await store.variables.list("CP1") == [VariableValue(AT_PLUG, "true"), changed]
    assert await store.variables.list("CP1", component="OCPPCommCtrlr") == [changed]
    old = (await store.presence.attach("CP1", T0)).fence
    await store.presence.attach("CP1", T0)
    with pytest.raises(Fenced):
        await store.variables.put("CP1", old, (full,), T0)


@pytest_twisted.ensureDeferred
async def test_a_report_is_whole_when_all_parts_came_in_any_order(store: Store) -> None:
    def part(seq_no: int, more: bool, hours: int = 0) -> NotifyReport:
        value = VariableValue(VARIABLE, str(seq_no))
        return NotifyReport(7, T0 + timedelta(hours=hours), seq_no, more, (value,))

    told = [(0, True), (2, False), (1, True), (1, True), (2, False)]
    wholes = [await store.variables.report_part("CP1", 0, part(*one), T0) for one in told]
    assert wholes == [False, False, True, True, False]
    assert not await store.variables.report_part("CP1", 0, part(0, True, hours=1), T0)
    assert await store.variables.report_part("CP1", 0, part(1, False, hours=1), T0)


def alerts(seq_no: int, *values: str, more: bool = False, minutes: int = 0) -> NotifyEvent:
    data = tuple(EventData(9, T0, "Alerting", value, AT_PLUG, "HardWiredNotification") for value in values)
    return NotifyEvent(T0 + timedelta(minutes=minutes), seq_no, more, data)


@pytest_twisted.ensureDeferred
async def test_alerts_are_kept_once_and_know_the_one_before(store: Store) -> None:
    async def record(message: NotifyEvent) -> tuple[int, int | None]:
        kept = await store.alerts.record("CP1", 0, message, T0)
        return len(kept.new), kept.previous.seq_no if kept.previous else None

    assert await record(alerts(0, "a", "b", more=True)) == (2, None)
    assert await record(alerts(3, "d")) == (1, 0)
    assert await record(alerts(2, "c")) == (1, 0)
    assert await record(alerts(2, "c")) == (0, 0)
    assert await record(alerts(2, "other")) == (1, 0)
    again = await store.alerts.record("CP1", 0, alerts(0, "z", minutes=5), T0)
    assert again.previous == SeriesPosition(T0, 3, more=False)
    rows = await store.alerts.list(station="CP1")
    assert [row.alert.actual_value for row in rows] == ["a", "b", "d", "c", "other", "z"]
    assert (rows[0].alert, rows[0].received_at, rows[2].seq_no) == (alerts(0, "a").data[0], T0, 3)
    assert [row.id for row in await store.alerts.list(after=rows[4].id)] == [rows[5].id]


@pytest_twisted.ensureDeferred
async def test_a_gap_is_marked_once(store: Store) -> None:
    for _ in range(2):
        await store.alerts.mark_gap("CP1", T0, 1, 3, 2, T0)
    (gap,) = await store.alerts.gaps("CP1")
    assert (gap.expected, gap.seen, gap.missing, gap.generated_at) == (1, 3, 2, T0)


@pytest_twisted.ensureDeferred
async def test_telemetry_is_kept_once_and_notices_always(store: Store) -> None:
    assert await store.telemetry.record("CP1", 0, 1, b'{"a":1}', T0)
    assert not await store.telemetry.record("CP1", 0, 1, b'{"a":1}', T0)
    assert [row.body for row in await store.telemetry.list("CP1", 0, 10)] == [b'{"a":1}']
    for kind in ("FirmwareStatusNotification", "FirmwareStatusNotification", "LogStatusNotification"):
        await store.notices.record("CP1", 0, kind, b"{}", T0)
    assert len(await store.notices.list("CP1")) == 3
    assert len(await store.notices.list(kind="LogStatusNotification")) == 1


@pytest_twisted.ensureDeferred
async def test_a_note_is_kept_replaced_and_taken_once(store: Store) -> None:
    assert await store.notes.kept("p", "k") is None
    assert await store.notes.take("p", "k", "one", T0)
    assert not await store.notes.take("p", "k", "two", T0)
    assert await store.notes.kept("p", "k") == "one"
    await store.notes.keep("p", "k", "three", T0)
    assert await store.notes.kept("p", "k") == "three"
    assert await store.notes.kept("q", "k") is None


@pytest_twisted.ensureDeferred
async def test_the_message_log_is_read_forwards_and_backwards(store: Store) -> None:
    for number in range(5):
        store.messages.log("CP1", T0 + timedelta(seconds=number), "in" if number % 2 else "out", f"[{number}]".encode())
    store.messages.log("CP2", T0 + timedelta(seconds=9), "in", "[99]")

    async def frames(**query: int) -> list[str]:
        return [row.frame for row in await store.messages.list("CP1", **query)]

    assert await frames() == ["[0]", "[1]", "[2]", "[3]", "[4]"]
    assert await frames(limit=2) == ["[3]", "[4]"]
    assert await frames(before=4, limit=2) == ["[1]", "[2]"]
    assert await frames(after=0, limit=2) == ["[0]", "[1]"]
    assert len(await store.messages.list()) == 6
    first = (await store.messages.list("CP1"))[0]
    assert (first.id, first.at, first.direction) == (1, T0, "out")


@pytest_twisted.ensureDeferred
async def test_the_message_log_is_read_across_rows_of_many_frames(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("csms.store.messages.LONGEST_CHUNK", 4)
    texts = [f'[3,"{number}",{{"text":"\u00fc < > {number}"}}]' for number in range(30)]
    for number, text in enumerate(texts):
        store.messages.log(f"CP{number % 2}", T0 + timedelta(milliseconds=number), "in", text)
        if number == 10:
            await store.messages.flush()
    every = await store.messages.list("CP1")
    assert [one.frame for one in every] == texts[1::2]
    assert [one.at for one in every] == [T0 + timedelta(milliseconds=number) for number in range(1, 30, 2)]
    numbers = [one.id for one in every]
    assert numbers == sorted(set(numbers))
    for first in range(len(every)):
        assert await store.messages.list("CP1", after=numbers[first], limit=5) == every[first + 1 : first + 6]
        assert await store.messages.list("CP1", before=numbers[first], limit=5) == every[max(first - 5, 0) : first]
    assert {one.id for one in await store.messages.list()} == set(range(1, 31))


@pytest_twisted.ensureDeferred
async def test_the_message_log_is_written_within_half_a_second_some_stations_at_a_time(tmp_path: Path) -> None:
    clock = Clock()
    store = Store(tmp_path / "kept.sqlite", clock)
    written: list[list[str]] = []

    def submit(unit: Any) -> Deferred[None]:
        connection = sqlite3.connect(":memory:")
        connection.execute("CREATE TABLE message_chunk (id, station, first_at, last_at, count, marks, frames)")
        unit(connection)
        written.append([station for (station,) in connection.execute("SELECT station FROM message_chunk")])
        return succeed(None)

    store.messages._writer.submit = submit  # type: ignore[method-assign, assignment]
    for _ in range(2):
        names = [f"CP{number}" for number in range(100)]
        for name in names:
            store.messages.log(name, T0, "in", "[1]")
        clock.pump([FLUSH_S / GROUPS] * GROUPS)
        assert sorted(name for group in written for name in group) == sorted(names)
        assert len(written) > 1
        assert max(map(len, written)) < 50
        written.clear()
    assert store.messages.dropped == 0
    assert clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_the_message_log_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("csms.store.messages.MOST_WAITING", 3)
    for number in range(5):
        store.messages.log("CP1", T0, "in", str(number))
    assert store.messages.dropped == 2
    monkeypatch.setattr("csms.store.messages.MOST_WAITING_BYTES", 3)
    await store.messages.flush()
    for _ in range(2):
        store.messages.log("CP1", T0, "in", "[99]")
    assert store.messages.dropped == 3
    assert [row.frame for row in await store.messages.list("CP1")] == ["0", "1", "2", "[99]"]
