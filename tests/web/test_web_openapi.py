"""The OpenAPI document: valid, complete, and of the same rows that serve."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from api_wire import Wire, document, operation

from csms.redaction import HIDDEN, redacted, redacted_frame, without_secrets
from csms.web.bodies import COMMANDS
from csms.web.openapi import problems_of
from csms.web.problems import Kind
from csms.web.server import ROUTES

OPERATIONS = [(method, path, found) for path, there in document()["paths"].items() for method, found in there.items()]
NAMES = [f"{method.upper()} {path}" for method, path, _ in OPERATIONS]


def test_document_is_valid_openapi() -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason="openapi-spec-validator is not installed")
    validator.validate(document())


def test_document_is_served(api: Wire) -> None:
    answer = api.ask("GET", "/api/v1/openapi.json")
    assert answer.body == document()
    assert answer.body["openapi"] == "3.1.0"


def test_document_has_every_route_and_no_other() -> None:
    rows = {(route.method.lower(), route.path) for route in ROUTES}
    assert {(method, path) for method, path, _ in OPERATIONS} == rows
    assert len(rows) == len(ROUTES)


def test_operation_ids_are_unique() -> None:
    names = [found["operationId"] for _, _, found in OPERATIONS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("place", OPERATIONS, ids=NAMES)
def test_operation_is_complete(place: tuple[str, str, dict[str, Any]]) -> None:
    method, path, found = place
    assert found["summary"]
    assert found["tags"][0] in {tag["name"] for tag in document()["tags"]}
    declared = [one["name"] for one in found.get("parameters", []) if one["in"] == "path"]
    assert declared == [part[1:-1] for part in path.split("/") if part.startswith("{")]
    bare = path.endswith(("/stop", "/retry", "/deliver", "/reload"))
    assert ("requestBody" in found) == (method in ("put", "post") and not bare)
    needs_token = found.get("security", document()["security"]) != []
    assert needs_token == ("x-role" in found)
    assert needs_token <= ({"401", "403"} <= found["responses"].keys())
    assert {"400", "500", "503"} <= found["responses"].keys()
    assert any(status.startswith("2") for status in found["responses"])


@pytest.mark.parametrize("place", OPERATIONS, ids=NAMES)
def test_only_open_operations_answer_without_a_token(api: Wire, place: tuple[str, str, dict[str, Any]]) -> None:
    method, path, found = place
    status = api.ask(method.upper(), path.replace("{", "").replace("}", ""), token=None).status
    assert (status == 401) == ("x-role" in found)


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(document())
    names = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= document()["components"]["schemas"].keys()


def test_problems_of_a_call_are_all_there() -> None:
    answers = operation("POST", "/api/v1/stations/CS1/calls")["responses"]
    assert {"200", "400", "401", "404", "409", "413", "415", "422", "502", "504"} <= answers.keys()
    conflicts = answers["409"]["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["type"][
        "enum"
    ]
    assert conflicts == [f"urn:csms:problem:{slug}" for slug in ("key-under-way", "not-connected", "not-sent")]


def test_every_problem_has_its_own_type() -> None:
    kinds = {kind for route in ROUTES for kind in problems_of(route)}
    assert len({kind.type for kind in kinds}) == len(kinds)


# Redaction


@pytest.mark.parametrize(
    "value",
    [
        {"key": "AuthorizationKey", "value": "s3cret"},
        {"configurationKey": [{"key": "authorizationkey", "readonly": False, "value": "s3cret"}]},
        {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}, "attributeValue": "s3cret"},
        {"variable": {"name": "basicauthpassword"}, "variableAttribute": [{"type": "Actual", "value": "s3cret"}]},
        {"values": ({"variable": {"component": "x", "name": "BasicAuthPassword"}, "value": "s3cret"},)},
        {"connectionData": {"basicAuthPassword": "s3cret", "vpn": {"user": "u", "password": "s3cret"}}},
        {"apn": {"apn": "net", "apnPassword": "s3cret"}},
        {"vpn": {"server": "v", "user": "u", "password": "s3cret", "key": "s3cret", "type": "IKEv2"}},
    ],
)
def test_passwords_are_hidden_wherever_they_stand(value: Any) -> None:
    hidden = json.dumps(redacted(value))
    assert "s3cret" not in hidden
    assert HIDDEN in hidden
    assert "s3cret" not in redacted_frame(json.dumps([2, "1", "Any", value]))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ftp://user:s3cret@example.org/logs", "ftp://(hidden)@example.org/logs"),
        ("ftp://user:s3@cret@example.org/logs/a@b", "ftp://(hidden)@example.org/logs/a@b"),
        ("https://s3.example.org/logs?X-Signature=s3cret&a=b", "https://s3.example.org/logs?(hidden)"),
        ("https://csms.example.org/upload/s3cret-0123456789abcdef", "https://csms.example.org/upload/(hidden)"),
        ("https://example.org/upload/form", "https://example.org/upload/form"),
        ("what? is no URL@all", "what? is no URL@all"),
    ],
)
def test_secrets_in_urls_are_hidden(url: str, shown: str) -> None:
    assert redacted({"location": url}) == {"location": shown}
    frame = json.dumps([2, "1", "GetLog", {"log": {"remoteLocation": url}}])
    assert json.loads(redacted_frame(frame))[3]["log"]["remoteLocation"] == shown
    assert "s3cret" not in str(without_secrets([frame.encode()]))


def test_the_pin_of_a_sim_is_hidden() -> None:
    data = {"basicAuthPassword": "s3cret", "apn": {"apn": "net", "simPin": 7391}}
    assert "7391" not in redacted_frame(json.dumps([2, "1", "SetNetworkProfile", {"connectionData": data}]))


@pytest.mark.parametrize(
    "value",
    [
        {"key": "HeartbeatInterval", "value": "300"},
        {"idToken": {"idToken": "A1", "type": "Central"}},
        {"variable": {"name": "BasicAuthPassword"}, "attributeStatus": "Accepted"},
        [1, None, True, "password"],
    ],
)
def test_what_is_no_password_stays(value: Any) -> None:
    assert redacted(value) == value


def test_frame_without_passwords_is_left_as_it_came() -> None:
    frame = '[2, "1",  "Heartbeat", {}]'
    assert redacted_frame(frame) == frame


def test_broken_frame_with_a_password_is_hidden_whole() -> None:
    assert redacted_frame('[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"s3cr') == HIDDEN


# docs/api.md

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES}))
def test_page_has_every_path(path: str) -> None:
    assert path in PAGE or path.replace("/api/v1/commands/{id}", "/api/v1/commands/17") in PAGE


@pytest.mark.parametrize("kind", Kind)
def test_page_has_every_problem(kind: Kind) -> None:
    assert f"`{kind.value[0]}`" in PAGE


@pytest.mark.parametrize("command", COMMANDS)
def test_page_has_every_argument_of_every_command(command: Any) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{command.__name__}`"))
    for one in fields(command):
        needed = one.default is MISSING and one.default_factory is MISSING
        assert (f"`{one.name}`" if needed else f"`{one.name}?`") in row


def test_only_the_frame_with_a_secret_is_changed() -> None:
    frames = [b'[2,"1","Heartbeat",{}]', b'[2,"2","X",{"url":"ftp://u:s3cret@h/"}]', b'[2, "3", "Y", {"a": 1.50}]']
    assert without_secrets(frames) == [frames[0], b'[2,"2","X",{"url":"ftp://(hidden)@h/"}]', frames[2]]
