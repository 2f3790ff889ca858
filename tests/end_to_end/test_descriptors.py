"""A process that runs short of file descriptors: no new stations are taken, who is connected is served, the API answers, and then all goes on."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from api_client import Api
from raw_socket import RawSocket
from server_process import ServerProcess

resource = pytest.importorskip("resource", reason="descriptors are limited on Unix alone")
BOOT = [2, "1", "BootNotification", {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}}]
LIMIT = 100
"""So many descriptors more than there are."""
CLOSED, OPEN = "no new connections are taken", "new connections are taken again"


async def until_logged(server: ServerProcess, words: str) -> None:
    async with asyncio.timeout(10):
        while words not in server.log:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)


async def beats(socket: RawSocket) -> None:
    await socket.say([2, "h", "Heartbeat", {}])
    assert "currentTime" in (await socket.hear())[2]


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process")
@pytest.mark.parametrize(
    "uploads", ["", '\n[uploads]\nlisten = "tcp:0:interface=127.0.0.1"\nurl = "http://127.0.0.1"\ntls = false\n']
)
def test_threat_descriptors_run_out(tmp_path: Path, uploads: str) -> None:
    server = ServerProcess(tmp_path, more=uploads)
    server.start()
    try:
        server.wait_ready()
        asyncio.run(_siege(server))
        assert not server.troubles
    finally:
        server.kill()


async def _siege(server: ServerProcess) -> None:
    good = await RawSocket.upgrade(server.port, "/ocpp/GOOD")
    await good.say(BOOT)
    assert (await good.hear())[2]["status"] == "Accepted"
    used = len(os.listdir(f"/proc/{server.pid}/fd"))
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + LIMIT, used + LIMIT))
    crowd = [await RawSocket.connect(server.port) for _ in range(used + LIMIT)]
    await until_logged(server, CLOSED)
    assert len(os.listdir(f"/proc/{server.pid}/fd")) < used + LIMIT, "some are kept for files"
    await beats(good)
    api = Api(server)
    assert (await asyncio.to_thread(api.request, "GET", "/healthz")).status == 200
    assert (await asyncio.to_thread(api.request, "GET", "/api/v1/stations")).status == 200
    for socket in crowd:
        socket.close()
    await until_logged(server, OPEN)
    late = await RawSocket.upgrade(server.port, "/ocpp/LATE")
    assert late.status == 101
    await beats(good)
    for socket in (good, late):
        socket.close()
