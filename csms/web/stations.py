"""The API's answers about stations: the list, one station with its connectors, its variables, and what operators change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

from csms.model.people import Role
from csms.model.provisioning import VariableValue
from csms.model.station import Admission, StationRecord
from csms.model.tx_points import TxPoints
from csms.redaction import HIDDEN, is_secret
from csms.web.bodies import station_body, station_id_fault
from csms.web.paging import page
from csms.web.problems import Kind, QueryMistake, Refused
from csms.web.rooms import Rooms
from csms.web.routes import LIMIT, Answered, Asked, Gives, Param, Route
from csms.web.station_views import ProvisionedStation, StationDetail, StationView, tree
from csms.web.views import Page, facts


async def known_station(rooms: Rooms, id: str) -> StationRecord:
    """The station's record; refuses with 404."""
    record = await rooms.store.stations.get(id)
    if record is None:
        raise Refused(Kind.UNKNOWN_STATION, f"no station is called {id[:100]}")
    return record


def station_facts(rooms: Rooms, record: StationRecord, kind: type = StationView, **more: Any) -> dict[str, Any]:
    """What is shown of a station."""
    return facts(kind, record, connected=rooms.switchboard.station(record.id) is not None, **more)


async def list_stations(rooms: Rooms, asked: Asked) -> Answered:
    """Stations by identity."""
    query = asked.query
    records = await rooms.store.stations.list(
        admission=query["admission"],
        online=query["online"],
        search=query["search"],
        after=query["after"],
        limit=query["limit"],
    )
    items = [StationView(**station_facts(rooms, record)) for record in records]
    return Answered(page(asked, items, lambda item: item.id))


async def get_station(rooms: Rooms, asked: Asked) -> Answered:
    """One station, with its EVSEs and connectors."""
    record = await known_station(rooms, asked.place["id"])
    status, evses = tree(await rooms.store.availability.list(record.id))
    points = TxPoints.of(await rooms.store.variables.list(record.id))
    more = {"status": status, "evses": evses, "start_points": points.start, "stop_points": points.stop}
    return Answered(StationDetail(**station_facts(rooms, record, StationDetail, **more)))


async def put_station(rooms: Rooms, asked: Asked) -> Answered:
    """Create or change a station."""
    id, body = asked.place["id"], asked.body
    fault = station_id_fault(id)
    if fault:
        raise Refused(Kind.INVALID, f"the identity: {fault}", errors=(QueryMistake("id", fault),))
    new = await rooms.store.stations.get(id) is None
    made = rooms.stations.generate_password() if body.password is True else None
    record = await rooms.stations.provision(
        id,
        approved=body.approved,
        blocked=body.blocked,
        password=made or body.password,
        heartbeat_interval_s=body.heartbeat_interval,
        security_profile=body.security_profile,
    )
    shown = ProvisionedStation(**station_facts(rooms, record, ProvisionedStation, password=made))
    if not new:
        return Answered(shown)
    return Answered(shown, 201, {"Location": f"/api/v1/stations/{quote(id, safe='')}"})


async def delete_station(rooms: Rooms, asked: Asked) -> Answered:
    """Forget a station."""
    id = asked.place["id"]
    if not await rooms.stations.remove(id):
        raise Refused(Kind.UNKNOWN_STATION, f"no station is called {id[:100]}")
    return Answered(None, 204)


async def list_variables(rooms: Rooms, asked: Asked) -> Answered:
    """The station's device model."""
    record = await known_station(rooms, asked.place["id"])
    values = await rooms.store.variables.list(record.id)
    return Answered(Page([_without_secret(value) for value in values]))


def _without_secret(value: VariableValue) -> VariableValue:
    return replace(value, value=HIDDEN) if value.value and is_secret(value.variable.name) else value


UNKNOWN = (Kind.UNKNOWN_STATION,)
ROUTES = (
    Route(
        "GET",
        "/api/v1/stations",
        list_stations,
        "List stations",
        "stations",
        {200: Gives("Stations by identity", Page[StationView])},
        query=(
            Param("admission", Admission, "only stations that are so admitted"),
            Param("online", bool, "only stations that live, or only the others"),
            Param("search", str, "only stations with this text in identity, vendor or model", default=""),
            Param("after", str, "go on after this identity (the `next` of a page has it)", default=""),
            LIMIT,
        ),
        needs=Role.VIEWER,
    ),
    Route(
        "GET",
        "/api/v1/stations/{id}",
        get_station,
        "One station with its EVSEs and connectors",
        "stations",
        {200: Gives("The station", StationDetail)},
        UNKNOWN,
        needs=Role.VIEWER,
    ),
    Route(
        "PUT",
        "/api/v1/stations/{id}",
        put_station,
        "Create or change a station",
        "stations",
        {
            200: Gives("The changed station", ProvisionedStation),
            201: Gives("The new station", ProvisionedStation, headers=("Location",)),
        },
        body=station_body(),
        doc="Approving asks a waiting station to boot again; blocking it or changing its password closes its connection. "
        "`password: true` makes one, which this answer alone shows.",
        needs=Role.OPERATOR,
    ),
    Route(
        "DELETE",
        "/api/v1/stations/{id}",
        delete_station,
        "Forget a station",
        "stations",
        {204: Gives("It is forgotten; its transactions and bills stay")},
        UNKNOWN,
        needs=Role.OPERATOR,
    ),
    Route(
        "GET",
        "/api/v1/stations/{id}/variables",
        list_variables,
        "A station's device model, as far as it is known",
        "stations",
        {200: Gives("Variables with their values", Page[VariableValue])},
        UNKNOWN,
        needs=Role.VIEWER,
    ),
)
