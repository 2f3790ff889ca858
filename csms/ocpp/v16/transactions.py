"""Transactions of OCPP 1.6: its start and stop become the Started and Ended events of 2.x, and remote commands go the other way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from csms.model.authorization import Authorization, AuthorizationStatus
from csms.model.metering import ENERGY_REGISTER, MeterValue, SampledValue
from csms.model.transactions import (
    EventType,
    RequestStartTransaction,
    RequestStopTransaction,
    TransactionAnswer,
    TransactionEvent,
)
from csms.ocpp.dialect import Incoming, NotSupportedByStation, Outgoing, Payload
from csms.ocpp.errors import V16
from csms.ocpp.times import parse_time
from csms.ocpp.v16.authorization import decode_tag, encode_info, encode_tag
from csms.ocpp.v16.metering import NO_TRANSACTION, decode_values, place
from csms.ocpp.v201.answers import decode_answer

STOPS: Mapping[str, tuple[str, str]] = {
    "DeAuthorized": ("DeAuthorized", "Deauthorized"),
    "EmergencyStop": ("EmergencyStop", "AbnormalCondition"),
    "EVDisconnected": ("EVDisconnected", "EVCommunicationLost"),
    "HardReset": ("ImmediateReset", "ResetCommand"),
    "Local": ("Local", "StopAuthorized"),
    "Other": ("Other", "AbnormalCondition"),
    "PowerLoss": ("PowerLoss", "AbnormalCondition"),
    "Reboot": ("Reboot", "AbnormalCondition"),
    "Remote": ("Remote", "RemoteStop"),
    "SoftReset": ("ImmediateReset", "ResetCommand"),
    "UnlockCommand": ("Remote", "UnlockCommand"),
}
"""1.6 reason to 2.x stopped reason and trigger.

Either reset ended the transaction because the CSMS ordered one, which 2.x calls ImmediateReset (its OnIdle never ends a transaction); Reboot is the
station's own. 2.x has no stopped reason for unlocking, an order from afar like Remote: the trigger tells the two apart.
"""

WIRE_ID = re.compile(r"-?\d{1,18}", re.ASCII)


def decode_start(payload: Payload) -> TransactionEvent:
    """A Started event without an id yet; its key is what makes a repeated start the same one."""
    connector, tag, meter = payload["connectorId"], payload["idTag"], payload["meterStart"]
    at, token = parse_time(payload["timestamp"]), decode_tag(tag)
    evse, plug = place(connector)
    return TransactionEvent(
        transaction="",
        type=EventType.STARTED,
        timestamp=at,
        trigger="Authorized",
        key=f"start/{connector}/{token.key}/{at.isoformat()}/{meter}",
        evse=evse,
        connector=plug,
        id_token=token,
        meter_values=(_register(at, meter, "Transaction.Begin"),),
        reservation_id=payload.get("reservationId"),
    )


def decode_stop(payload: Payload) -> TransactionEvent:
    """An Ended event with the transaction's readings and the end register last; the reason is Local when none is given."""
    at, tag = parse_time(payload["timestamp"]), payload.get("idTag")
    reason, trigger = STOPS[payload.get("reason", "Local")]
    values = decode_values(payload.get("transactionData", ()))
    return TransactionEvent(
        transaction=_transaction(payload, at),
        type=EventType.ENDED,
        timestamp=at,
        trigger=trigger,
        key="stop",
        id_token=decode_tag(tag) if tag else None,
        meter_values=(*values, _register(at, payload["meterStop"], "Transaction.End")),
        stopped_reason=reason,
    )


def _transaction(payload: Payload, at: datetime) -> str:
    """The id on the wire; stops of transactions that never got one share -1, and are told apart by time and meter."""
    number = payload["transactionId"]
    return str(number) if number != NO_TRANSACTION else f"{number}@{at.isoformat()}/{payload['meterStop']}"


def _register(at: datetime, meter_wh: int, context: str) -> MeterValue:
    return MeterValue(at, (SampledValue(Decimal(meter_wh), ENERGY_REGISTER, context, unit="Wh"),))


def encode_start_answer(answer: TransactionAnswer) -> Payload:
    """The transaction's id and what is thought of the tag; without a judgement it is Accepted, as 1.6 wants one."""
    judged = answer.authorization or Authorization(AuthorizationStatus.ACCEPTED)
    return {"transactionId": int(answer.transaction), "idTagInfo": encode_info(judged)}


def encode_stop_answer(answer: TransactionAnswer) -> Payload:
    """What is thought of the tag that stopped; empty when there was none."""
    return {} if answer.authorization is None else {"idTagInfo": encode_info(answer.authorization)}


def _encode_remote_start(command: RequestStartTransaction) -> tuple[str, Payload]:
    payload: Payload = {"idTag": encode_tag(command.id_token)}
    return "RemoteStartTransaction", {**payload, "connectorId": command.evse} if command.evse else payload


def _encode_remote_stop(command: RequestStopTransaction) -> tuple[str, Payload]:
    if WIRE_ID.fullmatch(command.transaction) is None:
        raise NotSupportedByStation(f"a transaction in {V16} is a number, not {command.transaction[:40]!r}")
    return "RemoteStopTransaction", {"transactionId": int(command.transaction)}


REQUESTS: Mapping[str, Incoming] = {
    "StartTransaction": Incoming(decode_start, encode_start_answer),
    "StopTransaction": Incoming(decode_stop, encode_stop_answer),
}
COMMANDS: Mapping[type, Outgoing] = {
    RequestStartTransaction: Outgoing(_encode_remote_start, decode_answer),
    RequestStopTransaction: Outgoing(_encode_remote_stop, decode_answer),
}
