"""OCPP 2.0.1 part 6, block L: firmware that is signed, fetched and installed, or not; and firmware published by a local controller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_twisted
from part6_kit import Payload, Scene

from csms.authority import Authority
from csms.model.commands import CommandRecord, CommandState, RawCall
from csms.model.firmware import UpdateFirmware
from csms.model.security import SecurityEventRaised

Stage = Callable[..., Awaitable[Scene]]
URL = "https://firmware.example/1.2.3.bin"
SIGNED = UpdateFirmware(URL, signing_certificate=Authority.create("Firmware").pem, signature="c2lnbmVk")
FETCHED = ("Downloading", "Downloaded", "SignatureVerified")
REBOOTED = (*FETCHED, "Installing", "InstallRebooting", "boot")


async def ordered(scene: Scene, command: UpdateFirmware, status: str = "Accepted") -> tuple[Payload, CommandRecord]:
    """UpdateFirmware, and the station's answer: the payload and the command as it is then."""
    waiting = scene.ordered(command)
    action, payload = await scene.hears()
    assert action == "UpdateFirmware"
    scene.answers(action, status=status)
    return payload, await waiting


async def tells(scene: Scene, request: int, *statuses: str) -> None:
    """How far the firmware is; ``boot`` is the station's boot with the new one."""
    for status in statuses:
        if status == "boot":
            assert (await scene.boots("FirmwareUpdate"))["status"] == "Accepted"
            await scene.tells_status("Available", by_event=True)
        else:
            assert await scene.says("FirmwareStatusNotification", status=status, requestId=request) == {}


@pytest.mark.parametrize(
    ("facts", "field", "statuses"),
    [
        pytest.param({}, "signature", (*REBOOTED, "Installed"), id="TC_L_01_CSMS"),
        pytest.param(
            {"install_at": timedelta(hours=3)},
            "installDateTime",
            (*FETCHED, "InstallScheduled", *REBOOTED[3:], "Installed"),
            id="TC_L_02_CSMS",
        ),
        pytest.param(
            {"retrieve_at": timedelta(hours=3)},
            "retrieveDateTime",
            ("DownloadScheduled", *REBOOTED, "Installed"),
            id="TC_L_03_CSMS",
        ),
        pytest.param({}, "signingCertificate", ("DownloadScheduled", *REBOOTED, "Installed"), id="TC_L_13_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_firmware_is_installed(
    stage: Stage, facts: dict[str, Any], field: str, statuses: tuple[str, ...]
) -> None:
    scene = await stage()
    now = scene.csms.house.now()
    command = replace(SIGNED, **{name: now + after for name, after in facts.items()})
    payload, record = await ordered(scene, command)
    firmware = payload["firmware"]
    assert (firmware["signingCertificate"], firmware["signature"]) == (SIGNED.signing_certificate, SIGNED.signature)
    if facts:
        assert firmware[field] == (now + timedelta(hours=3)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert record.state is CommandState.ACCEPTED
    await tells(scene, payload["requestId"], *statuses)
    assert await scene.ends(record) is CommandState.EFFECTIVE


@pytest.mark.parametrize(
    ("status", "event"),
    [
        pytest.param("RevokedCertificate", "", id="TC_L_04_CSMS"),
        pytest.param("InvalidCertificate", "InvalidFirmwareSigningCertificate", id="TC_L_05_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_firmware_is_refused(stage: Stage, status: str, event: str) -> None:
    scene = await stage()
    _, record = await ordered(scene, SIGNED, status)
    assert (record.state, record.error_code) == (CommandState.REJECTED, status)
    if event:
        assert await scene.says("SecurityEventNotification", type=event, timestamp=scene.time()) == {}
        assert [one.event.kind for one in scene.csms.told(SecurityEventRaised)] == [event]


@pytest.mark.parametrize(
    ("statuses", "last"),
    [
        pytest.param(("Downloading", "Downloaded"), "InvalidSignature", id="TC_L_06_CSMS"),
        pytest.param(("Downloading",), "DownloadFailed", id="TC_L_07_CSMS"),
        pytest.param((*FETCHED, "Installing"), "InstallVerificationFailed", id="TC_L_08_CSMS"),
        pytest.param(REBOOTED, "InstallationFailed", id="TC_L_09_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_firmware_is_not_installed(stage: Stage, statuses: tuple[str, ...], last: str) -> None:
    scene = await stage()
    payload, record = await ordered(scene, SIGNED)
    await tells(scene, payload["requestId"], *statuses, last)
    assert await scene.ends(record) is CommandState.FAILED
    kept = await scene.csms.house.store.commands.get(record.id)
    assert kept is not None
    assert kept.error_code == last


@pytest_twisted.ensureDeferred
async def test_tc_l_10_csms(stage: Stage) -> None:
    scene = await stage()
    first, given_up = await ordered(scene, SIGNED)
    await tells(scene, first["requestId"], "Downloading")
    second, record = await ordered(scene, SIGNED, "AcceptedCanceled")
    assert second["requestId"] != first["requestId"]
    assert await scene.ends(given_up) is CommandState.FAILED
    await tells(scene, second["requestId"], *REBOOTED, "Installed")
    assert await scene.ends(record) is CommandState.EFFECTIVE


@pytest_twisted.ensureDeferred
async def test_tc_l_11_csms(stage: Stage) -> None:
    scene = await stage()
    first, record = await ordered(scene, SIGNED)
    await tells(scene, first["requestId"], "Downloading")
    _, refused = await ordered(scene, SIGNED, "Rejected")
    assert refused.state is CommandState.REJECTED
    await tells(scene, first["requestId"], *REBOOTED[1:], "Installed")
    assert await scene.ends(record) is CommandState.EFFECTIVE


PUBLISH = {"location": URL, "checksum": "0123456789abcdef0123456789abcdef", "requestId": 3}


@pytest.mark.parametrize(
    "statuses",
    [
        pytest.param(("Downloading", "Downloaded", "ChecksumVerified", "Published"), id="TC_L_17_CSMS"),
        pytest.param(("Downloading", "DownloadFailed"), id="TC_L_24_CSMS"),
        pytest.param(("Downloading", "Downloaded", "InvalidChecksum"), id="TC_L_19_CSMS"),
        pytest.param(("Downloading", "Downloaded", "ChecksumVerified", "PublishFailed"), id="TC_L_20_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_firmware_is_published(stage: Stage, statuses: tuple[str, ...]) -> None:
    scene = await stage()
    record = await scene.orders(RawCall("PublishFirmware", PUBLISH), ("PublishFirmware", PUBLISH), status="Accepted")
    assert record.state is CommandState.EFFECTIVE
    for status in statuses:
        where = {"location": [URL]} if status == "Published" else {}
        told = await scene.says("PublishFirmwareStatusNotification", status=status, requestId=3, **where)
        assert told == {}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        pytest.param("Unpublished", CommandState.EFFECTIVE, id="TC_L_21_CSMS"),
        pytest.param("NoFirmware", CommandState.EFFECTIVE, id="TC_L_22_CSMS"),
        pytest.param("DownloadOngoing", CommandState.EFFECTIVE, id="TC_L_23_CSMS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_firmware_is_published_no_more(stage: Stage, status: str, state: CommandState) -> None:
    scene = await stage()
    unpublish = RawCall("UnpublishFirmware", {"checksum": PUBLISH["checksum"]})
    record = await scene.orders(unpublish, ("UnpublishFirmware", dict(unpublish.payload)), status=status)
    assert (record.state, record.answer) == (state, {"status": status})


# What part 6 does not ask


@pytest_twisted.ensureDeferred
async def test_firmware_that_nobody_signed_is_not_sent(stage: Stage) -> None:
    scene = await stage()
    unsigned = UpdateFirmware(URL)
    raw = RawCall("UpdateFirmware", {"requestId": 1, "firmware": {"location": URL, "retrieveDateTime": scene.time()}})
    for command in (unsigned, raw):
        record = await scene.ordered(command)
        assert (record.state, record.error_code) == (CommandState.FAILED, "UnsignedFirmware")


@pytest_twisted.ensureDeferred
async def test_firmware_that_nobody_signed_is_sent_where_the_site_says_so(stage: Stage) -> None:
    scene = await stage("[stations]\nunsigned_firmware = true\n")
    payload, _ = await ordered(scene, UpdateFirmware(URL))
    assert set(payload["firmware"]) == {"location", "retrieveDateTime"}


@pytest.mark.parametrize(
    "command",
    [
        replace(SIGNED, signature=""),
        replace(SIGNED, signing_certificate=""),
        replace(SIGNED, signing_certificate="PEM"),
        replace(SIGNED, signature="no base64!"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_signature_has_to_look_like_one(stage: Stage, command: UpdateFirmware) -> None:
    scene = await stage("[stations]\nunsigned_firmware = true\n")
    record = await scene.ordered(command)
    assert (record.state, record.error_code) == (CommandState.FAILED, "NoSignature")
    assert scene.station.calls == []


HALVES = [
    {"signature": "c2lnbmVk"},
    {"signingCertificate": SIGNED.signing_certificate},
    {"signingCertificate": "PEM", "signature": "c2lnbmVk"},
    {"signingCertificate": SIGNED.signing_certificate, "signature": "no base64!"},
]


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("unsigned", ["true", "false"])
@pytest_twisted.ensureDeferred
async def test_no_raw_call_goes_round_the_signature(stage: Stage, half: dict[str, str], unsigned: str) -> None:
    scene = await stage(f"[stations]\nunsigned_firmware = {unsigned}\n")
    firmware = {"location": URL, "retrieveDateTime": scene.time(), **half}
    old = await scene.csms.station("CS16", "ocpp1.6")
    for id, action in ((scene.station.id, "UpdateFirmware"), ("CS16", "SignedUpdateFirmware")):
        call = RawCall(action, {"requestId": 1, "firmware": firmware})
        record = await scene.csms.house.commands.send(id, call, origin="test")
        assert (record.state, record.error_code) == (CommandState.FAILED, "NoSignature")
    assert scene.station.calls == old.calls == []
