"""The API's orders to stations: raw OCPP calls, version-neutral commands, and the command ledger."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from csms.model.commands import CommandRecord, CommandState
from csms.model.people import Role
from csms.ocpp.errors import OcppError
from csms.ocpp.schemas import problems
from csms.redaction import redacted
from csms.web.access import must
from csms.web.bodies import call_body, excesses, order_body
from csms.web.paging import page
from csms.web.problems import Kind, Mistake, OcppFault, Refused
from csms.web.reading import invalid
from csms.web.rooms import Rooms
from csms.web.routes import AFTER_ID, LIMIT, Answered, Asked, Gives, Param, Route
from csms.web.station_views import CallAnswer
from csms.web.stations import known_station
from csms.web.views import Page

log = Logger(namespace="csms.web")
SUPPORTS = frozenset(
    {
        "Reset",
        "UnlockConnector",
        "TriggerMessage",
        "RequestStopTransaction",
        "GetVariables",
        "GetBaseReport",
        "GetTransactionStatus",
        "ClearCache",
        "GetLog",
    }
)
"""What support may order: it helps a driver who is stuck, and changes nothing that lasts."""


async def call_station(rooms: Rooms, asked: Asked) -> Answered:
    """Send a raw call and give the station's answer."""
    record = await known_station(rooms, asked.place["id"])
    station = rooms.switchboard.station(record.id)
    if station is None:
        raise Refused(Kind.NOT_CONNECTED, f"{record.id} is not connected")
    body = asked.body
    _check(station.protocol, body.action, body.payload)
    calling = defer.Deferred.fromCoroutine(
        rooms.commands.call(record.id, body.action, body.payload, origin=asked.origin)
    )
    called = await patient(calling, body.timeout, rooms.clock)
    if called is None:
        raise Refused(Kind.NO_ANSWER, f"{record.id} did not answer {body.action} within {body.timeout:g} s")
    return _answer_of(called)


def _check(protocol: str, action: str, payload: dict[str, Any]) -> None:
    """The payload against the schema of the station's version; refuses with every mistake at its pointer."""
    try:
        wrong = problems(protocol, action, payload)
    except OcppError as unknown:
        raise invalid([Mistake("/action", unknown.description)]) from None
    if wrong:
        raise invalid([Mistake(f"/payload{one.pointer}", one.message) for one in wrong])


def _answer_of(called: CommandRecord) -> Answered:
    match called.state:
        case CommandState.EFFECTIVE | CommandState.ACCEPTED:
            return Answered(CallAnswer(dict(called.answer or {})))
        case CommandState.REJECTED:
            fault = OcppFault(called.error_code, called.error)
            detail = f"{called.error_code}: {called.error}"
            raise Refused(Kind.STATION_ERROR, detail, ocpp=fault, command=called.id)
        case CommandState.FAILED if called.error_code == "NotConnected":
            raise Refused(Kind.NOT_CONNECTED, called.error, command=called.id)
        case CommandState.FAILED:
            raise Refused(Kind.NOT_SENT, f"{called.error_code}: {called.error}", command=called.id)
    raise Refused(Kind.NO_ANSWER, called.error or "no answer came", command=called.id)


async def patient(
    work: defer.Deferred[CommandRecord], seconds: float | None, clock: IReactorTime
) -> CommandRecord | None:
    """What the work gives within so many seconds, else None; the work itself goes on either way."""
    if seconds is None:
        return await work
    result: defer.Deferred[CommandRecord] = defer.Deferred()
    late = False

    def done(value: Any) -> None:
        if not late:
            result.callback(value)
        elif isinstance(value, Failure):
            log.failure("a call failed after its caller had gone", failure=value)

    work.addBoth(done)
    try:
        return await result.addTimeout(seconds, clock)
    except defer.TimeoutError:
        late = True
        return None


async def order_station(rooms: Rooms, asked: Asked) -> Answered:
    """Put a command into the ledger and begin; with Prefer: wait=N, give its end if that comes in time."""
    record = await known_station(rooms, asked.place["id"])
    command = asked.body.with_
    mistakes = excesses(command)
    if mistakes:
        raise invalid(mistakes)
    name = type(command).__name__
    must(asked.caller, Role.SUPPORT if name in SUPPORTS else Role.OPERATOR, name)
    ordered = await rooms.commands.submit(record.id, command, origin=asked.origin)
    headers = {"Location": f"/api/v1/commands/{ordered.id}"}
    if not asked.wait_s:
        return Answered(shown(ordered), 202, headers)
    headers["Preference-Applied"] = f"wait={asked.wait_s:g}"
    if not ordered.state.final:
        ordered = await rooms.commands.finished(ordered.id, asked.wait_s) or ordered
    return Answered(shown(ordered), 200 if ordered.state.final else 202, headers)


async def list_commands(rooms: Rooms, asked: Asked) -> Answered:
    """The ledger."""
    query = asked.query
    records = await rooms.store.commands.list(
        station=query["station"], open_only=query["open"], after=query["after"], limit=query["limit"]
    )
    return Answered(page(asked, [shown(record) for record in records], lambda record: record.id))


async def get_command(rooms: Rooms, asked: Asked) -> Answered:
    """One command."""
    text = asked.place["id"]
    record = await rooms.store.commands.get(int(text)) if is_number(text) else None
    if record is None:
        raise Refused(Kind.UNKNOWN_COMMAND, f"there is no command {text[:30]}")
    return Answered(shown(record))


def is_number(text: str) -> bool:
    """Whether a path segment can be a row's number."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def shown(record: CommandRecord) -> CommandRecord:
    """The record without the passwords that may be in its arguments and its answer."""
    answer = redacted(record.answer) if record.answer is not None else None
    return replace(record, arguments=redacted(record.arguments), answer=answer)


ROUTES = (
    Route(
        "POST",
        "/api/v1/stations/{id}/calls",
        call_station,
        "Send a raw OCPP call",
        "commands",
        {200: Gives("The station's answer", CallAnswer)},
        (Kind.UNKNOWN_STATION, Kind.NOT_CONNECTED, Kind.NOT_SENT, Kind.STATION_ERROR, Kind.NO_ANSWER),
        body=call_body(),
        doc="The payload is in the words of the station's own OCPP version and is checked against its schema before anything is sent. "
        "Without `timeout` the site's call timeout decides.",
        needs=Role.OPERATOR,
    ),
    Route(
        "POST",
        "/api/v1/stations/{id}/commands",
        order_station,
        "Order something, in words that fit every OCPP version",
        "commands",
        {
            200: Gives(
                "`Prefer: wait=N` was given, and this is how the command ended", CommandRecord, headers=("Location",)
            ),
            202: Gives("The command is in the ledger", CommandRecord, headers=("Location",)),
        },
        (Kind.UNKNOWN_STATION,),
        body=order_body(),
        waits=True,
        doc="A command to a station that is not connected is in the ledger as failed. Support may order: "
        + ", ".join(sorted(SUPPORTS))
        + ".",
        needs=Role.SUPPORT,
    ),
    Route(
        "GET",
        "/api/v1/commands",
        list_commands,
        "List commands",
        "commands",
        {200: Gives("Commands by number", Page[CommandRecord])},
        query=(
            Param("station", str, "only commands to this station"),
            Param("open", bool, "only commands that have not ended", default=False),
            AFTER_ID,
            LIMIT,
        ),
        needs=Role.VIEWER,
    ),
    Route(
        "GET",
        "/api/v1/commands/{id}",
        get_command,
        "One command and what became of it",
        "commands",
        {200: Gives("The command", CommandRecord)},
        (Kind.UNKNOWN_COMMAND,),
        needs=Role.VIEWER,
    ),
)
