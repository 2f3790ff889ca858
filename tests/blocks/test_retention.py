"""What is too old goes, to the archive first, and nothing else does: a whole csms, its clock moved by hand."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater

from csms.model.commands import CommandState
from csms.store import verify
from csms.testing import NOON, TestCsms, running_csms

OLD, YOUNG = NOON - timedelta(days=40), NOON - timedelta(days=1)
SITE = """
[retention]
archive = "old"
messages = "30d"
notices = "30d"
alerts = "30d"
meter_values = "30d"
commands = "30d"
"""
ALERT = {
    "generatedAt": "2026-03-01T12:00:00Z",
    "seqNo": 0,
    "eventData": [
        {
            "eventId": 1,
            "timestamp": "2026-03-01T12:00:00Z",
            "trigger": "Alerting",
            "actualValue": "x",
            "eventNotificationType": "HardWiredNotification",
            "component": {"name": "C"},
            "variable": {"name": "V"},
        }
    ],
}
STARTED = {
    "eventType": "Started",
    "timestamp": "2026-03-01T12:00:00Z",
    "triggerReason": "CablePluggedIn",
    "seqNo": 0,
    "transactionInfo": {"transactionId": "T1"},
}


async def removed(csms: TestCsms) -> int:
    """Let retention run once; how many rows went."""
    running = ensureDeferred(csms.house.retention.run())
    for _ in range(5000):
        if running.called:
            break
        csms.clock.advance(0.1)
        await deferLater(csms.reactor, 0.001)
    assert running.called
    return int(await running)


def archived(folder: Path, name: str) -> list[Any]:
    lines = []
    for file in sorted((folder / "old").glob(f"{name}-*.jsonl.gz")):
        lines += [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    return lines


def rows(csms: TestCsms, table: str) -> int:
    with closing(sqlite3.connect(csms.house.store.file)) as connection:
        return int(connection.execute(f'SELECT COUNT(*) FROM "{table}"').fetchone()[0])


@pytest_twisted.ensureDeferred
async def test_old_notices_are_archived_and_removed(tmp_path: Path) -> None:
    async with running_csms(tmp_path, site=SITE) as csms:
        notices = csms.house.store.notices
        for number in range(450):
            await notices.record("CS1", 0, "LogStatus", json.dumps({"n": number}).encode(), OLD)
        await notices.record("CS1", 0, "LogStatus", b"{}", YOUNG)
        assert await removed(csms) == 450
        assert [notice.at for notice in await notices.list("CS1")] == [YOUNG]
        lines = archived(tmp_path, "notices")
        assert [json.loads(line["body"])["n"] for line in lines] == list(range(450))
        assert {line["at"] for line in lines} == {OLD.isoformat()}
        assert await removed(csms) == 0


@pytest_twisted.ensureDeferred
async def test_everything_old_goes_but_transactions_stay(tmp_path: Path) -> None:
    async with running_csms(tmp_path, site=SITE) as csms:
        station = await csms.station("CS1")
        await station.say("NotifyEvent", ALERT)
        await station.say("TransactionEvent", STARTED)
        store = csms.house.store
        await store.telemetry.record("CS1", 0, 1, b"{}", NOON)
        done = await store.commands.add("CS1", "Reset", {}, "test", NOON)
        await store.commands.update(done.id, state=CommandState.EFFECTIVE, closed_at=NOON)
        still_open = await store.commands.add("CS1", "Reset", {}, "test", NOON)
        store.messages.log("CS1", NOON, "in", '[2,"1","Heartbeat",{}]')
        await store.messages.flush()
        csms.clock.advance(31 * 86400)
        await removed(csms)
        emptied = ("alert", "alert_message", "telemetry")
        assert {table: rows(csms, table) for table in emptied} == dict.fromkeys(emptied, 0)
        left = [one.id for one in await store.commands.list()]
        assert still_open.id in left
        assert done.id not in left
        assert (rows(csms, "transaction"), rows(csms, "transaction_event")) == (1, 1)
        assert [json.loads(data)["actual_value"] for data in archived(tmp_path, "alerts")[0]["data"]] == ["x"]
        assert done.id in [line["id"] for line in archived(tmp_path, "commands")]
        assert [line["frame"] for line in archived(tmp_path, "messages")] == ['[2,"1","Heartbeat",{}]']
        assert await store.messages.list("CS1") == []
        assert verify(store.file) == []


@pytest_twisted.ensureDeferred
async def test_old_meter_values_are_thinned_out(tmp_path: Path) -> None:
    site = '[retention]\nmeter_values_thinned = "30d"\nmeter_values_every = "1h"\n'
    async with running_csms(tmp_path, site=site) as csms:
        telemetry = csms.house.store.telemetry
        for minute in range(0, 180, 10):
            for evse in (1, 2):
                at = OLD.replace(minute=0) + timedelta(minutes=minute)
                await telemetry.record("CS1", 0, evse, json.dumps({"m": minute}).encode() + b" " * evse, at)
        await telemetry.record("CS1", 0, 1, b"{}", YOUNG)
        assert await removed(csms) == 30
        kept = [(json.loads(one.body).get("m"), one.evse) for one in await telemetry.list("CS1")]
        assert kept == [(0, 1), (0, 2), (60, 1), (60, 2), (120, 1), (120, 2), (None, 1)]
        assert await removed(csms) == 0


@pytest_twisted.ensureDeferred
async def test_a_clock_that_jumped_removes_nothing(tmp_path: Path) -> None:
    async with running_csms(tmp_path, site=SITE) as csms:
        await csms.house.store.notices.record("CS1", 0, "LogStatus", b"{}", NOON)
        honest: Callable[[], Any] = csms.house.now
        csms.house.retention._now = lambda: honest() + timedelta(days=3650)
        assert await removed(csms) == 0
        assert len(await csms.house.store.notices.list("CS1")) == 1


@pytest_twisted.ensureDeferred
async def test_an_archive_that_cannot_be_written_removes_nothing(tmp_path: Path) -> None:
    async with running_csms(tmp_path, site=SITE) as csms:
        (tmp_path / "old").write_text("a file where the folder should be")
        await csms.house.store.notices.record("CS1", 0, "LogStatus", b"{}", OLD)
        assert await removed(csms) == 0
        assert len(await csms.house.store.notices.list("CS1")) == 1


@pytest_twisted.ensureDeferred
async def test_the_message_log_gives_its_pages_back(tmp_path: Path) -> None:
    async with running_csms(tmp_path, site=SITE) as csms:
        store = csms.house.store
        for number in range(40):
            store.messages.log("CS1", OLD, "in", f"{number}" + "x" * 100_000)
            await store.messages.flush()
        await removed(csms)
        with closing(sqlite3.connect(store.messages_file)) as log:
            pages, free = log.execute(
                "SELECT page_count, freelist_count FROM pragma_page_count, pragma_freelist_count"
            ).fetchone()
        assert free == 0
        assert pages < 20
