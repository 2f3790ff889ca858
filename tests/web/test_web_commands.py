"""Raw calls, version-neutral commands and the ledger through the API."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from api_wire import Wire
from fake_rooms import NOW, FakeHouse

from csms.model.authorization import ClearCache, IdToken
from csms.model.availability import ChangeAvailability, TriggerMessage, UnlockConnector
from csms.model.certificates import (
    DeleteCertificate,
    GetInstalledCertificateIds,
    InstallCertificate,
    InstalledUse,
    InstallUse,
)
from csms.model.commands import CommandRecord, CommandState
from csms.model.data_transfer import DataTransfer
from csms.model.diagnostics import GetLog, LogType
from csms.model.firmware import UpdateFirmware
from csms.model.ocsp import CertificateHash
from csms.model.provisioning import (
    GetBaseReport,
    GetVariables,
    Reset,
    ResetWhen,
    SetVariables,
    Variable,
    VariableValue,
)
from csms.model.security_commands import SetNetworkProfile, SetPassword, UpgradeSecurityProfile
from csms.model.transactions import GetTransactionStatus, RequestStartTransaction, RequestStopTransaction
from csms.web.bodies import COMMANDS

CALLS = "/api/v1/stations/CS1/calls"
ORDERS = "/api/v1/stations/CS1/commands"
RESET = {"action": "Reset", "payload": {"type": "OnIdle"}}

# Raw calls


@pytest.mark.parametrize(
    ("protocol", "payload"), [("ocpp2.0.1", {"type": "OnIdle"}), ("ocpp1.6", {"type": "Soft"})], ids=["2.0.1", "1.6"]
)
def test_answer_of_the_station_is_given(api: Wire, house: FakeHouse, protocol: str, payload: Any) -> None:
    house.station(protocol=protocol)
    house.commands.answered(CommandState.EFFECTIVE, answer={"status": "Accepted"})
    answer = api.ask("POST", CALLS, {"action": "Reset", "payload": payload})
    assert (answer.status, answer.body) == (200, {"payload": {"status": "Accepted"}})
    assert house.commands.calls == [("CS1", "Reset", payload)]


def test_refusal_in_the_payload_is_an_answer_too(api: Wire, house: FakeHouse) -> None:
    house.station(protocol="ocpp2.0.1")
    house.commands.answered(CommandState.ACCEPTED, answer={"status": "Rejected"})
    assert api.ask("POST", CALLS, RESET).body == {"payload": {"status": "Rejected"}}


@pytest.mark.parametrize("path", [CALLS, ORDERS])
def test_unknown_station_is_not_found(api: Wire, path: str) -> None:
    body = RESET if path == CALLS else {"command": "Reset"}
    answer = api.ask("POST", path, body)
    assert (answer.status, answer.slug) == (404, "unknown-station")


def test_call_to_a_station_that_is_not_connected_is_a_conflict(api: Wire, house: FakeHouse) -> None:
    house.station()
    answer = api.ask("POST", CALLS, RESET)
    assert (answer.status, answer.slug) == (409, "not-connected")
    assert house.commands.calls == []


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"action": "Reset", "payload": {"type": "Sideways"}}, {"/payload/type"}),
        ({"action": "Reset", "payload": {}}, {"/payload"}),
        ({"action": "Reset", "payload": {"type": "OnIdle", "evseId": "1"}}, {"/payload/evseId"}),
        ({"action": "Restart", "payload": {}}, {"/action"}),
        ({"action": "Reset"}, {"/payload"}),
        ({"payload": {}}, {"/action"}),
        ({"action": "Reset", "payload": []}, {"/payload"}),
        ({"action": 1, "payload": {}}, {"/action"}),
        ({**RESET, "timeout": 0}, {"/timeout"}),
        ({**RESET, "timeout": 301}, {"/timeout"}),
        ({**RESET, "timeout": "5"}, None),
        ({**RESET, "when": 1}, {"/when"}),
        ({"action": 1, "payload": 2}, {"/action", "/payload"}),
    ],
)
def test_wrong_call_never_reaches_the_station(
    api: Wire, house: FakeHouse, body: Any, pointers: set[str] | None
) -> None:
    house.station(protocol="ocpp2.0.1")
    answer = api.ask("POST", CALLS, body)
    assert (answer.status, answer.slug) == (422, "invalid")
    assert {error["pointer"] for error in answer.body["errors"]} == (pointers or {"/timeout"})
    assert house.commands.calls == []


def test_callerror_of_the_station_is_bad_gateway(api: Wire, house: FakeHouse) -> None:
    house.station(protocol="ocpp2.0.1")
    house.commands.answered(CommandState.REJECTED, error_code="NotSupported", error="no reset here")
    answer = api.ask("POST", CALLS, RESET)
    assert (answer.status, answer.slug) == (502, "station-error")
    assert answer.body["ocpp"] == {"code": "NotSupported", "description": "no reset here"}
    assert answer.body["command"] == 7


@pytest.mark.parametrize(
    ("state", "code", "status", "slug"),
    [
        (CommandState.TIMED_OUT, "Timeout", 504, "no-answer"),
        (CommandState.UNCERTAIN, "ConnectionLost", 504, "no-answer"),
        (CommandState.FAILED, "NotConnected", 409, "not-connected"),
        (CommandState.FAILED, "NotAuthorized", 409, "not-sent"),
    ],
)
def test_call_without_an_answer_says_why(
    api: Wire, house: FakeHouse, state: CommandState, code: str, status: int, slug: str
) -> None:
    house.station(protocol="ocpp2.0.1")
    house.commands.answered(state, error_code=code, error="what happened")
    answer = api.ask("POST", CALLS, RESET)
    assert (answer.status, answer.slug) == (status, slug)
    assert "what happened" in answer.body["detail"]


def test_caller_waits_no_longer_than_asked_and_the_call_goes_on(api: Wire, house: FakeHouse) -> None:
    house.station(protocol="ocpp2.0.1")
    exchange = api.begin("POST", CALLS, {**RESET, "timeout": 2.5})
    house.clock.advance(2.4)
    assert not exchange.answered
    house.clock.advance(0.2)
    answer = exchange.response()
    assert (answer.status, answer.slug) == (504, "no-answer")
    assert not house.commands.answer.called
    house.commands.answered(CommandState.EFFECTIVE, answer={})


def test_answer_within_the_timeout_is_given(api: Wire, house: FakeHouse) -> None:
    house.station(protocol="ocpp2.0.1")
    exchange = api.begin("POST", CALLS, {**RESET, "timeout": 2})
    house.clock.advance(1)
    house.commands.answered(CommandState.EFFECTIVE, answer={"status": "Accepted"})
    assert exchange.response().body == {"payload": {"status": "Accepted"}}
    assert house.clock.getDelayedCalls() == [] or not exchange.transport.disconnecting


# Commands

VARIABLE = {"component": "OCPPCommCtrlr", "name": "HeartbeatInterval"}
EXAMPLES: list[tuple[str, Any, object]] = [
    ("ChangeAvailability", {"operative": False, "evse": 1}, ChangeAvailability(False, 1)),
    ("ClearCache", {}, ClearCache()),
    ("DataTransfer", {"vendor_id": "v", "data": {"a": [-1]}}, DataTransfer("v", data={"a": [-1]})),
    ("GetBaseReport", {"report": "SummaryInventory"}, GetBaseReport("SummaryInventory")),
    (
        "GetLog",
        {"log": "SecurityLog", "oldest": "2026-03-01T12:00:00Z"},
        GetLog(LogType.SECURITY, oldest=datetime(2026, 3, 1, 12, tzinfo=UTC)),
    ),
    ("GetTransactionStatus", {"transaction": "T1"}, GetTransactionStatus("T1")),
    (
        "GetVariables",
        {"variables": [VARIABLE]},
        GetVariables((Variable("OCPPCommCtrlr", "HeartbeatInterval"),)),
    ),
    (
        "RequestStartTransaction",
        {"id_token": {"value": "A1", "type": "Central"}, "evse": 2},
        RequestStartTransaction(IdToken("A1", "Central"), 2),
    ),
    ("RequestStopTransaction", {"transaction": "T1"}, RequestStopTransaction("T1")),
    ("Reset", {"when": "OnIdle"}, Reset(ResetWhen.ON_IDLE)),
    (
        "SetNetworkProfile",
        {"slot": 1, "url": "wss://csms.example/ocpp", "security_profile": 2},
        SetNetworkProfile(1, "wss://csms.example/ocpp", 2),
    ),
    ("SetPassword", {}, SetPassword()),
    (
        "UpgradeSecurityProfile",
        {"url": "wss://csms.example/ocpp", "security_profile": 2},
        UpgradeSecurityProfile("wss://csms.example/ocpp", 2),
    ),
    (
        "InstallCertificate",
        {"use": "CSMSRootCertificate", "certificate": "-----BEGIN"},
        InstallCertificate(InstallUse.CSMS_ROOT, "-----BEGIN"),
    ),
    (
        "GetInstalledCertificateIds",
        {"uses": ["CSMSRootCertificate"]},
        GetInstalledCertificateIds((InstalledUse.CSMS_ROOT,)),
    ),
    (
        "DeleteCertificate",
        {
            "certificate": {
                "algorithm": "SHA256",
                "issuer_name_hash": "aa",
                "issuer_key_hash": "bb",
                "serial_number": "1",
            }
        },
        DeleteCertificate(CertificateHash("SHA256", "aa", "bb", "1")),
    ),
    (
        "SetVariables",
        {"values": [{"variable": VARIABLE, "value": "300"}]},
        SetVariables((VariableValue(Variable("OCPPCommCtrlr", "HeartbeatInterval"), "300"),)),
    ),
    ("TriggerMessage", {"requested": "StatusNotification", "evse": 1}, TriggerMessage("StatusNotification", 1)),
    ("UnlockConnector", {"evse": 1, "connector": 2}, UnlockConnector(1, 2)),
    (
        "UpdateFirmware",
        {"url": "https://fw.example/1.bin", "signature": "c2ln", "signing_certificate": "PEM"},
        UpdateFirmware("https://fw.example/1.bin", signature="c2ln", signing_certificate="PEM"),
    ),
]


@pytest.mark.parametrize(("name", "arguments", "command"), EXAMPLES, ids=[name for name, _, _ in EXAMPLES])
def test_command_is_ordered(api: Wire, house: FakeHouse, name: str, arguments: Any, command: object) -> None:
    house.station()
    answer = api.ask("POST", ORDERS, {"command": name, "with": arguments})
    assert (answer.status, answer.headers["location"]) == (202, "/api/v1/commands/1")
    assert (answer.body["state"], answer.body["name"], answer.body["origin"]) == ("queued", name, "api: site token")
    assert house.commands.given == [command]


def test_every_command_has_an_example() -> None:
    assert sorted(name for name, _, _ in EXAMPLES) == [kind.__name__ for kind in COMMANDS]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"/command"}),
        ({"command": "Explode"}, {"/command"}),
        ({"command": 5}, {"/command"}),
        ({"command": "Reset", "with": {"when": "Sideways"}}, {"/with/when"}),
        ({"command": "Reset", "with": {"evse": True}}, {"/with/evse"}),
        ({"command": "Reset", "with": {"evse": -1}}, {"/with/evse"}),
        ({"command": "Reset", "with": {"evse": 2**31}}, {"/with/evse"}),
        ({"command": "Reset", "with": {"evse": "1"}}, {"/with/evse"}),
        ({"command": "Reset", "with": None}, {"/with"}),
        ({"command": "Reset", "wait": 3}, {"/wait"}),
        ({"command": "UnlockConnector"}, {"/with"}),
        ({"command": "UnlockConnector", "with": {}}, {"/with/evse"}),
        ({"command": "GetVariables", "with": {"variables": []}}, {"/with/variables"}),
        (
            {"command": "GetVariables", "with": {"variables": [VARIABLE, {"name": "x"}]}},
            {"/with/variables/1/component"},
        ),
        (
            {"command": "RequestStartTransaction", "with": {"id_token": {"value": "a", "typ": "x"}}},
            {"/with/id_token/typ"},
        ),
        ({"command": "GetLog", "with": {"oldest": "2026-03-01T12:00:00"}}, {"/with/oldest"}),
        ({"command": "TriggerMessage", "with": {"requested": "x" * 5501}}, {"/with/requested"}),
        ([1], {""}),
    ],
)
def test_wrong_command_is_not_ordered(api: Wire, house: FakeHouse, body: Any, pointers: set[str]) -> None:
    house.station()
    answer = api.ask("POST", ORDERS, body)
    assert (answer.status, answer.slug) == (422, "invalid")
    assert {error["pointer"] for error in answer.body["errors"]} == pointers
    assert house.commands.given == []


def test_wait_gives_the_end_of_the_command(api: Wire, house: FakeHouse) -> None:
    house.station()
    exchange = api.begin("POST", ORDERS, {"command": "Reset"}, headers={"Prefer": "wait=10"})
    assert not exchange.answered
    house.clock.advance(3)
    house.commands.finish(1, CommandState.EFFECTIVE)
    answer = exchange.response()
    assert (answer.status, answer.body["state"]) == (200, "effective")
    assert (answer.headers["preference-applied"], answer.headers["location"]) == ("wait=10", "/api/v1/commands/1")


def test_wait_that_is_over_gives_what_is_known(api: Wire, house: FakeHouse) -> None:
    house.station()
    exchange = api.begin("POST", ORDERS, {"command": "Reset"}, headers={"Prefer": "wait=600"})
    house.clock.advance(59)
    assert not exchange.answered
    house.clock.advance(1)
    answer = exchange.response()
    assert (answer.status, answer.body["state"], answer.headers["preference-applied"]) == (202, "queued", "wait=60")


def test_wait_for_what_has_failed_already_gives_it_at_once(api: Wire, house: FakeHouse) -> None:
    house.station()
    house.commands.first_state = CommandState.FAILED
    answer = api.ask("POST", ORDERS, {"command": "Reset"}, headers={"Prefer": "wait=10"})
    assert (answer.status, answer.body["state"]) == (200, "failed")


# The ledger


def records(house: FakeHouse) -> None:
    """Four commands of two stations; the even ones have ended."""
    for number in range(1, 5):
        state = CommandState.SENT if number % 2 else CommandState.EFFECTIVE
        row = CommandRecord(number, f"CS{1 + number // 3}", "Reset", {"when": None}, state, "api", NOW, tries=1)
        house.store.commands.rows[number] = row


def test_ledger_is_listed(api: Wire, house: FakeHouse) -> None:
    records(house)

    def ids(query: str) -> list[int]:
        return [item["id"] for item in api.get(f"/api/v1/commands?{query}")["items"]]

    assert ids("") == [1, 2, 3, 4]
    assert ids("station=CS2") == [3, 4]
    assert ids("open=true") == [1, 3]
    assert ids("after=2&limit=1") == [3]
    assert api.get("/api/v1/commands?station=CS2&limit=1")["next"] == "/api/v1/commands?station=CS2&limit=1&after=3"


def test_command_is_shown(api: Wire, house: FakeHouse) -> None:
    records(house)
    body = api.get("/api/v1/commands/2")
    assert (body["station"], body["state"], body["arguments"], body["answer"]) == (
        "CS1",
        "effective",
        {"when": None},
        None,
    )


@pytest.mark.parametrize("id", ["9", "x", "-1", "1.0", "9" * 19, "%D9%A3"])
def test_unknown_command_is_not_found(api: Wire, house: FakeHouse, id: str) -> None:
    records(house)
    answer = api.ask("GET", f"/api/v1/commands/{id}")
    assert (answer.status, answer.slug) == (404, "unknown-command")


def test_passwords_in_the_ledger_are_hidden(api: Wire, house: FakeHouse) -> None:
    records(house)
    secret = {"values": [{"variable": {"component": "SecurityCtrlr", "name": "BasicAuthPassword"}, "value": "hunter2"}]}
    raw = {"action": "ChangeConfiguration", "payload": {"key": "authorizationKey", "value": "hunter2"}}
    rows = house.store.commands.rows
    rows[1] = replace(rows[1], arguments=secret, answer=raw["payload"])  # type: ignore[arg-type]
    rows[2] = replace(rows[2], arguments=raw)
    for path in ("/api/v1/commands/1", "/api/v1/commands/2", "/api/v1/commands"):
        text = api.ask("GET", path).raw.decode()
        assert "hunter2" not in text
        assert "(hidden)" in text
