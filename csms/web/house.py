"""The API's answers about the house itself: alerts, plugins, health, metrics, and the OpenAPI document."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from csms.config import SiteFileError
from csms.model.people import Role
from csms.model.reloading import SiteReloaded
from csms.web import metrics, openapi
from csms.web.paging import page
from csms.web.problems import FileMistake, Kind, Refused
from csms.web.rooms import Rooms
from csms.web.routes import AFTER_ID, LIMIT, Answered, Asked, Gives, Param, Route
from csms.web.station_views import AlertView, alert_view
from csms.web.views import Health, Page, PluginView, StallView


async def list_alerts(rooms: Rooms, asked: Asked) -> Answered:
    """What stations reported."""
    query = asked.query
    rows = await rooms.store.alerts.list(station=query["station"], after=query["after"], limit=query["limit"])
    return Answered(page(asked, [alert_view(row) for row in rows], lambda item: item.id))


async def list_plugins(rooms: Rooms, asked: Asked) -> Answered:
    """The plugins in the order in which they are asked."""
    return Answered(
        Page([PluginView(**{one.name: row[one.name] for one in fields(PluginView)}) for row in rooms.plugins.report()])
    )


async def reload_site(rooms: Rooms, asked: Asked) -> Answered:
    """Read the site file again."""
    try:
        return Answered(await rooms.reload())
    except SiteFileError as wrong:
        mistakes = tuple(
            FileMistake(one.file, one.line, one.column, one.key, one.message, one.cure) for one in wrong.problems
        )
        raise Refused(Kind.SITE_FILE_WRONG, str(wrong), errors=mistakes) from None


async def list_stalls(rooms: Rooms, asked: Asked) -> Answered:
    """Where the reactor stood still since the start, the longest first."""
    found = rooms.metrics.stalls()
    return Answered(
        Page([StallView(one.place, one.times, round(one.longest_s, 3), round(one.total_s, 3)) for one in found])
    )


async def get_openapi(rooms: Rooms, asked: Asked) -> Answered:
    """This document; made once, when first asked for."""
    if asked.table.document is None:
        asked.table.document = openapi.document(asked.table.routes)
    return Answered(asked.table.document)


async def get_health(rooms: Rooms, asked: Asked) -> Answered:
    """The process lives."""
    return Answered(Health("alive"))


async def get_readiness(rooms: Rooms, asked: Asked) -> Answered:
    """The database is open and takes writes; why not is in the log, since nobody needs a token to ask."""
    if not rooms.store.healthy:
        raise Refused(Kind.STORE_UNAVAILABLE, "the database is not open or does not take writes: see the log")
    return Answered(Health("ready"))


async def get_metrics(rooms: Rooms, asked: Asked) -> Answered:
    """Counters and gauges."""
    text = rooms.metrics.text(connected=rooms.switchboard.count, healthy=rooms.store.healthy)
    return Answered(text, content_type=metrics.CONTENT_TYPE)


ANY_OBJECT = dict[str, Any]
ROUTES = (
    Route(
        "GET",
        "/api/v1/alerts",
        list_alerts,
        "List alerts",
        "house",
        {200: Gives("Alerts by number", Page[AlertView])},
        query=(Param("station", str, "only alerts of this station"), AFTER_ID, LIMIT),
        needs=Role.VIEWER,
    ),
    Route(
        "GET",
        "/api/v1/plugins",
        list_plugins,
        "The plugins and how they are",
        "house",
        {200: Gives("Plugins in the order in which they are asked", Page[PluginView])},
        needs=Role.VIEWER,
    ),
    Route(
        "POST",
        "/api/v1/reload",
        reload_site,
        "Read the site file again",
        "house",
        {200: Gives("What is different now, and what needs a restart", SiteReloaded)},
        (Kind.SITE_FILE_WRONG,),
        needs=Role.ADMIN,
        doc="All of it is taken over or nothing. No station is disconnected.",
    ),
    Route(
        "GET",
        "/api/v1/stalls",
        list_stalls,
        "Where the server stood still",
        "house",
        {200: Gives("Places of the code that kept all stations waiting, the longest first", Page[StallView])},
        needs=Role.OPERATOR,
    ),
    Route(
        "GET",
        "/api/v1/openapi.json",
        get_openapi,
        "This document",
        "house",
        {200: Gives("OpenAPI 3.1", ANY_OBJECT)},
        needs=Role.DRIVER,
    ),
    Route(
        "GET",
        "/healthz",
        get_health,
        "Whether the process lives",
        "house",
        {200: Gives("It lives", Health)},
        open=True,
    ),
    Route(
        "GET",
        "/readyz",
        get_readiness,
        "Whether the database is open and takes writes",
        "house",
        {200: Gives("It does", Health)},
        open=True,
    ),
    Route(
        "GET",
        "/metrics",
        get_metrics,
        "Figures for Prometheus",
        "house",
        {200: Gives("Prometheus' text format", str, content_type="text/plain")},
        needs=Role.VIEWER,
    ),
)
