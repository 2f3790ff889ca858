"""OCPP 2.0.1 part 6, block A, over real TLS sockets."""

from __future__ import annotations

import ssl
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_twisted
from tls_kit import TlsStation, deferred

from csms.authority import Authority, write_pair
from csms.model.commands import CommandState
from csms.model.provisioning import SetVariables, Variable, VariableValue
from csms.model.security_commands import UpgradeSecurityProfile
from csms.store import KeptCertificate

PASSWORD = "a-password-of-20-chr"
NEW = "another-password-20c"
SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
)
STATUS = {"timestamp": "2026-03-01T12:00:00Z", "connectorStatus": "Available", "evseId": 1, "connectorId": 1}


async def known(door: Any, station: str = "CS1") -> Any:
    await door.csms.house.provisioning.provision(station, password=PASSWORD)
    return door


@pytest.mark.parametrize("tls", [False, True], ids=["profile 1", "profile 2"])
@pytest_twisted.ensureDeferred
async def test_tc_a_01_csms(door: Any, tls: bool) -> None:
    here = await known(await door())
    dialled = await here.dial("CS1", PASSWORD, tls=here.context() if tls else None)
    assert dialled.status == 101
    assert await dialled.boots() == "Accepted"
    assert await dialled.says("StatusNotification", STATUS) == {}
    await dialled.closes()


@pytest_twisted.ensureDeferred
async def test_tc_a_02_csms(door: Any) -> None:
    here = await known(await door())
    assert (await here.dial("CS1", PASSWORD, user="CS1Invalid")).status == 401
    assert "user_is_not_id" in here.expect("FailedToAuthenticateAtCsms")[0]


@pytest_twisted.ensureDeferred
async def test_tc_a_03_csms(door: Any) -> None:
    here = await known(await door())
    for tls in (None, here.context()):
        assert (await here.dial("CS1", NEW, tls=tls)).status == 401


@pytest.mark.parametrize("suite", SUITES)
@pytest_twisted.ensureDeferred
async def test_tc_a_04_csms(door: Any, suite: str) -> None:
    here = await known(await door())
    context = here.context(maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(suite)
    dialled = await here.dial("CS1", PASSWORD, tls=context)
    assert dialled.status == 101, dialled.fault
    assert dialled.tls.cipher()[0] == suite
    assert dialled.tls.compression() is None
    assert ("commonName", "127.0.0.1") in [part[0] for part in dialled.tls.getpeercert()["subject"]]
    assert await dialled.boots() == "Accepted"
    await dialled.closes()


@pytest_twisted.ensureDeferred
async def test_tc_a_06_csms(door: Any) -> None:
    here = await known(await door())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = here.context(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
    old.set_ciphers("ALL:@SECLEVEL=0")
    assert (await here.dial("CS1", PASSWORD, tls=old)).fault
    await here.until(lambda: here.expect("InvalidTLSVersion"))
    dialled = await here.dial("CS1", PASSWORD, tls=here.context(minimum_version=ssl.TLSVersion.TLSv1_3))
    assert dialled.status == 101, dialled.fault
    assert dialled.tls.version() == "TLSv1.3"
    assert await dialled.boots() == "Accepted"
    await dialled.closes()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest_twisted.ensureDeferred
async def test_tc_a_07_csms(door: Any, version: ssl.TLSVersion) -> None:
    here = await door(tls="[3]")
    await here.csms.house.provisioning.provision("CS1")
    write_pair(here.folder / "tls", "cs1", *here.authority.station("CS1", "ecdsa", 30))
    dialled = await here.dial("CS1", tls=here.context("cs1", minimum_version=version, maximum_version=version))
    assert dialled.status == 101, dialled.fault
    assert await dialled.boots() == "Accepted"
    await dialled.closes()


LAST_YEAR = datetime.now(UTC) - timedelta(days=400)


@pytest.mark.parametrize("case", ["unknown", "expired", "other name", "other organization", "none"])
@pytest_twisted.ensureDeferred
async def test_tc_a_08_csms(door: Any, case: str) -> None:
    here = await door(tls="[3]")
    await here.csms.house.provisioning.provision("CS1")
    stranger = Authority.create("Stranger")
    pairs = {
        "unknown": stranger.station("CS1", "ecdsa", 30),
        "expired": here.authority.station("CS1", "ecdsa", 30, at=LAST_YEAR),
        "other name": here.authority.station("CS2", "ecdsa", 30),
        "other organization": here.authority.station("CS1", "ecdsa", 30, organization="Elsewhere"),
        "none": ("", ""),
    }
    bad = here.context()
    if case != "none":
        write_pair(here.folder / "tls", "bad", *pairs[case])
        bad = here.context("bad")
    refused = await here.dial("CS1", tls=bad)
    assert refused.status == 401 or refused.fault
    assert refused.status != 101
    await here.until(
        lambda: here.expect("InvalidChargingStationCertificate") or here.expect("FailedToAuthenticateAtCsms")
    )
    write_pair(here.folder / "tls", "good", *here.authority.station("CS1", "ecdsa", 30))
    dialled = await here.dial("CS1", tls=here.context("good"))
    assert await dialled.boots() == "Accepted"
    await dialled.closes()


def new_password() -> SetVariables:
    return SetVariables((VariableValue(Variable("SecurityCtrlr", "BasicAuthPassword"), NEW),))


async def changes_password(here: Any, status: str) -> None:
    dialled = await here.dial("CS1", PASSWORD)
    await dialled.boots()
    sending = deferred(here.csms.house.commands.send("CS1", new_password(), origin="test"))
    call = await dialled.hears()
    (data,) = call[3]["setVariableData"]
    assert (call[2], data["attributeValue"]) == ("SetVariables", NEW)
    assert (data["component"], data["variable"]) == ({"name": "SecurityCtrlr"}, {"name": "BasicAuthPassword"})
    told = {"component": data["component"], "variable": data["variable"], "attributeStatus": status}
    await dialled.answers(call, {"setVariableResult": [told]})
    await sending
    await dialled.closes()


@pytest_twisted.ensureDeferred
async def test_tc_a_09_csms(door: Any) -> None:
    here = await known(await door())
    await changes_password(here, "Accepted")
    dialled = await here.dial("CS1", NEW)
    assert await dialled.boots() == "Accepted"
    await dialled.closes()
    assert (await here.dial("CS1", PASSWORD)).status == 401


@pytest_twisted.ensureDeferred
async def test_tc_a_10_csms(door: Any) -> None:
    here = await known(await door())
    await changes_password(here, "Rejected")
    dialled = await here.dial("CS1", PASSWORD)
    assert await dialled.boots() == "Accepted"
    await dialled.closes()
    assert (await here.dial("CS1", NEW)).status == 401


@pytest.mark.parametrize("profile", [1, 2])
@pytest_twisted.ensureDeferred
async def test_tc_a_19_csms(door: Any, profile: int) -> None:
    """The three manual actions of the case are one order here."""
    here = await known(await door())
    if profile == 2:
        await has_certificate(here)
    before = {"password": PASSWORD, "tls": here.context() if profile == 2 else None}
    after = {"password": PASSWORD if profile == 1 else None, "tls": here.context("cs1" if profile == 2 else "")}
    dialled = await here.dial("CS1", **before)
    await dialled.boots()
    station = TlsStation(dialled)
    order = UpgradeSecurityProfile("wss://csms.example/ocpp", profile + 1, slot=2)
    sending = deferred(here.csms.house.commands.send("CS1", order, origin="test"))
    action, payload = (await station.heard())[2:]
    data = payload["connectionData"]
    assert (action, payload["configurationSlot"]) == ("SetNetworkProfile", 2)
    assert (data["securityProfile"], data["ocppVersion"], data["ocppTransport"]) == (profile + 1, "OCPP20", "JSON")
    station.answer({"status": "Accepted"})
    assert (await station.heard())[2] == "GetVariables"
    station.answer({"getVariableResult": [PRIORITY | {"attributeStatus": "Accepted", "attributeValue": "1,0"}]})
    action, payload = (await station.heard())[2:]
    assert (action, payload) == ("SetVariables", {"setVariableData": [PRIORITY | {"attributeValue": "2,1,0"}]})
    station.answer({"setVariableResult": [PRIORITY | {"attributeStatus": "Accepted"}]})
    assert (await station.heard())[2] == "Reset"
    station.answer({"status": "Accepted"})
    assert (await sending).state is CommandState.ACCEPTED
    await station.close()
    again = await here.dial("CS1", **before)
    assert again.status == 101, "the old profile counts until the new one is shown"
    await again.closes()
    dialled = await here.dial("CS1", **after)
    assert await dialled.boots() == "Accepted"
    await dialled.closes()
    assert (await here.csms.house.store.commands.of("test")).state is CommandState.EFFECTIVE
    assert (await here.dial("CS1", **before)).status == 401


PRIORITY = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "NetworkConfigurationPriority"}}


async def has_certificate(here: Any) -> None:
    """The station's client certificate is made, and known to the CSMS."""
    write_pair(here.folder / "tls", "cs1", *here.authority.station("CS1", "ecdsa", 30))
    now = here.csms.house.now()
    kept = KeptCertificate("CS1", "ChargingStationCertificate", "1f", "CN=CS1", now + timedelta(days=30), now)
    await here.csms.house.store.security.note_certificate(kept)
