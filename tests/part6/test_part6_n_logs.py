"""OCPP 2.0.1 part 6, block N as far as it is about logs: asked for, sent, refused, and overtaken by another request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import pytest_twisted
from part6_kit import Payload, Scene

from csms.model.commands import CommandRecord, CommandState
from csms.model.diagnostics import GetLog, LogType

Stage = Callable[..., Awaitable[Scene]]
SITE = '[uploads]\nlisten = "tcp:0"\nurl = "http://csms.example:9002"\ntls = false\n'


async def ordered(scene: Scene, log: LogType, status: str) -> tuple[Payload, CommandRecord]:
    """GetLog, and the station's answer: the payload and the command as it is then."""
    waiting = scene.ordered(GetLog(log))
    action, payload = await scene.hears()
    assert (action, payload["logType"]) == ("GetLog", log.value)
    assert payload["log"]["remoteLocation"].startswith("http://csms.example:9002/upload/")
    scene.answers(action, status=status)
    return payload, await waiting


async def tells(scene: Scene, request: int, *statuses: str) -> None:
    """How far the log is."""
    for status in statuses:
        assert await scene.says("LogStatusNotification", status=status, requestId=request) == {}


@pytest.mark.parametrize(
    "log",
    [pytest.param(LogType.DIAGNOSTICS, id="TC_N_25_CSMS"), pytest.param(LogType.SECURITY, id="TC_N_35_CSMS")],
)
@pytest_twisted.ensureDeferred
async def test_a_log_is_sent(stage: Stage, log: LogType) -> None:
    scene = await stage(SITE)
    payload, record = await ordered(scene, log, "Accepted")
    assert record.state is CommandState.ACCEPTED
    await tells(scene, payload["requestId"], "Uploading", "Uploaded")
    assert await scene.ends(record) is CommandState.EFFECTIVE


@pytest_twisted.ensureDeferred
async def test_tc_n_34_csms(stage: Stage) -> None:
    scene = await stage(SITE)
    _, record = await ordered(scene, LogType.DIAGNOSTICS, "Rejected")
    assert record.state is CommandState.REJECTED


@pytest_twisted.ensureDeferred
async def test_tc_n_36_csms(stage: Stage) -> None:
    scene = await stage(SITE)
    first, given_up = await ordered(scene, LogType.DIAGNOSTICS, "Accepted")
    await tells(scene, first["requestId"], "Uploading")
    second, record = await ordered(scene, LogType.DIAGNOSTICS, "AcceptedCanceled")
    assert second["requestId"] != first["requestId"]
    assert second["log"] != first["log"]
    await tells(scene, first["requestId"], "AcceptedCanceled")
    assert await scene.ends(given_up) is CommandState.FAILED
    await tells(scene, second["requestId"], "Uploading", "Uploaded")
    assert await scene.ends(record) is CommandState.EFFECTIVE
