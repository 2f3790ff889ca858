"""The benchmark, one command: our server beside a bare Autobahn echo and the ``ocpp`` package, in interleaved rounds on the same machine.

    python benchmarks/run.py

Each server gets one core, the load generator another. Only the ratios within one run mean something; the run is invalid, and ends with status 1,
when any server answered a message with an error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from driving import SLACK_S, cores, put_load
from report import Point, Run, judgement, machine, moment, save, table, versions
from server_process import csms_bin
from servers import ECHO, SERVERS, missing

from csms.bench.words import SCENARIOS

HERE = Path(__file__).parent


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Start one server, put the load on it, and give what the load generator printed."""
    with SERVERS[name](cores()[0]) as server:
        more = ["--stations", options.stations, "--seconds", options.seconds, *(["--echo"] if name == ECHO else [])]
        return put_load(server, options.scenarios, *more, patience=options.seconds * len(options.scenarios) + SLACK_S)


def rounds(names: Sequence[str], options: argparse.Namespace) -> tuple[list[Point], dict[str, list[str]]]:
    """All rounds; in each the servers take turns, every round beginning with another one."""
    points: list[Point] = []
    errors: dict[str, list[str]] = {name: [] for name in names}
    for number in range(options.rounds):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            told = measure(name, options)
            errors[name] += told["first_errors"]
            for scenario, figures in told["figures"].items():
                points.append(Point(number + 1, name, scenario, **figures))
            rates = ", ".join(
                f"{scenario} {figures['rate']:,.0f}/s {figures['cpu_us']:.0f} us"
                for scenario, figures in told["figures"].items()
            )
            print(f"round {number + 1}, {name}: {rates}", flush=True)
    return points, errors


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything works")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each point, a short warm-up included")
    parser.add_argument("--stations", type=int, default=300)
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--servers", nargs="+", choices=list(SERVERS), default=list(SERVERS))
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder for DATE.json and DATE.md")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, min(options.seconds, 1.5)
    return options


def main() -> int:
    """Measure, print, save; 1 when the run is invalid."""
    options = parse()
    absent = {name: why for name in options.servers if (why := missing(name))}
    for name, why in absent.items():
        print(f"{name} is not measured: {why}")
    names = [name for name in options.servers if name not in absent]
    if cores() == (None, None):
        print("the processes cannot be pinned to two cores here: the figures are rough")
    at = moment()
    points, errors = rounds(names, options)
    settings = {"rounds": options.rounds, "seconds": options.seconds, "stations": options.stations, "cores": cores()}
    run = Run(settings, machine(), versions(csms_bin() / "python"), points, errors, at)
    print("", table(run), "", *judgement(run), sep="\n")
    print(f"saved: {save(run, options.results)}")
    return 0 if run.valid else 1


if __name__ == "__main__":
    sys.exit(main())
