"""How the benchmarks drive ``csms bench``: on which core, against which server, and what it printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from servers import Address

SLACK_S = 180.0
"""A load generator that needs so much longer than planned is stuck."""


def cores() -> tuple[int | None, int | None]:
    """A core for the server and one for the load; None where the system cannot pin or has one core only."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else (None, None)


def put_load(server: Address, scenarios: Sequence[str], *more: object, patience: float = SLACK_S) -> dict[str, Any]:
    """Run ``csms bench`` on a server; ends everything when the load itself fails. Wrong answers are in what it gives."""
    command = [str(Path(sys.executable).with_name("csms")), "bench", "--json", "--url", server.url]
    command += ["--pid", str(server.pid), *scenarios, *map(str, more)]
    load_core = cores()[1]
    command += ["--core", str(load_core)] if load_core is not None else []
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=patience)
    if not told.stdout.startswith("{"):
        raise SystemExit(f"the load on {server.url} failed; there is no result")
    return dict(json.loads(told.stdout))
