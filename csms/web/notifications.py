"""The API's answers about notifications: the channels, what is on its way, what was given up, and telling something by hand."""

from __future__ import annotations

from csms.model.notifications import NotificationRecord, NotificationState, NotifyFailed
from csms.model.people import Role
from csms.web.bodies import notification_body
from csms.web.paging import page
from csms.web.problems import Kind, Refused
from csms.web.rooms import Rooms
from csms.web.routes import LIMIT, Answered, Asked, Gives, Param, Route
from csms.web.views import ChannelView, Page


async def list_channels(rooms: Rooms, asked: Asked) -> Answered:
    """Channels by name."""
    counts = await rooms.store.notifications.counts()
    return Answered(
        Page(
            [
                ChannelView(name, kind, *(counts.get((name, state.value), 0) for state in NotificationState))
                for name, kind in sorted(rooms.notifications.channels().items())
            ]
        )
    )


async def list_notifications(rooms: Rooms, asked: Asked) -> Answered:
    """Notifications, the newest first."""
    query = asked.query
    rows = await rooms.store.notifications.list(
        channel=query["channel"], state=query["state"], after=query["after"], limit=query["limit"]
    )
    return Answered(page(asked, rows, lambda row: row.id))


async def get_notification(rooms: Rooms, asked: Asked) -> Answered:
    """One notification."""
    return Answered(await _known(rooms, asked))


async def send_notification(rooms: Rooms, asked: Asked) -> Answered:
    """Tell something by hand."""
    body = asked.body
    try:
        taken = await rooms.notifications.notify(
            body.channel, body.text, level=body.level, title=body.title, station=body.station, origin="api"
        )
    except NotifyFailed as failed:
        raise Refused(Kind.NOT_TAKEN, str(failed)) from None
    if not taken:
        raise Refused(Kind.NOT_TAKEN, f"channel {body.channel} wants graver ones than {body.level} only")
    return Answered(None, 202)


async def retry_notification(rooms: Rooms, asked: Asked) -> Answered:
    """Try a dead one again."""
    record = await _known(rooms, asked)
    if not await rooms.notifications.retry(record.id):
        raise Refused(Kind.NOT_TAKEN, f"notification {record.id} is not dead, or its channel is no more")
    return Answered(None, 202)


async def _known(rooms: Rooms, asked: Asked) -> NotificationRecord:
    text = asked.place["id"]
    found = await rooms.store.notifications.get(int(text)) if text.isdecimal() and len(text) < 19 else None
    if found is None:
        raise Refused(Kind.UNKNOWN_NOTIFICATION, f"there is no notification {text[:30]}")
    return found


ROUTES = (
    Route(
        "GET",
        "/api/v1/channels",
        list_channels,
        "The channels of notifications",
        "notifications",
        {200: Gives("Channels by name, and how many of their notifications are in which state", Page[ChannelView])},
        needs=Role.VIEWER,
    ),
    Route(
        "GET",
        "/api/v1/notifications",
        list_notifications,
        "List notifications",
        "notifications",
        {200: Gives("Notifications, the newest first", Page[NotificationRecord])},
        query=(
            Param("channel", str, "only those of this channel"),
            Param("state", NotificationState, "only those in this state"),
            Param("after", int, "go on below this id (the `next` of a page has it)", default=0),
            LIMIT,
        ),
        needs=Role.VIEWER,
    ),
    Route(
        "POST",
        "/api/v1/notifications",
        send_notification,
        "Tell something over a channel",
        "notifications",
        {202: Gives("It is in the outbox")},
        (Kind.NOT_TAKEN,),
        body=notification_body(),
        needs=Role.OPERATOR,
    ),
    Route(
        "GET",
        "/api/v1/notifications/{id}",
        get_notification,
        "One notification",
        "notifications",
        {200: Gives("The notification, and what became of it", NotificationRecord)},
        (Kind.UNKNOWN_NOTIFICATION,),
        needs=Role.VIEWER,
    ),
    Route(
        "POST",
        "/api/v1/notifications/{id}/retry",
        retry_notification,
        "Try a dead notification again",
        "notifications",
        {202: Gives("It waits for its next try")},
        (Kind.UNKNOWN_NOTIFICATION, Kind.NOT_TAKEN),
        needs=Role.OPERATOR,
    ),
)
