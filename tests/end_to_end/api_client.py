"""The HTTP API as an operator's program uses it: plain requests with a token, JSON in and out."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from server_process import HOST, ServerProcess

PATIENCE_S = 8.0


@dataclass(frozen=True, slots=True)
class Response:
    """Status, headers with names in small letters, and the body read as JSON (None when it is empty or no JSON)."""

    status: int
    headers: Mapping[str, str]
    body: Any
    text: str


class Api:
    """One server's API; every request is its own connection."""

    def __init__(self, server: ServerProcess) -> None:
        self._port = server.api_port
        self._token = server.token

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> Response:
        """One request; never raises for a status."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=20.0)
        sent = {"Authorization": f"Bearer {self._token if token is None else token}", **(headers or {})}
        payload = None
        if body is not None:
            payload = json.dumps(body)
            sent["Content-Type"] = "application/json"
        try:
            connection.request(method, path, payload, sent)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        given = {name.lower(): value for name, value in answer.getheaders()}
        parsed = json.loads(text) if text and "json" in given.get("content-type", "") else None
        return Response(answer.status, given, parsed, text)

    def expect(self, status: int, method: str, path: str, body: object = None, **more: Any) -> Any:
        """The body of a request that must have this status."""
        answer = self.request(method, path, body, **more)
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.text[:500]}, expected {status}"
        return answer.body

    def put_token(self, value: str, status: str, type: str = "ISO14443") -> None:
        """Make a token known, Accepted or Blocked."""
        body = {"status": status, "group": None, "expires": None}
        answer = self.request("PUT", f"/api/v1/tokens/{type}/{quote(value, safe='')}", body)
        assert answer.status in (200, 201, 204), answer.text

    def command(self, station: str, name: str, arguments: Mapping[str, object]) -> str:
        """Order something; gives where the command can be seen."""
        path = f"/api/v1/stations/{quote(station, safe='')}/commands"
        answer = self.request("POST", path, {"command": name, "with": arguments})
        assert answer.status == 202, f"{answer.status} {answer.text}"
        return answer.headers["location"]

    def wait_for_state(self, location: str, state: str) -> Any:
        """The command's row once it is in this state; fails after a few seconds."""
        return self.until(location, lambda row: row["state"] == state)

    def until(self, path: str, fits: Callable[[Any], object], seconds: float = PATIENCE_S) -> Any:
        """Ask again until the body fits; fails with the last body when the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            body = self.expect(200, "GET", path)
            if fits(body):
                return body
            assert time.monotonic() < deadline, f"{path} never became what was expected; last: {body}"
            time.sleep(0.05)

    def transactions(self, station: str, **more: object) -> list[Any]:
        """The station's transactions, as listed."""
        query = urlencode({"station": station, **more})
        return list(self.expect(200, "GET", f"/api/v1/transactions?{query}")["items"])

    def all_transactions(self, station: str) -> list[Any]:
        """The station's transactions over all pages of the list."""
        return self._all("/api/v1/transactions?" + urlencode({"station": station, "limit": 500}))

    def all_bills(self) -> list[Any]:
        """All bills and credit notes over all pages of the list."""
        return self._all("/api/v1/bills?limit=500")

    def _all(self, first: str) -> list[Any]:
        path: str | None = first
        rows: list[Any] = []
        while path:
            page = self.expect(200, "GET", path)
            rows += page["items"]
            path = page.get("next")
        return rows

    def transaction(self, station: str, wire_id: str) -> Any:
        """One transaction with its events, meter values and bill, found by its id on the wire."""
        rows = [row for row in self.transactions(station) if str(row["station_transaction"]) == wire_id]
        assert len(rows) == 1, f"{station} has {len(rows)} transactions {wire_id}"
        return self.expect(200, "GET", f"/api/v1/transactions/{rows[0]['id']}")

    def billed(self, station: str, wire_id: str) -> Any:
        """The transaction once its bill is final."""
        found = self.transaction(station, wire_id)
        return self.until(
            f"/api/v1/transactions/{found['id']}", lambda row: (row["bill"] or {}).get("status") == "final"
        )
