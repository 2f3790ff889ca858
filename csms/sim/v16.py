"""How a simulated station speaks OCPP 1.6-J: what happens becomes a payload here. The CSMS's calls are answered in ``v16_answers.py``."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed

from csms.ocpp.rpc import Call
from csms.ocpp.times import print_time
from csms.sim.device import FIRMWARE, VENDOR
from csms.sim.evse import Charge, Evse, Token
from csms.sim.session import Answer, Lane, Payload
from csms.sim.station import Station
from csms.sim.v16_answers import Answers
from csms.sim.voice import BootAnswer
from csms.sim.words import number_in, words_in

NO_TRANSACTION = -1
"""What stands for the transaction number when the CSMS never gave one."""

REASONS = {"ImmediateReset": "HardReset", "Timeout": "Other", "StoppedByEV": "Other"}
"""2.x stop reasons that 1.6 spells otherwise; the station uses no others."""


class Voice16:
    """The ``Voice`` of OCPP 1.6-J for one station."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._session = station.session
        self._answers = Answers(station)

    def word(self, evse: Evse) -> str:
        """One of the nine connector states, without those this station never has."""
        if evse.availability != "Occupied":
            return evse.availability
        if evse.charge is not None and evse.charge.state == "Charging":
            return "Charging"
        return "Finishing" if evse.finishing else "Preparing"

    def boot(self, reason: str) -> Deferred[BootAnswer]:
        """BootNotification; 1.6 has no word for the reason."""
        nature = self._station.nature
        payload = {
            "chargePointVendor": VENDOR,
            "chargePointModel": nature.model,
            "chargePointSerialNumber": nature.serial,
            "firmwareVersion": FIRMWARE,
        }
        answer = self._session.ask("BootNotification", payload, Lane.BOOT)
        return answer.addCallback(lambda got: BootAnswer(str(got.get("status", "")), number_in(got, "interval")))

    def heartbeat(self, lane: Lane = Lane.ROUTINE) -> None:
        """Heartbeat."""
        self._session.post("Heartbeat", {}, lane)

    def status(self, evse: Evse, lane: Lane = Lane.ROUTINE) -> None:
        """StatusNotification of a connector."""
        self._status(evse.number, self.word(evse), lane)

    def station_status(self, lane: Lane = Lane.ROUTINE) -> None:
        """StatusNotification of connector 0."""
        operative = any(evse.operative for evse in self._station.evses.values())
        self._status(0, "Available" if operative else "Unavailable", lane)

    def authorize(self, token: Token) -> Deferred[str]:
        """Authorize."""
        return self._session.ask("Authorize", {"idTag": token.value}).addCallback(_verdict)

    def started(self, evse: Evse, charge: Charge, trigger: str) -> Deferred[str]:
        """StartTransaction; its answer gives the charge its number."""
        payload: Payload = {
            "connectorId": evse.number,
            "idTag": charge.token.value,
            "meterStart": charge.begun_wh,
            "timestamp": print_time(charge.begun_at),
        }

        def numbered(answer: Payload) -> str:
            given = answer.get("transactionId")
            charge.given_id = given if isinstance(given, int) else None
            return _verdict(answer)

        return self._session.keep("StartTransaction", lambda *, offline: payload).addCallback(numbered)

    def updated(self, evse: Evse, charge: Charge, trigger: str, context: str = "") -> Deferred[None]:
        """MeterValues of the transaction; nothing to say without a reading, since states go by StatusNotification."""
        if not context:
            return succeed(None)
        reading = self._reading(evse, context)

        def words(*, offline: bool) -> Payload:
            number = {} if charge.given_id is None else {"transactionId": charge.given_id}
            return {"connectorId": evse.number, "meterValue": [reading], **number}

        return self._session.keep("MeterValues", words).addCallback(lambda got: None)

    def ended(self, evse: Evse, charge: Charge, trigger: str, reason: str, token: Token | None) -> Deferred[None]:
        """StopTransaction with the number that the CSMS gave, which may come after the charge ended."""
        payload: Payload = {
            "meterStop": evse.meter.register_wh,
            "timestamp": print_time(self._station.now()),
            "reason": REASONS.get(reason, reason),
            "transactionData": [self._reading(evse, "Transaction.End")],
        }
        if token is not None:
            payload["idTag"] = token.value

        def words(*, offline: bool) -> Payload:
            return {"transactionId": NO_TRANSACTION if charge.given_id is None else charge.given_id, **payload}

        return self._session.keep("StopTransaction", words).addCallback(lambda got: None)

    def meter_values(self, evse: Evse, lane: Lane = Lane.ASKED) -> None:
        """MeterValues that were asked for, with the transaction's number while there is one."""
        payload: Payload = {"connectorId": evse.number, "meterValue": [self._reading(evse, "Trigger")]}
        if evse.charge is not None and evse.charge.given_id is not None:
            payload["transactionId"] = evse.charge.given_id
        self._session.post("MeterValues", payload, lane)

    def answer(self, call: Call) -> Answer:
        """Answer a call; raises OcppError."""
        return self._answers.answer(call)

    def _status(self, connector: int, word: str, lane: Lane) -> None:
        payload = {
            "connectorId": connector,
            "errorCode": "NoError",
            "status": word,
            "timestamp": print_time(self._station.now()),
        }
        self._session.post("StatusNotification", payload, lane)

    def _reading(self, evse: Evse, context: str) -> Payload:
        power_w = self._station.nature.power_w if evse.meter.flowing else 0
        return {
            "timestamp": print_time(self._station.now()),
            "sampledValue": [
                {
                    "value": str(evse.meter.register_wh),
                    "context": context,
                    "measurand": "Energy.Active.Import.Register",
                    "unit": "Wh",
                },
                {"value": str(power_w), "context": context, "measurand": "Power.Active.Import", "unit": "W"},
            ],
        }


def _verdict(answer: Payload) -> str:
    return words_in(answer, "idTagInfo", "status") or "Accepted"
