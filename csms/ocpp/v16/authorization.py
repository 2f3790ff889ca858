"""Tokens of OCPP 1.6: an idTag is a token of type ISO14443, and the ten answers of 2.x become five."""

from __future__ import annotations

from collections.abc import Mapping

from csms.model.authorization import Authorization, AuthorizationStatus, Authorize, ClearCache, IdToken
from csms.ocpp.dialect import Incoming, NotSupportedByStation, Outgoing, Payload
from csms.ocpp.errors import V16
from csms.ocpp.times import print_time
from csms.ocpp.v201.answers import decode_answer

LONGEST_TAG = 20

STATUSES: Mapping[AuthorizationStatus, str] = {
    AuthorizationStatus.ACCEPTED: "Accepted",
    AuthorizationStatus.BLOCKED: "Blocked",
    AuthorizationStatus.CONCURRENT_TX: "ConcurrentTx",
    AuthorizationStatus.EXPIRED: "Expired",
    AuthorizationStatus.INVALID: "Invalid",
    AuthorizationStatus.NO_CREDIT: "Blocked",
    AuthorizationStatus.NOT_ALLOWED_TYPE_EVSE: "Blocked",
    AuthorizationStatus.NOT_AT_THIS_LOCATION: "Blocked",
    AuthorizationStatus.NOT_AT_THIS_TIME: "Blocked",
    AuthorizationStatus.UNKNOWN: "Invalid",
}
"""1.6 calls a tag nobody knows Invalid; a known one that may not charge here, now or any more is Blocked."""


def decode_tag(tag: str) -> IdToken:
    """A tag as a station wrote it."""
    return IdToken(tag, "ISO14443")


def encode_tag(token: IdToken) -> str:
    """The tag of a command; raises NotSupportedByStation when it is longer than 1.6 allows."""
    if len(token.value) > LONGEST_TAG:
        raise NotSupportedByStation(f"a tag in {V16} has at most {LONGEST_TAG} characters")
    return token.value


def encode_info(answer: Authorization) -> Payload:
    """``idTagInfo``; a group too long to be a tag is left out."""
    info: Payload = {"status": STATUSES[answer.status]}
    if answer.expires is not None:
        info["expiryDate"] = print_time(answer.expires)
    if answer.group is not None and len(answer.group.value) <= LONGEST_TAG:
        info["parentIdTag"] = answer.group.value
    return info


def decode_authorize(payload: Payload) -> Authorize:
    """The question whether a tag may charge."""
    return Authorize(decode_tag(payload["idTag"]))


def encode_authorization(answer: Authorization) -> Payload:
    """The answer to Authorize."""
    return {"idTagInfo": encode_info(answer)}


def _encode_clear_cache(command: ClearCache) -> tuple[str, Payload]:
    return "ClearCache", {}


REQUESTS: Mapping[str, Incoming] = {"Authorize": Incoming(decode_authorize, encode_authorization)}
COMMANDS: Mapping[type, Outgoing] = {ClearCache: Outgoing(_encode_clear_cache, decode_answer)}
