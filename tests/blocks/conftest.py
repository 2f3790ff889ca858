"""A whole CSMS for each test: real store, real plugins, a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from block_kit import Make
from twisted.internet import defer

from csms.testing import TestCsms, make_csms


@pytest.fixture
def make(tmp_path: Path, installed_plugins: None) -> Iterator[Make]:
    """Starts a CSMS from the text of a site file; all are closed after the test."""
    made: list[TestCsms] = []

    async def start(site: str = "") -> TestCsms:
        csms = await make_csms(tmp_path, site=site)
        made.append(csms)
        return csms

    yield start
    for csms in made:
        pytest_twisted.blockon(defer.Deferred.fromCoroutine(csms.close()))
