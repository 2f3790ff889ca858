"""OCPP 2.0.1 part 6, block C: tokens, groups, the authorization cache. Contract certificates (TC_C_50 to 52) are in tests/security."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import pytest_twisted

from csms.model.authorization import AuthorizationStatus, ClearCache
from csms.model.commands import CommandState

GROUP = {"idToken": "FAMILY", "type": "Central"}
IN_FAMILY = {"status": "Accepted", "groupIdToken": GROUP}
MASTER = {"status": "Accepted", "groupIdToken": {"idToken": "MASTERPASS", "type": "Central"}}


@pytest.mark.parametrize(
    ("token", "status"),
    [
        pytest.param("NOBODY", "Unknown", id="TC_C_02_CSMS"),
        pytest.param("THIEF", "Blocked", id="TC_C_06_CSMS"),
        pytest.param("OLD", "Expired", id="TC_C_07_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_token_that_may_not_charge_is_told_why(stage: Any, token: str, status: str) -> None:
    scene = await stage()
    await scene.knows("THIEF", AuthorizationStatus.BLOCKED)
    await scene.knows("OLD", expires=scene.csms.house.now() - timedelta(days=1))
    assert (await scene.authorizes(token))["status"] == status


@pytest.mark.parametrize(
    ("token", "status"),
    [pytest.param("GOOD", "Accepted", id="TC_C_08_CSMS"), pytest.param("NOBODY", "Unknown", id="TC_C_20_CSMS")],
)
@pytest_twisted.ensureDeferred
async def test_a_token_from_the_stations_cache_is_judged_in_its_transaction(
    stage: Any, token: str, status: str
) -> None:
    scene = await stage()
    await scene.knows("GOOD")
    await scene.ev_connected()
    assert (await scene.authorized(token))["status"] == status


@pytest.mark.parametrize(
    ("status", "state"),
    [
        pytest.param("Accepted", CommandState.EFFECTIVE, id="TC_C_37_CSMS"),
        pytest.param("Rejected", CommandState.REJECTED, id="TC_C_38_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_the_cache_is_cleared(stage: Any, status: str, state: CommandState) -> None:
    scene = await stage()
    record = await scene.orders(ClearCache(), ("ClearCache", {}), status=status)
    assert record.state is state


@pytest.mark.parametrize(
    "asked_at",
    [
        pytest.param(("start", "stop"), id="TC_C_39_CSMS"),
        pytest.param((), id="TC_C_40_CSMS"),
        pytest.param(("stop",), id="TC_C_43_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_one_of_a_group_ends_what_another_began(stage: Any, asked_at: tuple[str, ...]) -> None:
    scene = await stage()
    await scene.knows("MINE", group="FAMILY")
    await scene.knows("YOURS", group="FAMILY")
    await scene.ev_connected()
    if "start" in asked_at:
        assert await scene.authorizes("YOURS") == IN_FAMILY
    assert await scene.authorized("MINE") == IN_FAMILY
    await scene.charging()
    if "stop" in asked_at:
        assert await scene.authorizes("YOURS") == IN_FAMILY
    assert await scene.stop_authorized("YOURS") == IN_FAMILY
    await scene.ev_disconnected()
    ended = await scene.csms.house.store.transactions.by_wire_id("CS1", "TX1")
    assert (ended.id_token.value, ended.completeness.value) == ("MINE", "complete")


@pytest.mark.parametrize(
    "ended",
    [
        pytest.param((1, 2), id="TC_C_47_CSMS"),
        pytest.param((2,), id="TC_C_48_CSMS"),
        pytest.param((1, 2), id="TC_C_49_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_master_pass_ends_transactions(stage: Any, ended: tuple[int, ...]) -> None:
    scene = await stage()
    await scene.knows("POLICE", group="MASTERPASS")
    transactions = {}
    for evse, token in ((1, "ONE"), (2, "TWO")):
        await scene.knows(token)
        scene.evse, scene.transaction = evse, ""
        await scene.energy_flows(token)
        transactions[evse] = scene.transaction
    assert await scene.authorizes("POLICE") == MASTER
    for evse in ended:
        scene.evse, scene.transaction = evse, transactions[evse]
        answer = await scene.event("Ended", "StopAuthorized", token="POLICE", reason="MasterPass")
        assert answer["idTokenInfo"] == MASTER
    active = await scene.csms.house.store.transactions.active(station="CS1")
    assert [one.evse for one in active] == [evse for evse in (1, 2) if evse not in ended]
