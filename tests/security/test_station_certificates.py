"""Requests for certificates that are refused, 400 days in the life of a certificate, and the words of 1.6."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from pki_kit import NOON, csr, weak_csr
from tls_kit import deferred

from csms.authority import Authority, new_key
from csms.certificates import CertificateFault, made_for, read_csr
from csms.model.availability import TriggerMessage
from csms.model.certificates import (
    CertificateInstalled,
)
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


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda ca, mine: ca.sign(read_csr(csr("CS1")), NOON, 90), "another key"),
        (lambda ca, mine: ca.sign(read_csr(csr("CS2", key=mine)), NOON, 90), "is for 'CS2'"),
        (lambda ca, mine: ca.sign(read_csr(csr("CS1", key=mine)), NOON - timedelta(days=99), 90), "expired"),
        (lambda ca, mine: ca.sign(read_csr(csr("CS1", key=mine)), NOON + timedelta(days=9), 90), "not valid yet"),
        (
            lambda ca, mine: ca.sign(read_csr(csr("CS1", key=mine)), NOON, 90).replace(
                ca.pem, Authority.create("X", at=NOON).pem
            ),
            "nobody known issued",
        ),
        (lambda ca, mine: "certificate", "no certificates in PEM"),
    ],
    ids=["another key", "another name", "expired", "not yet", "another issuer", "nonsense"],
)
def test_a_certificate_that_is_not_the_requests_is_never_sent(made: Callable[[Authority, Any], str], why: str) -> None:
    ca, mine = Authority.create("Example", at=NOON - timedelta(days=100)), new_key("ecdsa")
    request = read_csr(csr("CS1", key=mine))
    assert made_for(request, ca.sign(request, NOON, 90), NOON).public_key() == mine.public_key()
    with pytest.raises(CertificateFault, match=why):
        made_for(request, made(ca, mine), NOON)


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


@pytest_twisted.ensureDeferred
async def test_a_certificate_of_a_station_that_is_away_is_told_once_a_day_in_its_last_week(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    await renewal(csms, station, "SignChargingStationCertificate", None, csr("CS1"), "Accepted")
    await station.close()
    for _ in range(2 * 100):
        csms.clock.advance(43200)
        await csms.settle(lambda: not csms.house.certificates.busy)
    assert details(csms, "CertificateExpires") == ["its ChargingStationCertificate expires on 2026-05-30"] * 7


@pytest_twisted.ensureDeferred
async def test_a_station_that_comes_back_late_is_asked_at_once(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1")
    await renewal(csms, station, "SignChargingStationCertificate", None, csr("CS1"), "Accepted")
    await station.close()
    await csms.advance(88 * 86400)
    station = await csms.station("CS1")
    assert (await station.heard())[2:] == ["TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}]
    assert details(csms, "CertificateExpires")


# 1.6


@pytest_twisted.ensureDeferred
async def test_a_1_6_station_renews_in_the_words_of_the_security_extension(make: Make) -> None:
    csms = await make()
    station = await csms.station("CS1", "ocpp1.6")
    trigger = TriggerMessage("SignChargingStationCertificate")
    asking = deferred(csms.house.commands.send("CS1", trigger, origin="test"))
    call = (await station.heard())[2:]
    station.answer({"status": "Accepted"})
    await asking
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
