"""What the torture tools have in common: the command line, the seed that repeats a run, and the one line in which each says what it found."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

# The shared modules of the tests are no package: who imports this module can import those too.
sys.path[:0] = [
    str(Path(__file__).parent),
    str(Path(__file__).parents[1] / "end_to_end"),
    str(Path(__file__).parents[1]),
]

FAULTS_SHOWN, LONGEST_FAULT = 20, 2000


@dataclass(slots=True)
class Report:
    """What a run found: ``faults`` are broken promises in sentences, ``figures`` what was measured."""

    faults: list[str] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)

    def fault(self, text: str) -> None:
        """One more broken promise."""
        self.faults.append(text)

    def expect(self, holds: object, text: str) -> None:
        """A fault with this text, unless it holds."""
        if not holds:
            self.fault(text)

    def log_of(self, server: object) -> None:
        """A fault for each thing in the server's log that nobody handled."""
        for trouble in [*server.troubles, *_bugs(server.log)][:FAULTS_SHOWN]:  # type: ignore[attr-defined]
            self.fault(f"the server's log has:\n{trouble}")


def _bugs(log: str) -> list[str]:
    return [line for line in log.splitlines() if " bug: " in line]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a tool: its folder, its seed, its size, and a generator of its own."""

    folder: Path
    seed: int
    size: int
    long: bool
    tls: bool
    say: Callable[[str], None]

    def random(self, name: str = "") -> random.Random:
        """A generator that the seed and a name determine."""
        return random.Random(f"{self.seed}/{name}")


def main(
    tool: str,
    about: str,
    what: str,
    sizes: tuple[int, int],
    torture: Callable[[Run, Report], None],
    *,
    tls: bool = False,
) -> None:
    """The command line of one tool; ``sizes`` are the short and the long form's number of ``what``. Ends the process: 0 well, 1 not, 2 not run.

    ``tls``: there is a form in which the stations come over TLS.
    """
    from server_process import csms_missing

    options = _options(about, what, sizes, tls=tls)
    if missing := csms_missing():
        print(missing)
        sys.exit(2)
    size = options.size or sizes[1 if options.long else 0]
    report, began = Report(), time.monotonic()
    if options.keep:
        options.keep.mkdir(parents=True)
        torture(Run(options.keep, options.seed, size, options.long, options.tls, _say), report)
    else:
        with tempfile.TemporaryDirectory(prefix="csms-torture-") as folder:
            torture(Run(Path(folder), options.seed, size, options.long, options.tls, _say), report)
    for fault in report.faults[:FAULTS_SHOWN]:
        print(fault[:LONGEST_FAULT])
    figures = "; ".join(f"{name} {value}" for name, value in report.figures.items())
    verdict = f"FAILED ({len(report.faults)} faults)" if report.faults else "ok"
    again = f"repeat with --seed {options.seed}{' --tls' if options.tls else ''}"
    print(f"{tool}: {verdict}: {size} {what}; {figures}; {time.monotonic() - began:.0f} s; {again}")
    sys.exit(1 if report.faults else 0)


def _options(about: str, what: str, sizes: tuple[int, int], *, tls: bool) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--size", type=int, help=f"how many {what} (default {sizes[0]:,}; with --long {sizes[1]:,})")
    parser.add_argument("--long", action="store_true", help="the long form")
    parser.add_argument("--seed", type=int, default=random.randrange(2**31), help="repeats an earlier run")
    parser.add_argument("--keep", type=Path, help="run in this new folder, and leave database and log there")
    parser.set_defaults(tls=False)
    if tls:
        parser.add_argument("--tls", action="store_true", help="stations come over TLS, with a password each")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, flush=True)


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of the values lies; 0 of none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0
