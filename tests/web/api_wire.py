"""Speaks HTTP to the API's factory in memory, byte for byte; every answer is checked against the OpenAPI document that the API itself serves."""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jsonschema_rs
from fake_rooms import TOKEN, FakeHouse
from twisted.internet.testing import StringTransportWithDisconnection

from csms.web import api_site, openapi
from csms.web.server import ROUTES

ANYWHERE = {"no-such-path", "method-not-allowed", "bad-request", "unauthorized", "too-large"}
"""Problems that come before a row of the table is found."""


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    parsed = json.loads(openapi.document(ROUTES))
    assert isinstance(parsed, dict)
    return parsed


@dataclass(frozen=True)
class Response:
    """Status, headers by small name, body as JSON (None where there is none), and the raw body."""

    status: int
    headers: Mapping[str, str]
    body: Any
    raw: bytes

    @property
    def slug(self) -> str:
        """The last word of a problem's type."""
        return str(self.body["type"]).rpartition(":")[2]


class _Socket:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: Any) -> io.BytesIO:
        return io.BytesIO(self._data)


class Exchange:
    """One connection with one request on its way."""

    def __init__(self, house: FakeHouse, method: str, path: str, raw: bytes) -> None:
        self.method = method
        self.path = path
        self.transport: Any = StringTransportWithDisconnection()  # type: ignore[no-untyped-call]
        self.channel: Any = api_site(house.rooms).buildProtocol(None)  # type: ignore[no-untyped-call]
        self.transport.protocol = self.channel
        self.channel.makeConnection(self.transport)
        self.channel.dataReceived(raw)

    @property
    def answered(self) -> bool:
        """Whether anything has come back."""
        return bool(self.transport.value())

    def response(self) -> Response:
        """The answer, checked against the document."""
        answer = http.client.HTTPResponse(_Socket(self.transport.value()), method=self.method)  # type: ignore[arg-type]
        answer.begin()
        raw = answer.read()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        body = json.loads(raw) if raw and "json" in headers["content-type"] else None
        response = Response(answer.status, headers, body, raw)
        if body is not None:
            conforms(self.method, self.path, response)
        return response


class Wire:
    """A client of one fake house."""

    def __init__(self, house: FakeHouse) -> None:
        self.house = house

    def begin(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        token: str | None = TOKEN,
        raw: bytes | None = None,
    ) -> Exchange:
        """Send a request and do not wait."""
        sent = {"Host": "csms"}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        if content:
            sent["Content-Type"] = "application/json"
            sent["Content-Length"] = str(len(content))
        sent |= headers or {}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items() if value), "", ""]
        return Exchange(self.house, method, path, "\r\n".join(lines).encode() + content)

    def ask(self, method: str, path: str, body: object = None, **more: Any) -> Response:
        """Send a request whose answer comes at once."""
        return self.begin(method, path, body, **more).response()

    def get(self, path: str) -> Any:
        """The body of a GET that must go well."""
        answer = self.ask("GET", path)
        assert answer.status == 200, answer.raw
        return answer.body


def conforms(method: str, path: str, response: Response) -> None:
    """Fail if the answer is not what the document says of this operation."""
    if response.status >= 400 and response.slug in ANYWHERE:
        schema: Any = {"$ref": "#/components/schemas/Problem"}
    else:
        answers = operation(method, path)["responses"]
        assert str(response.status) in answers, f"{method} {path}: {response.status} is not in the document"
        kind = response.headers["content-type"]
        schema = answers[str(response.status)]["content"][kind]["schema"]
    validator = jsonschema_rs.Draft202012Validator({"components": document()["components"], **schema})
    wrong = [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(response.body)]
    assert not wrong, f"{method} {path}: {wrong}"


def operation(method: str, path: str) -> dict[str, Any]:
    """The document's operation for a path."""
    segments = path.partition("?")[0].split("/")
    for template, operations in document()["paths"].items():
        parts = template.split("/")
        same = len(parts) == len(segments) and all(
            part == segment or part.startswith("{") for part, segment in zip(parts, segments, strict=True)
        )
        if same:
            found = operations["get" if method == "HEAD" else method.lower()]
            assert isinstance(found, dict)
            return found
    raise AssertionError(f"{path} is not in the document")
