"""Vendor messages of OCPP 1.6, whose data is text: other data goes out as its JSON text."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from csms.model.data_transfer import DataTransfer, DataTransferAnswer
from csms.ocpp.dialect import Incoming, Outgoing, Payload
from csms.ocpp.v201.answers import decode_answer
from csms.ocpp.v201.data_transfer import decode_transfer


def encode_transfer_answer(answer: DataTransferAnswer) -> Payload:
    """The answer to a vendor's message."""
    return {"status": answer.status} if answer.data is None else {"status": answer.status, "data": _text(answer.data)}


def _encode_transfer(command: DataTransfer) -> tuple[str, Payload]:
    payload: Payload = {"vendorId": command.vendor_id}
    if command.message_id:
        payload["messageId"] = command.message_id
    if command.data is not None:
        payload["data"] = _text(command.data)
    return "DataTransfer", payload


def _text(data: object) -> str:
    return data if isinstance(data, str) else orjson.dumps(data).decode()


REQUESTS: Mapping[str, Incoming] = {"DataTransfer": Incoming(decode_transfer, encode_transfer_answer)}
COMMANDS: Mapping[type, Outgoing] = {DataTransfer: Outgoing(_encode_transfer, decode_answer)}
