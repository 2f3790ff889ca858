"""The API's answers about transactions: the list, and one with its events, meter values and bill."""

from __future__ import annotations

from typing import Any

import orjson
from twisted.logger import Logger

from csms.model.explanation import Explanation
from csms.model.metering import MeterValue
from csms.model.people import Role
from csms.model.transactions import Transaction
from csms.web.commands import is_number
from csms.web.paging import page
from csms.web.problems import Kind, Refused
from csms.web.rooms import Rooms
from csms.web.routes import AFTER_ID, LIMIT, Answered, Asked, Gives, Param, Route
from csms.web.store_rooms import StoredEvent
from csms.web.transaction_views import EventView, TransactionDetail, TransactionView, bill_view, meter_value_view
from csms.web.views import Page, facts

log = Logger(namespace="csms.web")


def transaction_facts(kind: type, record: Transaction, **more: Any) -> dict[str, Any]:
    """What is shown of a transaction."""
    return facts(kind, record, event_count=record.events, **more)


async def list_transactions(rooms: Rooms, asked: Asked) -> Answered:
    """Transactions."""
    query = asked.query
    records = await rooms.store.transactions.list(
        station=query["station"], active=query["active"], after=query["after"], limit=query["limit"]
    )
    items = [TransactionView(**transaction_facts(TransactionView, record)) for record in records]
    return Answered(page(asked, items, lambda item: item.id))


async def get_transaction(rooms: Rooms, asked: Asked) -> Answered:
    """One transaction and all that is known of it."""
    record = await _known(rooms, asked)
    events = await rooms.store.transactions.events(record.id)
    bill = await rooms.store.bills.get(record.id)
    values = [value for event in events for value in _readings(rooms, record, event)]
    more = {
        "events": [EventView(**facts(EventView, event, payload=orjson.Fragment(event.body))) for event in events],
        "meter_values": [meter_value_view(value) for value in sorted(values, key=lambda value: value.timestamp)],
        "bill": bill_view(bill) if bill else None,
    }
    return Answered(TransactionDetail(**transaction_facts(TransactionDetail, record, **more)))


async def explain_transaction(rooms: Rooms, asked: Asked) -> Answered:
    """One transaction's story."""
    return Answered(await rooms.explain(await _known(rooms, asked)))


async def _known(rooms: Rooms, asked: Asked) -> Transaction:
    """The transaction that a path names; refuses with 404."""
    text = asked.place["id"]
    record = await rooms.store.transactions.get(int(text)) if is_number(text) else None
    if record is None:
        raise Refused(Kind.UNKNOWN_TRANSACTION, f"there is no transaction {text[:30]}")
    return record


def _readings(rooms: Rooms, record: Transaction, event: StoredEvent) -> list[MeterValue]:
    """The meter values of one event; one that cannot be decoded must not hide the others."""
    try:
        return rooms.readings(event)
    except Exception:
        log.failure("event {key} of transaction {id} cannot be decoded", key=event.key, id=record.id)
        return []


ROUTES = (
    Route(
        "GET",
        "/api/v1/transactions",
        list_transactions,
        "List transactions",
        "transactions",
        {200: Gives("Transactions", Page[TransactionView])},
        query=(
            Param("station", str, "only transactions of this station"),
            Param("active", bool, "only transactions that have not ended, or only those that have"),
            AFTER_ID,
            LIMIT,
        ),
        needs=Role.VIEWER,
    ),
    Route(
        "GET",
        "/api/v1/transactions/{id}",
        get_transaction,
        "One transaction with its events, meter values and bill",
        "transactions",
        {200: Gives("The transaction", TransactionDetail)},
        (Kind.UNKNOWN_TRANSACTION,),
        needs=Role.VIEWER,
    ),
    Route(
        "GET",
        "/api/v1/transactions/{id}/explanation",
        explain_transaction,
        "The story of a transaction: events, decisions, gaps, commands, bills",
        "transactions",
        {200: Gives("The story, by time", Explanation)},
        (Kind.UNKNOWN_TRANSACTION,),
        needs=Role.VIEWER,
        doc="Steps are in the order in which the CSMS came to know of them; each event says its own time, too.",
    ),
)
