"""The API's answers from the message log: one station's frames by number, and a search."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any
from urllib.parse import urlencode

from csms.model.messages import Direction, FoundMessage, LoggedMessage, MessageKind, MessageQuery
from csms.model.people import Role
from csms.redaction import redacted_frame
from csms.web.paging import page
from csms.web.problems import Kind, QueryMistake, Refused
from csms.web.rooms import Rooms
from csms.web.routes import LIMIT, Answered, Asked, Gives, Param, Route
from csms.web.station_views import FoundMessages, FoundMessageView, MessageView
from csms.web.stations import known_station
from csms.web.views import Page, facts

MAX_FRAMES = 4 * 2**20
"""Characters of frames in one answer; a thousand of the largest frames would be a quarter of a gigabyte."""
MOST_STATIONS = 20
SAME = ("direction", "kind", "action", "message_id", "error_code", "text", "since", "until")
"""Parameters that a query of the log has by the same name."""


async def list_messages(rooms: Rooms, asked: Asked) -> Answered:
    """The station's message log."""
    record = await known_station(rooms, asked.place["id"])
    query = asked.query
    rows = await rooms.store.messages.list(
        record.id, after=query["after"], before=query["before"], limit=query["limit"]
    )
    onwards = query["after"] is not None
    ordered = rows if onwards else list(reversed(rows))
    items = [_view(row) for row in ordered[: _within_size([len(row.frame) for row in ordered])]]
    cut = len(items) < len(rows)
    if onwards:
        return Answered(page(asked, items, lambda item: item.id, cut=cut))
    items.reverse()
    return Answered(page(asked, items, lambda item: item.id, key="before", edge=0, cut=cut))


async def search_messages(rooms: Rooms, asked: Asked) -> Answered:
    """Frames that fit, the newest first."""
    wanted = await _wanted(rooms, asked)
    if wanted is None:
        return Answered(FoundMessages([], None, None))
    part = await rooms.store.messages.search(wanted, before=asked.query["before"], limit=asked.query["limit"])
    kept = part.found[: _within_size([_size(one) for one in part.found])]
    before, searched_to = part.before, part.searched_to
    if len(kept) < len(part.found):
        before, searched_to = kept[-1].message.id, kept[-1].message.at
    items = [_found_view(one) for one in kept]
    if wanted.text is not None:
        # A password that an older server logged is blanked out, and not to be guessed by searching for its letters either.
        same = [item.frame == one.message.frame for item, one in zip(items, kept, strict=True)]
        items = [item for item, plain in zip(items, same, strict=True) if plain or wanted.text in item.frame]
    question = {**asked.given, "before": before}
    onwards = None if before is None else f"{asked.path}?{urlencode(question, doseq=True)}"
    return Answered(FoundMessages(items, searched_to, onwards))


async def _wanted(rooms: Rooms, asked: Asked) -> MessageQuery | None:
    """What is looked for; None where nothing can fit."""
    query = asked.query
    stations, on_wire = query["station"], None
    if query["error_code"] is not None and query["kind"] not in (None, MessageKind.ERROR):
        mistake = "an error_code is that of an error: leave kind out, or say error"
        raise Refused(Kind.BAD_QUERY, mistake, errors=(QueryMistake("error_code", mistake),))
    if query["transaction"] is not None:
        transaction = await rooms.store.transactions.get(query["transaction"])
        if transaction is None:
            raise Refused(Kind.UNKNOWN_TRANSACTION, f"there is no transaction {query['transaction']}")
        if stations and transaction.station not in stations:
            return None
        stations, on_wire = (transaction.station,), transaction.station_transaction
    return MessageQuery(stations=stations, transaction=on_wire, **{name: query[name] for name in SAME})


def _view(row: LoggedMessage) -> MessageView:
    return MessageView(**facts(MessageView, row, frame=redacted_frame(row.frame)))


def _found_view(one: FoundMessage) -> FoundMessageView:
    shown: dict[str, Any] = facts(MessageView, _view(one.message))
    return FoundMessageView(
        **facts(FoundMessageView, one, **shown, other=None if one.other is None else _view(one.other))
    )


def _size(one: FoundMessage) -> int:
    return len(one.message.frame) + (0 if one.other is None else len(one.other.frame))


def _within_size(sizes: Sequence[int]) -> int:
    """How many of the first are MAX_FRAMES characters together, at least one."""
    return max(1, sum(size <= MAX_FRAMES for size in accumulate(sizes)))


BEFORE = Param("before", int, "only frames before this id, the newest of them")
ROUTES = (
    Route(
        "GET",
        "/api/v1/stations/{id}/messages",
        list_messages,
        "The log of a station's messages",
        "stations",
        {200: Gives("Frames by number", Page[MessageView])},
        (Kind.UNKNOWN_STATION,),
        query=(Param("after", int, "only frames after this id, the oldest first"), BEFORE, LIMIT),
        doc="Without `after`: the newest frames, and `next` leads to older ones. Passwords are blanked out.",
        needs=Role.SUPPORT,
    ),
    Route(
        "GET",
        "/api/v1/messages",
        search_messages,
        "Search the log of messages",
        "stations",
        {200: Gives("What was found, the newest first", FoundMessages)},
        (Kind.UNKNOWN_TRANSACTION,),
        query=(
            Param("station", str, "only frames of this station, or of these", many=MOST_STATIONS),
            Param("direction", Direction, "only from stations (`in`), or only to them"),
            Param("kind", MessageKind, "only calls, only their results, only errors, or only what is no OCPP message"),
            Param("action", str, "only calls of this action; with `kind` the answers to such calls"),
            Param("message_id", str, "only the call with this id, and its answer"),
            Param(
                "error_code",
                str,
                "only errors with this code, as the version spells it: `FormatViolation`, in 1.6 `FormationViolation`",
            ),
            Param("transaction", int, "only frames that name this transaction (the CSMS's own number)"),
            Param("text", str, "only frames with this text anywhere in them, capital and small letters as they are"),
            Param("since", datetime, "only frames of this time or later"),
            Param("until", datetime, "only frames before this time"),
            BEFORE,
            LIMIT,
        ),
        doc="Each frame comes with its `other` side: the answer to a call, or the call that it answers. One request searches for a part "
        "of a second only: it may have found less than `limit`, or nothing, and `next` goes on from `searched_to`; null is the end. "
        "Passwords are blanked out.",
        needs=Role.SUPPORT,
    ),
)
