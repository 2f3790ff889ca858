"""Every torture tool, one after the other; what one finds does not keep the next from running. Names of tools run those alone.

python tests/torture/everything.py [--long] [--seed N] [tool ...]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TOOLS = (
    "kills",
    "killed_steps",
    "power_cuts",
    "disk_faults",
    "fault_proxy",
    "storm",
    "storm --tls",
    "hostile",
    "hostile --tls",
    "attacks",
    "bad_plugins",
    "clock_jumps",
    "soak",
    "frames",
)
FAILED = 1


def run(tool: str, options: list[str]) -> bool:
    """Whether a tool found nothing; one that cannot run here says so, and is no failure."""
    name, *form = tool.split()
    command = [sys.executable, str(HERE / f"{name}.py"), *form, *options]
    print(f"== {tool}", flush=True)
    status = subprocess.run(command).returncode
    if status:
        print(f"{tool} {'failed' if status == FAILED else 'did not run'}: {' '.join(command)}", flush=True)
    return status != FAILED


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tools", nargs="*", choices=TOOLS, help="these alone")
    parser.add_argument("--long", action="store_true", help="the long forms")
    parser.add_argument("--seed", type=int, help="repeats an earlier run")
    given = parser.parse_args()
    options = ["--long"] * given.long + ([] if given.seed is None else ["--seed", str(given.seed)])
    failed = [tool for tool in given.tools or TOOLS if not run(tool, options)]
    print(f"failed: {', '.join(failed)}" if failed else "nothing was broken")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
