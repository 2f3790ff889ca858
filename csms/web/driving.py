"""What a driver may do with the API: see the own charging and its bills, start at a station, stop again. Whose it is, the own tokens say."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, TypeAdapter

from csms.model.authorization import IdToken
from csms.model.people import Role
from csms.model.transactions import RequestStartTransaction, RequestStopTransaction, Transaction
from csms.web.bodies import STRICT, known_token
from csms.web.commands import is_number
from csms.web.paging import page
from csms.web.problems import Kind, Mistake, Refused
from csms.web.reading import invalid
from csms.web.rooms import Rooms
from csms.web.routes import AFTER_ID, LIMIT, Answered, Asked, Gives, Route
from csms.web.stations import known_station
from csms.web.transaction_views import MyCommand, MyTransaction, TransactionView, bill_view
from csms.web.transactions import transaction_facts
from csms.web.views import Page, facts


class StartBody(BaseModel):
    """Where to charge; ``id_token`` may be left out by a driver who has only one."""

    model_config = STRICT
    station: Annotated[str, Field(min_length=1, max_length=48)]
    evse: Annotated[int, Field(ge=1, le=1000)] | None = None
    id_token: Annotated[IdToken, AfterValidator(known_token)] | None = None


async def list_my_transactions(rooms: Rooms, asked: Asked) -> Answered:
    """The caller's own, the newest first."""
    query, tokens = asked.query, asked.caller.id_tokens
    records = await rooms.store.transactions.of_tokens(tokens, after=query["after"], limit=query["limit"])
    items = [TransactionView(**transaction_facts(TransactionView, record)) for record in records]
    return Answered(page(asked, items, lambda item: item.id))


async def get_my_transaction(rooms: Rooms, asked: Asked) -> Answered:
    """One of the caller's own, with its bill."""
    record = await _mine(rooms, asked)
    bill = await rooms.store.bills.get(record.id)
    shown = transaction_facts(MyTransaction, record, bill=bill_view(bill) if bill else None)
    return Answered(MyTransaction(**shown))


async def start_charging(rooms: Rooms, asked: Asked) -> Answered:
    """Ask a station to start for one of the caller's tokens."""
    body, tokens = asked.body, asked.caller.id_tokens
    token = body.id_token or (tokens[0] if len(tokens) == 1 else None)
    if token is None or not any(_same(token, one) for one in tokens):
        text = "this token is not yours" if body.id_token else "say which of your tokens shall charge"
        raise invalid([Mistake("/id_token", text)])
    station = await known_station(rooms, body.station)
    return await _ordered(rooms, asked, station.id, RequestStartTransaction(token, body.evse))


async def stop_charging(rooms: Rooms, asked: Asked) -> Answered:
    """Ask the station to end one of the caller's own transactions."""
    record = await _mine(rooms, asked)
    return await _ordered(rooms, asked, record.station, RequestStopTransaction(record.station_transaction))


async def _ordered(rooms: Rooms, asked: Asked, station: str, command: object) -> Answered:
    ordered = await rooms.commands.submit(station, command, origin=asked.origin)
    if asked.wait_s and not ordered.state.final:
        ordered = await rooms.commands.finished(ordered.id, asked.wait_s) or ordered
    return Answered(MyCommand(**facts(MyCommand, ordered)), 200 if ordered.state.final else 202)


async def _mine(rooms: Rooms, asked: Asked) -> Transaction:
    text = asked.place["id"]
    record = await rooms.store.transactions.get(int(text)) if is_number(text) else None
    if record is None or not _is_of(record, asked.caller.id_tokens):
        raise Refused(Kind.UNKNOWN_TRANSACTION, f"you have no transaction {text[:30]}")
    return record


def _is_of(record: Transaction, tokens: tuple[IdToken, ...]) -> bool:
    return record.id_token is not None and any(_same(record.id_token, one) for one in tokens)


def _same(one: IdToken, other: IdToken) -> bool:
    return replace(one, value=one.key) == replace(other, value=other.key)


ROUTES = (
    Route(
        "GET",
        "/api/v1/me/transactions",
        list_my_transactions,
        "My charging",
        "driving",
        {200: Gives("My transactions, the newest first", Page[TransactionView])},
        query=(AFTER_ID, LIMIT),
        needs=Role.DRIVER,
    ),
    Route(
        "POST",
        "/api/v1/me/transactions",
        start_charging,
        "Start charging",
        "driving",
        {
            200: Gives("`Prefer: wait=N` was given, and this is how the order ended", MyCommand),
            202: Gives("The station is asked", MyCommand),
        },
        (Kind.UNKNOWN_STATION,),
        body=TypeAdapter(StartBody),
        waits=True,
        needs=Role.DRIVER,
    ),
    Route(
        "GET",
        "/api/v1/me/transactions/{id}",
        get_my_transaction,
        "One of my transactions with its bill",
        "driving",
        {200: Gives("The transaction", MyTransaction)},
        (Kind.UNKNOWN_TRANSACTION,),
        needs=Role.DRIVER,
    ),
    Route(
        "POST",
        "/api/v1/me/transactions/{id}/stop",
        stop_charging,
        "Stop charging",
        "driving",
        {
            200: Gives("`Prefer: wait=N` was given, and this is how the order ended", MyCommand),
            202: Gives("The station is asked", MyCommand),
        },
        (Kind.UNKNOWN_TRANSACTION,),
        waits=True,
        needs=Role.DRIVER,
    ),
)
