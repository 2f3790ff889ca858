"""Certificates in OCPP 1.6: the messages of the security extension, and everything about ISO 15118 inside DataTransfer, in the words of 2.0.1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from csms.model.certificates import (
    CertificateSigned,
    CertificateUse,
    DeleteCertificate,
    GetInstalledCertificateIds,
    InstallCertificate,
    InstalledUse,
    InstallUse,
    SignCertificate,
)
from csms.model.commands import CommandAnswer
from csms.ocpp.dialect import Incoming, NotSupportedByStation, Outgoing, Payload
from csms.ocpp.errors import V16, V201, OcppError
from csms.ocpp.schemas import check
from csms.ocpp.strict_json import loads
from csms.ocpp.v201 import certificates as v201
from csms.ocpp.v201.answers import decode_answer

VENDOR = "org.openchargealliance.iso15118pnc"
OWN_NAMES: Mapping[InstallUse | InstalledUse, str] = {
    InstallUse.CSMS_ROOT: "CentralSystemRootCertificate",
    InstallUse.MANUFACTURER_ROOT: "ManufacturerRootCertificate",
    InstalledUse.CSMS_ROOT: "CentralSystemRootCertificate",
    InstalledUse.MANUFACTURER_ROOT: "ManufacturerRootCertificate",
}
"""The two uses that 1.6 has a word of its own for; others go inside DataTransfer."""
LONGEST_ROOT = 5_500


def decode_sign(payload: Payload) -> SignCertificate:
    """A request of the security extension, which is for the station itself."""
    return SignCertificate(payload["csr"])


def inside(payload: Payload) -> tuple[str, Payload] | None:
    """The 2.0.1 message inside a DataTransfer, checked against its schema; None for any other vendor. Raises OcppError."""
    if payload.get("vendorId") != VENDOR:
        return None
    action, data = str(payload.get("messageId", "")), payload.get("data", "{}")
    parsed = loads(data.encode()) if isinstance(data, str) else data
    if action == "Authorize" and isinstance(parsed, dict):
        parsed = {**parsed, "idToken": _typed(parsed.get("idToken"))}
    check(V201, action, parsed)
    assert isinstance(parsed, dict)
    return action, parsed


def _typed(token: Any) -> Any:
    """1.6 knows one kind of token, and inside this message it is a contract's."""
    if isinstance(token, str):
        return {"idToken": token, "type": "eMAID"}
    return {"type": "eMAID", **token} if isinstance(token, dict) else token


def wrapped(action: str, payload: Payload) -> tuple[str, Payload]:
    """A 2.0.1 message for a station that speaks 1.6."""
    return "DataTransfer", {"vendorId": VENDOR, "messageId": action, "data": orjson.dumps(payload).decode()}


def answered(answer: Payload) -> Payload:
    """The 2.0.1 answer inside the answer to a DataTransfer."""
    return {"status": "Accepted", "data": orjson.dumps(answer).decode()}


def decode_wrapped(action: str) -> Callable[[Any, Payload], CommandAnswer]:
    """Reads the answer to a 2.0.1 message that was sent inside DataTransfer."""

    def decode(command: object, payload: Payload) -> CommandAnswer:
        if payload.get("status") != "Accepted":
            return CommandAnswer(False, str(payload.get("status", "")), "the station does not do ISO 15118", payload)
        try:
            inner = loads(str(payload.get("data", "{}")).encode())
            check(V201, action, inner, answer=True)
        except OcppError as wrong:
            return CommandAnswer(False, "FormatViolation", wrong.description, payload)
        assert isinstance(inner, dict)
        return replace(decode_answer(command, inner), payload=payload)

    return decode


def _either(
    own: Callable[[Any], tuple[str, Payload] | None], action: str
) -> tuple[Callable[[Any], tuple[str, Payload]], Callable[[Any, Payload], CommandAnswer]]:
    """The 1.6 message where it has one, else the 2.0.1 message inside DataTransfer."""
    encode201 = next(row.encode for kind, row in v201.COMMANDS.items() if kind.__name__ == action)
    unwrap = decode_wrapped(action)

    def encode(command: Any) -> tuple[str, Payload]:
        made = own(command)
        return made if made is not None else wrapped(*encode201(command))

    def decode(command: Any, payload: Payload) -> CommandAnswer:
        return decode_answer(command, payload) if own(command) is not None else unwrap(command, payload)

    return encode, decode


def _signed(command: CertificateSigned) -> tuple[str, Payload] | None:
    if command.use is CertificateUse.V2G:
        return None
    return "CertificateSigned", {"certificateChain": command.chain}


def _install(command: InstallCertificate) -> tuple[str, Payload] | None:
    name = OWN_NAMES.get(command.use)
    if len(command.certificate) > LONGEST_ROOT:
        raise NotSupportedByStation(f"a root certificate in {V16} has at most {LONGEST_ROOT} characters")
    return ("InstallCertificate", {"certificateType": name, "certificate": command.certificate}) if name else None


def _installed(command: GetInstalledCertificateIds) -> tuple[str, Payload] | None:
    """1.6 asks for one use at a time."""
    names = [OWN_NAMES.get(use) for use in command.uses]
    if len(names) == 1 and names[0]:
        return "GetInstalledCertificateIds", {"certificateType": names[0]}
    if any(names):
        raise NotSupportedByStation(f"{V16} is asked for one of its own kinds of certificate at a time")
    return None


def _delete(command: DeleteCertificate) -> tuple[str, Payload] | None:
    return "DeleteCertificate", {"certificateHashData": v201.encode_hash(command.certificate)}


REQUESTS: Mapping[str, Incoming] = {"SignCertificate": Incoming(decode_sign, v201.encode_sign_answer)}
COMMANDS: Mapping[type, Outgoing] = {
    CertificateSigned: Outgoing(*_either(_signed, "CertificateSigned")),
    InstallCertificate: Outgoing(*_either(_install, "InstallCertificate")),
    GetInstalledCertificateIds: Outgoing(*_either(_installed, "GetInstalledCertificateIds")),
    DeleteCertificate: Outgoing(*_either(_delete, "DeleteCertificate")),
}
