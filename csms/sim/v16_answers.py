"""How a simulated station answers the CSMS's calls in OCPP 1.6-J: one small function per action, found in a table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from csms.sim.answering import AnswerTable, Row
from csms.sim.device import CONFIGURATION_16, Variable
from csms.sim.evse import Evse, Token
from csms.sim.session import Answer, Lane, Payload
from csms.sim.station import Station

NOT_DONE = frozenset(
    [
        "CancelReservation",
        "CertificateSigned",
        "ClearChargingProfile",
        "DeleteCertificate",
        "ExtendedTriggerMessage",
        "GetCompositeSchedule",
        "GetInstalledCertificateIds",
        "InstallCertificate",
        "ReserveNow",
        "SendLocalList",
        "SetChargingProfile",
    ]
)
"""Actions of 1.6 that this station knows of and does not do."""

PROFILES = "Core,FirmwareManagement,RemoteTrigger"
DIAGNOSTICS = {"UploadFailure": "UploadFailed"}
"""1.6 has another word for this in DiagnosticsStatusNotification."""


class Answers:
    """Answers for one station."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._own = {"NumberOfConnectors": str(len(station.evses)), "SupportedFeatureProfiles": PROFILES}
        rows: dict[str, Row] = {
            "ChangeAvailability": self._change_availability,
            "ChangeConfiguration": self._change_configuration,
            "ClearCache": lambda asked: Answer({"status": "Accepted"}),
            "DataTransfer": lambda asked: Answer({"status": "UnknownVendorId"}),
            "GetConfiguration": self._get_configuration,
            "GetDiagnostics": self._get_diagnostics,
            "GetLocalListVersion": lambda asked: Answer({"listVersion": 0}),
            "GetLog": self._get_log,
            "RemoteStartTransaction": self._remote_start,
            "RemoteStopTransaction": self._remote_stop,
            "Reset": self._reset,
            "SignedUpdateFirmware": self._update_signed,
            "TriggerMessage": self._trigger,
            "UnlockConnector": self._unlock,
            "UpdateFirmware": self._update_firmware,
        }
        self.answer = AnswerTable(rows, NOT_DONE).answer

    def _reset(self, asked: Payload) -> Answer:
        if not self._station.ready:
            return _rejected()
        status, then = self._station.plan_reset("Immediate", None, reason=f"{asked['type']}Reset")
        return Answer({"status": status}, then)

    def _remote_start(self, asked: Payload) -> Answer:
        charger = self._station.charger
        evse = charger.free_evse(asked.get("connectorId"))
        if evse is None:
            return _rejected()
        start = charger.begin_remotely
        return Answer({"status": "Accepted"}, lambda: self._station.run(start(evse, Token(asked["idTag"]), None)))

    def _remote_stop(self, asked: Payload) -> Answer:
        charger = self._station.charger
        evse = charger.charging(str(asked["transactionId"]))
        if evse is None:
            return _rejected()
        return Answer({"status": "Accepted"}, lambda: _ignore(charger.stop(evse, "RemoteStop", "Remote")))

    def _change_availability(self, asked: Payload) -> Answer:
        evses = self._evses(asked["connectorId"])
        if not evses:
            return _rejected()
        status = self._station.order_availability(evses, operative=asked["type"] == "Operative")
        return Answer({"status": status}, lambda: self._report(evses, of_station=asked["connectorId"] == 0))

    def _report(self, evses: list[Evse], *, of_station: bool) -> None:
        if of_station:
            self._station.voice.station_status()
        for evse in evses:
            self._station.report(evse)

    def _unlock(self, asked: Payload) -> Answer:
        evse = self._station.evses.get(asked["connectorId"])
        if evse is None:
            return Answer({"status": "NotSupported"})
        return Answer({"status": "Unlocked"}, partial(self._unlocked, evse))

    def _unlocked(self, evse: Evse) -> None:
        self._station.charger.stop(evse, "UnlockCommand", "UnlockCommand", keep_cable=True)
        self._station.charger.unplug(evse)

    def _get_diagnostics(self, asked: Payload) -> Answer:
        def tell(status: str) -> None:
            word = DIAGNOSTICS.get(status, status)
            self._station.session.post("DiagnosticsStatusNotification", {"status": word}, Lane.ROUTINE)

        send = self._station.files.send_log(asked["location"], tell)
        return Answer({"fileName": "station.log"}, lambda: self._station.run(send))

    def _get_log(self, asked: Payload) -> Answer:
        tell = self._teller("LogStatusNotification", {"requestId": asked["requestId"]})
        send = self._station.files.send_log(asked["log"]["remoteLocation"], tell)
        return Answer({"status": "Accepted", "filename": "station.log"}, lambda: self._station.run(send))

    def _update_firmware(self, asked: Payload) -> Answer:
        install = self._station.files.install(signed=False, tell=self._teller("FirmwareStatusNotification", {}))
        return Answer({}, lambda: self._station.run(install))

    def _update_signed(self, asked: Payload) -> Answer:
        tell = self._teller("SignedFirmwareStatusNotification", {"requestId": asked["requestId"]})
        install = self._station.files.install(signed=True, tell=tell)
        return Answer({"status": "Accepted"}, lambda: self._station.run(install))

    def _teller(self, action: str, facts: Payload) -> Callable[[str], None]:
        return lambda status: self._station.session.post(action, {"status": status, **facts}, Lane.ROUTINE)

    def _evses(self, connector: int | None) -> list[Evse]:
        """The EVSEs that a connector number means; all for 0 and for none, an empty list for an unknown one."""
        evses = self._station.evses
        if not connector:
            return list(evses.values())
        return [evses[connector]] if connector in evses else []

    # Triggers

    def _trigger(self, asked: Payload) -> Answer:
        evses = self._evses(asked.get("connectorId"))
        if not evses:
            return _rejected()
        of_station = not asked.get("connectorId")
        send = self._triggered(asked["requestedMessage"], evses, of_station=of_station)
        return Answer({"status": "Accepted"}, send) if send else Answer({"status": "NotImplemented"})

    def _triggered(self, message: str, evses: list[Evse], *, of_station: bool) -> Callable[[], None] | None:
        station = self._station
        match message:
            case "BootNotification":
                return station.booting.triggered
            case "Heartbeat":
                return partial(station.voice.heartbeat, Lane.ASKED)
            case "StatusNotification":
                return partial(station.report_asked, evses, of_station=of_station)
            case "MeterValues":
                return partial(station.read_asked, evses)
            case "DiagnosticsStatusNotification" | "FirmwareStatusNotification":
                return partial(station.session.post, message, {"status": "Idle"}, Lane.ASKED)
        return None

    # Configuration

    def _get_configuration(self, asked: Payload) -> Answer:
        names = asked.get("key") or [*self._own, *CONFIGURATION_16]
        known, unknown = [], []
        for name in names:
            if (entry := self._entry(name)) is None:
                unknown.append(name)
            else:
                known.append(entry)
        return Answer({"configurationKey": known} | ({"unknownKey": unknown} if unknown else {}))

    def _entry(self, name: str) -> Payload | None:
        own = {key.lower(): (key, value) for key, value in self._own.items()}.get(name.lower())
        if own is not None:
            return {"key": own[0], "readonly": True, "value": own[1]}
        found = self._find(name)
        if found is None:
            return None
        key, variable = found
        entry: Payload = {"key": key, "readonly": not (variable.writable or variable.secret)}
        return entry if variable.secret else {**entry, "value": variable.value}

    def _change_configuration(self, asked: Payload) -> Answer:
        found = self._find(asked["key"])
        if found is None:
            return _rejected() if self._entry(asked["key"]) else Answer({"status": "NotSupported"})
        taken = self._station.device.set(found[1], asked["value"])
        return Answer({"status": "Accepted"}) if taken else _rejected()

    def _find(self, name: str) -> tuple[str, Variable] | None:
        for key, (component, variable, instance) in CONFIGURATION_16.items():
            if key.lower() == name.lower():
                found = self._station.device.find(component, variable, None, instance)
                return None if found is None else (key, found)
        return None


def _rejected() -> Answer:
    return Answer({"status": "Rejected"})


def _ignore(result: object) -> None:
    """For a callback whose result does not matter."""
