"""Kill -9 at random moments under load: no answered event lost, none kept twice, one right bill each.

The environment variables CSMS_KILL_CYCLES (default 10) and CSMS_KILL_SEED set the run.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from kills import run
from server_process import csms_missing


def test_no_answered_event_is_lost_or_doubled_by_kills(tmp_path: Path) -> None:
    missing = csms_missing()
    if missing:
        pytest.skip(missing)
    cycles = int(os.environ.get("CSMS_KILL_CYCLES", "10"))
    seed = int(os.environ.get("CSMS_KILL_SEED") or random.randrange(2**31))
    outcome = run(tmp_path, cycles=cycles, seed=seed)
    print(outcome)
    assert outcome.verdict.faults == [], f"seed {seed}"
    assert outcome.errors == (), f"seed {seed}"
    assert outcome.answers > 0
    assert outcome.verdict.bills == outcome.transactions
    assert outcome.clean, str(outcome)
