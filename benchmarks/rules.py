"""What flow rules cost per event: 0, 10, 100 and 1,000 rules bound to TransactionEvent, in CPU time of one process, without sockets and database.

    python benchmarks/rules.py [--events 2000]

Four kinds of rules: ``elsewhere`` are bound to another event, ``beside`` too, with one more rule that is bound to every event, ``where`` and
``when`` are bound to every event and turned down by their first clause. Each figure is microseconds of CPU per event, the smallest of five
runs, and the share of each rule in it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "plugins")]
import conftest  # noqa: E402, F401 - plugins/ and rules/ are read from the checkout
from csms_plugins.flow_rules import FlowRules  # noqa: E402
from fake_csms import STATION, FakeCsms  # noqa: E402

from csms.api import EventType, IdToken, TransactionEvent, TransactionUpdated  # noqa: E402

COUNTS = (0, 10, 100, 1000)
ROUNDS = 5
KINDS = {
    "elsewhere": 'on = "station.lost"',
    "beside": 'on = "station.lost"',
    "where": 'on = "tx.updated"\nwhere = { trigger = "Trigger", evse = { gt = 5 } }',
    "when": 'on = "tx.updated"\nwhen = "station.connected and tx.evse > 5"',
}
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
EVENT = TransactionUpdated(
    STATION,
    NOW,
    "T1",
    TransactionEvent(
        "T1", EventType.UPDATED, NOW, "MeterValuePeriodic", "3", 3, evse=1, connector=1, id_token=IdToken("A1")
    ),
)


def plugin(kind: str, count: int, folder: Path) -> tuple[FlowRules, FakeCsms]:
    """A plugin with so many rules of a kind."""
    rules = "".join(f'[[rule]]\nname = "r{n}"\n{KINDS[kind]}\n[[rule.do]]\nlog = "{n}"\n' for n in range(count))
    if kind == "beside":
        rules += f'[[rule]]\nname = "bound"\n{KINDS["where"]}\n[[rule.do]]\nlog = "x"\n'
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules" / "a.toml").write_text(rules, "utf-8")
    fake = FakeCsms(folder, "flow_rules")
    made = FlowRules(FlowRules.Settings(), fake.csms)
    made.prepare()
    return made, fake


def microseconds(made: FlowRules, fake: FakeCsms, events: int) -> float:
    """CPU time per event, from the telling until all rules have been looked at."""
    wanted = isinstance(EVENT, made.listens_to)
    told = [replace(EVENT) for _ in range(events)]
    began = time.process_time()
    for event in told:
        if wanted:
            made.on_event(event)
            fake.clock.advance(0)
    return (time.process_time() - began) / events * 1e6


def main() -> None:
    """Print the table."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--events", type=int, default=2000)
    events = reader.parse_args().events
    print(f"{'rules':>6} {'kind':<10} {'us/event':>9} {'us/rule':>8}")
    for kind in KINDS:
        for count in COUNTS:
            with tempfile.TemporaryDirectory() as folder:
                made, fake = plugin(kind, count, Path(folder))
                best = min(microseconds(made, fake, events if count < 1000 else events // 4) for _ in range(ROUNDS))
            print(f"{count:>6} {kind:<10} {best:>9.2f} {best / count if count else 0:>8.3f}")


if __name__ == "__main__":
    main()
