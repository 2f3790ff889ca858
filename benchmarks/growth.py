"""How our server grows: with stations, rules and plugins; what an idle station costs; how many handshakes it makes; everybody back at once.

    python benchmarks/growth.py [--quick]

Each is compared with the smallest of its kind in the same run; the reference for memory and handshakes is a bare Autobahn echo.
TLS is measured by ``benchmarks/handshakes.py``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from driving import cores, put_load
from report import machine, moment, versions
from server_process import csms_bin
from servers import Setup, csms, reference

RESULTS = Path(__file__).parent / "results"
ECHO = reference("reference_echo.py")
MIX = ("mix",)
Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that is measured; points of one ``kind`` are compared with the first of them."""

    kind: str
    name: str
    run: Callable[[], Told]


def ours(stations: int, seconds: float, setup: Setup, *more: str) -> Told:
    """Our server with the mix on it, or only connected when there are no seconds."""
    with csms(cores()[0], setup) as server:
        scenarios = MIX if seconds else ()
        times = ("--seconds", max(seconds, 1.0), "--warm-up", 0.4 if seconds else 0.0)
        return put_load(server, scenarios, "--stations", stations, *times, *more)


def echo(stations: int) -> Told:
    """The bare echo, only connected."""
    with ECHO(cores()[0]) as server:
        return put_load(server, (), "--connect-only", "--echo", "--stations", stations)


def points(quick: bool) -> Iterator[Point]:
    """Everything, or a small part of it."""
    seconds = 1.5 if quick else 4.0
    for number in (100, 300) if quick else (100, 1000, 5000, 10_000):
        yield Point("stations", f"{number}", lambda number=number: ours(number, seconds, Setup()))  # type: ignore[misc]
    for number in (0, 100) if quick else (0, 10, 100):
        yield Point("rules", f"{number}", lambda number=number: ours(300, seconds, Setup(rules=number)))  # type: ignore[misc]
    for number in (0, 10) if quick else (0, 1, 5, 10):
        yield Point("plugins", f"{number}", lambda number=number: ours(300, seconds, Setup(plugins=number)))  # type: ignore[misc]
    many = 200 if quick else 2000
    yield Point("idle", f"echo, {many}", lambda: echo(many))
    yield Point("idle", f"csms, {many}", lambda: ours(many, 0, Setup(), "--connect-only"))
    back = 200 if quick else 10_000
    yield Point("storm", f"{back}", lambda: ours(back, 0, Setup(), "--connect-only", "--storm"))


def row(point: Point, rounds: list[Told], first: list[Told]) -> str:
    """One line of the table; medians over the rounds."""

    def middle(read: Callable[[Told], float]) -> float:
        return median(read(told) for told in rounds)

    stations = rounds[0]["stations"]
    each = middle(lambda told: (told["resident_kib"][1] - told["resident_kib"][0]) / stations)
    shakes = middle(lambda told: stations / told["connecting_s"])
    cells = [point.kind, point.name, f"{shakes:,.0f}", f"{each:.1f}"]
    if "mix" in rounds[0]["figures"]:
        rate, p99, cpu = (
            middle(lambda told, name=name: told["figures"]["mix"][name]) for name in ("rate", "p99_ms", "cpu_us")
        )  # type: ignore[misc]
        to_first = median(
            one["figures"]["mix"]["rate"] / other["figures"]["mix"]["rate"]
            for one, other in zip(rounds, first, strict=True)
        )
        cells += [f"{rate:,.0f}", f"{p99:.0f}", f"{cpu:.0f}", f"{to_first:.2f}"]
    else:
        cells += ["-", "-", "-", "-"]
    storm = [told["storm"] for told in rounds if "storm" in told]
    cells += (
        [
            f"{median(one['booted_s'] for one in storm):.1f}",
            f"{median(one['resident_kib'] for one in storm) / 1024:.0f}",
        ]
        if storm
        else ["-", "-"]
    )
    return "| " + " | ".join(cells) + " |"


def table(measured: dict[Point, list[Told]]) -> str:
    """Markdown."""
    lines = [
        "| kind | what | handshakes/s | KiB a station | mix/s | p99 ms | CPU us | to the first | all back after s | then MiB |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    first: dict[str, list[Told]] = {}
    for point, rounds in measured.items():
        lines.append(row(point, rounds, first.setdefault(point.kind, rounds)))
    return "\n".join(lines)


def main() -> int:
    """Measure in rounds, print, save; 1 when a message was answered wrongly."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of small numbers, to see that everything works")
    parser.add_argument("--only", nargs="+", default=[], help="kinds to measure, such as: stations storm")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    wanted = [point for point in points(options.quick) if not options.only or point.kind in options.only]
    at, measured, errors = moment(), {point: [] for point in wanted}, 0
    for number in range(1 if options.quick else options.rounds):
        for point in wanted:
            told = point.run()
            errors += told["errors"]
            measured[point].append(told)
            print(f"round {number + 1}: {point.kind} {point.name}: {json.dumps(told)}", flush=True)
    facts = {**machine(), **versions(csms_bin() / "python"), "wrong answers": errors}
    text = "\n".join(
        [f"# Growth, {at}", "", table(measured), "", *(f"- {name}: {fact}" for name, fact in facts.items()), ""]
    )
    print("", text, sep="\n")
    options.results.mkdir(exist_ok=True)
    (options.results / f"growth-{at.replace(':', '').replace('-', '')}.md").write_text(text)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
