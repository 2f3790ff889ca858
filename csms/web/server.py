"""The HTTP server: checks each request, hands it to its row of the route table, and writes what comes back; errors are problem documents, always."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet import defer
from twisted.logger import Logger
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from csms.crowd import Crowd, Places
from csms.http_door import GuestChannel
from csms.model.people import Caller
from csms.web import (
    bills,
    commands,
    driving,
    house,
    messages,
    notifications,
    people,
    security,
    stations,
    tokens,
    transactions,
    uploads,
)
from csms.web.access import SAFE, caller_of, check_origin, for_role, must
from csms.web.changes import Change, change, key_of, note_refusal
from csms.web.json_text import dumps
from csms.web.plugin_doors import PluginDoors
from csms.web.problems import CONTENT_TYPE, Kind, Refused
from csms.web.reading import body_of, query_of, segments_of, wait_of
from csms.web.rooms import Rooms
from csms.web.routes import JSON, NOBODY, Answered, Asked, Route, RouteTable
from csms.web.scope import rooms_for
from csms.web.wire import SECURITY_HEADERS, ApiRequest, address_of, bug, check_size, header, path_of, write, write_file

ROUTES: tuple[Route, ...] = (
    *stations.ROUTES,
    *messages.ROUTES,
    *commands.ROUTES,
    *transactions.ROUTES,
    *bills.ROUTES,
    *tokens.ROUTES,
    *people.ROUTES,
    *driving.ROUTES,
    *notifications.ROUTES,
    *security.ROUTES,
    *uploads.ROUTES,
    *house.ROUTES,
)
IDLE_S = 60.0
"""How long a connection may take, after an answer, until its next request is read."""
BODY_S = 60.0
"""How long a body may take."""


@implementer(IResource)
class Desk:
    """The leaf that answers every request which no plugin's resource does."""

    log = Logger(namespace="csms.web")
    isLeaf = True

    def __init__(self, rooms: Rooms, table: RouteTable) -> None:
        self._rooms = rooms
        self._table = table

    def getChildWithDefault(self, name: bytes, request: Request) -> IResource:
        """Never asked of a leaf."""
        raise RuntimeError("this resource is a leaf")

    def putChild(self, path: bytes, child: IResource) -> None:
        """Routes are added to the table instead."""
        raise RuntimeError("this resource is a leaf")

    def render(self, request: Request) -> int:
        """Answer, now or later; a caller who is gone is not answered, but what was begun goes on."""
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        work = defer.Deferred.fromCoroutine(self._serve(request))
        work.addCallback(lambda answer: None if gone else self._send(request, answer))
        work.addErrback(lambda failure: self.log.failure("an answer was not sent", failure=failure))
        return NOT_DONE_YET

    async def _serve(self, request: Request) -> Answered:
        try:
            return await self._answer(request)
        except Refused as refused:
            return _problem(refused, path_of(request))
        except Exception:
            path = path_of(request)
            self.log.failure("{method} {path} failed", method=request.method, path=path)
            if not self._rooms.store.healthy:
                return _problem(Refused(Kind.STORE_UNAVAILABLE, "try again later"), path)
            return _problem(bug(), path)

    async def _answer(self, request: Request) -> Answered:
        path, _, query = request.uri.partition(b"?")
        segments = segments_of(path)
        check_origin(request)
        caller = NOBODY if self._table.is_open(segments) else await caller_of(self._rooms.people, request)
        check_size(request)
        route, place = self._table.match(request.method.decode("latin-1"), segments)
        raw = request.content.read() if request.content else b""
        facts = Change(
            caller,
            address_of(request),
            route.method,
            path_of(request),
            query,
            raw,
            key_of(header(request, b"idempotency-key")),
        )
        if not route.open:
            await self._admit(route, facts)
        values, given = query_of(query, route.query)
        body = None if route.body is None else body_of(raw, header(request, b"content-type"), route.body)
        asked = Asked(
            path=facts.path,
            place=place,
            query=values,
            given=given,
            body=body,
            wait_s=wait_of(header(request, b"prefer")) if route.waits else 0.0,
            table=self._table,
            caller=caller,
            address=facts.address,
        )
        rooms = rooms_for(caller, self._rooms)
        if route.method in SAFE:
            answer = await route.handler(rooms, asked)
        else:
            answer = await change(self._rooms, route, facts, lambda: route.handler(rooms, asked))
        return _as_seen(caller, route, answer)

    async def _admit(self, route: Route, facts: Change) -> None:
        """Refuses with 403; whoever tried to change something stands in the trail."""
        try:
            must(facts.caller, route.needs, f"{route.method} {route.path}")
        except Refused as no:
            if route.method not in SAFE:
                await note_refusal(self._rooms, facts, no.kind.status)
            raise

    def _send(self, request: Request, answer: Answered) -> None:
        self._rooms.metrics.request(request.method.decode("latin-1"), answer.status)
        headers = dict(answer.headers)
        if answer.body is None:
            write(request, answer.status, b"", headers)
            return
        if isinstance(answer.body, Path):
            write_file(request, answer.body, {"Content-Type": answer.content_type, **headers})
            return
        body = answer.body if isinstance(answer.body, bytes) else dumps(answer.body)
        write(request, answer.status, body, {"Content-Type": answer.content_type, **headers})


class ApiChannel(GuestChannel):
    """One connection, for one request after the other."""

    def head_is_read(self) -> None:
        """From now on the body has to come."""
        self.within(BODY_S, self.cut_off)

    def requestDone(self, request: Request) -> None:
        """An answer is sent; there may be another request."""
        self.within(IDLE_S, self.cut_off)
        super().requestDone(request)  # type: ignore[no-untyped-call]


class ApiSite(Site):
    """The factory for the API's port."""

    requestFactory = ApiRequest
    protocol = ApiChannel  # type: ignore[assignment]

    def __init__(self, rooms: Rooms, places: Places) -> None:
        desk = Desk(rooms, RouteTable(ROUTES))
        super().__init__(desk, timeout=IDLE_S, reactor=rooms.clock)  # type: ignore[no-untyped-call]
        self.crowd = Crowd(places, rooms.clock)
        self._doors = PluginDoors(rooms)

    def getResourceFor(self, request: Any) -> IResource:
        """A plugin's resource where the path is one's and the token is right, else the desk."""
        for name, value in SECURITY_HEADERS.items():
            request.setHeader(name, value)
        return self._doors.resource_for(request) or self.resource

    def log(self, request: Any) -> None:
        """No access log: the metrics count requests, and ``twistd`` would print debug lines among an operator's news."""


def api_site(rooms: Rooms, *, most: int = 500, most_of_address: int = 100) -> ApiSite:
    """The HTTP API as a factory for an endpoint, for so many connections at once."""
    told = "too many connections to the API: {count} cut off, the last from {address}"
    return ApiSite(rooms, Places(most, most_of_address, told=told))


def _as_seen(caller: Caller, route: Route, answer: Answered) -> Answered:
    if answer.body is None or answer.content_type != JSON or isinstance(answer.body, Path):
        return answer
    body = answer.body if isinstance(answer.body, bytes) else dumps(answer.body)
    return replace(answer, body=for_role(caller.role, body))


def _problem(refused: Refused, path: str) -> Answered:
    return Answered(refused.body(path), refused.kind.status, refused.headers, CONTENT_TYPE)
