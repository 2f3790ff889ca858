"""Block C of OCPP 2.0.1: tokens on the wire, the question whether one may charge, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csms.model.authorization import Authorization, Authorize, ClearCache, IdToken
from csms.ocpp.dialect import Incoming, NotSupportedByStation, Outgoing, Payload, common
from csms.ocpp.errors import V201
from csms.ocpp.times import print_time
from csms.ocpp.v201.answers import decode_answer
from csms.ocpp.v201.certificates import decode_ocsp

TOKEN_TYPES = frozenset(
    {"Central", "eMAID", "ISO14443", "ISO15693", "KeyCode", "Local", "MacAddress", "NoAuthorization"}
)
LONGEST_TOKEN = 36
LONGEST_MESSAGE = 512


def read_token(token: Any) -> IdToken:
    """A token as a station wrote it."""
    return IdToken(token.idToken, token.type)


def encode_token(token: IdToken) -> Payload:
    """A token of a command; raises NotSupportedByStation when it is longer or of another type than the version knows."""
    if not fits(token):
        text = f"a token in {V201} has at most {LONGEST_TOKEN} characters and one of the types {', '.join(sorted(TOKEN_TYPES))}"
        raise NotSupportedByStation(text)
    return {"idToken": token.value, "type": token.type}


def fits(token: IdToken) -> bool:
    """Whether this version can say the token."""
    return len(token.value) <= LONGEST_TOKEN and token.type in TOKEN_TYPES


def encode_info(answer: Authorization) -> Payload:
    """``idTokenInfo``; a group that this version cannot say is left out, a message is cut to its 512 characters."""
    info: Payload = {"status": answer.status.value}
    if answer.expires is not None:
        info["cacheExpiryDateTime"] = print_time(answer.expires)
    if answer.group is not None and fits(answer.group):
        info["groupIdToken"] = encode_token(answer.group)
    if answer.message:
        info["personalMessage"] = {"format": "UTF8", "content": answer.message[:LONGEST_MESSAGE]}
    return info


def read_authorize(said: Any) -> Authorize:
    """The question whether a token may charge."""
    ocsp = tuple([decode_ocsp(one.payload) for one in said.iso15118CertificateHashData or ()])
    return Authorize(read_token(said.idToken), said.certificate, ocsp)


def encode_authorization(answer: Authorization) -> Payload:
    """The answer to Authorize."""
    told: Payload = {"idTokenInfo": encode_info(answer)}
    return {**told, "certificateStatus": answer.certificate_status} if answer.certificate_status else told


def _encode_clear_cache(command: ClearCache) -> tuple[str, Payload]:
    return "ClearCache", {}


REQUESTS: Mapping[str, Incoming] = {"Authorize": common(read_authorize, encode_authorization)}
COMMANDS: Mapping[type, Outgoing] = {ClearCache: Outgoing(_encode_clear_cache, decode_answer)}
