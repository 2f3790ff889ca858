"""OCPP 2.0.1 part 6, TC_A_11 to TC_A_14 and block M; what is refused; and 400 days in the life of a certificate."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from pki_kit import csr, weak_csr
from tls_kit import deferred

from csms.certificates import Authority, read_chain
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
from csms.model.security import SecurityEventRaised
from csms.testing import FakeStation, TestCsms, make_csms

SITE = """\
[plugins]
enabled = ["local_ca"]
[plugins.local_ca]
validity = "90d"
[tls]
organization = "Example"
"""
Make = Callable[..., Awaitable[TestCsms]]


@pytest.fixture
def make(tmp_path: Path, pki: tuple[Path, Authority], installed_plugins: None) -> Iterator[Make]:
    """A CSMS with ``local_ca`` on the CA of the tests."""
    made: list[TestCsms] = []

    async def start(site: str = SITE) -> TestCsms:
        (tmp_path / "tls").symlink_to(pki[0] / "tls")
        made.append(await make_csms(tmp_path, site=site))
        return made[-1]

    yield start
    for csms in made:
        pytest_twisted.blockon(deferred(csms.close()))


def details(csms: TestCsms, kind: str) -> list[str]:
    return [one.event.detail for one in csms.told(SecurityEventRaised) if one.event.kind == kind]


async def renewal(
    csms: TestCsms, station: FakeStation, trigger: str, use: str | None, request: str, status: str
) -> str:
    """The CSMS asks for a request, the station sends it, and the certificate comes; gives its chain."""
    ordered = deferred(csms.house.commands.send("CS1", TriggerMessage(trigger), origin="test"))
    assert (await station.heard())[2:] == ["TriggerMessage", {"requestedMessage": trigger}]
    station.answer({"status": "Accepted"})
    await ordered
    payload = {"csr": request} | ({"certificateType": use} if use else {})
    assert await station.say("SignCertificate", payload) == {"status": "Accepted"}
    call = await station.heard()
    assert call[2] == "CertificateSigned"
    station.answer({"status": status})
    await csms.settle()
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
async def test_a_certificate_is_renewed(make: Make, trigger: str, use: str | None) -> None:
    csms = await make()
    station = await csms.station("CS1")
    chain = read_chain(await renewal(csms, station, trigger, use, csr("CS1"), "Accepted"))
    chain[0].verify_directly_issued_by(chain[1])
    assert chain[0].not_valid_after_utc == csms.house.now() + timedelta(days=90)
    assert len(csms.told(CertificateInstalled)) == 1
    (kept,) = await csms.house.store.security.certificates(station="CS1")
    assert kept.serial_number == f"{chain[0].serial_number:x}"


@pytest_twisted.ensureDeferred
async def test_tc_a_14_csms(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    await renewal(csms, station, "SignChargingStationCertificate", None, csr("CS1"), "Rejected")
    assert "did not take it" in details(csms, "CertificateRefused")[0]
    assert await csms.house.store.security.certificates() == []


@pytest.mark.parametrize(
    ("request_of", "why"),
    [
        (lambda: csr("CS2"), "common name"),
        (lambda: csr("CS1", "Elsewhere"), "organization"),
        (lambda: csr(""), "common name"),
        (lambda: weak_csr("CS1"), "1024 bits"),
        (lambda: "-----BEGIN CERTIFICATE REQUEST-----\nxx\n-----END CERTIFICATE REQUEST-----", "PKCS#10"),
        (lambda: "x" * 5000, "PKCS#10"),
    ],
    ids=["another station", "another organization", "no name", "weak key", "broken", "nonsense"],
)
@pytest_twisted.ensureDeferred
async def test_a_request_that_will_not_do_is_rejected_and_told(make: Make, request_of: Any, why: str) -> None:
    csms = await make()
    station = await csms.station("CS1")
    answer = await station.say("SignCertificate", {"csr": request_of()})
    assert answer["status"] == "Rejected"
    assert why in answer["statusInfo"]["additionalInfo"]
    assert why in details(csms, "CertificateRefused")[0]
    assert station.calls == []


@pytest_twisted.ensureDeferred
async def test_requests_are_limited(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    answers = [await station.say("SignCertificate", {"csr": csr("CS2")}) for _ in range(8)]
    assert "requests in an hour" in answers[-1]["statusInfo"]["additionalInfo"]
    assert "requests in an hour" not in answers[0]["statusInfo"]["additionalInfo"]


@pytest_twisted.ensureDeferred
async def test_without_a_plugin_requests_are_rejected(make: Make) -> None:
    csms = await make("[plugins]\nenabled = []\n")
    station = await csms.station("CS1")
    assert (await station.say("SignCertificate", {"csr": csr("CS1")}))["status"] == "Rejected"


@pytest_twisted.ensureDeferred
async def test_certificate_lifecycle_over_400_days(make: Make) -> None:
    """Issued for 90 days, renewed in time again and again; never expired while the station is there."""
    csms = await make()
    station = await csms.station("CS1")
    await renewal(csms, station, "SignChargingStationCertificate", None, csr("CS1"), "Accepted")
    renewed = 0
    for _ in range(400):
        csms.clock.advance(86400)
        await csms.settle(lambda: station.calls or not csms.house.certificates.busy)
        (kept,) = await csms.house.store.security.certificates()
        assert kept.expires > csms.house.now()
        if station.calls:
            assert kept.expires - csms.house.now() < timedelta(days=30)
            assert station.calls[-1][3] == {"requestedMessage": "SignChargingStationCertificate"}
            station.answer({"status": "Accepted"})
            await station.say("SignCertificate", {"csr": csr("CS1")})
            await station.heard()
            station.answer({"status": "Accepted"})
            await csms.settle(lambda due=renewed + 2: len(csms.told(CertificateInstalled)) >= due)  # type: ignore[misc]
            renewed += 1
    assert renewed == 6


@pytest_twisted.ensureDeferred
async def test_a_station_that_does_not_renew_is_told_in_the_last_week(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    await renewal(csms, station, "SignChargingStationCertificate", None, csr("CS1"), "Accepted")
    for _ in range(88):
        csms.clock.advance(86400)
        await csms.settle(lambda: station.calls or not csms.house.certificates.busy)
        if station.calls:
            station.answer({"status": "Rejected"})
            await csms.settle(lambda: not csms.house.certificates.busy)
    assert "expires on 2026-05-30" in details(csms, "CertificateExpires")[0]


# Block M


ROOTS = {
    "TC_M_01_CSMS": (InstallUse.CSMS_ROOT, "Accepted"),
    "TC_M_02_CSMS": (InstallUse.MANUFACTURER_ROOT, "Accepted"),
    "TC_M_03_CSMS": (InstallUse.V2G_ROOT, "Accepted"),
    "TC_M_04_CSMS": (InstallUse.MO_ROOT, "Accepted"),
    "TC_M_05_CSMS": (InstallUse.CSMS_ROOT, "Failed"),
}


async def ordered(
    csms: TestCsms, station: FakeStation, command: object, answer: dict[str, Any]
) -> tuple[list[Any], str]:
    """An order, the call it became, and how the ledger closed it."""
    sending = deferred(csms.house.commands.send("CS1", command, origin="test"))
    call = await station.heard()
    station.answer(answer)
    return call[2:], (await sending).state.value


@pytest.mark.parametrize(("use", "status"), ROOTS.values(), ids=ROOTS)
@pytest_twisted.ensureDeferred
async def test_a_root_is_installed(make: Make, pki: tuple[Path, Authority], use: InstallUse, status: str) -> None:
    csms = await make()
    station = await csms.station("CS1")
    root = pki[1].pem
    call, state = await ordered(csms, station, InstallCertificate(use, root), {"status": status})
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
async def test_installed_certificates_are_asked_for(make: Make, uses: tuple[InstalledUse, ...], algorithm: str) -> None:
    csms = await make()
    station = await csms.station("CS1")
    answer: dict[str, Any] = {"status": "NotFound"}
    if algorithm:
        chain = {"certificateType": "CSMSRootCertificate", "certificateHashData": hash_data(algorithm)}
        answer = {"status": "Accepted", "certificateHashDataChain": [chain]}
    call, state = await ordered(csms, station, GetInstalledCertificateIds(uses), answer)
    expected = {"certificateType": [use.value for use in uses]} if uses else {}
    assert call == ["GetInstalledCertificateIds", expected]
    assert state == ("effective" if algorithm else "rejected")
    (record,) = await csms.house.store.commands.list()
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
async def test_a_certificate_is_deleted(make: Make, algorithm: str, status: str) -> None:
    csms = await make()
    station = await csms.station("CS1")
    command = DeleteCertificate(CertificateHash(algorithm, "aa", "bb", "1f"))
    call, state = await ordered(csms, station, command, {"status": status})
    assert call == ["DeleteCertificate", {"certificateHashData": hash_data(algorithm)}]
    assert state == ("effective" if status == "Accepted" else "rejected")


# 1.6


@pytest_twisted.ensureDeferred
async def test_a_1_6_station_renews_in_the_words_of_the_security_extension(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1", "ocpp1.6")
    trigger = TriggerMessage("SignChargingStationCertificate")
    call, _ = await ordered(csms, station, trigger, {"status": "Accepted"})
    assert call == ["ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"}]
    assert await station.say("SignCertificate", {"csr": csr("CS1")}) == {"status": "Accepted"}
    assert (await station.heard())[2] == "CertificateSigned"


@pytest_twisted.ensureDeferred
async def test_a_1_6_station_asks_for_a_v2g_certificate_inside_a_data_transfer(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1", "ocpp1.6")
    inner = json.dumps({"csr": csr("SECC", ""), "certificateType": "V2GCertificate"})
    request = {"vendorId": "org.openchargealliance.iso15118pnc", "messageId": "SignCertificate", "data": inner}
    assert await station.say("DataTransfer", request) == {"status": "Accepted", "data": '{"status":"Accepted"}'}
    call = await station.heard()
    assert (call[2], call[3]["messageId"]) == ("DataTransfer", "CertificateSigned")
    assert json.loads(call[3]["data"])["certificateType"] == "V2GCertificate"
