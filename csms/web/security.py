"""The API's answers about security: events that stations reported or the CSMS noticed, and what certificates stations have."""

from __future__ import annotations

from csms.model.people import Role
from csms.model.security import SecurityEvent
from csms.web.paging import page
from csms.web.rooms import Rooms
from csms.web.routes import AFTER_ID, LIMIT, Answered, Asked, Gives, Param, Route
from csms.web.station_views import StationCertificate
from csms.web.views import Page, facts


async def list_security_events(rooms: Rooms, asked: Asked) -> Answered:
    """What should not have happened."""
    query = asked.query
    before = query["before"]
    rows = await rooms.store.security_events.list(
        station=query["station"],
        kind=query["kind"],
        critical=query["critical"],
        after=query["after"],
        before=before,
        limit=query["limit"],
    )
    if before is not None:
        return Answered(page(asked, list(rows), lambda item: item.id, key="before", edge=-1))
    return Answered(page(asked, list(rows), lambda item: item.id))


async def list_certificates(rooms: Rooms, asked: Asked) -> Answered:
    """The newest certificate of each kind that stations have, the first to expire first."""
    rows = await rooms.store.security.certificates(station=asked.query["station"])
    return Answered(Page([StationCertificate(**facts(StationCertificate, row)) for row in rows]))


ROUTES = (
    Route(
        "GET",
        "/api/v1/security-events",
        list_security_events,
        "List security events",
        "security",
        {200: Gives("Security events by number", Page[SecurityEvent])},
        needs=Role.SUPPORT,
        query=(
            Param("station", str, "only events about this station"),
            Param("kind", str, "only events of this kind, such as `FailedToAuthenticateAtCsms`"),
            Param("critical", bool, "only events that somebody should look at, or only the others"),
            Param("before", int, "the newest events before this id, the newest first"),
            AFTER_ID,
            LIMIT,
        ),
        doc="`source` is `station` for what a station reported, `csms` for what the server noticed; `detail` says why, and what to do.",
    ),
    Route(
        "GET",
        "/api/v1/certificates",
        list_certificates,
        "Which certificates stations have",
        "security",
        {200: Gives("Certificates, the first to expire first", Page[StationCertificate])},
        needs=Role.SUPPORT,
        query=(Param("station", str, "only those of this station"),),
    ),
)
