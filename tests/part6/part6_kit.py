"""What the tests of OCPP 2.0.1 part 6 share: a CSMS, one scripted station, and the reusable states of part 6 as methods.

A test is named after its test case, ``test_tc_f_11_csms``, or stands in a table whose ids are the test cases. Everything either side says is checked
against the schema here, so a script only says what its test case is about.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from twisted.internet import defer

from csms.model.authorization import AuthorizationStatus, IdToken, TokenRecord
from csms.model.commands import CommandClosed, CommandRecord, CommandState
from csms.ocpp.schemas import check
from csms.testing import FakeStation, TestCsms

PROTOCOL = "ocpp2.0.1"
Payload = dict[str, Any]


def id_token(value: str, type: str = "ISO14443") -> Payload:
    """A token as it stands on the wire."""
    return {"idToken": value, "type": type}


@dataclass
class Scene:
    """One CSMS and one station with one EVSE and connector, as most test cases want it."""

    csms: TestCsms
    station: FakeStation
    evse: int = 1
    connector: int = 1
    _seq: Any = field(default_factory=lambda: count())
    _events: Any = field(default_factory=lambda: count())
    _transactions: Any = field(default_factory=lambda: count(1))
    transaction: str = ""

    # What the station says

    async def says(self, action: str, **payload: Any) -> Payload:
        """Send a call that fits the schema, one second after the one before; gives the answer, which has to fit as well."""
        check(PROTOCOL, action, payload)
        self.csms.clock.advance(1)
        answer = await self.station.say(action, payload)
        check(PROTOCOL, action, answer, answer=True)
        return answer

    async def boots(self, reason: str = "PowerUp") -> Payload:
        """BootNotification; gives the answer."""
        return await self.says("BootNotification", reason=reason, chargingStation={"model": "M", "vendorName": "V"})

    async def tells_status(self, status: str, *, by_event: bool = False, connector: int | None = None) -> None:
        """The connector's status, by StatusNotification or by NotifyEvent; both are to be answered with nothing."""
        connector = connector or self.connector
        if not by_event:
            place = {"evseId": self.evse, "connectorId": connector}
            answer = await self.says("StatusNotification", timestamp=self.time(), connectorStatus=status, **place)
        else:
            component = {"name": "Connector", "evse": {"id": self.evse, "connectorId": connector}}
            answer = await self.notifies(component, "AvailabilityState", status)
        assert answer == {}

    async def notifies(self, component: Payload, variable: str, value: str) -> Payload:
        """NotifyEvent with one piece of event data."""
        data = {
            "eventId": next(self._events),
            "timestamp": self.time(),
            "trigger": "Delta",
            "actualValue": value,
            "eventNotificationType": "HardWiredNotification",
            "component": component,
            "variable": {"name": variable},
        }
        return await self.says("NotifyEvent", generatedAt=self.time(), seqNo=0, eventData=[data])

    async def authorizes(self, token: str, **more: Any) -> Payload:
        """Authorize; gives the idTokenInfo."""
        answer = await self.says("Authorize", idToken=id_token(token), **more)
        return dict(answer["idTokenInfo"])

    async def event(
        self, kind: str, trigger: str, *, token: str = "", state: str = "", reason: str = "", **more: Any
    ) -> Payload:
        """TransactionEvent of the present transaction; Started begins a new one. ``evse=None`` names no place. Gives the answer."""
        if kind == "Started":
            self.transaction, self._seq = f"TX{next(self._transactions)}", count()
        info = {"transactionId": self.transaction, "chargingState": state, "stoppedReason": reason}
        info |= more.pop("info", {})
        if token:
            more["idToken"] = id_token(token)
        more = {"evse": {"id": self.evse, "connectorId": self.connector}, **more}
        return await self.says(
            "TransactionEvent",
            eventType=kind,
            triggerReason=trigger,
            timestamp=self.time(),
            seqNo=next(self._seq),
            transactionInfo={name: value for name, value in info.items() if value},
            **{name: value for name, value in more.items() if value is not None},
        )

    def time(self) -> str:
        """What time it is, as OCPP writes it."""
        return self.csms.house.now().isoformat().replace("+00:00", "Z")

    # Reusable states of part 6

    async def ev_connected(self) -> None:
        """EVConnectedPreSession: the cable is in, the transaction has begun, nobody is authorized."""
        await self.tells_status("Occupied")
        await self.event("Started", "CablePluggedIn", state="EVConnected")

    async def authorized(self, token: str) -> Payload:
        """Authorized: a token, in the transaction if there is one; gives the idTokenInfo."""
        answer = await self.event("Updated" if self.transaction else "Started", "Authorized", token=token)
        return dict(answer["idTokenInfo"])

    async def energy_flows(self, token: str) -> None:
        """EnergyTransferStarted, from nothing."""
        await self.ev_connected()
        assert (await self.authorized(token))["status"] == "Accepted"
        await self.charging()

    async def charging(self) -> None:
        """The car charges."""
        assert await self.event("Updated", "ChargingStateChanged", state="Charging") == {}

    async def stop_authorized(self, token: str) -> Payload:
        """StopAuthorized: a token ends the charging; gives the idTokenInfo."""
        answer = await self.event("Updated", "StopAuthorized", token=token, state="EVConnected")
        return dict(answer["idTokenInfo"])

    async def ev_disconnected(self) -> None:
        """EVConnectedPostSession and EVDisconnected: the cable is out, the transaction is over."""
        await self.event("Updated", "ChargingStateChanged", state="EVConnected")
        await self.event("Ended", "EVCommunicationLost", state="Idle", reason="EVDisconnected")
        self.transaction = ""
        await self.tells_status("Available")

    # What the CSMS is told to do

    async def knows(self, token: str, status: AuthorizationStatus = AuthorizationStatus.ACCEPTED, **more: Any) -> None:
        """Put a token into the CSMS's list; ``group`` is a text."""
        group = IdToken(more.pop("group"), "Central") if "group" in more else None
        await self.csms.house.store.tokens.put(TokenRecord(IdToken(token), status, group, **more))

    async def orders(self, command: object, *expected: tuple[str, Payload], **answer: Any) -> CommandRecord:
        """Have the CSMS send a command and answer every call of it; the calls have to be those expected, all fields of them."""
        waiting = self.ordered(command)
        for call in expected:
            assert await self.hears() == call
            self.answers(call[0], **answer)
        return await waiting

    def ordered(self, command: object) -> defer.Deferred[CommandRecord]:
        """Have the CSMS send a command; fires when the station has answered."""
        return defer.Deferred.fromCoroutine(self.csms.house.commands.send(self.station.id, command, origin="part 6"))

    async def hears(self) -> tuple[str, Payload]:
        """The next call of the CSMS: action and payload, which have to fit the schema."""
        _, _, action, payload = await self.station.heard()
        check(PROTOCOL, action, payload)
        return action, payload

    def answers(self, action: str, **payload: Any) -> None:
        """Answer the oldest call of the CSMS."""
        check(PROTOCOL, action, payload, answer=True)
        self.station.answer(payload)

    async def ends(self, record: CommandRecord) -> CommandState:
        """How a command ended; fails if it does not."""
        closed = lambda: [one.command for one in self.csms.told(CommandClosed) if one.command.id == record.id]  # noqa: E731
        await self.csms.settle(closed)
        (command,) = closed()
        return command.state  # type: ignore[no-any-return]

    async def status(self, connector: int | None = None) -> str:
        """The connector's status, as the CSMS knows it."""
        known = await self.csms.house.store.availability.list(self.station.id)
        place = (self.evse, connector or self.connector)
        (found,) = [one.status.value for one in known if (one.evse, one.connector) == place]
        return found
