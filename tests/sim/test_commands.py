"""What a simulated station answers to the CSMS's commands, and what it does afterwards."""

from __future__ import annotations

from typing import Any

import pytest

TOKEN = {"idToken": "APP", "type": "Central"}


def charge(world: Any, station: Any, evse: int = 1) -> Any:
    """A remotely started charge that runs."""
    if world.protocol == "ocpp1.6":
        answer = world.csms.ask("RemoteStartTransaction", {"idTag": "APP", "connectorId": evse})
    else:
        answer = world.csms.ask("RequestStartTransaction", {"idToken": TOKEN, "remoteStartId": 9, "evseId": evse})
    assert answer["status"] == "Accepted"
    world.csms.run(1)
    return station.evses[evse].charge


def last_stop(world: Any) -> tuple[str, str]:
    """Transaction id and stop reason of the last end."""
    if world.protocol == "ocpp1.6":
        stop = world.csms.sent("StopTransaction")[-1]
        return str(stop["transactionId"]), stop["reason"]
    event = world.csms.events()[-1]
    assert event["eventType"] == "Ended"
    return event["transactionInfo"]["transactionId"], event["transactionInfo"]["stoppedReason"]


# Start and stop


def test_remote_start_tells_its_id_and_tag(new: Any) -> None:
    charge(new, new.station())
    started = new.csms.events()[0]
    assert started["triggerReason"] == "RemoteStart"
    assert started["transactionInfo"]["remoteStartId"] == 9
    assert started["idToken"] == TOKEN
    assert started["evse"] == {"id": 1, "connectorId": 1}


def test_remote_start_is_rejected_when_busy_unknown_or_out_of_order(world: Any) -> None:
    station = world.station()
    charge(world, station)
    ask, name = (
        ("RequestStartTransaction", "evseId")
        if world.protocol == "ocpp2.0.1"
        else ("RemoteStartTransaction", "connectorId")
    )
    body = {"idToken": TOKEN, "remoteStartId": 1} if world.protocol == "ocpp2.0.1" else {"idTag": "APP"}
    assert world.csms.ask(ask, {**body, name: 1})["status"] == "Rejected"
    assert world.csms.ask(ask, {**body, name: 5})["status"] == "Rejected"
    assert world.csms.ask(ask, body)["status"] == "Rejected"


def test_remote_start_asks_first_when_the_station_is_set_so(world: Any) -> None:
    station = world.station()
    if world.protocol == "ocpp1.6":
        world.csms.ask("ChangeConfiguration", {"key": "AuthorizeRemoteTxRequests", "value": "true"})
    else:
        set_variable(world, "AuthCtrlr", "AuthorizeRemoteStart", "true")
    assert charge(world, station) is not None
    world.csms.answers["Authorize"] = {world.csms._info: {"status": "Blocked"}}
    world.csms.run(30)
    assert charge(world, station) is None
    assert len(world.csms.sent("Authorize")) == 2


def test_remote_stop_ends_that_transaction(world: Any) -> None:
    station = world.station(energy_wh=9000)
    running = charge(world, station)
    action, id = (
        ("RequestStopTransaction", running.id) if world.protocol == "ocpp2.0.1" else ("RemoteStopTransaction", 42)
    )
    other = "nobody" if world.protocol == "ocpp2.0.1" else 41
    assert world.csms.ask(action, {"transactionId": other})["status"] == "Rejected"
    assert world.csms.ask(action, {"transactionId": id})["status"] == "Accepted"
    world.csms.run(3)
    assert last_stop(world) == (running.id, "Remote")
    assert world.csms.statuses()[-1] == "Available"
    assert world.csms.ask(action, {"transactionId": id})["status"] == "Rejected"


def test_two_evses_charge_side_by_side(world: Any) -> None:
    station = world.station(evses=2)
    one, two = charge(world, station, 1), charge(world, station, 2)
    assert one.local_id != two.local_id
    world.csms.run(15)
    assert all(evse.charge is None for evse in station.evses.values())


def test_transaction_status_tells_what_runs(new: Any) -> None:
    station = new.station()
    running = charge(new, station)
    assert new.csms.ask("GetTransactionStatus", {"transactionId": running.id}) == {
        "ongoingIndicator": True,
        "messagesInQueue": False,
    }
    assert new.csms.ask("GetTransactionStatus", {"transactionId": "x"})["ongoingIndicator"] is False
    assert new.csms.ask("GetTransactionStatus") == {"messagesInQueue": False}


# Reset


def test_immediate_reset_while_charging_201(new: Any) -> None:
    running = charge(new, new.station())
    mark = len(new.csms.calls)
    assert new.csms.ask("Reset", {"type": "Immediate"}) == {"status": "Accepted"}
    new.csms.run(10)
    assert last_stop(new) == (running.id, "ImmediateReset")
    ended = new.csms.events()[-1]
    assert ended["triggerReason"] == "ResetCommand"
    assert "idToken" not in ended
    assert [one["reason"] for one in new.csms.sent("BootNotification", mark)] == ["RemoteReset"]
    assert new.csms.statuses(mark) == ["Occupied", "Available"]
    actions = [action for action, _ in new.csms.calls[mark:]]
    assert actions.index("TransactionEvent") < actions.index("BootNotification")
    assert len(new.csms.dials) == 2


def test_reset_on_idle_waits_for_the_end_of_the_charge(new: Any) -> None:
    station = new.station()
    charge(new, station)
    assert new.csms.ask("Reset", {"type": "OnIdle"}) == {"status": "Scheduled"}
    new.csms.run(5)
    assert len(new.csms.dials) == 1
    new.csms.run(20)
    assert last_stop(new)[1] == "EVDisconnected"
    assert [one["reason"] for one in new.csms.sent("BootNotification")] == ["PowerUp", "ScheduledReset"]
    assert station.ready


def test_reset_on_idle_is_at_once_when_idle(new: Any) -> None:
    new.station()
    assert new.csms.ask("Reset", {"type": "OnIdle"}) == {"status": "Accepted"}
    new.csms.run(5)
    assert len(new.csms.sent("BootNotification")) == 2


def test_reset_of_one_evse_keeps_the_line_and_the_other_charge(new: Any) -> None:
    station = new.station(evses=2)
    charge(new, station, 1)
    charge(new, station, 2)
    assert new.csms.ask("Reset", {"type": "Immediate", "evseId": 1}) == {"status": "Accepted"}
    assert new.csms.ask("Reset", {"type": "Immediate", "evseId": 7})["status"] == "Rejected"
    new.csms.run(2)
    assert station.evses[1].charge is None
    assert station.evses[2].charge is not None
    assert len(new.csms.dials) == 1


@pytest.mark.parametrize("kind", ["Hard", "Soft"])
def test_reset_while_charging_16(old: Any, kind: str) -> None:
    charge(old, old.station())
    assert old.csms.ask("Reset", {"type": kind}) == {"status": "Accepted"}
    old.csms.run(10)
    assert last_stop(old) == ("42", f"{kind}Reset")
    assert len(old.csms.sent("BootNotification")) == 2
    assert old.csms.statuses()[-1] == "Available"


# Availability, unlock, triggers


def test_availability_is_obeyed_now_or_after_the_charge(world: Any) -> None:
    station = world.station()

    def order(word: str) -> str:
        place = (
            {"connectorId": 1, "type": word}
            if world.protocol == "ocpp1.6"
            else {"operationalStatus": word, "evse": {"id": 1}}
        )
        return str(world.csms.ask("ChangeAvailability", place)["status"])

    assert order("Inoperative") == "Accepted"
    world.csms.run(1)
    assert world.csms.statuses()[-1] == "Unavailable"
    assert order("Operative") == "Accepted"
    world.csms.run(1)
    assert world.csms.statuses()[-1] == "Available"
    charge(world, station)
    assert order("Inoperative") == "Scheduled"
    world.csms.run(5)
    assert station.evses[1].charge is not None
    world.csms.run(15)
    assert world.csms.statuses()[-1] == "Unavailable"


def test_availability_survives_a_reset(world: Any) -> None:
    world.station(evses=2)
    place = (
        {"connectorId": 2, "type": "Inoperative"}
        if world.protocol == "ocpp1.6"
        else {"operationalStatus": "Inoperative", "evse": {"id": 2}}
    )
    world.csms.ask("ChangeAvailability", place)
    world.csms.ask("Reset", {"type": "Hard" if world.protocol == "ocpp1.6" else "Immediate"})
    world.csms.run(0.5)
    mark = len(world.csms.calls)
    world.csms.run(5)
    assert world.csms.statuses(mark) == ["Available", "Unavailable"]


def test_whole_station_availability(world: Any) -> None:
    world.station(evses=2)
    order = (
        {"connectorId": 0, "type": "Inoperative"}
        if world.protocol == "ocpp1.6"
        else {"operationalStatus": "Inoperative"}
    )
    assert world.csms.ask("ChangeAvailability", order)["status"] == "Accepted"
    world.csms.run(1)
    assert world.csms.statuses()[-2:] == ["Unavailable", "Unavailable"]


def test_unlock(new: Any) -> None:
    station = new.station()
    assert new.csms.ask("UnlockConnector", {"evseId": 1, "connectorId": 1}) == {"status": "Unlocked"}
    assert new.csms.ask("UnlockConnector", {"evseId": 1, "connectorId": 2}) == {"status": "UnknownConnector"}
    charge(new, station)
    assert new.csms.ask("UnlockConnector", {"evseId": 1, "connectorId": 1}) == {
        "status": "OngoingAuthorizedTransaction"
    }


def test_unlock_ends_the_charge_16(old: Any) -> None:
    charge(old, old.station())
    assert old.csms.ask("UnlockConnector", {"connectorId": 1}) == {"status": "Unlocked"}
    old.csms.run(2)
    assert last_stop(old) == ("42", "UnlockCommand")


@pytest.mark.parametrize("message", ["Heartbeat", "StatusNotification", "MeterValues", "FirmwareStatusNotification"])
def test_triggers(world: Any, message: str) -> None:
    world.station()
    mark = len(world.csms.calls)
    assert world.csms.ask("TriggerMessage", {"requestedMessage": message}) == {"status": "Accepted"}
    world.csms.run(1)
    assert world.csms.sent(message, mark)


def test_trigger_for_one_evse(new: Any) -> None:
    new.station(evses=3)
    mark = len(new.csms.calls)
    order = {"requestedMessage": "StatusNotification", "evse": {"id": 2, "connectorId": 1}}
    assert new.csms.ask("TriggerMessage", order)["status"] == "Accepted"
    new.csms.run(1)
    assert [one["evseId"] for one in new.csms.sent("StatusNotification", mark)] == [2]
    assert new.csms.ask("TriggerMessage", {**order, "evse": {"id": 9}})["status"] == "Rejected"


def test_trigger_of_a_transaction_event(new: Any) -> None:
    station = new.station()
    order = {"requestedMessage": "TransactionEvent"}
    assert new.csms.ask("TriggerMessage", order)["status"] == "Rejected"
    charge(new, station)
    assert new.csms.ask("TriggerMessage", order) == {"status": "Accepted"}
    new.csms.run(0.5)
    event = new.csms.events()[-1]
    assert event["triggerReason"] == "Trigger"
    assert event["meterValue"][0]["sampledValue"][0]["context"] == "Trigger"


def test_trigger_of_boot_when_already_accepted(new: Any, old: Any) -> None:
    for world in (new, old):
        world.station()
    order = {"requestedMessage": "BootNotification"}
    assert new.csms.ask("TriggerMessage", order)["status"] == "Rejected"
    assert old.csms.ask("TriggerMessage", order) == {"status": "Accepted"}
    old.csms.run(1)
    assert len(old.csms.sent("BootNotification")) == 2


def test_trigger_that_the_station_cannot_send(new: Any) -> None:
    new.station()
    order = {"requestedMessage": "SignV2GCertificate"}
    assert new.csms.ask("TriggerMessage", order) == {"status": "NotImplemented"}


# Device model


def set_variable(world: Any, component: str, variable: str, value: str, **more: Any) -> str:
    data = {"component": {"name": component}, "variable": {"name": variable}, "attributeValue": value, **more}
    return str(world.csms.ask("SetVariables", {"setVariableData": [data]})["setVariableResult"][0]["attributeStatus"])


def get_variable(world: Any, component: str, variable: str, **more: Any) -> tuple[str, str | None]:
    data = {"component": {"name": component}, "variable": {"name": variable}, **more}
    result = world.csms.ask("GetVariables", {"getVariableData": [data]})["getVariableResult"][0]
    return result["attributeStatus"], result.get("attributeValue")


def test_get_variables(new: Any) -> None:
    new.station()
    assert get_variable(new, "OCPPCommCtrlr", "HeartbeatInterval") == ("Accepted", "300")
    assert get_variable(new, "ocppcommctrlr", "heartbeatinterval") == ("Accepted", "300")
    assert get_variable(new, "Toaster", "HeartbeatInterval")[0] == "UnknownComponent"
    assert get_variable(new, "OCPPCommCtrlr", "Crumbs")[0] == "UnknownVariable"
    assert (
        get_variable(new, "OCPPCommCtrlr", "HeartbeatInterval", attributeType="Target")[0]
        == "NotSupportedAttributeType"
    )
    assert get_variable(new, "SecurityCtrlr", "BasicAuthPassword") == ("Rejected", None)
    assert get_variable(new, "ChargingStation", "AvailabilityState") == ("Accepted", "Available")


def test_set_variables(new: Any) -> None:
    new.station()
    assert set_variable(new, "OCPPCommCtrlr", "HeartbeatInterval", "5") == "Accepted"
    assert set_variable(new, "OCPPCommCtrlr", "HeartbeatInterval", "soon") == "Rejected"
    assert set_variable(new, "OCPPCommCtrlr", "HeartbeatInterval", "0") == "Rejected"
    assert set_variable(new, "ChargingStation", "Model", "x") == "Rejected"
    assert set_variable(new, "Toaster", "Model", "x") == "UnknownComponent"
    mark = len(new.csms.calls)
    new.csms.run(11)
    assert len(new.csms.sent("Heartbeat", mark)) == 2


def test_sample_interval_can_be_changed_while_charging(world: Any) -> None:
    station = world.station(energy_wh=5000, samples=20, sample_interval_s=1.0)
    if world.protocol == "ocpp1.6":
        assert world.csms.ask("ChangeConfiguration", {"key": "metervaluesampleinterval", "value": "5"}) == {
            "status": "Accepted"
        }
    else:
        assert set_variable(world, "SampledDataCtrlr", "TxUpdatedInterval", "5") == "Accepted"
    charge(world, station)
    world.csms.run(25)
    readings = world.csms.sent("MeterValues") or [
        one for one in world.csms.events() if one["triggerReason"] == "MeterValuePeriodic"
    ]
    assert len(readings) == 4


@pytest.mark.parametrize(
    ("base", "least"), [("FullInventory", 30), ("ConfigurationInventory", 8), ("SummaryInventory", 3)]
)
def test_base_report_comes_in_parts(new: Any, base: str, least: int) -> None:
    new.station(evses=2)
    assert new.csms.ask("GetBaseReport", {"requestId": 5, "reportBase": base}) == {"status": "Accepted"}
    new.csms.run(2)
    parts = new.csms.sent("NotifyReport")
    assert [one["seqNo"] for one in parts] == list(range(len(parts)))
    assert [one["tbc"] for one in parts] == [True] * (len(parts) - 1) + [False]
    assert {one["requestId"] for one in parts} == {5}
    data = [row for part in parts for row in part["reportData"]]
    assert len(data) >= least
    if base == "FullInventory":
        assert len(parts) > 1
    secret = [row for row in data if row["variable"]["name"] == "BasicAuthPassword"]
    assert all("value" not in row["variableAttribute"][0] for row in secret)


def test_configuration_16(old: Any) -> None:
    old.station(evses=2)
    whole = old.csms.ask("GetConfiguration")
    keys = {one["key"]: one for one in whole["configurationKey"]}
    assert keys["NumberOfConnectors"] == {"key": "NumberOfConnectors", "readonly": True, "value": "2"}
    assert keys["HeartbeatInterval"]["value"] == "300"
    assert "value" not in keys["AuthorizationKey"]
    part = old.csms.ask("GetConfiguration", {"key": ["heartbeatinterval", "Crumbs"]})
    assert part["unknownKey"] == ["Crumbs"]
    assert [one["key"] for one in part["configurationKey"]] == ["HeartbeatInterval"]


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("HeartbeatInterval", "60", "Accepted"),
        ("HeartbeatInterval", "-1", "Rejected"),
        ("NumberOfConnectors", "3", "Rejected"),
        ("StopTransactionOnEVSideDisconnect", "false", "Rejected"),
        ("Crumbs", "1", "NotSupported"),
    ],
)
def test_change_configuration_16(old: Any, key: str, value: str, status: str) -> None:
    old.station()
    assert old.csms.ask("ChangeConfiguration", {"key": key, "value": value}) == {"status": status}


# The rest


def test_small_answers(world: Any) -> None:
    world.station()
    assert world.csms.ask("ClearCache") == {"status": "Accepted"}
    assert world.csms.ask("DataTransfer", {"vendorId": "x"}) == {"status": "UnknownVendorId"}
    assert 0 in world.csms.ask("GetLocalListVersion").values()
    if world.protocol == "ocpp2.0.1":
        assert world.csms.ask("CostUpdated", {"totalCost": 1.25, "transactionId": "T1"}) == {}


def test_what_the_station_does_not_do_is_refused(world: Any) -> None:
    world.station()
    profile = {"evseId": 1, "duration": 60} if world.protocol == "ocpp2.0.1" else {"connectorId": 1, "duration": 60}
    assert world.csms.ask("GetCompositeSchedule", profile) == "NotSupported"
    assert world.csms.ask("MakeTea") == "NotImplemented"


def test_broken_call_is_refused_and_life_goes_on(world: Any) -> None:
    station = world.station()
    assert world.csms.ask("Reset", {"type": "Gently"}) not in ("InternalError", {"status": "Accepted"})
    assert station.ready
    assert world.csms.ask("ClearCache") == {"status": "Accepted"}
