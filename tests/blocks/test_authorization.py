"""Block C alone: what a plugin is asked about a token, and what becomes of its word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from block_kit import Make
from block_words import event

from csms.model.authorization import AuthorizationStatus, IdToken, TokenAuthorized
from csms.testing import TestCsms

SITE = """
[stations]
unknown = "accept"
[plugins]
enabled = ["./guard.py"]
"""
GUARD = """
import json

from csms.api import Authorization, AuthorizationStatus, ContractCheck, ContractStatus, hookimpl


class Guard:
    def __init__(self, settings, csms):
        pass

    @hookimpl
    def authorize(self, request):
        name, _, most = request.id_token.value.partition("-")
        if name != "CARD":
            return None
        question = [request.station.id, request.purpose, request.transaction, request.certificate, request.evse]
        return Authorization(
            AuthorizationStatus.ACCEPTED, reason=json.dumps(question), concurrent=int(most) if most else None
        )

    @hookimpl
    def check_contract(self, contract):
        if contract.chain is None:
            return None
        asked = [contract.station.id, contract.id_token.value, [one.certificate.serial_number for one in contract.ocsp]]
        good = contract.chain == "GOOD"
        return ContractCheck(ContractStatus.ACCEPTED if good else ContractStatus.REVOKED, json.dumps(asked))
"""
HASH = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "aa",
    "issuerKeyHash": "bb",
    "serialNumber": "0f",
    "responderURL": "http://ocsp.example/",
}


@pytest.fixture
def guarded(make: Make, tmp_path: Path) -> Any:
    """Starts a CSMS whose only plugin knows cards: ``CARD`` charges once at a time, ``CARD-2`` twice, ``CARD-0`` always."""

    async def start() -> TestCsms:
        (tmp_path / "guard.py").write_text(GUARD)
        return await make(SITE)

    return start


def asks(token: str, **more: Any) -> dict[str, Any]:
    """The payload of an Authorize."""
    return {"idToken": {"idToken": token, "type": "eMAID"}, **more}


@pytest_twisted.ensureDeferred
async def test_a_plugin_is_asked_and_its_word_is_told_with_its_name(guarded: Any) -> None:
    csms = await guarded()
    station = await csms.station("CS1")
    assert (await station.say("Authorize", asks("CARD")))["idTokenInfo"] == {"status": "Accepted"}
    (told,) = csms.told(TokenAuthorized)
    assert (told.station.id, told.id_token, told.status) == (
        "CS1",
        IdToken("CARD", "eMAID"),
        AuthorizationStatus.ACCEPTED,
    )
    assert (told.plugin, told.at) == ("guard", csms.house.now())
    assert json.loads(told.reason) == ["CS1", "authorize", None, None, None]


@pytest_twisted.ensureDeferred
async def test_a_token_that_nobody_knows_is_told_without_a_name(guarded: Any) -> None:
    csms = await guarded()
    station = await csms.station("CS1")
    assert (await station.say("Authorize", asks("NOBODY")))["idTokenInfo"] == {"status": "Unknown"}
    (told,) = csms.told(TokenAuthorized)
    assert (told.status, told.plugin, told.reason) == (AuthorizationStatus.UNKNOWN, "", "no plugin knows this token")


@pytest_twisted.ensureDeferred
async def test_a_contract_that_is_believed_has_its_token_judged(guarded: Any) -> None:
    csms = await guarded()
    station = await csms.station("CS1")
    answer = await station.say("Authorize", asks("CARD", certificate="GOOD"))
    assert (answer["idTokenInfo"]["status"], answer["certificateStatus"]) == ("Accepted", "Accepted")
    (told,) = csms.told(TokenAuthorized)
    assert json.loads(told.reason) == ["CS1", "authorize", None, "GOOD", None]


@pytest.mark.parametrize(
    ("more", "status", "why"),
    [
        (
            {"certificate": "BAD", "iso15118CertificateHashData": [HASH]},
            "CertificateRevoked",
            '["CS1", "CARD", ["0f"]]',
        ),
        (
            {"iso15118CertificateHashData": [HASH]},
            "NoCertificateAvailable",
            "no plugin checks contract certificates",
        ),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_contract_that_is_not_believed_is_refused_whoever_knows_the_token(
    guarded: Any, more: dict[str, Any], status: str, why: str
) -> None:
    csms = await guarded()
    station = await csms.station("CS1")
    answer = await station.say("Authorize", asks("CARD", **more))
    assert (answer["idTokenInfo"]["status"], answer["certificateStatus"]) == ("Invalid", status)
    (told,) = csms.told(TokenAuthorized)
    assert (told.status, told.plugin, told.reason) == (
        AuthorizationStatus.INVALID,
        "",
        f"contract certificate: {why}",
    )


@pytest.mark.parametrize(("card", "accepted"), [("CARD", 1), ("CARD-1", 1), ("CARD-2", 2), ("CARD-0", 3)])
@pytest_twisted.ensureDeferred
async def test_a_token_charges_as_often_at_once_as_its_plugin_says(guarded: Any, card: str, accepted: int) -> None:
    csms = await guarded()
    answers = []
    for number in range(3):
        station = await csms.station(f"CS{number}")
        answers.append(
            (await station.say("TransactionEvent", event(0, "Started", wh=0, tag=card)))["idTokenInfo"]["status"]
        )
    assert answers == ["Accepted"] * accepted + ["ConcurrentTx"] * (3 - accepted)
    assert (await station.say("Authorize", asks(card)))["idTokenInfo"]["status"] == "Accepted", (
        "to ask is not to charge"
    )
    denied = [one for one in csms.told(TokenAuthorized) if one.status is AuthorizationStatus.CONCURRENT_TX]
    assert {(one.plugin, one.reason) for one in denied} <= {("guard", "the token is charging elsewhere")}
    await station.say("TransactionEvent", event(1, "Updated", wh=1, tag=card))
    asked = [one.reason for one in csms.told(TokenAuthorized) if one.status is AuthorizationStatus.ACCEPTED]
    assert json.loads(asked[0])[:3] == ["CS0", "transaction", "T1"]
