"""OCPP 2.0.1 part 6, TC_A_11 to TC_A_14, block M, and contract certificates of block C, over real TLS sockets, with a real OCSP responder."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from pki_kit import Contracts, csr, web_of_contracts
from tls_kit import Door, TlsStation, deferred, site

from csms.authority import Authority
from csms.certificates import read_chain
from csms.model.availability import TriggerMessage
from csms.model.certificates import (
    CertificateInstalled,
    DeleteCertificate,
    GetInstalledCertificateIds,
    InstallCertificate,
    InstalledUse,
    InstallUse,
)
from csms.model.ocsp import CertificateHash

PLUGINS = """
[plugins]
enabled = ["local_ca"]
[plugins.local_ca]
validity = "90d"
"""
SITE = site() + PLUGINS


async def renewal(here: Door, station: TlsStation, trigger: str, use: str | None, request: str, status: str) -> str:
    """The CSMS asks for a request, the station sends it, and the certificate comes; gives its chain."""
    asking = deferred(here.csms.house.commands.send("CS1", TriggerMessage(trigger), origin="test"))
    assert (await station.heard())[2:] == ["TriggerMessage", {"requestedMessage": trigger}]
    station.answer({"status": "Accepted"})
    await asking
    payload = {"csr": request} | ({"certificateType": use} if use else {})
    assert await station.say("SignCertificate", payload) == {"status": "Accepted"}
    call = await station.heard()
    assert call[2] == "CertificateSigned"
    station.answer({"status": status})
    return str(call[3]["certificateChain"])


@pytest.mark.parametrize(
    ("trigger", "use"),
    [
        pytest.param("SignChargingStationCertificate", "ChargingStationCertificate", id="TC_A_11_CSMS"),
        pytest.param("SignV2GCertificate", "V2GCertificate", id="TC_A_12_CSMS"),
        pytest.param("SignCombinedCertificate", None, id="TC_A_13_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_certificate_is_renewed(door: Any, trigger: str, use: str | None) -> None:
    here = await door(SITE)
    station = await here.station()
    chain = read_chain(await renewal(here, station, trigger, use, csr("CS1"), "Accepted"))
    chain[0].verify_directly_issued_by(chain[1])
    assert chain[0].not_valid_after_utc == here.csms.house.now() + timedelta(days=90)
    await here.until(lambda: here.csms.told(CertificateInstalled))
    (kept,) = await here.csms.house.store.security.certificates(station="CS1")
    assert kept.serial_number == f"{chain[0].serial_number:x}"


@pytest_twisted.ensureDeferred
async def test_tc_a_14_csms(door: Any) -> None:
    here = await door(SITE)
    station = await here.station()
    await renewal(here, station, "SignChargingStationCertificate", None, csr("CS1"), "Rejected")
    await here.until(lambda: here.expect("CertificateRefused"))
    assert "did not take it" in here.expect("CertificateRefused")[0]
    assert await here.csms.house.store.security.certificates() == []


ROOTS = {
    "TC_M_01_CSMS": (InstallUse.CSMS_ROOT, "Accepted"),
    "TC_M_02_CSMS": (InstallUse.MANUFACTURER_ROOT, "Accepted"),
    "TC_M_03_CSMS": (InstallUse.V2G_ROOT, "Accepted"),
    "TC_M_04_CSMS": (InstallUse.MO_ROOT, "Accepted"),
    "TC_M_05_CSMS": (InstallUse.CSMS_ROOT, "Failed"),
}


async def ordered(here: Door, station: TlsStation, command: object, answer: dict[str, Any]) -> tuple[list[Any], str]:
    """An order, the call it became, and how the ledger closed it."""
    sending = deferred(here.csms.house.commands.send("CS1", command, origin="test"))
    call = await station.heard()
    station.answer(answer)
    return call[2:], (await sending).state.value


@pytest.mark.parametrize(("use", "status"), ROOTS.values(), ids=ROOTS)
@pytest_twisted.ensureDeferred
async def test_a_root_is_installed(door: Any, pki: tuple[Path, Authority], use: InstallUse, status: str) -> None:
    here = await door(SITE)
    station = await here.station()
    root = pki[1].pem
    call, state = await ordered(here, station, InstallCertificate(use, root), {"status": status})
    assert call == ["InstallCertificate", {"certificateType": use.value, "certificate": root}]
    assert state == ("effective" if status == "Accepted" else "rejected")


INSTALLED = {
    "TC_M_12_CSMS SHA256": ((InstalledUse.CSMS_ROOT,), "SHA256"),
    "TC_M_12_CSMS SHA384": ((InstalledUse.CSMS_ROOT,), "SHA384"),
    "TC_M_12_CSMS SHA512": ((InstalledUse.CSMS_ROOT,), "SHA512"),
    "TC_M_13_CSMS": ((InstalledUse.MANUFACTURER_ROOT,), "SHA256"),
    "TC_M_14_CSMS": ((InstalledUse.V2G_ROOT,), "SHA256"),
    "TC_M_15_CSMS": ((InstalledUse.V2G_CHAIN,), "SHA256"),
    "TC_M_16_CSMS": ((InstalledUse.MO_ROOT,), "SHA256"),
    "TC_M_17_CSMS": ((InstalledUse.CSMS_ROOT, InstalledUse.MANUFACTURER_ROOT), "SHA256"),
    "TC_M_18_CSMS": ((), "SHA256"),
    "TC_M_19_CSMS": ((InstalledUse.MANUFACTURER_ROOT,), ""),
}


def hash_data(algorithm: str) -> dict[str, str]:
    return {"hashAlgorithm": algorithm, "issuerNameHash": "aa", "issuerKeyHash": "bb", "serialNumber": "1f"}


@pytest.mark.parametrize(("uses", "algorithm"), INSTALLED.values(), ids=INSTALLED)
@pytest_twisted.ensureDeferred
async def test_installed_certificates_are_asked_for(door: Any, uses: tuple[InstalledUse, ...], algorithm: str) -> None:
    here = await door(SITE)
    station = await here.station()
    answer: dict[str, Any] = {"status": "NotFound"}
    if algorithm:
        chain = {"certificateType": "CSMSRootCertificate", "certificateHashData": hash_data(algorithm)}
        answer = {"status": "Accepted", "certificateHashDataChain": [chain]}
    call, state = await ordered(here, station, GetInstalledCertificateIds(uses), answer)
    expected = {"certificateType": [use.value for use in uses]} if uses else {}
    assert call == ["GetInstalledCertificateIds", expected]
    assert state == ("effective" if algorithm else "rejected")
    (record,) = await here.csms.house.store.commands.list()
    assert record.answer == answer


@pytest.mark.parametrize(
    ("algorithm", "status"),
    [
        pytest.param("SHA256", "Accepted", id="TC_M_20_CSMS SHA256"),
        pytest.param("SHA384", "Accepted", id="TC_M_20_CSMS SHA384"),
        pytest.param("SHA512", "Accepted", id="TC_M_20_CSMS SHA512"),
        pytest.param("SHA256", "Failed", id="TC_M_21_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_certificate_is_deleted(door: Any, algorithm: str, status: str) -> None:
    here = await door(SITE)
    station = await here.station()
    command = DeleteCertificate(CertificateHash(algorithm, "aa", "bb", "1f"))
    call, state = await ordered(here, station, command, {"status": status})
    assert call == ["DeleteCertificate", {"certificateHashData": hash_data(algorithm)}]
    assert state == ("effective" if status == "Accepted" else "rejected")


# Contracts: the OCSP responder and the contract service listen on loopback, which the site file allows


EMAID = "DE-ABC-C12345678-9"
TOKEN = {"idToken": EMAID, "type": "eMAID"}
CONTRACTS = """
[outgoing]
allow = ["127.0.0.0/8"]
[plugins]
enabled = ["plug_and_charge", "rfid_list"]
[plugins.rfid_list]
file = "tags.csv"
[plugins.plug_and_charge]
roots = ["mo.pem"]
ev_certificate_url = "{url}/contracts"
"""


@pytest.fixture
def contracts(tmp_path: Path) -> Iterator[Contracts]:
    """A contract root whose responder and contract service can be asked."""
    made = Contracts.create()
    (tmp_path / "mo.pem").write_text(made.root.pem)
    (tmp_path / "tags.csv").write_text(f"value,type\n{EMAID},eMAID\n")
    port = web_of_contracts(made)
    yield made
    pytest_twisted.blockon(port.stopListening())


async def with_contracts(door: Any, contracts: Contracts) -> tuple[Door, TlsStation]:
    here = await door(site() + CONTRACTS.format(url=contracts.url))
    return here, await here.station()


def named(contracts: Contracts, chain: str) -> dict[str, str]:
    known = contracts.hash(chain)
    return {
        "hashAlgorithm": known.algorithm,
        "issuerNameHash": known.issuer_name_hash,
        "issuerKeyHash": known.issuer_key_hash,
        "serialNumber": known.serial_number,
        "responderURL": f"{contracts.url}/ocsp",
    }


@pytest_twisted.ensureDeferred
async def test_tc_m_24_csms(door: Any, contracts: Contracts) -> None:
    _, station = await with_contracts(door, contracts)
    chain = contracts.contract(EMAID)
    for _ in range(2):
        answer = await station.say("GetCertificateStatus", {"ocspRequestData": named(contracts, chain)})
        assert answer["status"] == "Accepted"
        assert base64.b64decode(answer["ocspResult"]) == contracts.responses[-1]
    assert len(contracts.responses) == 1, "the second answer is kept"


@pytest.mark.parametrize(
    "action", [pytest.param("Install", id="TC_M_26_CSMS"), pytest.param("Update", id="TC_M_28_CSMS")]
)
@pytest_twisted.ensureDeferred
async def test_a_car_gets_its_contract(door: Any, contracts: Contracts, action: str) -> None:
    _, station = await with_contracts(door, contracts)
    asked = {"iso15118SchemaVersion": "urn:iso:15118:2:2013:MsgDef", "action": action, "exiRequest": "gAE="}
    answer = await station.say("Get15118EVCertificate", asked)
    assert (answer["status"], answer["exiResponse"]) == ("Accepted", "gAI=")
    assert (contracts.asked[0]["action"], contracts.asked[0]["exiRequest"]) == (action, "gAE=")


async def charges(station: TlsStation) -> None:
    """The transaction of an authorized contract."""
    event = {
        "eventType": "Started",
        "timestamp": "2026-03-01T12:00:00Z",
        "triggerReason": "Authorized",
        "seqNo": 0,
        "transactionInfo": {"transactionId": "T1", "chargingState": "EVConnected"},
        "evse": {"id": 1, "connectorId": 1},
        "idToken": TOKEN,
    }
    assert (await station.say("TransactionEvent", event))["idTokenInfo"]["status"] == "Accepted"


@pytest_twisted.ensureDeferred
async def test_tc_c_50_csms(door: Any, contracts: Contracts) -> None:
    _, station = await with_contracts(door, contracts)
    hashes = [named(contracts, contracts.contract(EMAID))]
    answer = await station.say("Authorize", {"idToken": TOKEN, "iso15118CertificateHashData": hashes})
    assert (answer["idTokenInfo"]["status"], answer["certificateStatus"]) == ("Accepted", "Accepted")
    assert len(contracts.responses) == 1
    await charges(station)


@pytest_twisted.ensureDeferred
async def test_tc_c_51_csms(door: Any, contracts: Contracts) -> None:
    _, station = await with_contracts(door, contracts)
    contracts.revoked = True
    hashes = [named(contracts, contracts.contract(EMAID))]
    answer = await station.say("Authorize", {"idToken": TOKEN, "iso15118CertificateHashData": hashes})
    assert answer["certificateStatus"] == "CertificateRevoked"
    assert answer["idTokenInfo"]["status"] != "Accepted"


@pytest_twisted.ensureDeferred
async def test_tc_c_52_csms(door: Any, contracts: Contracts) -> None:
    """The contract itself says who can be asked about it."""
    _, station = await with_contracts(door, contracts)
    chain = contracts.contract(EMAID, responder=f"{contracts.url}/ocsp")
    answer = await station.say("Authorize", {"idToken": TOKEN, "certificate": chain})
    assert (answer["idTokenInfo"]["status"], answer["certificateStatus"]) == ("Accepted", "Accepted")
    assert len(contracts.responses) == 1
    await charges(station)
