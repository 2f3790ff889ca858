"""``csms bench`` against a running server: a few stations, half a second, nothing answered wrongly. No figure is judged here."""

from __future__ import annotations

import json
import subprocess

import pytest
from server_process import ServerProcess, csms_bin


def test_a_small_load_is_answered(server: ServerProcess) -> None:
    pytest.importorskip("picows", reason="the load generator's client is not installed (extra bench)")
    command = [csms_bin() / "csms", "bench", "mix", "NotifyEvent", "--url", server.stations_url, "--stations", "5"]
    command += ["--seconds", "0.5", "--warm-up", "0.1", "--storm", "--pid", str(server.pid), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert (told["errors"], told["stations"]) == (0, 5)
    assert all(figures["messages"] for figures in told["figures"].values())
    assert server.troubles == []


def test_a_server_that_has_its_stations_wait_is_named_with_the_cure(own: ServerProcess) -> None:
    pytest.importorskip("picows", reason="the load generator's client is not installed (extra bench)")
    own.terminate()
    text = own.site_file.read_text().replace("[server]", "[server]\nprofiles = [0]").replace('"accept"', '"pending"')
    own.site_file.write_text(text)
    own.start()
    own.wait_ready()
    command = [csms_bin() / "csms", "bench", "Heartbeat", "--url", own.stations_url, "--stations", "3"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "3 of 3 stations" in ran.stderr
    assert 'unknown = "accept"' in ran.stderr
