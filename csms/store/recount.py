"""Whether what the ledger keeps of each transaction is what its events say: each is folded again from the station's own words, and compared.

Given the way to read an event, because the store knows no OCPP.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from csms.ledger import Evidence, Variant, fold
from csms.store.connections import reading
from csms.store.faults import fault_of
from csms.store.recording import variant
from csms.store.state import Decode, stored_events

TRANSACTIONS = 'SELECT "id", "station", "evidence" FROM "transaction" ORDER BY "id"'


def recount(file: Path, decode: Decode) -> list[str]:
    """The transactions whose state is not what follows from their events, in plain words; an empty list when all is well."""
    try:
        with closing(reading(file)) as connection:
            connection.execute("BEGIN")
            return list(_differences(connection, decode))
    except sqlite3.Error as raised:
        return [f"{file}: {fault_of(raised)}"]


def _differences(connection: sqlite3.Connection, decode: Decode) -> Iterator[str]:
    for id, station, kept in connection.execute(TRANSACTIONS):
        try:
            folded = _folded([variant(event, decode) for event in stored_events(connection, id)])
        except Exception as unreadable:
            yield f"transaction {id} of {station}: an event cannot be read: {unreadable}"
            continue
        state: dict[str, Any] = orjson.loads(kept)
        wrong = sorted(name for name in folded.keys() | state.keys() if folded.get(name) != state.get(name))
        if wrong:
            yield f"transaction {id} of {station}: its events say otherwise about {', '.join(wrong)}"


def _folded(variants: list[Variant]) -> Evidence:
    folded: Evidence = orjson.loads(orjson.dumps(fold(variants)))
    return folded
