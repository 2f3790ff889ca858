"""Blocks E and I of OCPP 2.0.1: transaction events, starting and stopping from afar, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csms.model.billing import ShowCost
from csms.model.making import maker
from csms.model.metering import ENERGY_REGISTER
from csms.model.transactions import (
    EventType,
    GetTransactionStatus,
    RequestStartTransaction,
    RequestStopTransaction,
    TransactionAnswer,
    TransactionEvent,
    TransactionStatus,
)
from csms.ocpp.dialect import Incoming, NotSupportedByStation, Outgoing, Payload, common
from csms.ocpp.errors import V201
from csms.ocpp.quick import time_of
from csms.ocpp.v201.answers import decode_answer
from csms.ocpp.v201.authorization import encode_info, encode_token, read_token
from csms.ocpp.v201.metering import read_values, standing_in, unread

LONGEST_ID = 36
EVENT = maker(TransactionEvent)
KINDS = {kind.value: kind for kind in EventType}


def read_event(said: Any, body: bytes = b"") -> TransactionEvent:
    """One transaction event; an Ended without a reason was stopped locally, as part 2 lets stations leave just that one out.

    With ``body``, the payload's JSON, nothing of ``said`` is held on to.
    """
    info, seq_no, kind = said.transactionInfo, said.seqNo, KINDS[said.eventType]
    evse, token = said.evse, said.idToken
    return EVENT(
        info.transactionId,
        kind,
        time_of(said.timestamp),
        said.triggerReason,
        str(seq_no),
        seq_no,
        said.offline or False,
        evse.id if evse else None,
        evse.connectorId if evse else None,
        read_token(token) if token else None,
        _readings(said.meterValue, body),
        info.chargingState or "",
        info.stoppedReason or ("Local" if kind is EventType.ENDED else ""),
        info.remoteStartId,
        said.reservationId,
    )


def _readings(values: Any, body: bytes) -> Any:
    if not values:
        return ()
    return standing_in(body, read_values(values, ENERGY_REGISTER)) if body else unread(values)


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


REQUESTS: Mapping[str, Incoming] = {"TransactionEvent": common(read_event, encode_event_answer, light=True)}
COMMANDS: Mapping[type, Outgoing] = {
    RequestStartTransaction: Outgoing(_encode_start, decode_answer),
    RequestStopTransaction: Outgoing(_encode_stop, decode_answer),
    GetTransactionStatus: Outgoing(_encode_status, decode_answer),
    ShowCost: Outgoing(_encode_cost, decode_answer),
}
