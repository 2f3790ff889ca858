"""Block P of OCPP 2.0.1: vendor messages in both directions, their data any JSON."""

from __future__ import annotations

from collections.abc import Mapping

from csms.model.data_transfer import DataTransfer, DataTransferAnswer
from csms.ocpp.dialect import Incoming, Outgoing, Payload
from csms.ocpp.v201.answers import decode_answer


def decode_transfer(payload: Payload) -> DataTransfer:
    """A vendor's message; absent data and null are both None."""
    return DataTransfer(payload["vendorId"], payload.get("messageId", ""), payload.get("data"))


def encode_transfer_answer(answer: DataTransferAnswer) -> Payload:
    """The answer to a vendor's message."""
    return {"status": answer.status} if answer.data is None else {"status": answer.status, "data": answer.data}


def _encode_transfer(command: DataTransfer) -> tuple[str, Payload]:
    payload: Payload = {"vendorId": command.vendor_id}
    if command.message_id:
        payload["messageId"] = command.message_id
    if command.data is not None:
        payload["data"] = command.data
    return "DataTransfer", payload


REQUESTS: Mapping[str, Incoming] = {"DataTransfer": Incoming(decode_transfer, encode_transfer_answer)}
COMMANDS: Mapping[type, Outgoing] = {DataTransfer: Outgoing(_encode_transfer, decode_answer)}
