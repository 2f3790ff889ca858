"""Contracts held against roots and OCSP, OCSP responses for stations, contracts for cars; 1.6 inside DataTransfer."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from csms_plugins.plug_and_charge import PlugAndCharge
from fake_csms import FakeCsms

from csms.api import (
    CertificateFault,
    ContractQuestion,
    ContractStatus,
    Fetched,
    GetCertificateStatus,
    GetEvCertificate,
    IdToken,
    OcspData,
    StationRef,
)
from csms.testing import running_csms

sys.path.insert(0, str(Path(__file__).parent.parent / "security"))
from pki_kit import Contracts

CS1 = StationRef("CS1", "ocpp2.0.1")
EMAID = "DE-ABC-C12345678-9"
URL = "http://ocsp.example/"


class Bench:
    """A plugin with one trusted root, and the web it sees."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.house = FakeCsms(folder, "plug_and_charge")
        self.contracts = Contracts.create()
        (folder / "mo.pem").write_text(self.contracts.root.pem)
        self.plugin = PlugAndCharge(PlugAndCharge.Settings(roots=("mo.pem",), **settings), self.house.csms)
        self.at = self.house.csms.now()

    def contract(self, **more: Any) -> str:
        return self.contracts.contract(EMAID, at=self.at - timedelta(days=1), **more)

    async def check(self, chain: str | None, *, of: str = "", token: str = EMAID, algorithm: str = "SHA256") -> Any:
        named = (OcspData(self.contracts.hash(of or chain, algorithm), URL),) if of or chain else ()
        question = ContractQuestion(CS1, IdToken(token, "eMAID"), self.at, chain, named)
        checked = await self.plugin.check_contract(question)
        return checked and checked.status

    def responder(self, der: bytes, status: int = 200) -> None:
        self.house.web.append(Fetched(status, {}, der))


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    return lambda **settings: Bench(tmp_path, **settings)


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
@pytest_twisted.ensureDeferred
async def test_a_good_contract_is_accepted_and_ocsp_asked_once(bench: Any, algorithm: str) -> None:
    here = bench()
    chain = here.contract()
    here.responder(here.contracts.says(chain, at=here.at, algorithm=algorithm))
    assert await here.check(chain, algorithm=algorithm) is ContractStatus.ACCEPTED
    assert await here.check(chain, algorithm=algorithm, token=EMAID.replace("-", "").lower()) is ContractStatus.ACCEPTED
    assert [url for url, _ in here.house.fetched] == [URL]


@pytest_twisted.ensureDeferred
async def test_hashes_alone_are_enough_where_the_issuer_is_known(bench: Any) -> None:
    here = bench()
    chain = here.contract()
    here.responder(here.contracts.says(chain, at=here.at))
    assert await here.check(None, of=chain) is ContractStatus.ACCEPTED


@pytest_twisted.ensureDeferred
async def test_a_revoked_contract_is_refused(bench: Any) -> None:
    here = bench()
    chain = here.contract()
    here.responder(here.contracts.says(chain, revoked=True, at=here.at))
    assert await here.check(chain) is ContractStatus.REVOKED


@pytest.mark.parametrize("case", ["another token", "another root", "expired", "broken"])
@pytest_twisted.ensureDeferred
async def test_a_contract_that_leads_nowhere_is_refused(bench: Any, case: str) -> None:
    here = bench()
    chain, token = here.contract(), EMAID
    expected = ContractStatus.CHAIN_ERROR
    match case:
        case "another token":
            token = "DE-ABC-C99999999-9"
        case "another root":
            chain = Contracts.create().contract(EMAID, at=here.at)
        case "expired":
            chain = here.contracts.contract(EMAID, at=here.at - timedelta(days=9), days=2)
            expected = ContractStatus.EXPIRED
    named = (OcspData(here.contracts.hash(here.contract()), URL),)
    shown = "nonsense" if case == "broken" else chain
    checked = await here.plugin.check_contract(ContractQuestion(CS1, IdToken(token, "eMAID"), here.at, shown, named))
    assert checked.status is expected
    assert here.house.fetched == []


@pytest.mark.parametrize("case", ["other key", "yesterday's", "of another", "nonsense", "500", "no answer"])
@pytest.mark.parametrize("ocsp", ["require", "if_available"])
@pytest_twisted.ensureDeferred
async def test_a_response_that_proves_nothing_does_not_count(bench: Any, ocsp: str, case: str) -> None:
    here = bench(ocsp=ocsp)
    chain = here.contract()
    match case:
        case "other key":
            here.responder(here.contracts.says(chain, at=here.at, signer=Contracts.create()))
        case "yesterday's":
            here.responder(here.contracts.says(chain, at=here.at - timedelta(days=3)))
        case "of another":
            here.responder(here.contracts.says(here.contract(), at=here.at))
        case "nonsense":
            here.responder(b"\x30\x03nonsense")
        case "500":
            here.responder(b"", 500)
    expected = ContractStatus.NOT_AVAILABLE if ocsp == "require" else ContractStatus.ACCEPTED
    assert await here.check(chain) is expected


@pytest_twisted.ensureDeferred
async def test_no_certificate_and_no_responder_are_refused(bench: Any) -> None:
    here = bench()
    assert await here.check(None) is ContractStatus.NOT_AVAILABLE
    question = ContractQuestion(CS1, IdToken(EMAID, "eMAID"), here.at, here.contract(), ())
    assert (await here.plugin.check_contract(question)).status is ContractStatus.NOT_AVAILABLE


def test_a_root_that_cannot_be_read_keeps_the_server_from_starting(tmp_path: Path) -> None:
    house = FakeCsms(tmp_path, "plug_and_charge")
    with pytest.raises(ValueError, match=r"mo\.pem"):
        PlugAndCharge(PlugAndCharge.Settings(roots=("mo.pem",)), house.csms)
    assert issubclass(CertificateFault, Exception)


@pytest_twisted.ensureDeferred
async def test_a_responders_answer_is_handed_on_and_kept(bench: Any) -> None:
    here = bench()
    chain = here.contract()
    response = here.contracts.says(chain, at=here.at)
    here.responder(response)
    asked = GetCertificateStatus(OcspData(here.contracts.hash(chain), URL))
    for _ in range(2):
        answer = await here.plugin.certificate_status(CS1, asked)
        assert base64.b64decode(answer.ocsp_result) == response
    assert len(here.house.fetched) == 1, "the second answer is kept"
    assert here.house.fetched[0][1].startswith(b"\x30")


@pytest.mark.parametrize(
    ("update", "action"),
    [(False, "Install"), (True, "Update")],
)
@pytest_twisted.ensureDeferred
async def test_a_car_gets_its_contract(bench: Any, update: bool, action: str) -> None:
    here = bench(ev_certificate_url="https://contracts.example/")
    here.house.web.append(Fetched(200, {}, b'{"exiResponse": "gAI="}'))
    answer = await here.plugin.ev_certificate(CS1, GetEvCertificate("urn:iso:15118:2:2013:MsgDef", "gAE=", update))
    assert answer.exi == "gAI="
    sent = json.loads(here.house.fetched[0][1])
    assert (sent["action"], sent["exiRequest"], sent["station"]) == (action, "gAE=", "CS1")


@pytest.mark.parametrize(
    "answer", [Fetched(500), Fetched(200, {}, b"<html>"), Fetched(200, {}, b'{"exiResponse": "?"}')]
)
@pytest_twisted.ensureDeferred
async def test_a_contract_service_that_fails_gives_nothing(bench: Any, answer: Fetched) -> None:
    here = bench(ev_certificate_url="https://contracts.example/")
    here.house.web.append(answer)
    assert (await here.plugin.ev_certificate(CS1, GetEvCertificate("urn", "gAE="))).exi == ""


# The whole way


SITE = '[plugins]\nenabled = ["plug_and_charge", "rfid_list"]\n[plugins.plug_and_charge]\nroots = ["mo.pem"]\nocsp = "off"\n'


@pytest_twisted.ensureDeferred
async def test_authorize_tells_what_became_of_the_contract(tmp_path: Path, installed_plugins: None) -> None:
    contracts = Contracts.create()
    (tmp_path / "mo.pem").write_text(contracts.root.pem)
    (tmp_path / "tags.csv").write_text(f"value,type\n{EMAID},eMAID\n")
    site = SITE + '[plugins.rfid_list]\nfile = "tags.csv"\n'
    token = {"idToken": EMAID, "type": "eMAID"}
    async with running_csms(tmp_path, site=site) as csms:
        station = await csms.station("CS1")
        good = await station.say("Authorize", {"idToken": token, "certificate": contracts.contract(EMAID)})
        assert (good["certificateStatus"], good["idTokenInfo"]["status"]) == ("Accepted", "Accepted")
        bad = await station.say("Authorize", {"idToken": token, "certificate": Contracts.create().contract(EMAID)})
        assert (bad["certificateStatus"], bad["idTokenInfo"]["status"]) == ("CertChainError", "Invalid")
        plain = await station.say("Authorize", {"idToken": token})
        assert "certificateStatus" not in plain
        old = await csms.station("CS2", "ocpp1.6")
        inner = json.dumps({"idToken": {"idToken": EMAID}, "certificate": contracts.contract(EMAID)})
        request = {"vendorId": "org.openchargealliance.iso15118pnc", "messageId": "Authorize", "data": inner}
        answer = await old.say("DataTransfer", request)
        assert answer["status"] == "Accepted"
        assert json.loads(answer["data"])["certificateStatus"] == "Accepted"


@pytest_twisted.ensureDeferred
async def test_without_the_plugin_no_contract_is_believed(tmp_path: Path, installed_plugins: None) -> None:
    token = {"idToken": EMAID, "type": "eMAID"}
    async with running_csms(tmp_path, site="[plugins]\nenabled = []\n") as csms:
        station = await csms.station("CS1")
        answer = await station.say("Authorize", {"idToken": token, "certificate": "x"})
        assert (answer["certificateStatus"], answer["idTokenInfo"]["status"]) == ("NoCertificateAvailable", "Invalid")
        data = {"hashAlgorithm": "SHA256", "issuerNameHash": "aa", "issuerKeyHash": "bb", "serialNumber": "1"}
        asked = {"ocspRequestData": {**data, "responderURL": "http://x/"}}
        assert (await station.say("GetCertificateStatus", asked))["status"] == "Failed"
        asked = {"iso15118SchemaVersion": "urn", "action": "Install", "exiRequest": "gAE="}
        assert (await station.say("Get15118EVCertificate", asked))["status"] == "Failed"
