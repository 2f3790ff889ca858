"""How a simulated station answers the CSMS's calls in OCPP 2.0.1: one small function per action, found in a table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from csms.ocpp.times import print_time
from csms.sim.answering import AnswerTable, Row
from csms.sim.device import Variable
from csms.sim.evse import Evse, Token
from csms.sim.session import Answer, Lane, Payload
from csms.sim.station import Station

ITEMS_PER_REPORT = 10

NOT_DONE = frozenset(
    [
        "CancelReservation",
        "CertificateSigned",
        "ClearChargingProfile",
        "ClearDisplayMessage",
        "ClearVariableMonitoring",
        "CustomerInformation",
        "DeleteCertificate",
        "GetChargingProfiles",
        "GetCompositeSchedule",
        "GetDisplayMessages",
        "GetInstalledCertificateIds",
        "GetMonitoringReport",
        "GetReport",
        "InstallCertificate",
        "PublishFirmware",
        "ReserveNow",
        "SendLocalList",
        "SetChargingProfile",
        "SetDisplayMessage",
        "SetMonitoringBase",
        "SetMonitoringLevel",
        "SetNetworkProfile",
        "SetVariableMonitoring",
        "UnpublishFirmware",
    ]
)
"""Actions of 2.0.1 that this station knows of and does not do."""


class Answers:
    """Answers for one station."""

    def __init__(self, station: Station) -> None:
        self._station = station
        rows: dict[str, Row] = {
            "ChangeAvailability": self._change_availability,
            "ClearCache": lambda asked: Answer({"status": "Accepted"}),
            "CostUpdated": self._cost,
            "DataTransfer": lambda asked: Answer({"status": "UnknownVendorId"}),
            "GetBaseReport": self._base_report,
            "GetLocalListVersion": lambda asked: Answer({"versionNumber": 0}),
            "GetLog": self._get_log,
            "GetTransactionStatus": self._transaction_status,
            "GetVariables": self._get_variables,
            "RequestStartTransaction": self._request_start,
            "RequestStopTransaction": self._request_stop,
            "Reset": self._reset,
            "SetVariables": self._set_variables,
            "TriggerMessage": self._trigger,
            "UnlockConnector": self._unlock,
            "UpdateFirmware": self._update_firmware,
        }
        self.answer = AnswerTable(rows, NOT_DONE).answer

    def _cost(self, asked: Payload) -> Answer:
        self._station.say(f"the display shows a cost of {asked['totalCost']} so far")
        return Answer({})

    def _reset(self, asked: Payload) -> Answer:
        number = asked.get("evseId")
        evse = self._station.evses.get(number) if number else None
        if number and evse is None:
            return _rejected("UnknownEvse")
        if not self._station.ready:
            return _rejected("NotReady")
        status, then = self._station.plan_reset(asked["type"], evse)
        return Answer({"status": status}, then)

    def _request_start(self, asked: Payload) -> Answer:
        charger = self._station.charger
        evse = charger.free_evse(asked.get("evseId"))
        if evse is None:
            return _rejected("NoFreeEvse")
        token = Token(asked["idToken"]["idToken"], asked["idToken"]["type"])
        start = charger.begin_remotely
        return Answer({"status": "Accepted"}, lambda: self._station.run(start(evse, token, asked["remoteStartId"])))

    def _request_stop(self, asked: Payload) -> Answer:
        charger = self._station.charger
        evse = charger.charging(asked["transactionId"])
        if evse is None:
            return _rejected("TxNotFound")
        return Answer({"status": "Accepted"}, lambda: _ignore(charger.stop(evse, "RemoteStop", "Remote")))

    def _change_availability(self, asked: Payload) -> Answer:
        place, operative = asked.get("evse"), asked["operationalStatus"] == "Operative"
        evses = self._evses(place)
        if not evses or (place or {}).get("connectorId", 1) != 1:
            return _rejected("UnknownEvse")
        status = self._station.order_availability(evses, operative=operative)
        return Answer({"status": status}, lambda: self._report(evses))

    def _report(self, evses: list[Evse]) -> None:
        for evse in evses:
            self._station.report(evse)

    def _unlock(self, asked: Payload) -> Answer:
        evse = self._station.evses.get(asked["evseId"])
        if evse is None or asked["connectorId"] != 1:
            return Answer({"status": "UnknownConnector"})
        if evse.charge is not None:
            return Answer({"status": "OngoingAuthorizedTransaction"})
        return Answer({"status": "Unlocked"}, partial(self._station.charger.unplug, evse))

    def _transaction_status(self, asked: Payload) -> Answer:
        queued: Payload = {"messagesInQueue": self._station.session.undelivered > 0}
        if "transactionId" not in asked:
            return Answer(queued)
        return Answer(
            {"ongoingIndicator": self._station.charger.charging(asked["transactionId"]) is not None, **queued}
        )

    def _get_log(self, asked: Payload) -> Answer:
        send = self._station.files.send_log(
            asked["log"]["remoteLocation"], self._teller("LogStatusNotification", asked)
        )
        return Answer({"status": "Accepted", "filename": "station.log"}, lambda: self._station.run(send))

    def _update_firmware(self, asked: Payload) -> Answer:
        tell = self._teller("FirmwareStatusNotification", asked)
        install = self._station.files.install(signed="signature" in asked["firmware"], tell=tell)
        return Answer({"status": "Accepted"}, lambda: self._station.run(install))

    def _teller(self, action: str, asked: Payload) -> Callable[[str], None]:
        def tell(status: str) -> None:
            self._station.session.post(action, {"status": status, "requestId": asked["requestId"]}, Lane.ROUTINE)

        return tell

    def _evses(self, place: Payload | None) -> list[Evse]:
        """The EVSEs that an optional EVSE of a call means; none when it is unknown."""
        evses = self._station.evses
        if place is None or place["id"] == 0:
            return list(evses.values())
        return [evses[place["id"]]] if place["id"] in evses else []

    # Triggers

    def _trigger(self, asked: Payload) -> Answer:
        evses = self._evses(asked.get("evse"))
        if not evses:
            return _rejected("UnknownEvse")
        send = self._triggered(asked["requestedMessage"], evses)
        if send is None:
            return Answer({"status": "NotImplemented"})
        return Answer({"status": "Accepted"}, send) if callable(send) else _rejected("NotNow")

    def _triggered(self, message: str, evses: list[Evse]) -> Callable[[], None] | str | None:
        """What to do after the answer; a word when it cannot be done now, None when it never can."""
        station = self._station
        match message:
            case "BootNotification":
                return "already accepted" if station.session.boot_accepted else station.booting.triggered
            case "Heartbeat":
                return partial(station.voice.heartbeat, Lane.ASKED)
            case "StatusNotification":
                return partial(station.report_asked, evses, of_station=False)
            case "MeterValues":
                return partial(station.read_asked, evses)
            case "TransactionEvent":
                charging = [evse for evse in evses if evse.charge]
                return partial(station.charger.remind, charging) if charging else "no charge"
            case "LogStatusNotification" | "FirmwareStatusNotification":
                return partial(station.session.post, message, {"status": "Idle"}, Lane.ASKED)
        return None

    # Device model

    def _get_variables(self, asked: Payload) -> Answer:
        return Answer({"getVariableResult": [self._get_one(one) for one in asked["getVariableData"]]})

    def _get_one(self, asked: Payload) -> Payload:
        attribute = asked.get("attributeType", "Actual")
        found = self._find(asked, attribute)
        result = {"component": asked["component"], "variable": asked["variable"], "attributeType": attribute}
        if isinstance(found, str):
            return {**result, "attributeStatus": found}
        if found.secret:
            return {**result, "attributeStatus": "Rejected", "attributeStatusInfo": {"reasonCode": "WriteOnly"}}
        return {**result, "attributeStatus": "Accepted", "attributeValue": self._station.value_of(found)}

    def _set_variables(self, asked: Payload) -> Answer:
        return Answer({"setVariableResult": [self._set_one(one) for one in asked["setVariableData"]]})

    def _set_one(self, asked: Payload) -> Payload:
        attribute = asked.get("attributeType", "Actual")
        found = self._find(asked, attribute)
        result = {"component": asked["component"], "variable": asked["variable"], "attributeType": attribute}
        if isinstance(found, str):
            return {**result, "attributeStatus": found}
        if self._station.device.set(found, asked["attributeValue"]):
            return {**result, "attributeStatus": "Accepted"}
        why = "InvalidValue" if found.writable else "ReadOnly"
        return {**result, "attributeStatus": "Rejected", "attributeStatusInfo": {"reasonCode": why}}

    def _find(self, asked: Payload, attribute: str) -> Variable | str:
        component, variable = asked["component"], asked["variable"]
        evse = component.get("evse", {}).get("id")
        device = self._station.device
        if "instance" in component or not device.has_component(component["name"], evse):
            return "UnknownComponent"
        found = device.find(component["name"], variable["name"], evse, variable.get("instance"))
        if found is None:
            return "UnknownVariable"
        return found if attribute == "Actual" else "NotSupportedAttributeType"

    def _base_report(self, asked: Payload) -> Answer:
        wanted = [one for one in self._station.device if _belongs(one, asked["reportBase"])]
        return Answer({"status": "Accepted"}, lambda: self._send_report(asked["requestId"], wanted))

    def _send_report(self, request: int, variables: list[Variable]) -> None:
        at = print_time(self._station.now())
        for number, begin in enumerate(range(0, len(variables), ITEMS_PER_REPORT)):
            part = variables[begin : begin + ITEMS_PER_REPORT]
            payload = {
                "requestId": request,
                "generatedAt": at,
                "seqNo": number,
                "tbc": begin + ITEMS_PER_REPORT < len(variables),
                "reportData": [self._report_data(one) for one in part],
            }
            self._station.session.post("NotifyReport", payload, Lane.ASKED)

    def _report_data(self, one: Variable) -> Payload:
        component: Payload = {"name": one.component}
        if one.evse is not None:
            component["evse"] = {"id": one.evse, "connectorId": 1} if one.component == "Connector" else {"id": one.evse}
        attribute: Payload = {"type": "Actual", "mutability": one.mutability, "persistent": True}
        if not one.secret:
            attribute["value"] = self._station.value_of(one)
        traits: Payload = {"dataType": one.type, "supportsMonitoring": False}
        if one.unit:
            traits["unit"] = one.unit
        if one.choices:
            traits["valuesList"] = one.choices
        variable = {"name": one.name, "instance": one.instance} if one.instance else {"name": one.name}
        return {
            "component": component,
            "variable": variable,
            "variableAttribute": [attribute],
            "variableCharacteristics": traits,
        }


def _belongs(one: Variable, base: str) -> bool:
    match base:
        case "ConfigurationInventory":
            return one.writable or one.secret
        case "SummaryInventory":
            return one.name == "AvailabilityState"
    return True


def _rejected(why: str) -> Answer:
    return Answer({"status": "Rejected", "statusInfo": {"reasonCode": why}})


def _ignore(result: object) -> None:
    """For a callback whose result does not matter."""
