"""The three ways to start, what is open without a token, and a clean end: with the installed programs."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
from pathlib import Path

import pytest
from api_client import Api
from raw_socket import CLOSE, RawSocket, frame
from server_process import CLEAN_ENDS, STOPPED, ServerProcess, csms_missing
from station_links import PackageLink
from station_words import Station201

WAYS = {
    "csms run": ("csms", "run", "site.toml"),
    "twistd": ("twistd", "-n", "--pidfile=", "csms", "--site", "site.toml"),
    "twist": ("twist", "csms", "--site", "site.toml"),
}


@pytest.mark.parametrize("way", WAYS)
def test_server_starts_serves_and_ends(way: str, tmp_path: Path) -> None:
    missing = csms_missing()
    if missing:
        pytest.skip(missing)
    server = ServerProcess(tmp_path, starter=WAYS[way])
    server.start()
    try:
        server.wait_ready()
        api = Api(server)
        assert api.request("GET", "/healthz", token="").status == 200
        assert "# TYPE" in api.request("GET", "/metrics").text
        asyncio.run(_boot(server))
        asyncio.run(_say_escapes(server))
        assert f":{server.port}/ocpp/" in server.log, "the log says where stations connect"
        os.kill(server.pid, signal.SIGTERM)
        os.kill(server.pid, signal.SIGINT)
        code = server.wait_end()
    finally:
        if server.running:
            server.kill()
        print(server.log)
    assert code in (*CLEAN_ENDS, -signal.SIGINT)
    assert STOPPED in server.log
    assert "Traceback" not in server.log
    assert "wipe\\" in server.log, "what a station says is in the log, escaped"
    assert not set(server.log) & set("\x1b\x07\r")


async def _say_escapes(server: ServerProcess) -> None:
    line = await RawSocket.upgrade(server.port, "/ocpp/CP2")
    await line.send(frame(CLOSE, struct.pack("!H", 1000) + b"wipe\x1b[2J\x07"))
    await line.end()


async def _boot(server: ServerProcess) -> None:
    line = PackageLink(server.stations_url, "CP1", Station201.protocol)
    await line.connect()
    assert (await Station201(line).boot())["status"] == "Accepted"
    await line.end()


def test_wrong_site_file_ends_the_start_in_prose(tmp_path: Path) -> None:
    missing = csms_missing()
    if missing:
        pytest.skip(missing)
    server = ServerProcess(tmp_path, starter=WAYS["csms run"])
    site = tmp_path / "site.toml"
    site.write_text(site.read_text().replace("heartbeat_interval", "hartbeat_interval"))
    server.start()
    try:
        assert server.wait_end() not in (0, None)
    finally:
        if server.running:
            server.kill()
    assert "hartbeat_interval" in server.log
    assert "heartbeat_interval" in server.log.replace("hartbeat_interval", "")
    assert "Traceback" not in server.log
