"""Plugins' web resources below ``/plugins/``: behind the API's token, under the same limits, and an error is never an HTML page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet import defer
from twisted.logger import Logger
from twisted.web.error import UnsupportedMethod
from twisted.web.resource import IResource, Resource, getChildForRequest
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from csms.model.people import Role
from csms.web.access import SAFE, caller_of, check_origin, must
from csms.web.problems import Kind, Refused
from csms.web.reading import segments_of
from csms.web.rooms import Rooms
from csms.web.scope import closed_to_sites
from csms.web.wire import address_of, bug, path_of, write_problem


class PluginDoors:
    """Finds the plugin's resource for a path."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def resource_for(self, request: Request) -> IResource | None:
        """The resource with the longest matching path, behind its door; None where there is none."""
        try:
            first, *rest = segments_of(request.uri.partition(b"?")[0])
        except Refused:
            return None
        if first != "plugins" or getattr(request, "too_large", False):
            return None
        return self._door(request, rest)

    def _door(self, request: Request, segments: list[str]) -> IResource | None:
        web = self._rooms.plugins.web
        keys = {tuple(key.strip("/").split("/")): key for key in web}
        for length in range(len(segments), 0, -1):
            key = keys.get(tuple(segments[:length]))
            if key is not None:
                request.prepath = [segment.encode() for segment in ["plugins", *segments[:length]]]
                request.postpath = [segment.encode() for segment in segments[length:]]
                return Door(self._rooms, segments[0], web[key])
        return None


@implementer(IResource)
class Door:
    """Lets one request through to a plugin's resource; what goes wrong inside is told as a problem document."""

    log = Logger(namespace="csms.web")
    isLeaf = True

    def __init__(self, rooms: Rooms, plugin: str, resource: IResource) -> None:
        self._rooms = rooms
        self._plugin = plugin
        self._resource = resource

    def getChildWithDefault(self, name: bytes, request: Request) -> IResource:
        """Never asked of a leaf."""
        raise RuntimeError("this resource is a leaf")

    def putChild(self, path: bytes, child: IResource) -> None:
        """A door has nothing behind it but the plugin's resource."""
        raise RuntimeError("this resource is a leaf")

    def render(self, request: Request) -> int:
        """What the plugin's resource gives, once it is known who asks; a change stands in the trail."""
        method = request.method.decode("latin-1")
        request.notifyFinish().addBoth(lambda _: self._rooms.metrics.request(method, request.code))
        entering = defer.Deferred.fromCoroutine(self._enter(request, method))
        entering.addErrback(lambda failure: self.log.failure("an answer was not sent", failure=failure))
        return NOT_DONE_YET

    async def _enter(self, request: Any, method: str) -> None:
        try:
            check_origin(request)
            caller = await caller_of(self._rooms.people, request)
            must(caller, Role.VIEWER if method in SAFE else Role.OPERATOR, f"plugin {self._plugin}")
            if caller.sites:
                raise closed_to_sites(f"plugin {self._plugin}")
        except Refused as no:
            write_problem(request, no)
            return
        if method not in SAFE:
            audit, now = self._rooms.audit, self._rooms.now()
            facts = (caller.name, caller.role.value, address_of(request), method, path_of(request), "")
            entry = await audit.begin(now, *facts)
            request.notifyFinish().addBoth(lambda _: defer.Deferred.fromCoroutine(audit.end(entry, request.code)))
        body = self._rendered(request)
        if isinstance(body, bytes):
            request.setHeader("Content-Length", str(len(body)))
            request.write(body)
            request.finish()

    def _rendered(self, request: Request) -> bytes | int:
        try:
            found: Any = getChildForRequest(self._resource, request)  # type: ignore[no-untyped-call]
            if _is_missing(found):
                raise Refused(Kind.NO_SUCH_PATH, f"plugin {self._plugin} has nothing here")
            body = found.render(request)
            if body is not NOT_DONE_YET and not isinstance(body, bytes):
                raise TypeError(f"render gave {type(body).__name__}, bytes are wanted")
        except UnsupportedMethod as no:
            allowed: Iterable[bytes] = no.allowedMethods
            words = ", ".join(sorted(one.decode("latin-1") for one in allowed))
            refused = Refused(Kind.METHOD_NOT_ALLOWED, f"this path takes {words}", headers={"Allow": words})
        except Refused as no_path:
            refused = no_path
        except Exception as fault:
            self.log.failure("plugin {plugin} failed to answer a request", plugin=self._plugin)
            self._rooms.metrics.plugin_fault(self._plugin, "register_web", repr(fault))
            refused = bug()
        else:
            return body
        write_problem(request, refused)
        return NOT_DONE_YET


def _is_missing(resource: IResource) -> bool:
    """Whether this is Twisted's own page for a path that a resource does not have, the old one or that of ``twisted.web.pages``."""
    own = isinstance(resource, Resource) and type(resource).__module__.startswith("twisted.web.")
    return own and 404 in (getattr(resource, "code", None), getattr(resource, "_code", None))
