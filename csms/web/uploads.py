"""The API's answers about files that stations left: listed, fetched to be saved and never to be shown, deleted."""

from __future__ import annotations

from csms.model.diagnostics import Upload
from csms.model.people import Role
from csms.web.commands import is_number
from csms.web.paging import page
from csms.web.problems import Kind, Refused
from csms.web.rooms import Rooms
from csms.web.routes import AFTER_ID, LIMIT, Answered, Asked, Gives, Param, Route
from csms.web.views import Page

BINARY = "application/octet-stream"


async def list_uploads(rooms: Rooms, asked: Asked) -> Answered:
    """What stations were asked to send."""
    query = asked.query
    rows = await rooms.store.uploads.list(station=query["station"], after=query["after"], limit=query["limit"])
    return Answered(page(asked, list(rows), lambda item: item.id))


async def get_upload(rooms: Rooms, asked: Asked) -> Answered:
    """One of them."""
    return Answered(await _known(rooms, asked.place["id"]))


async def get_upload_file(rooms: Rooms, asked: Asked) -> Answered:
    """The file, whatever it is: to be saved."""
    upload = await _known(rooms, asked.place["id"])
    name = await rooms.store.uploads.file_of(upload.id)
    path = rooms.uploads.file(name)
    if not name or not path.is_file():
        raise Refused(Kind.NO_FILE, f"upload {upload.id} has no file: its station has not sent it, or it was deleted")
    headers = {
        "Content-Disposition": f'attachment; filename="{upload.kind}-{upload.id}.bin"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return Answered(path, headers=headers, content_type=BINARY)


async def delete_upload(rooms: Rooms, asked: Asked) -> Answered:
    """Forget it, file and all; a place that is still open is closed."""
    upload = await _known(rooms, asked.place["id"])
    await rooms.uploads.remove(upload.id)
    return Answered(status=204)


async def _known(rooms: Rooms, text: str) -> Upload:
    found = await rooms.store.uploads.get(int(text)) if is_number(text) else None
    if found is None:
        raise Refused(Kind.UNKNOWN_UPLOAD, f"there is no upload {text[:30]}")
    return found


ROUTES = (
    Route(
        "GET",
        "/api/v1/uploads",
        list_uploads,
        "List files that stations left, and places where they still may",
        "stations",
        {200: Gives("Uploads by number", Page[Upload])},
        query=(Param("station", str, "only those of this station"), AFTER_ID, LIMIT),
        needs=Role.SUPPORT,
        doc="An upload without `received_at` is a place that its station has not used yet; the command GetLog makes them.",
    ),
    Route(
        "GET",
        "/api/v1/uploads/{id}",
        get_upload,
        "One upload",
        "stations",
        {200: Gives("The upload", Upload)},
        (Kind.UNKNOWN_UPLOAD,),
        needs=Role.SUPPORT,
    ),
    Route(
        "GET",
        "/api/v1/uploads/{id}/file",
        get_upload_file,
        "The file of an upload",
        "stations",
        {200: Gives("The file as the station sent it", bytes, content_type=BINARY)},
        (Kind.UNKNOWN_UPLOAD, Kind.NO_FILE),
        needs=Role.SUPPORT,
        doc="It comes from a station and may be anything: it is sent as an attachment, and no browser is asked to show it.",
    ),
    Route(
        "DELETE",
        "/api/v1/uploads/{id}",
        delete_upload,
        "Delete an upload and its file",
        "stations",
        {204: Gives("It is gone")},
        (Kind.UNKNOWN_UPLOAD,),
        needs=Role.OPERATOR,
    ),
)
