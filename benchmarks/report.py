"""From the rounds of a run to a table of medians and ratios, and the files in ``results/``."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from servers import CSMS, ECHO, OCPP

PACKAGES = ("csms", "Twisted", "autobahn", "orjson", "jsonschema-rs", "peewee", "ocpp", "websockets", "picows")
MILESTONE = {ECHO: 0.3, OCPP: 5.0}
"""The mix of the first milestone: so many times the reference."""
GOAL = {ECHO: 1.0, OCPP: 15.0}
"""The mix of the goal (docs of the benchmarks say how it came about)."""
Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Point:
    """One server in one scenario in one round; latencies in milliseconds, processor time of the server in microseconds a message."""

    round: int
    server: str
    scenario: str
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    messages: int


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that was measured, and on what."""

    settings: Mapping[str, Any]
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    points: Sequence[Point]
    errors: Mapping[str, Sequence[str]]
    at: str

    @property
    def valid(self) -> bool:
        """No server answered anything with an error."""
        return not any(self.errors.values())

    def of(self, server: str, scenario: str) -> list[Point]:
        """The points of a server in a scenario, by round."""
        return [one for one in self.points if (one.server, one.scenario) == (server, scenario)]

    def middle(self, server: str, scenario: str, figure: str) -> float:
        """The median over the rounds; 0 where nothing was measured."""
        values = [float(getattr(one, figure)) for one in self.of(server, scenario)]
        return median(values) if values else 0.0

    def ratio(self, server: str, to: str, scenario: str, figure: str = "rate") -> float:
        """The median of the ratios of each round; 0 where one of the two is missing."""
        pairs = zip(self.of(server, scenario), self.of(to, scenario), strict=False)
        ratios = [getattr(one, figure) / getattr(other, figure) for one, other in pairs if getattr(other, figure)]
        return median(ratios) if ratios else 0.0


def table(run: Run) -> str:
    """Markdown: one line for each scenario and server, with the ratios to the references; processor time is better told apart on a busy machine."""
    lines = [
        "| scenario | server | messages/s | p50 ms | p99 ms | CPU us | rate to echo | rate to ocpp | p99 to echo | CPU echo | CPU ocpp |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    servers = list(dict.fromkeys(point.server for point in run.points))
    for scenario in dict.fromkeys(point.scenario for point in run.points):
        for server in servers:
            rate, p50, p99, cpu = (
                run.middle(server, scenario, name) for name in ("rate", "p50_ms", "p99_ms", "cpu_us")
            )
            to_echo, to_ocpp = (run.ratio(server, other, scenario) for other in (ECHO, OCPP))
            slower = run.ratio(server, ECHO, scenario, "p99_ms")
            saved = (run.ratio(other, server, scenario, "cpu_us") for other in (ECHO, OCPP))
            ratios = " | ".join(f"{value:.2f}" if value else "-" for value in (to_echo, to_ocpp, slower, *saved))
            lines.append(f"| {scenario} | {server} | {rate:,.0f} | {p50:.1f} | {p99:.1f} | {cpu:.0f} | {ratios} |")
    return "\n".join(lines)


def judgement(run: Run) -> list[str]:
    """What the figures mean, in sentences."""
    lines = []
    for server, errors in run.errors.items():
        if errors:
            lines.append(f"INVALID: {server} answered {len(errors)} or more messages wrongly, the first: {errors[0]}")
    for reference, least in MILESTONE.items():
        ratio = run.ratio(CSMS, reference, "mix")
        if ratio:
            word = "reached" if ratio >= least else "missed"
            lines.append(f"mix: {ratio:.2f} x {reference}: milestone {least:g} {word}, goal {GOAL[reference]:g}")
    return lines


def save(run: Run, folder: Path) -> Path:
    """Write ``DATE.json`` and ``DATE.md``; gives the path of the second."""
    folder.mkdir(exist_ok=True)
    stem = run.at.replace(":", "").replace("-", "")
    (folder / f"{stem}.json").write_text(json.dumps(asdict(run), indent=1) + "\n")
    facts = [f"{name}: {value}" for group in (run.machine, run.settings, run.versions) for name, value in group.items()]
    text = [f"# Benchmark of {run.at}", "", table(run), "", *judgement(run), "", *(f"- {fact}" for fact in facts), ""]
    (folder / f"{stem}.md").write_text("\n".join(text))
    return folder / f"{stem}.md"


def moment() -> str:
    """The time of a run, as its files are named."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def machine() -> dict[str, Any]:
    """Processor, cores and system."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "cpu": model or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }


def versions(server_python: Path) -> dict[str, str]:
    """The versions of what was measured and measured with; the server's own from its environment."""
    found = _versions(Path(sys.executable))
    return found if not server_python.exists() else {**found, **_versions(server_python)}


def _versions(python: Path) -> dict[str, str]:
    code = (
        "import json,sys\nfrom importlib.metadata import version, PackageNotFoundError\nfound={}\n"
        "for name in sys.argv[1:]:\n"
        "    try: found[name]=version(name)\n"
        "    except PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    told = subprocess.run([python, "-c", code, *PACKAGES], capture_output=True, text=True, check=True, cwd=Path("/"))
    return dict(json.loads(told.stdout))
