"""The short form of every torture tool, each as a reader would run it. CSMS_TORTURE_SEED repeats a run, CSMS_KILL_CYCLES says how many kills."""

from __future__ import annotations

import pytest
from alongside import TOOLS, Alongside
from disk_log import no_shim
from server_process import csms_missing

ON_A_SHIM = ("power_cuts", "disk_faults", "clock_jumps")


def _tool(name: str) -> object:
    why = csms_missing() or (no_shim() if name in ON_A_SHIM else "")
    return pytest.param(name, id=name, marks=pytest.mark.skip(reason=why) if why else ())


@pytest.mark.parametrize("tool", [_tool(name) for name in TOOLS])
def test_torture(tool: str, alongside: Alongside) -> None:
    done = alongside.end_of(tool)
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
