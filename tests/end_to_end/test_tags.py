"""Drivers' tags: who has the role viewer, the log, the metrics, and the tables of programs never have more than their last characters."""

from __future__ import annotations

import secrets
import subprocess
from typing import Any

import pytest
from api_client import Api
from server_process import HOST, ServerProcess, csms_bin

STATIONS = ("ocpp2.0.1", "ocpp1.6")


def made_tag() -> str:
    """A tag that nothing else has in it, as long as OCPP 1.6 takes."""
    return "TG" + secrets.token_hex(8).upper()


def run(server: ServerProcess, *words: str) -> str:
    """What ``csms`` prints to an operator."""
    api = ("--url", f"http://{HOST}:{server.api_port}", "--token", server.token)
    done = subprocess.run([csms_bin() / "csms", *words, *api], timeout=60, check=True, capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.fixture
def tags(server: ServerProcess, api: Api) -> list[str]:
    """Each has charged once, over 2.0.1 and 1.6; one is blocked, one unknown."""
    tags = [made_tag() for _ in range(4)]
    for tag, status in zip(tags, ("Accepted", "Accepted", "Blocked"), strict=False):
        api.put_token(tag, status)
    protocols = [*STATIONS, STATIONS[0], STATIONS[0]]
    stations = []
    for number, (tag, protocol) in enumerate(zip(tags, protocols, strict=True)):
        words = [csms_bin() / "csms", "sim", "--url", server.stations_url, "--station", f"TAGS{number}"]
        words += ["--protocol", protocol, "--tag", tag, "--minutes", "0.02"]
        stations.append(subprocess.Popen(words, cwd=server.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
    for one in stations:
        one.communicate(timeout=60)
    for number, tag in enumerate(tags):
        order = {"id_token": {"value": tag, "type": "ISO14443"}, "evse": 1}
        path = api.command(f"TAGS{number}", "RequestStartTransaction", order)
        api.until(path, lambda row: row["state"] in ("failed", "uncertain", "timed_out"))
    return tags


def test_threat_tags_are_seen_by_support_alone(server: ServerProcess, api: Api, tags: list[str]) -> None:
    body = {"name": "screen in the hall", "role": "viewer"}
    viewer = api.expect(201, "POST", "/api/v1/keys", body)["token"]
    seen = {path: api.request("GET", path, token=viewer).text for path in paths(api)}
    assert len(seen) > 20
    leaks = [path for path, text in seen.items() if any(tag in text for tag in tags)]
    assert not leaks
    transactions = api.expect(200, "GET", "/api/v1/transactions?station=TAGS0")["items"]
    assert transactions[0]["id_token"]["value"] == tags[0], "support and above see it"
    assert f"\u2026{tags[0][-4:]}" in seen["/api/v1/transactions"]
    story = run(server, "explain", "tx", str(transactions[0]["id"]))
    assert f"token \u2026{tags[0][-4:]}" in story
    for text in (story, server.log, api.request("GET", "/metrics").text, api.request("GET", "/api/v1/stalls").text):
        assert not [tag for tag in tags if tag in text]


def paths(api: Api) -> list[str]:
    """Everything that can be asked for, as the OpenAPI document has it, and what is there by number or name."""
    document: Any = api.expect(200, "GET", "/api/v1/openapi.json")
    templates = [path for path, methods in document["paths"].items() if "get" in methods]
    plain = [path for path in templates if "{" not in path]
    places = []
    for kind in ("stations", "commands", "transactions", "bills", "notifications", "uploads"):
        ids = [str(item["id"]) for item in api.expect(200, "GET", f"/api/v1/{kind}?limit=500")["items"]]
        below = [one for one in templates if one.startswith(f"/api/v1/{kind}/{{id}}")]
        places += [one.replace("{id}", id) for one in below for id in ids]
    return plain + places
