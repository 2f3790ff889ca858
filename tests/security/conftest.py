"""Doors with real sockets, closed after each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from tls_kit import Door, WiredClock, deferred, make_pki, site

from csms.authority import Authority
from csms.testing import make_csms


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Authority]:
    """One CA for all tests: RSA keys take their time."""
    folder = tmp_path_factory.mktemp("pki")
    return folder, make_pki(folder)


@pytest.fixture
def door(tmp_path: Path, pki: tuple[Path, Authority], installed_plugins: None) -> Iterator[Any]:
    """Starts a CSMS that listens in the clear and with TLS."""
    opened: list[Door] = []

    async def start(text: str = "", **settings: Any) -> Door:
        shutil.copytree(pki[0] / "tls", tmp_path / "tls", dirs_exist_ok=True)
        made = Door(await make_csms(tmp_path, site=text or site(**settings), clock=WiredClock()), tmp_path, pki[1])
        made.open()
        opened.append(made)
        return made

    yield start
    for one in opened:
        pytest_twisted.blockon(deferred(one.close()))
        pytest_twisted.blockon(deferred(one.csms.close()))
