"""What a station says in a charging session, in OCPP 2.0.1 and in 1.6, as payloads for any ``Link``.

The two classes look the same from outside, so that one test tells the same story in both versions.
"""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime
from typing import Any

from station_links import Link, Payload


def now() -> str:
    """This moment as OCPP writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Station201:
    """An OCPP 2.0.1 station with one EVSE."""

    protocol = "ocpp2.0.1"
    unknown_word = "Unknown"
    remote_start, remote_stop = "RequestStartTransaction", "RequestStopTransaction"
    reset_answer = "Scheduled"
    idle_reset: Payload = {"type": "OnIdle"}

    def __init__(self, link: Link) -> None:
        self.link = link
        self.transaction = ""
        self._seq = itertools.count()

    async def boot(self, reason: str = "PowerUp") -> Payload:
        """BootNotification; the whole answer."""
        station = {"model": "Tester", "vendorName": "Independent"}
        return await self.link.call("BootNotification", {"reason": reason, "chargingStation": station})

    async def heartbeat(self) -> Payload:
        """Heartbeat; the whole answer."""
        return await self.link.call("Heartbeat", {})

    async def status(self, occupied: str = "Available") -> None:
        """StatusNotification of the only connector: Available or Occupied."""
        payload = {"timestamp": now(), "connectorStatus": occupied, "evseId": 1, "connectorId": 1}
        await self.link.call("StatusNotification", payload)

    async def authorize(self, tag: str) -> str:
        """The status the server gives a tag."""
        answer = await self.link.call("Authorize", {"idToken": {"idToken": tag, "type": "ISO14443"}})
        return str(answer["idTokenInfo"]["status"])

    async def start(self, tag: str, wh: int, *, asked: Payload | None = None) -> str:
        """Begin a transaction, after a remote start with what the server asked; gives the tag's status."""
        self.transaction, self._seq = uuid.uuid4().hex, itertools.count()
        info = {"remoteStartId": asked["remoteStartId"]} if asked else {}
        more: Payload = {"idToken": {"idToken": tag, "type": "ISO14443"}, "evse": {"id": 1, "connectorId": 1}}
        trigger = "RemoteStart" if asked else "Authorized"
        answer = await self._event("Started", trigger, wh, "Transaction.Begin", info, more)
        return str(answer["idTokenInfo"]["status"])

    async def meter(self, wh: int) -> None:
        """A periodic reading within the transaction."""
        await self._event("Updated", "MeterValuePeriodic", wh, "Sample.Periodic", {"chargingState": "Charging"}, {})

    async def stop(self, wh: int, reason: str = "Local") -> None:
        """End the transaction: Local, Remote or ImmediateReset."""
        trigger = {"Local": "StopAuthorized", "Remote": "RemoteStop"}.get(reason, "ResetCommand")
        await self._event("Ended", trigger, wh, "Transaction.End", {"stoppedReason": reason}, {})

    def asked_to_start(self, call: Payload) -> str:
        """The tag in the server's remote start."""
        return str(call["idToken"]["idToken"])

    async def _event(self, type: str, trigger: str, wh: int, context: str, info: Payload, more: Payload) -> Payload:
        sample = {"value": wh, "context": context, "measurand": "Energy.Active.Import.Register"}
        payload = {
            "eventType": type,
            "timestamp": now(),
            "triggerReason": trigger,
            "seqNo": next(self._seq),
            "transactionInfo": {"transactionId": self.transaction, **info},
            "meterValue": [{"timestamp": now(), "sampledValue": [{**sample, "unitOfMeasure": {"unit": "Wh"}}]}],
            **more,
        }
        return await self.link.call("TransactionEvent", payload)


class Station16:
    """An OCPP 1.6 station with one connector."""

    protocol = "ocpp1.6"
    unknown_word = "Invalid"
    remote_start, remote_stop = "RemoteStartTransaction", "RemoteStopTransaction"
    reset_answer = "Accepted"
    idle_reset: Payload = {"type": "Soft"}

    def __init__(self, link: Link) -> None:
        self.link = link
        self.transaction = ""
        self._tag = ""

    async def boot(self, reason: str = "PowerUp") -> Payload:
        """BootNotification, which has no reason in 1.6; the whole answer."""
        payload = {"chargePointModel": "Tester", "chargePointVendor": "Independent"}
        return await self.link.call("BootNotification", payload)

    async def heartbeat(self) -> Payload:
        """Heartbeat; the whole answer."""
        return await self.link.call("Heartbeat", {})

    async def status(self, occupied: str = "Available") -> None:
        """StatusNotification of the only connector: Available or Occupied (Charging in 1.6)."""
        word = "Charging" if occupied == "Occupied" else occupied
        payload = {"connectorId": 1, "errorCode": "NoError", "status": word, "timestamp": now()}
        await self.link.call("StatusNotification", payload)

    async def authorize(self, tag: str) -> str:
        """The status the server gives a tag."""
        answer = await self.link.call("Authorize", {"idTag": tag})
        return str(answer["idTagInfo"]["status"])

    async def start(self, tag: str, wh: int, *, asked: Payload | None = None) -> str:
        """Begin a transaction; gives the tag's status and keeps the number the server gave."""
        payload = {"connectorId": 1, "idTag": tag, "meterStart": wh, "timestamp": now()}
        answer = await self.link.call("StartTransaction", payload)
        self.transaction, self._tag = str(answer["transactionId"]), tag
        return str(answer["idTagInfo"]["status"])

    async def meter(self, wh: int) -> None:
        """A periodic reading within the transaction."""
        sample = {"value": str(wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
        values: list[Any] = [{"timestamp": now(), "sampledValue": [sample]}]
        payload = {"connectorId": 1, "transactionId": int(self.transaction), "meterValue": values}
        await self.link.call("MeterValues", payload)

    async def stop(self, wh: int, reason: str = "Local") -> None:
        """End the transaction: Local, Remote or ImmediateReset (SoftReset in 1.6)."""
        word = "SoftReset" if reason == "ImmediateReset" else reason
        payload = {"transactionId": int(self.transaction), "meterStop": wh, "timestamp": now(), "reason": word}
        await self.link.call("StopTransaction", {**payload, "idTag": self._tag})

    def asked_to_start(self, call: Payload) -> str:
        """The tag in the server's remote start."""
        return str(call["idTag"])


AnyStation = Station201 | Station16
