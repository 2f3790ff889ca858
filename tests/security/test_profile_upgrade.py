"""Threat: a station is locked out, or falls back, because its way to a higher security profile was cut off between two steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from tls_kit import deferred, make_pki, site

from csms.blocks.door import Proof
from csms.model.commands import CommandState
from csms.model.security import SecurityProfile
from csms.model.security_commands import UpgradeSecurityProfile
from csms.model.station import Handshake
from csms.testing import FakeStation, TestCsms, make_csms

KEY = "k" * 20
ORDER = UpgradeSecurityProfile("wss://csms.example/ocpp", 2)
PRIORITY = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "NetworkConfigurationPriority"}}
ANSWERS: dict[str, dict[str, Any]] = {
    "SetNetworkProfile": {"status": "Accepted"},
    "GetVariables": {"getVariableResult": [PRIORITY | {"attributeStatus": "Accepted", "attributeValue": "0"}]},
    "SetVariables": {"setVariableResult": [PRIORITY | {"attributeStatus": "Accepted"}]},
    "Reset": {"status": "Accepted"},
}
STEPS = list(ANSWERS)
NO: dict[str, dict[str, Any]] = {
    "SetNetworkProfile": {"status": "Rejected"},
    "SetVariables": {"setVariableResult": [PRIORITY | {"attributeStatus": "Rejected"}]},
    "Reset": {"status": "Rejected"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_pki(tmp_path)
    return tmp_path


async def opened(folder: Path) -> TestCsms:
    return await make_csms(folder, site=site())


async def connected(csms: TestCsms, protocol: str = "ocpp2.0.1") -> FakeStation:
    await csms.house.provisioning.provision("CS1", password=KEY)
    return await csms.station("CS1", protocol, password=KEY)


async def admitted(csms: TestCsms, profile: int) -> bool:
    handshake = Handshake("CS1", "tcp4:192.0.2.1:1", ("ocpp2.0.1",), True, profile >= 2)
    return (await csms.house.security.admit(handshake, Proof(frozenset({profile}), KEY.encode()))).admit


async def takes_steps(station: FakeStation, steps: list[str]) -> None:
    for step in steps:
        assert (await station.heard())[2] == step
        station.answer(ANSWERS[step])


async def cut_off_after(
    folder: Path, done: int, order: UpgradeSecurityProfile = ORDER, protocol: str = "ocpp2.0.1"
) -> TestCsms:
    """A CSMS that was stopped when so many steps were done, and started again; the station is not back yet."""
    csms = await opened(folder)
    station = await connected(csms, protocol)
    sending = deferred(csms.house.commands.send("CS1", order, origin="test"))
    await takes_steps(station, STEPS[:done])
    await csms.settle(lambda: station.calls or sending.called)
    await csms.close()
    sending.addErrback(lambda failure: None)
    return await opened(folder)


async def state(csms: TestCsms) -> CommandState:
    record = await csms.house.store.commands.of("test")
    assert record is not None
    return record.state


@pytest.mark.parametrize("done", range(len(STEPS) + 1))
@pytest_twisted.ensureDeferred
async def test_threat_an_upgrade_that_is_cut_off_locks_nobody_out(
    folder: Path, installed_plugins: None, done: int
) -> None:
    """The CSMS stops after each step; the station comes with its old profile, and the order goes on by itself."""
    csms = await cut_off_after(folder, done)
    try:
        assert await state(csms) is (CommandState.ACCEPTED if done == len(STEPS) else CommandState.SENT)
        assert await admitted(csms, 1), "the old profile counts until the new one is shown"
        station = await csms.station("CS1", password=KEY)
        if done < len(STEPS):
            await takes_steps(station, STEPS)
        await csms.settle()
        assert station.calls == []
        assert await state(csms) is CommandState.ACCEPTED
        assert await admitted(csms, 2)
        assert not await admitted(csms, 1), "what was shown is the least from then on"
        await csms.settle()
        assert await state(csms) is CommandState.EFFECTIVE
    finally:
        await csms.close()


@pytest.mark.parametrize("noticed", ["before the start", "after the start"])
@pytest_twisted.ensureDeferred
async def test_what_was_cut_off_and_happened_is_done(folder: Path, installed_plugins: None, noticed: str) -> None:
    """The station had taken all of it, and its answer was lost: it has shown the new profile."""
    csms = await cut_off_after(folder, 3)
    try:
        if noticed == "before the start":
            await csms.house.store.security.raise_profile("CS1", SecurityProfile.TLS_BASIC)
            await csms.close()
            csms = await opened(folder)
        else:
            assert await admitted(csms, 2)
        await csms.settle()
        assert await state(csms) is CommandState.EFFECTIVE
    finally:
        await csms.close()


@pytest.mark.parametrize("step", list(NO))
@pytest_twisted.ensureDeferred
async def test_a_no_ends_an_order_that_goes_on(folder: Path, installed_plugins: None, step: str) -> None:
    csms = await cut_off_after(folder, 1)
    try:
        station = await csms.station("CS1", password=KEY)
        await takes_steps(station, STEPS[: STEPS.index(step)])
        await station.heard()
        station.answer(NO[step])
        await csms.settle()
        assert await state(csms) is CommandState.REJECTED
        assert station.calls == []
        assert await admitted(csms, 1)
    finally:
        await csms.close()


@pytest_twisted.ensureDeferred
async def test_it_goes_on_once_more_after_the_next_stop(folder: Path, installed_plugins: None) -> None:
    csms = await cut_off_after(folder, 2)
    try:
        station = await csms.station("CS1", password=KEY)
        await takes_steps(station, STEPS[:3])
        await csms.settle(lambda: station.calls)
        await csms.close()
        csms = await opened(folder)
        station = await csms.station("CS1", password=KEY)
        await takes_steps(station, STEPS)
        await csms.settle()
        assert await state(csms) is CommandState.ACCEPTED
    finally:
        await csms.close()


@pytest_twisted.ensureDeferred
async def test_a_url_with_secrets_is_not_kept_and_so_its_order_is_uncertain(
    folder: Path, installed_plugins: None
) -> None:
    csms = await cut_off_after(folder, 1, UpgradeSecurityProfile("wss://csms.example/ocpp?key=secret", 2))
    try:
        assert await state(csms) is CommandState.UNCERTAIN
        station = await csms.station("CS1", password=KEY)
        await csms.settle()
        assert station.calls == []
    finally:
        await csms.close()


@pytest.mark.parametrize("step", list(NO))
@pytest_twisted.ensureDeferred
async def test_a_no_ends_the_order_and_changes_nothing(folder: Path, installed_plugins: None, step: str) -> None:
    csms = await opened(folder)
    try:
        station = await connected(csms)
        sending = deferred(csms.house.commands.send("CS1", ORDER, origin="test"))
        await takes_steps(station, STEPS[: STEPS.index(step)])
        assert (await station.heard())[2] == step
        station.answer(NO[step])
        record = await sending
        assert record.state is CommandState.REJECTED
        assert "keeps its profile" in record.error
        assert station.calls == []
        assert await admitted(csms, 1)
    finally:
        await csms.close()


@pytest_twisted.ensureDeferred
async def test_a_1_6_station_is_told_the_profile_alone(folder: Path, installed_plugins: None) -> None:
    csms = await opened(folder)
    try:
        station = await connected(csms, "ocpp1.6")
        sending = deferred(csms.house.commands.send("CS1", ORDER, origin="test"))
        assert (await station.heard())[2:] == ["ChangeConfiguration", {"key": "SecurityProfile", "value": "2"}]
        station.answer({"status": "Accepted"})
        assert (await sending).state is CommandState.ACCEPTED
        assert station.calls == []
    finally:
        await csms.close()


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (UpgradeSecurityProfile("wss://x/", 1), "NotHigher"),
        (UpgradeSecurityProfile("wss://x/", 4), "NotHigher"),
        (UpgradeSecurityProfile("wss://x/", 3), "NoCertificate"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_would_leave_no_way_back_is_not_begun(
    folder: Path, installed_plugins: None, order: UpgradeSecurityProfile, code: str
) -> None:
    csms = await opened(folder)
    try:
        station = await connected(csms)
        record = await csms.house.commands.send("CS1", order, origin="test")
        assert (record.state, record.error_code) == (CommandState.FAILED, code)
        assert station.calls == []
    finally:
        await csms.close()


@pytest_twisted.ensureDeferred
async def test_a_profile_that_no_listener_takes_is_not_begun(tmp_path: Path, installed_plugins: None) -> None:
    csms = await make_csms(tmp_path)
    try:
        await csms.station("CS1")
        record = await csms.house.commands.send("CS1", ORDER, origin="test")
        assert record.error_code == "NoListener"
    finally:
        await csms.close()
