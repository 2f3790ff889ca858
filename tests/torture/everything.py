"""Every torture tool, one after the other; what one finds does not keep the next from running. Names of tools run those alone.

python tests/torture/everything.py [--long] [--seed N] [--size N] [tool ...]
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
    "hostile",
    "attacks",
    "bad_plugins",
    "clock_jumps",
    "soak",
    "frames",
)
ALSO_OVER_TLS = ("storm", "hostile")
FAILED = 1


def forms(tool: str) -> list[list[str]]:
    """The command lines of a tool, one for each form."""
    plain = [sys.executable, str(HERE / f"{tool}.py")]
    return [plain, [*plain, "--tls"]] if tool in ALSO_OVER_TLS else [plain]


def run(command: list[str]) -> bool:
    """Whether a tool found nothing; one that cannot run here says so, and is no failure."""
    name = " ".join([Path(command[1]).stem, *command[2:]])
    print(f"== {name}", flush=True)
    status = subprocess.run(command).returncode
    if status:
        print(f"{name} {'failed' if status == FAILED else 'did not run'}: {' '.join(command)}", flush=True)
    return status != FAILED


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tools", nargs="*", metavar="tool", help=f"these alone, of: {', '.join(TOOLS)}")
    parser.add_argument("--long", action="store_true", help="the long forms")
    parser.add_argument("--seed", type=int, help="repeats an earlier run")
    parser.add_argument("--size", type=int, help="another size than the tool's own")
    given = parser.parse_args()
    if unknown := set(given.tools) - set(TOOLS):
        parser.error(f"no such tool: {', '.join(sorted(unknown))}; there are {', '.join(TOOLS)}")
    options = ["--long"] * given.long
    for name in ("seed", "size"):
        if (value := getattr(given, name)) is not None:
            options += [f"--{name}", str(value)]
    commands = [[*form, *options] for tool in given.tools or TOOLS for form in forms(tool)]
    failed = [" ".join([Path(command[1]).stem, *command[2:]]) for command in commands if not run(command)]
    print(f"failed: {', '.join(failed)}" if failed else "nothing was broken")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
