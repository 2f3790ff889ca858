"""How much the tests notice of the four parts where a fault costs most: of all small changes to the code of each, at least 85 %.

    python tests/mutants.py [PART ...]

mutmut makes the changes, one at a time, and runs the tests that come by each. It wants every folder to have the name that it is imported by, so each
part has a tree of its own, ``mutants/<part>``, in which ``plugins/`` is ``csms_plugins/``. There ``mutmut results`` says what went unnoticed, and
``mutmut show NAME`` what it was. Functions under a decorator (hooks, properties) are left as they are; mutmut does not change those.

pytest loads this file there as a plugin: what is quick comes first, and examples are the same each time.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import Phase, settings

ROOT = Path(__file__).parent.parent
TREES = ROOT / "mutants"
LEAST = 85
NAMES = {"csms": "csms", "csms_plugins": "plugins", "csms_rules": "rules"}
"""What the packages are called, and the folders they lie in."""
BESIDE = ("benchmarks", "docs", "plugins", "rules", "twisted", "README.md", "CONTRIBUTING.md", "noxfile.py")
"""What tests read of the checkout besides."""


@dataclass(frozen=True)
class Part:
    """Which files are changed, and which tests have to notice."""

    changed: tuple[str, ...]
    tests: tuple[str, ...]


DECIDING = "asking chain conditions cron expressions functions glances matching operators values windows"
"""Of the rules what says whether one holds and what it decides; not what reads, keeps, times, runs, prints or replays them."""
RULES_TESTS = "answers corners explained expressions glances language rules_plugin times waits"
PARTS = {
    "rpc": Part(
        ("csms/ocpp/rpc.py", "csms/ocpp/strict_json.py", "csms/ocpp/quick.py"),
        (
            "tests/ocpp/test_rpc.py",
            "tests/ocpp/test_rpc_properties.py",
            "tests/ocpp/test_strict_json.py",
            "tests/ocpp/test_quick.py",
        ),
    ),
    "transactions": Part(
        ("csms/ledger.py", "csms/evidence.py"),
        ("tests/test_ledger.py", "tests/test_evidence.py"),
    ),
    "authorization": Part(
        ("csms/blocks/authorization.py", "csms_plugins/rfid_list.py", "csms_plugins/app_tokens.py"),
        (
            "tests/plugins/test_rfid_list_plugin.py",
            "tests/plugins/test_app_tokens_plugin.py",
            "tests/part6/test_part6_c_authorization.py",
            "tests/blocks/test_transactions.py",
            "tests/blocks/test_authorization.py",
            "tests/plugins/test_plug_and_charge_plugin.py",
        ),
    ),
    "rules": Part(
        tuple(f"csms_plugins/flow/{name}.py" for name in DECIDING.split()),
        tuple(f"tests/plugins/test_flow_{name}.py" for name in RULES_TESTS.split()),
    ),
}


def laid_out(name: str, part: Part) -> Path:
    """A fresh tree for one part, with mutmut's settings in it."""
    tree = TREES / name
    shutil.rmtree(tree, ignore_errors=True)
    copies = tree / "mutants"
    copies.mkdir(parents=True)
    for package, folder in NAMES.items():
        shutil.copytree(ROOT / folder, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", tree / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for beside in BESIDE:
        (copies / beside).symlink_to("csms_plugins" if beside == "plugins" else ROOT / beside)
    tests = sorted(str(file.relative_to(ROOT)) for pattern in part.tests for file in ROOT.glob(pattern))
    mutmut = {
        "source_paths": list(NAMES),
        "only_mutate": part.changed,
        "pytest_add_cli_args_test_selection": tests,
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-p", "tests.mutants"],
        "process_isolation": "forkserver",
        "timeout_constant": 2.0,
        "timeout_multiplier": 4.0,
    }
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in mutmut.items())
    (tree / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + "\n[tool.mutmut]\n" + "".join(lines))
    shutil.copy(ROOT / "setup.cfg", tree)
    return tree


def pytest_configure() -> None:
    """The same examples in every run, and no time spent on a smaller one: that a test fails is all that counts here."""
    settings.register_profile("mutants", derandomize=True, database=None, phases=(Phase.explicit, Phase.generate))
    settings.load_profile("mutants")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The quick ones first, once mutmut has measured them: the first that fails ends a run."""
    stats = Path("mutmut-stats.json")
    seconds = json.loads(stats.read_text())["duration_by_test"] if stats.exists() else {}
    items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))


def noticed(name: str, part: Part) -> tuple[int, int]:
    """How many changes the tests noticed, and of how many."""
    tree = laid_out(name, part)
    mutmut = (sys.executable, "-m", "mutmut")
    subprocess.run((*mutmut, "run", "--max-children", "1"), cwd=tree, check=True)
    listed = subprocess.run((*mutmut, "results"), cwd=tree, check=True, capture_output=True, text=True).stdout
    # A machine that is busy with something else makes a test late too: who was late is tried once more.
    late = [line.split(":")[0].strip() for line in listed.splitlines() if line.endswith(": timeout")]
    if late:
        subprocess.run((*mutmut, "run", "--max-children", "1", *late), cwd=tree, check=True)
    subprocess.run((*mutmut, "export-cicd-stats"), cwd=tree, check=True, stdout=subprocess.DEVNULL)
    found = json.loads((tree / "mutants" / "mutmut-cicd-stats.json").read_text())
    return found["killed"] + found["timeout"], found["total"]


def main(wanted: list[str]) -> int:
    """The exit code: 0 if enough was noticed of each part."""
    if unknown := sorted(set(wanted) - set(PARTS)):
        print(f"no part is called {', '.join(unknown)}: there are {', '.join(PARTS)}")
        return 2
    table = [f"{'part':<15}{'changes':>8}{'noticed':>9}{'score':>8}{'minutes':>9}"]
    short = 0
    for name in wanted or PARTS:
        began = time.monotonic()
        seen, total = noticed(name, PARTS[name])
        minutes = (time.monotonic() - began) / 60
        table.append(f"{name:<15}{total:>8}{seen:>9}{seen / total:>8.1%}{minutes:>9.1f}")
        short += seen * 100 < total * LEAST
    print("\n".join(table))
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
