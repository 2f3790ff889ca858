"""How much the tests run of the four parts where a fault costs most: at least 95 % of the lines and branches of each.

    python tests/covered.py

Tracing makes Python half as fast, so only the tests that are about those parts run here, in two processes side by side: the rules, and the rest.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
LEAST = 95
PARTS = {
    "rpc": "csms/ocpp/*",
    "transactions": "csms/ledger.py,csms/evidence.py,csms/blocks/lanes.py,csms/blocks/together.py,csms/blocks/transactions.py,csms/store/*",
    "authorization": "csms/blocks/authorization.py",
    "rules": "plugins/*",
}
"""Which files of those that setup.cfg has traced belong to a part."""
RULES = (
    "tests/plugins/test_flow_*.py",
    "tests/test_reload_rules.py",
    "tests/test_rule_trials.py",
    "tests/test_rules_plugin_page.py",
)
OTHERS = (
    "tests/ocpp",
    "tests/blocks/test_transactions.py",
    "tests/blocks/test_bad_cases.py",
    "tests/blocks/test_explaining.py",
    "tests/blocks/test_stop_reasons.py",
    "tests/blocks/test_together.py",
    "tests/part6/test_part6_c_authorization.py",
    "tests/part6/test_part6_e_transactions.py",
    "tests/plugins/test_plug_and_charge_plugin.py",
    "tests/store/test_store_transactions.py",
    "tests/store/test_store_remembered.py",
    "tests/test_evidence.py",
    "tests/test_ledger.py",
)


def traced(tests: tuple[str, ...], data: Path) -> subprocess.Popen[bytes]:
    """Those tests, under coverage; what they print is in a file beside the data."""
    files = [str(file) for pattern in tests for file in sorted(ROOT.glob(pattern))]
    command = [sys.executable, "-m", "coverage", "run", f"--data-file={data}", "-m", "pytest", "-q", *files]
    with data.with_name(f"log of {data.name}").open("wb") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)


def enough(part: str, data: Path) -> bool:
    """Print what is not run of a part; whether it is little enough."""
    print(f"\n{part}", flush=True)
    report = [sys.executable, "-m", "coverage", "report", "--skip-covered", "--show-missing"]
    report += [f"--data-file={data}", f"--include={PARTS[part]}", f"--fail-under={LEAST}"]
    return subprocess.run(report, cwd=ROOT).returncode == 0


def main() -> int:
    """The exit code: 0 if all tests pass and each part is covered."""
    with tempfile.TemporaryDirectory() as folder:
        runs = {"rules": RULES, "others": OTHERS}
        data = {name: Path(folder) / name for name in runs}
        started = {name: traced(tests, data[name]) for name, tests in runs.items()}
        failed = [name for name, run in started.items() if run.wait()]
        for name in failed:
            print(data[name].with_name(f"log of {name}").read_text())
        if failed:
            return 1
        found = [enough(part, data["rules" if part == "rules" else "others"]) for part in PARTS]
        return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main())
