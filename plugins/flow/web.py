"""The rules over HTTP, below ``/plugins/flow_rules/rules``: what they are, what they did and why not, and the switches of an operator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from csms_plugins.flow import explaining, rehearsing
from csms_plugins.flow.explaining import Refused
from csms_plugins.flow.files import duration
from csms_plugins.flow.reporting import rule_report
from twisted.internet import defer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from csms.api import StationRef

if TYPE_CHECKING:
    from csms_plugins.flow_rules import FlowRules

MOST_BYTES = 1_000_000
FOREVER_S = 36500 * 86400.0


class RulesResource(Resource):
    """GET: all rules; ``/explain``, ``/flags``; POST ``/check``, ``/test``, ``/replay``, ``/reset``, ``/explain``; PUT ``/flags/<station>``."""

    isLeaf = True

    def __init__(self, rules: FlowRules) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._rules = rules

    def render(self, request: Any) -> int:
        """The answer as JSON; what is wrong as a problem document."""
        defer.ensureDeferred(self._answer(request)).addErrback(self._broken, request)
        return NOT_DONE_YET

    async def _answer(self, request: Any) -> None:
        method = "GET" if request.method == b"HEAD" else request.method.decode("latin-1")
        path = [part.decode("utf-8", "replace") for part in request.postpath if part]
        try:
            body = await self._do(method, path, request)
        except Refused as refused:
            _send(request, refused.status, {"type": "about:blank", "status": refused.status, "title": str(refused)})
            return
        _send(request, 200, body)

    async def _do(self, method: str, path: list[str], request: Any) -> Any:
        match method, path:
            case "GET", []:
                return self._rules.report()
            case "GET", ["explain"]:
                return explaining.explain(self._rules, _one(request, "station"), _last(request))
            case "POST", ["explain"]:
                return await explaining.explain_event(self._rules, _json(request))
            case "GET", ["flags"]:
                return self._rules.engine.stations.flags
            case "PUT", ["flags", station]:
                return await self._set_flags(station, _json(request))
            case "POST", ["check"]:
                return await rehearsing.check(self._rules.csms, _json(request))
            case "POST", ["test"]:
                return await rehearsing.test(self._rules.csms, _json(request))
            case "POST", ["replay"]:
                return await rehearsing.replay(self._rules.csms, _json(request))
            case "POST", ["reset"]:
                return await self._reset(_json(request))
            case "GET", [name] if name in self._rules.engine.rules:
                return rule_report(self._rules.engine, name)
            case _, [] | ["explain" | "flags" | "check" | "test" | "replay" | "reset"] | ["flags", _]:
                raise Refused(405, f"{method} is not for this path")
        raise Refused(404, f"there is no rule {'/'.join(path)}")

    async def _set_flags(self, station: str, body: Any) -> Any:
        good = isinstance(body, dict) and body and all(name.isidentifier() for name in body)
        if not good or any(isinstance(value, dict | list) for value in body.values()):
            raise Refused(400, "flags are an object of names and plain values; null takes a flag away")
        engine = self._rules.engine
        ref = engine.stations.connected(station) or StationRef(station)
        for name, value in body.items():
            engine.stations.set_flag(ref, name, value, (), "")
        await engine.journal.commit()
        return engine.stations.flags.get(station, {})

    async def _reset(self, body: Any) -> Any:
        rule = body.get("rule") if isinstance(body, dict) else None
        if rule not in self._rules.engine.rules:
            raise Refused(404, f"there is no rule {rule}")
        count = self._rules.engine.holds.reset(rule, body.get("key"))
        await self._rules.engine.journal.commit()
        return {"rule": rule, "reset": count}

    def _broken(self, failure: Any, request: Any) -> None:
        self._rules.csms.log.failure("a request about rules failed", failure=failure)
        _send(request, 500, {"type": "about:blank", "status": 500, "title": "this is a bug; it is in the log"})


def _one(request: Any, name: str) -> str:
    values = request.args.get(name.encode(), [b""])
    return str(values[0].decode("utf-8", "replace"))


def _last(request: Any) -> float:
    text = _one(request, "last")
    seconds = duration(text) if text else FOREVER_S
    if seconds is None:
        raise Refused(400, f"last is a duration such as 10m, not {text!r}")
    return seconds


def _json(request: Any) -> Any:
    text = request.content.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise Refused(413, "the body is too long")
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not JSON") from None


def _send(request: Any, status: int, body: Any) -> None:
    request.setResponseCode(status)
    kind = b"application/json" if status == 200 else b"application/problem+json"
    request.setHeader(b"content-type", kind)
    request.write(json.dumps(body).encode())
    request.finish()
