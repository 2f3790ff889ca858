"""A database with the past of many days: one hour that the server itself recorded, copied again and again with other numbers and times.

Only what a copy must have for itself is changed: row numbers, references, times, and what is unique. The events' own JSON keeps its times, so that
every transaction's state is still what follows from its events (``csms db verify`` finds it well).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from servers import ServerProcess
from websockets.sync.client import ClientConnection, connect

from csms.bench.words import Build, Words, wire_time
from csms.store.columns import micros
from csms.store.message_chunks import SIGNS, logged_messages

STATIONS = 100
UPDATES = 14
HOUR_US = 3_600_000_000
REFERENCES = {
    ("transaction_event", "transaction_id"): "transaction",
    ("bill", "transaction_id"): "transaction",
    ("bill_step", "transaction_id"): "transaction",
    ("bill_step", "bill"): "bill",
    ("bill_delivery", "bill_id"): "bill",
    ("alert", "message_id"): "alert_message",
}
UNIQUE = {
    ("transaction", "wire_id"): "\"wire_id\" || '-' || k",
    ("bill", "number"): "\"number\" || '-' || k",
    ("bill", "serial"): '"serial" + k * (SELECT MAX("serial") FROM "bill" WHERE "series" IS NOT NULL)',
    ("telemetry", "digest"): 'CAST(hex("digest") || k AS BLOB)',
}
COPIED = (
    "transaction",
    "transaction_event",
    "bill",
    "bill_step",
    "bill_delivery",
    "alert_message",
    "alert",
    "telemetry",
    "notice",
    "decision",
    "command",
    "security_event",
    "audit",
)
LOG = ("message_chunk",)
NUMBERS = 'WITH RECURSIVE "copies"(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM "copies" WHERE k < {copies})'


def fill(server: ServerProcess, messages: int) -> int:
    """Fill the folder of a server that does not run with about so many messages (calls and answers); gives how many there are."""
    _record_an_hour(server)
    main, log = server.folder / "csms.sqlite", server.folder / "csms-messages.sqlite"
    _part(log)
    with closing(sqlite3.connect(log)) as file:
        (recorded,) = file.execute('SELECT SUM("count") FROM "message_chunk"').fetchone()
    copies = max(0, round(messages / recorded) - 1)
    if copies:
        _multiply(main, COPIED, copies)
        _multiply(log, LOG, copies)
    return int(recorded) * (copies + 1)


def _record_an_hour(server: ServerProcess) -> None:
    """Each station charges one car and says what else stations say."""
    server.start()
    try:
        server.wait_ready(60.0)
        for number in range(STATIONS):
            name = f"PAST-{number:03}"
            with connect(f"{server.stations_url}/{name}", subprotocols=["ocpp2.0.1"]) as socket:  # type: ignore[list-item]
                _charge(socket, Words(name, wire_time))
    finally:
        server.terminate(60.0)


def _charge(socket: ClientConnection, words: Words) -> None:
    _ask(socket, words, words.boot)
    for build in (words.status, words.authorize, words.started):
        _ask(socket, words, build)
    for number in range(UPDATES):
        _ask(socket, words, words.updated)
        if number % 5 == 0:
            for build in (words.heartbeat, words.meter_values, words.alert):
                _ask(socket, words, build)
    _ask(socket, words, words.ended)
    _ask(socket, words, words.status)


def _ask(socket: ClientConnection, words: Words, build: Build) -> None:
    """Say one thing, and read up to its answer; the server's own calls stay without one."""
    socket.send(build(), text=True)
    answer = f'[3,"{words.message_id.decode()}"'
    while not str(socket.recv(30.0)).startswith(answer):
        pass


def _part(log: Path) -> None:
    """Give each call and its answer a row of the log: so it is where stations speak less than twice a second."""
    with closing(sqlite3.connect(log)) as connection, connection:
        frames = [
            one
            for row in connection.execute('SELECT * FROM "message_chunk" ORDER BY "id"')
            for one in logged_messages(row)
        ]
        connection.execute('DELETE FROM "message_chunk"')
        for first, second in zip(frames[::2], frames[1::2], strict=False):
            pair = (first, second) if first.station == second.station else (first,)
            at, bodies = micros(first.at), [one.frame.encode() for one in pair]
            marks = [
                f"{micros(one.at) - at}{SIGNS[one.direction]}{len(body)}"
                for one, body in zip(pair, bodies, strict=True)
            ]
            row = (first.id, first.station, at, micros(pair[-1].at), len(pair), " ".join(marks), b"".join(bodies))
            connection.execute('INSERT INTO "message_chunk" VALUES (?, ?, ?, ?, ?, ?, ?)', row)


def _multiply(file: Path, tables: tuple[str, ...], copies: int) -> None:
    """Copy the rows of each table so many times; the copies are later, an hour each, and the last one is the hour that was recorded."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        spans = {table: _span(connection, table) for table in tables}
        for table in tables:
            _copy(connection, table, spans, copies)
        if "bill" in tables:
            connection.execute(
                'UPDATE "bill_series" SET "last" = (SELECT MAX("serial") FROM "bill" b WHERE b."series" = "bill_series"."series")'
            )
        connection.execute("PRAGMA journal_mode = WAL")


def _span(connection: sqlite3.Connection, table: str) -> int:
    """How far the numbers of a copy are from those of the copy before."""
    number = '"id" + "count"' if table in LOG else '"id"'
    return int(connection.execute(f'SELECT COALESCE(MAX({number}), 0) FROM "{table}"').fetchone()[0])


def _copy(connection: sqlite3.Connection, table: str, spans: Mapping[str, int], copies: int) -> None:
    columns = [str(row[1]) for row in connection.execute(f'PRAGMA table_info("{table}")')]
    times = [name for name in columns if name == "at" or name.endswith("_at")]
    if times:
        earlier = ", ".join(f'"{name}" = "{name}" - {copies * HOUR_US}' for name in times)
        connection.execute(f'UPDATE "{table}" SET {earlier}')
    values = ", ".join(_value(table, name, spans) for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    # The copies are the outer loop of the join, and every row is written behind the last one.
    connection.execute(
        f'{NUMBERS.format(copies=copies)} INSERT INTO "{table}" ({names}) SELECT {values} FROM "copies" CROSS JOIN '
        f'(SELECT * FROM "{table}" WHERE "id" <= {spans[table]} ORDER BY "id")'
    )


def _value(table: str, name: str, spans: Mapping[str, int]) -> str:
    if name == "id":
        return f'"id" + k * {spans[table]}'
    if (table, name) in REFERENCES:
        return f'"{name}" + k * {spans[REFERENCES[table, name]]}'
    if (table, name) in UNIQUE:
        return UNIQUE[table, name]
    return f'"{name}" + k * {HOUR_US}' if name == "at" or name.endswith("_at") else f'"{name}"'
