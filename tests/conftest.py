"""The folders ``plugins/`` and ``rules/`` are installed as ``csms_plugins`` and ``csms_rules``; tests read them from the checkout."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def _installed_as(name: str, folder: Path) -> None:
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


_installed_as("csms_plugins", ROOT / "plugins")
_installed_as("csms_rules", ROOT / "rules")
