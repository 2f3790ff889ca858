"""Block B of OCPP 2.0.1: boot, heartbeat, device-model reports and resets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from csms.model.provisioning import (
    BootAnswer,
    BootNotification,
    GetBaseReport,
    Heartbeat,
    HeartbeatAnswer,
    NotifyReport,
    Reset,
    Variable,
    VariableValue,
)
from csms.ocpp.dialect import Incoming, NotSupportedByStation, Outgoing, Payload, common
from csms.ocpp.errors import V201
from csms.ocpp.quick import Said
from csms.ocpp.times import parse_time, print_time
from csms.ocpp.v201.answers import decode_answer, nothing

REPORTS = frozenset({"ConfigurationInventory", "FullInventory", "SummaryInventory"})


def decode_boot(payload: Payload) -> BootNotification:
    """What a station says of itself when it starts."""
    station = payload["chargingStation"]
    modem = station.get("modem", {})
    return BootNotification(
        reason=payload["reason"],
        vendor=station["vendorName"],
        model=station["model"],
        serial_number=station.get("serialNumber", ""),
        firmware=station.get("firmwareVersion", ""),
        iccid=modem.get("iccid", ""),
        imsi=modem.get("imsi", ""),
    )


def encode_boot_answer(answer: BootAnswer) -> Payload:
    """Status, interval and time; 1.6 says it in the same words."""
    time = print_time(answer.current_time)
    return {"status": answer.status.value, "interval": answer.interval_s, "currentTime": time}


def read_heartbeat(said: Any) -> Heartbeat:
    """A station lives."""
    return Heartbeat()


def encode_heartbeat_answer(answer: HeartbeatAnswer) -> Payload:
    """What time it is; 1.6 says it in the same words."""
    return {"currentTime": print_time(answer.current_time)}


def decode_report(payload: Payload) -> NotifyReport:
    """One part of a report, one value for each attribute of each variable."""
    return NotifyReport(
        payload["requestId"],
        parse_time(payload["generatedAt"]),
        payload["seqNo"],
        payload.get("tbc", False),
        tuple(value for data in payload.get("reportData", ()) for value in _attributes(data)),
    )


def _attributes(data: Mapping[str, Any]) -> Iterator[VariableValue]:
    variable, facts = decode_variable(data), data.get("variableCharacteristics", {})
    for attribute in data["variableAttribute"]:
        yield VariableValue(
            variable,
            attribute.get("value"),
            attribute.get("type", "Actual"),
            attribute.get("mutability", "ReadWrite"),
            facts.get("dataType", ""),
            facts.get("unit", ""),
        )


def decode_variable(data: Mapping[str, Any]) -> Variable:
    """The variable that the ``component`` and ``variable`` parts of anything name."""
    return read_variable(Said(data))


def read_variable(said: Any) -> Variable:
    """The same, of what takes its fields by name."""
    component, variable, evse = said.component, said.variable, said.component.evse
    return Variable(
        component=component.name,
        name=variable.name,
        component_instance=component.instance or "",
        instance=variable.instance or "",
        evse=evse.id if evse else None,
        connector=evse.connectorId if evse else None,
    )


def encode_variable(variable: Variable) -> Payload:
    """The ``component`` and ``variable`` parts that name a variable."""
    component: Payload = {"name": variable.component}
    if variable.component_instance:
        component["instance"] = variable.component_instance
    if variable.evse is not None:
        component["evse"] = {"id": variable.evse}
        if variable.connector is not None:
            component["evse"]["connectorId"] = variable.connector
    name: Payload = {"name": variable.name}
    if variable.instance:
        name["instance"] = variable.instance
    return {"component": component, "variable": name}


def _encode_reset(command: Reset) -> tuple[str, Payload]:
    if command.when is None:
        raise NotSupportedByStation("a Reset needs to say when: Immediate or OnIdle")
    payload: Payload = {"type": command.when.value}
    if command.evse:
        payload["evseId"] = command.evse
    return "Reset", payload


def _encode_report(command: GetBaseReport) -> tuple[str, Payload]:
    if command.request_id is None:
        raise NotSupportedByStation(f"GetBaseReport in {V201} needs a request_id")
    if command.report not in REPORTS:
        raise NotSupportedByStation(f"{V201} has no report {command.report!r}, only {', '.join(sorted(REPORTS))}")
    return "GetBaseReport", {"requestId": command.request_id, "reportBase": command.report}


REQUESTS: Mapping[str, Incoming] = {
    "BootNotification": Incoming(decode_boot, encode_boot_answer),
    "Heartbeat": common(read_heartbeat, encode_heartbeat_answer),
    "NotifyReport": Incoming(decode_report, nothing),
}
COMMANDS: Mapping[type, Outgoing] = {
    Reset: Outgoing(_encode_reset, decode_answer),
    GetBaseReport: Outgoing(_encode_report, decode_answer),
}
