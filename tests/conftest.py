"""The folders ``plugins/`` and ``rules/`` are installed as ``csms_plugins`` and ``csms_rules``; tests read them from the checkout."""

from __future__ import annotations

import configparser
import importlib.util
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from canaries import Canaries

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


def shipped() -> dict[str, EntryPoint]:
    """The entry points that an installed csms has, read from the checkout's setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options.entry_points"]["csms"].strip().splitlines()
    pairs = [[part.strip() for part in line.split("=")] for line in lines]
    return {name: EntryPoint(name, value, "csms") for name, value in pairs}


@pytest.fixture
def installed_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkout's own plugins are found, whether or not a csms is installed."""
    import csms.plugins

    monkeypatch.setattr(csms.plugins, "installed", shipped)


_installed_as("csms_plugins", ROOT / "plugins")
_installed_as("csms_rules", ROOT / "rules")


def pytest_configure(config: pytest.Config) -> None:
    """Secrets that are made during the run are looked for in all that it leaves."""
    config.pluginmanager.register(Canaries(), "canaries")
