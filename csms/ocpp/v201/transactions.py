"""Blocks E and I of OCPP 2.0.1: transaction events, starting and stopping from afar, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csms.model.billing import ShowCost
from csms.model.transactions import (
    EventType,
    GetTransactionStatus,
    RequestStartTransaction,
    RequestStopTransaction,
    TransactionAnswer,
    TransactionEvent,
    TransactionStatus,
)
from csms.ocpp.dialect import Incoming, NotSupportedByStation, Outgoing, Payload
from csms.ocpp.errors import V201
from csms.ocpp.times import parse_time
from csms.ocpp.v201.answers import decode_answer
from csms.ocpp.v201.authorization import decode_token, encode_info, encode_token
from csms.ocpp.v201.metering import unread

LONGEST_ID = 36


def decode_event(payload: Payload) -> TransactionEvent:
    """One transaction event; an Ended without a reason was stopped locally, as part 2 lets stations leave just that one out."""
    get = payload.get
    info, seq_no, kind = payload["transactionInfo"], payload["seqNo"], EventType(payload["eventType"])
    evse, token, values = get("evse"), get("idToken"), get("meterValue")
    return TransactionEvent(
        transaction=info["transactionId"],
        type=kind,
        timestamp=parse_time(payload["timestamp"]),
        trigger=payload["triggerReason"],
        key=str(seq_no),
        seq_no=seq_no,
        offline=get("offline", False),
        evse=evse["id"] if evse else None,
        connector=evse.get("connectorId") if evse else None,
        id_token=decode_token(token) if token else None,
        meter_values=unread(values) if values else (),
        charging_state=info.get("chargingState", ""),
        stopped_reason=info.get("stoppedReason", "Local" if kind is EventType.ENDED else ""),
        remote_start_id=info.get("remoteStartId"),
        reservation_id=get("reservationId"),
    )


def encode_event_answer(answer: TransactionAnswer) -> Payload:
    """The answer to a transaction event; the id is the station's own and not said."""
    payload: Payload = {}
    if answer.total_cost is not None:
        payload["totalCost"] = float(answer.total_cost)
    if answer.charging_priority is not None:
        payload["chargingPriority"] = answer.charging_priority
    if answer.authorization is not None:
        payload["idTokenInfo"] = encode_info(answer.authorization)
    return payload


def _encode_start(command: RequestStartTransaction) -> tuple[str, Payload]:
    if command.remote_start_id is None:
        raise NotSupportedByStation(f"RequestStartTransaction in {V201} needs a remote_start_id")
    payload: Payload = {"idToken": encode_token(command.id_token), "remoteStartId": command.remote_start_id}
    if command.evse:
        payload["evseId"] = command.evse
    if command.group is not None:
        payload["groupIdToken"] = encode_token(command.group)
    return "RequestStartTransaction", payload


def _encode_stop(command: RequestStopTransaction) -> tuple[str, Payload]:
    return "RequestStopTransaction", {"transactionId": _id(command.transaction)}


def _encode_status(command: GetTransactionStatus) -> tuple[str, Payload]:
    return "GetTransactionStatus", {} if command.transaction is None else {"transactionId": _id(command.transaction)}


def _encode_cost(command: ShowCost) -> tuple[str, Payload]:
    return "CostUpdated", {"totalCost": float(command.total), "transactionId": _id(command.transaction)}


def _id(transaction: str) -> str:
    if len(transaction) > LONGEST_ID:
        raise NotSupportedByStation(f"a transaction id in {V201} has at most {LONGEST_ID} characters")
    return transaction


def decode_status(payload: Mapping[str, Any]) -> TransactionStatus:
    """The answer to GetTransactionStatus."""
    return TransactionStatus(payload.get("ongoingIndicator"), bool(payload.get("messagesInQueue")))


REQUESTS: Mapping[str, Incoming] = {"TransactionEvent": Incoming(decode_event, encode_event_answer)}
COMMANDS: Mapping[type, Outgoing] = {
    RequestStartTransaction: Outgoing(_encode_start, decode_answer),
    RequestStopTransaction: Outgoing(_encode_stop, decode_answer),
    GetTransactionStatus: Outgoing(_encode_status, decode_answer),
    ShowCost: Outgoing(_encode_cost, decode_answer),
}
