"""Cut the power at random moments of a server's life, and look whether an answered event is missing afterwards.

    python tests/torture/power_cuts.py --seed 7
    python tests/torture/power_cuts.py --long

A real server works for real stations while a shim records every write, every sync and every answer in one order (``disk_log.py``); now and then a
sync fails. From the record the disk of any moment can be made as a power cut would leave it. Each is opened by SQLite as at a restart, checked by
``csms db verify``'s function, and must hold every event whose answer had left by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
import re
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from torture_tool import Report, Run, main

# ruff: noqa: I001 - the tool makes the other folders known
from api_client import Api
from disk_log import RECORD, SYNCS, Disk, Entry, Shim, entries, no_shim
from kill_stations import KillStation16, KillStation201, Message
from server_process import ServerProcess

from csms.store import verify

STATIONS = 12
ANSWERS = {500: 1500, 10_000: 4000}
LATE_S = 1.0
BAD_SYNC_EVERY_S, BAD_SYNC_S = 0.7, 0.05
ANSWERED = re.compile(rb'\[3,"(CUT-\d\d-\d+)"')
EVENTS = """
    SELECT t."station", t."wire_id", e."seq_no", e."at" FROM "transaction_event" e JOIN "transaction" t ON t."id" = e."transaction_id"
"""
Key = tuple[str, str, str]
"""Station, transaction on the wire (empty for a 1.6 start, whose number only its answer has), and the event's seqNo or time."""


async def load(server: ServerProcess, shim: Shim, run: Run) -> dict[str, Message]:
    """Let stations work, with some failing syncs, until enough is answered; gives each message by the id of every try."""
    journal: dict[str, Message] = {}
    kinds = (KillStation201, KillStation16)
    stations = [kinds[n % 2](f"CUT-{n:02}", run.random(f"station {n}"), patience_s=LATE_S) for n in range(STATIONS)]
    enough = ANSWERS.get(run.size, max(600, run.size))
    for station in stations:
        station.journal = journal
    stop = asyncio.Event()

    async def talk(station: KillStation201 | KillStation16) -> None:
        while not stop.is_set():
            await station.talk(server.stations_url)

    async def spoil(chance: random.Random) -> None:
        while not stop.is_set():
            await asyncio.sleep(chance.uniform(0.5, 1.5) * BAD_SYNC_EVERY_S)
            shim.set(SYNCS, errno.EIO)
            await asyncio.sleep(BAD_SYNC_S)
            shim.set(SYNCS, 0)

    talking = [asyncio.create_task(talk(station)) for station in stations]
    spoiling = asyncio.create_task(spoil(run.random("syncs")))
    async with asyncio.timeout(120):
        while sum(station.answers for station in stations) < enough:
            await asyncio.sleep(0.05)
    stop.set()
    server.kill()
    shim.set(SYNCS, 0)
    await asyncio.gather(*talking, spoiling)
    return journal


def answered_keys(entry: Entry, journal: dict[str, Message]) -> Iterable[Key]:
    """The events whose answers left with these bytes."""
    for found in ANSWERED.finditer(entry.data):
        message = journal.get(found[1].decode())
        if message is not None and message.charge is not None:
            starts_16 = message.action == "StartTransaction"
            yield message.charge.station, "" if starts_16 else message.charge.wire_id, message.key


def stored_keys(file: Path) -> set[Key]:
    """The events in a database, each by its name with the transaction and without."""
    from datetime import UTC, datetime

    keys: set[Key] = set()
    with contextlib.closing(sqlite3.connect(file)) as connection:
        for station, wire_id, seq_no, at in connection.execute(EVENTS):
            time = datetime.fromtimestamp(at // 1000 / 1000, UTC).isoformat(timespec="milliseconds")
            key = str(seq_no) if seq_no is not None else time.replace("+00:00", "Z")
            keys |= {(station, wire_id, key), (station, "", key)}
    return keys


def look(folder: Path, answered: set[Key], where: str, report: Report) -> None:
    """A restart after the cut: the database is whole, and has what was answered."""
    file = folder / "csms.sqlite"
    try:
        stored = stored_keys(file)
        problems = verify(file)
    except sqlite3.Error as broken:
        report.fault(f"{where}: the database does not open: {broken}")
        return
    for problem in problems:
        report.fault(f"{where}: {problem}")
    lost = answered - stored
    if lost:
        report.fault(f"{where}: {len(lost)} of {len(answered)} answered events are lost, such as {min(lost)}")


def torture(run: Run, report: Report) -> None:
    """Record one life of a server, then cut the power at moments spread over it."""
    shim = Shim(run.folder)
    shim.set(RECORD, 1)
    server = ServerProcess(run.folder, environment=shim.environment)
    server.start()
    try:
        server.wait_ready()
        Api(server).put_token("KILL", "Accepted")
        journal = asyncio.run(load(server, shim, run))
    finally:
        if server.running:
            server.kill()
    report.log_of(server)
    life = list(entries(shim.record))
    first = next(number for number, entry in enumerate(life) if entry.kind == "S" and ANSWERED.search(entry.data))
    chance = run.random("cuts")
    moments = sorted(chance.choices(range(first, len(life)), k=run.size))
    cut_everywhere(run, report, life, moments, journal)
    report.figures["failed syncs"] = sum(entry.kind == "F" for entry in life)


def cut_everywhere(
    run: Run, report: Report, life: list[Entry], moments: list[int], journal: dict[str, Message]
) -> None:
    """Replay the life once, and look at each moment."""
    disk, answered, begin = Disk(run.random("disk")), set[Key](), 0
    folder = run.folder / "cut"
    folder.mkdir()
    for count, moment in enumerate(moments, 1):
        for entry in life[begin : moment + 1]:
            disk.take(entry)
            if entry.kind == "S":
                answered.update(answered_keys(entry, journal))
        begin = moment + 1
        for old in folder.iterdir():
            old.unlink()
        disk.cut(folder)
        look(folder, answered, f"cut at entry {moment} of {len(life)}", report)
        if count % 500 == 0:
            run.say(f"{count} cuts, {len(answered)} events answered by then, {len(report.faults)} faults")
    report.figures |= {"entries of the record": len(life), "events answered": len(answered)}


if __name__ == "__main__":
    if why := no_shim():
        raise SystemExit(why)
    main("power_cuts", __doc__ or "", "power cuts", (500, 10_000), torture)
