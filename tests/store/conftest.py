"""A store on a file of its own, with its real threads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred

from csms.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An open store, closed after the test."""
    made = Store(tmp_path / "csms.sqlite", reactor)
    pytest_twisted.blockon(ensureDeferred(made.open()))
    yield made
    pytest_twisted.blockon(ensureDeferred(made.close()))
