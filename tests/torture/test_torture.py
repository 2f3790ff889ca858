"""The short form of every torture tool, each as a reader would run it. CSMS_TORTURE_SEED repeats a run, CSMS_KILL_CYCLES says how many kills."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from disk_log import no_shim
from server_process import csms_missing

HERE = Path(__file__).parent
TOOLS = {
    "kills": int(os.environ.get("CSMS_KILL_CYCLES", "10")),
    "killed_steps": 6,
    "power_cuts": 0,
    "disk_faults": 0,
    "fault_proxy": 100,
    "storm": 100,
    "storm --tls": 50,
    "hostile": 3,
    "hostile --tls": 3,
    "attacks": 3,
    "bad_plugins": 3,
    "clock_jumps": 0,
    "soak": 1,
    "frames": 1500,
}
"""Each tool that is quick enough here, and a size smaller than its own short form, where that takes long."""
ON_A_SHIM = ("power_cuts", "disk_faults", "clock_jumps")
LONGEST_S = 600


@pytest.mark.parametrize("tool", TOOLS)
def test_torture(tool: str) -> None:
    why = csms_missing() or (no_shim() if tool in ON_A_SHIM else "")
    if why:
        pytest.skip(why)
    seed = os.environ.get("CSMS_TORTURE_SEED")
    name, *form = tool.split()
    command = [sys.executable, HERE / f"{name}.py", *form, *(["--seed", seed] if seed else [])]
    command += ["--size", str(TOOLS[tool])] if TOOLS[tool] else []
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S)
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
