"""How a simulated station speaks OCPP 2.0.1: what happens becomes a payload here. The CSMS's calls are answered in ``v201_answers.py``."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from csms.ocpp.rpc import Call
from csms.ocpp.times import print_time
from csms.sim.device import FIRMWARE, VENDOR
from csms.sim.evse import Charge, Evse, Token
from csms.sim.session import Answer, Lane, Payload
from csms.sim.station import Station
from csms.sim.v201_answers import Answers
from csms.sim.voice import BootAnswer
from csms.sim.words import number_in, words_in


class Voice201:
    """The ``Voice`` of OCPP 2.0.1 for one station."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._session = station.session
        self._answers = Answers(station)

    def word(self, evse: Evse) -> str:
        """One of the five connector states."""
        return evse.availability

    def boot(self, reason: str) -> Deferred[BootAnswer]:
        """BootNotification."""
        nature = self._station.nature
        station = {
            "model": nature.model,
            "vendorName": VENDOR,
            "serialNumber": nature.serial,
            "firmwareVersion": FIRMWARE,
        }
        answer = self._session.ask("BootNotification", {"reason": reason, "chargingStation": station}, Lane.BOOT)
        return answer.addCallback(lambda got: BootAnswer(str(got.get("status", "")), number_in(got, "interval")))

    def heartbeat(self, lane: Lane = Lane.ROUTINE) -> None:
        """Heartbeat."""
        self._session.post("Heartbeat", {}, lane)

    def status(self, evse: Evse, lane: Lane = Lane.ROUTINE) -> None:
        """StatusNotification of an EVSE's connector."""
        payload = {
            "timestamp": print_time(self._station.now()),
            "connectorStatus": self.word(evse),
            "evseId": evse.number,
            "connectorId": 1,
        }
        self._session.post("StatusNotification", payload, lane)

    def station_status(self, lane: Lane = Lane.ROUTINE) -> None:
        """2.0.1 has no status message for a whole station."""

    def authorize(self, token: Token) -> Deferred[str]:
        """Authorize."""
        return self._session.ask("Authorize", {"idToken": _id_token(token)}).addCallback(_verdict)

    def started(self, evse: Evse, charge: Charge, trigger: str) -> Deferred[str]:
        """TransactionEvent Started with the tag and the begin register."""
        more: Payload = {"idToken": _id_token(charge.token), "evse": {"id": evse.number, "connectorId": 1}}
        info: dict[str, Any] = {}
        if charge.remote_start_id is not None:
            info["remoteStartId"] = charge.remote_start_id
        more["meterValue"] = [self._reading(evse, "Transaction.Begin")]
        return self._event("Started", charge, trigger, more, info).addCallback(_verdict)

    def updated(self, evse: Evse, charge: Charge, trigger: str, context: str = "") -> Deferred[None]:
        """TransactionEvent Updated."""
        more: Payload = {"meterValue": [self._reading(evse, context)]} if context else {}
        return self._event("Updated", charge, trigger, more, {}).addCallback(lambda got: None)

    def ended(self, evse: Evse, charge: Charge, trigger: str, reason: str, token: Token | None) -> Deferred[None]:
        """TransactionEvent Ended with the end register."""
        more: Payload = {"meterValue": [self._reading(evse, "Transaction.End")]}
        if token is not None:
            more["idToken"] = _id_token(token)
        return self._event("Ended", charge, trigger, more, {"stoppedReason": reason}).addCallback(lambda got: None)

    def meter_values(self, evse: Evse, lane: Lane = Lane.ASKED) -> None:
        """MeterValues outside the transaction's own messages."""
        payload = {"evseId": evse.number, "meterValue": [self._reading(evse, "Trigger")]}
        self._session.post("MeterValues", payload, lane)

    def answer(self, call: Call) -> Answer:
        """Answer a call; raises OcppError."""
        return self._answers.answer(call)

    def _event(self, type: str, charge: Charge, trigger: str, more: Payload, info: Payload) -> Deferred[Payload]:
        payload: Payload = {
            "eventType": type,
            "timestamp": print_time(self._station.now()),
            "triggerReason": trigger,
            "seqNo": charge.next_seq_no(),
            "transactionInfo": {"transactionId": charge.local_id, "chargingState": charge.state, **info},
            **more,
        }

        def words(*, offline: bool) -> Payload:
            return {**payload, "offline": True} if offline else payload

        return self._session.keep("TransactionEvent", words)

    def _reading(self, evse: Evse, context: str) -> Payload:
        return {
            "timestamp": print_time(self._station.now()),
            "sampledValue": [
                {
                    "value": evse.meter.register_wh,
                    "context": context,
                    "measurand": "Energy.Active.Import.Register",
                    "unitOfMeasure": {"unit": "Wh"},
                },
                {
                    "value": self._station.nature.power_w if evse.meter.flowing else 0,
                    "context": context,
                    "measurand": "Power.Active.Import",
                    "unitOfMeasure": {"unit": "W"},
                },
            ],
        }


def _id_token(token: Token) -> Payload:
    return {"idToken": token.value, "type": token.type}


def _verdict(answer: Payload) -> str:
    return words_in(answer, "idTokenInfo", "status") or "Accepted"
