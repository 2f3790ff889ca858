"""The page on testing plugins is run as its reader would."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILE = re.compile(r"<!-- file: (\S+) -->\n```python\n(.*?)```", re.DOTALL)


def test_the_example_passes_and_can_fail(tmp_path: Path) -> None:
    files = dict(FILE.findall((ROOT / "docs" / "testing-plugins.md").read_text("utf-8")))
    assert set(files) == {"vip.py", "test_vip.py"}
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    assert run(tmp_path) == 0
    (tmp_path / "vip.py").write_text(files["vip.py"].replace('"VIP"', '"NOBODY"'), "utf-8")
    assert run(tmp_path) == 1


def run(folder: Path) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-o", f"pythonpath={ROOT}", "--rootdir", str(folder), str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False).returncode
