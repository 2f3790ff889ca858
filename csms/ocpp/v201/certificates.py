"""Block M of OCPP 2.0.1, and the certificates of block A: requests, roots, hashes and OCSP data on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csms.model.certificates import (
    CertificateSigned,
    CertificateStatusAnswer,
    CertificateUse,
    DeleteCertificate,
    EvCertificateAnswer,
    GetCertificateStatus,
    GetEvCertificate,
    GetInstalledCertificateIds,
    InstallCertificate,
    SignCertificate,
    SignCertificateAnswer,
)
from csms.model.ocsp import CertificateHash, OcspData
from csms.ocpp.dialect import Incoming, NotSupportedByStation, Outgoing, Payload
from csms.ocpp.errors import V201
from csms.ocpp.v201.answers import decode_answer

LONGEST_CHAIN, LONGEST_ROOT, LONGEST_OCSP, LONGEST_EXI = 10_000, 5_500, 5_500, 7_500


def decode_hash(data: Mapping[str, Any]) -> CertificateHash:
    """A certificate as stations name it."""
    return CertificateHash(data["hashAlgorithm"], data["issuerNameHash"], data["issuerKeyHash"], data["serialNumber"])


def encode_hash(certificate: CertificateHash) -> Payload:
    """The same, to stations."""
    return {
        "hashAlgorithm": certificate.algorithm,
        "issuerNameHash": certificate.issuer_name_hash,
        "issuerKeyHash": certificate.issuer_key_hash,
        "serialNumber": certificate.serial_number,
    }


def decode_ocsp(data: Mapping[str, Any]) -> OcspData:
    """A certificate and its responder."""
    return OcspData(decode_hash(data), data.get("responderURL", ""))


def decode_sign(payload: Payload) -> SignCertificate:
    """A request; without a type it is for the station itself."""
    return SignCertificate(payload["csr"], CertificateUse(payload.get("certificateType", "ChargingStationCertificate")))


def encode_sign_answer(answer: SignCertificateAnswer) -> Payload:
    """Accepted or Rejected, with a reason."""
    return _status("Accepted" if answer.accepted else "Rejected", answer.reason)


def decode_status(payload: Payload) -> GetCertificateStatus:
    """An OCSP question."""
    return GetCertificateStatus(decode_ocsp(payload["ocspRequestData"]))


def encode_status_answer(answer: CertificateStatusAnswer) -> Payload:
    """An OCSP response, or Failed."""
    if not answer.ocsp_result or len(answer.ocsp_result) > LONGEST_OCSP:
        return _status("Failed", answer.reason or "too large")
    return {"status": "Accepted", "ocspResult": answer.ocsp_result}


def decode_ev(payload: Payload) -> GetEvCertificate:
    """A car's request."""
    schema = payload["iso15118SchemaVersion"]
    return GetEvCertificate(schema, payload["exiRequest"], payload["action"] == "Update")


def encode_ev_answer(answer: EvCertificateAnswer) -> Payload:
    """What the car is told; it has to be something, even where there is nothing."""
    if not answer.exi or len(answer.exi) > LONGEST_EXI:
        return {**_status("Failed", answer.reason or "too large"), "exiResponse": ""}
    return {"status": "Accepted", "exiResponse": answer.exi}


def _status(status: str, reason: str) -> Payload:
    if not reason or status == "Accepted":
        return {"status": status}
    return {"status": status, "statusInfo": {"reasonCode": "CertificateError", "additionalInfo": reason[:512]}}


def _encode_signed(command: CertificateSigned) -> tuple[str, Payload]:
    if len(command.chain) > LONGEST_CHAIN:
        raise NotSupportedByStation(f"a certificate chain in {V201} has at most {LONGEST_CHAIN} characters")
    return "CertificateSigned", {"certificateChain": command.chain, "certificateType": command.use.value}


def _encode_install(command: InstallCertificate) -> tuple[str, Payload]:
    if len(command.certificate) > LONGEST_ROOT:
        raise NotSupportedByStation(f"a root certificate in {V201} has at most {LONGEST_ROOT} characters")
    return "InstallCertificate", {"certificateType": command.use.value, "certificate": command.certificate}


def _encode_installed(command: GetInstalledCertificateIds) -> tuple[str, Payload]:
    uses = [use.value for use in command.uses]
    return "GetInstalledCertificateIds", {"certificateType": uses} if uses else {}


def _encode_delete(command: DeleteCertificate) -> tuple[str, Payload]:
    return "DeleteCertificate", {"certificateHashData": encode_hash(command.certificate)}


REQUESTS: Mapping[str, Incoming] = {
    "SignCertificate": Incoming(decode_sign, encode_sign_answer),
    "GetCertificateStatus": Incoming(decode_status, encode_status_answer),
    "Get15118EVCertificate": Incoming(decode_ev, encode_ev_answer),
}
COMMANDS: Mapping[type, Outgoing] = {
    CertificateSigned: Outgoing(_encode_signed, decode_answer),
    InstallCertificate: Outgoing(_encode_install, decode_answer),
    GetInstalledCertificateIds: Outgoing(_encode_installed, decode_answer),
    DeleteCertificate: Outgoing(_encode_delete, decode_answer),
}
