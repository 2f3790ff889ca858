"""One line of the site file is changed under a connected station: by the command, by SIGHUP, and with a mistake in it; the socket stays open."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time

from server_process import ServerProcess, csms_bin
from test_bad_input import booted

WAIT_S = 10.0


def csms(server: ServerProcess, *words: str) -> tuple[int, str]:
    command = [str(csms_bin() / "csms"), *words, "--site", str(server.site_file)]
    done = subprocess.run(command, cwd=server.folder, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def change(server: ServerProcess, old: str, new: str) -> None:
    text = server.site_file.read_text()
    assert old in text
    server.site_file.write_text(text.replace(old, new))


def heard_in_log(server: ServerProcess, words: str) -> bool:
    began = time.monotonic()
    while words not in server.log and time.monotonic() - began < WAIT_S:
        time.sleep(0.05)
    return words in server.log


def test_a_line_is_changed_without_a_dropped_socket(own: ServerProcess) -> None:
    async def run() -> None:
        station = await booted(own.port, "/ocpp/CS1")
        loop = asyncio.get_running_loop()

        async def reload() -> tuple[int, str]:
            return await loop.run_in_executor(None, csms, own, "reload")

        change(own, "[plugins.billing]", "[plugins.status_retry]\nattempts = 7\n[plugins.billing]")
        assert await reload() == (
            0,
            "plugins.status_retry: a table, new\nplugin status_retry begins\nplugin status_retry ends\n",
        )
        change(own, 'unknown = "accept"', 'unknown = "refuse"')
        os.kill(own.pid, signal.SIGHUP)
        assert await loop.run_in_executor(None, heard_in_log, own, 'stations.unknown: "accept" -> "refuse"')
        change(own, "attempts = 7", "atempts = 3")
        code, said = await reload()
        assert code == 1
        assert "site.toml:19:1" in said
        assert "did you mean attempts?" in said
        os.kill(own.pid, signal.SIGHUP)
        assert await loop.run_in_executor(None, heard_in_log, own, "everything stays as it was")
        change(own, "atempts = 3", "attempts = 3")
        change(own, "[api]", "[api]\n# a comment")
        change(own, f"tcp:{own.port}:", f"tcp:{own.port + 1}:")
        assert "needs a restart: server.listen" in (await reload())[1]
        await station.say([2, "h1", "Heartbeat", {}])
        assert (await station.hear())[:2] == [3, "h1"]
        station.close()

    asyncio.run(run())
    _, shown = csms(own, "plugins", "--json")
    assert "status_retry" in [row["name"] for row in json.loads(shown)]
