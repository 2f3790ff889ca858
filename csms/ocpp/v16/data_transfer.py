"""Vendor messages of OCPP 1.6, whose data is text: other data goes out as its JSON text. What ISO 15118 needs comes inside them too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from csms.model.authorization import Authorization
from csms.model.certificates import CertificateStatusAnswer, EvCertificateAnswer, SignCertificateAnswer
from csms.model.data_transfer import DataTransfer, DataTransferAnswer
from csms.ocpp.dialect import Incoming, Outgoing, Payload
from csms.ocpp.v16 import certificates
from csms.ocpp.v201 import authorization as authorization_201
from csms.ocpp.v201 import certificates as certificates_201
from csms.ocpp.v201.answers import decode_answer
from csms.ocpp.v201.data_transfer import decode_transfer

INSIDE: Mapping[str, Incoming] = {**certificates_201.REQUESTS, "Authorize": authorization_201.REQUESTS["Authorize"]}
"""The 2.0.1 messages that stations of 1.6 send inside DataTransfer."""
ENCODERS: Mapping[type, Callable[[Any], Payload]] = {
    SignCertificateAnswer: certificates_201.encode_sign_answer,
    CertificateStatusAnswer: certificates_201.encode_status_answer,
    EvCertificateAnswer: certificates_201.encode_ev_answer,
    Authorization: authorization_201.encode_authorization,
}


def decode_any_transfer(payload: Payload) -> Any:
    """A vendor's message, or the ISO 15118 message inside it."""
    if payload.get("messageId") in INSIDE:
        found = certificates.inside(payload)
        if found is not None:
            return INSIDE[found[0]].decode(found[1])
    return decode_transfer(payload)


def encode_transfer_answer(answer: Any) -> Payload:
    """The answer to a vendor's message."""
    if not isinstance(answer, DataTransferAnswer):
        return certificates.answered(ENCODERS[type(answer)](answer))
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


REQUESTS: Mapping[str, Incoming] = {"DataTransfer": Incoming(decode_any_transfer, encode_transfer_answer)}
COMMANDS: Mapping[type, Outgoing] = {DataTransfer: Outgoing(_encode_transfer, decode_answer)}
