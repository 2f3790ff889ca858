"""The messages of the load, as templates: everything is written beforehand, only message id, time, sequence number and register are filled in.

All are valid OCPP 2.0.1 and mean something: one running transaction a station, its numbers and its register growing. Knows no socket.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Payload = dict[str, Any]
Build = Callable[[], bytes]

ACTIONS = ("Heartbeat", "StatusNotification", "Authorize", "TransactionEvent", "MeterValues", "NotifyEvent")
SCENARIOS = (*ACTIONS, "mix")
MIX = ("TransactionEvent",) * 14 + ("MeterValues",) * 2 + ("StatusNotification",) * 2 + ("Heartbeat",) * 2
"""70 % Updated events, 10 % each of meter values, status and heartbeats."""
NUMBER_WIDTH = 9
TOKEN: Payload = {"idToken": "BENCH", "type": "ISO14443"}
ID, SEQ, WH, TIME, WORD = "@id@", "@seq@", "@wh@", "@time@", "@word@"


def wire_time() -> bytes:
    """This moment as OCPP writes it, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()


def six_values() -> list[Payload]:
    """One reading with six sampled values: register, power, and current and voltage with what a car says of its battery."""

    def sample(value: object, measurand: str, unit: str, **more: str) -> Payload:
        return {
            "value": value,
            "context": "Sample.Periodic",
            "measurand": measurand,
            **more,
            "unitOfMeasure": {"unit": unit},
        }

    return [
        {
            "timestamp": TIME,
            "sampledValue": [
                sample(WH, "Energy.Active.Import.Register", "Wh", location="Outlet"),
                sample(11040.5, "Power.Active.Import", "W", location="Outlet"),
                sample(15.97, "Current.Import", "A", phase="L1"),
                sample(16.01, "Current.Import", "A", phase="L2"),
                sample(230.4, "Voltage", "V", phase="L1-N"),
                sample(54, "SoC", "Percent", location="EV"),
            ],
        }
    ]


def _alert() -> Payload:
    """A report of one event; its value is the register's hole."""
    return {
        "generatedAt": TIME,
        "seqNo": 0,
        "tbc": False,
        "eventData": [
            {
                "eventId": 1,
                "timestamp": TIME,
                "trigger": "Delta",
                "actualValue": f"{WH} Wh",
                "eventNotificationType": "HardWiredNotification",
                "component": {"name": "EVSE", "evse": {"id": 1}},
                "variable": {"name": "Energy"},
            }
        ],
    }


def template(action: str, payload: Payload) -> bytes:
    """A CALL as a bytes format: its holes are %b, in the order of the frame."""
    text = json.dumps([2, ID, action, payload], separators=(",", ":")).replace("%", "%%")
    for hole in (f'"{SEQ}"', f'"{WH}"', WH, ID, TIME, WORD):
        text = text.replace(hole, "%b")
    return text.encode()


class Words:
    """What one station says; ``message_id`` is that of the newest frame, nine digits."""

    def __init__(self, station: str, clock: Callable[[], bytes]) -> None:
        self.station = station
        self.message_id = b""
        self._clock = clock
        self._number = 0
        self._seq_no = 0
        self._wh = 1_000_000
        self._occupied = False
        self._transaction = f"{station}-{random.getrandbits(64):016x}"
        self._heartbeat = template("Heartbeat", {})
        status = {"timestamp": TIME, "connectorStatus": WORD, "evseId": 1, "connectorId": 1}
        self._status = template("StatusNotification", status)
        self._authorize = template("Authorize", {"idToken": TOKEN})
        self._alert = template("NotifyEvent", _alert())
        self._meter_values = template("MeterValues", {"evseId": 1, "meterValue": six_values()})
        self._updated = template("TransactionEvent", self._event("Updated", "MeterValuePeriodic", six_values()))

    def scenario(self, name: str, seed: int) -> list[Build]:
        """The frames of a scenario, to be said again and again in this order; each station has its own order of the mix."""
        builds: dict[str, Build] = {
            "Heartbeat": self.heartbeat,
            "StatusNotification": self.status,
            "TransactionEvent": self.updated,
            "MeterValues": self.meter_values,
            "Authorize": self.authorize,
            "NotifyEvent": self.alert,
        }
        if name != "mix":
            return [builds[name]]
        order = list(MIX)
        random.Random(seed).shuffle(order)
        return [builds[action] for action in order]

    def boot(self) -> bytes:
        """BootNotification."""
        station = {"model": "Bench", "vendorName": "Load"}
        return template("BootNotification", {"reason": "PowerUp", "chargingStation": station}) % self._id()

    def started(self) -> bytes:
        """The Started event of the station's transaction."""
        payload = self._event("Started", "Authorized", six_values())
        payload |= {"idToken": TOKEN, "evse": {"id": 1, "connectorId": 1}}
        return template("TransactionEvent", payload) % self._event_holes()

    def ended(self) -> bytes:
        """The Ended event of the station's transaction."""
        payload = self._event("Ended", "EVDeparted", six_values())
        payload["transactionInfo"] |= {"chargingState": "Idle", "stoppedReason": "EVDisconnected"}
        return template("TransactionEvent", payload) % self._event_holes()

    def heartbeat(self) -> bytes:
        """Heartbeat."""
        return self._heartbeat % self._id()

    def status(self) -> bytes:
        """StatusNotification; Available and Occupied take turns, so that each is a change."""
        self._occupied = not self._occupied
        return self._status % (self._id(), self._clock(), b"Occupied" if self._occupied else b"Available")

    def authorize(self) -> bytes:
        """Authorize, always for the same token."""
        return self._authorize % self._id()

    def alert(self) -> bytes:
        """NotifyEvent with one changed value."""
        at = self._clock()
        return self._alert % (self._id(), at, at, self._register())

    def updated(self) -> bytes:
        """TransactionEvent Updated with the next seqNo and a grown register."""
        return self._updated % self._event_holes()

    def meter_values(self) -> bytes:
        """MeterValues outside the transaction, with a grown register."""
        return self._meter_values % (self._id(), self._clock(), self._register())

    def _id(self) -> bytes:
        self._number += 1
        self.message_id = b"%0*d" % (NUMBER_WIDTH, self._number)
        return self.message_id

    def _register(self) -> bytes:
        self._wh += 7
        return b"%d" % self._wh

    def _event_holes(self) -> tuple[bytes, bytes, bytes, bytes, bytes]:
        number, at = self._seq_no, self._clock()
        self._seq_no += 1
        return self._id(), at, b"%d" % number, at, self._register()

    def _event(self, type: str, trigger: str, values: list[Payload]) -> Payload:
        return {
            "eventType": type,
            "timestamp": TIME,
            "triggerReason": trigger,
            "seqNo": SEQ,
            "transactionInfo": {"transactionId": self._transaction, "chargingState": "Charging"},
            "meterValue": values,
        }
