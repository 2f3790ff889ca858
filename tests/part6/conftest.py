"""A CSMS and a booted OCPP 2.0.1 station for each test case."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_twisted
from part6_kit import Scene
from twisted.internet import defer

from csms.testing import TestCsms, make_csms

Stage = Callable[..., Awaitable[Scene]]


@pytest.fixture
def stage(tmp_path: Path, installed_plugins: None) -> Iterator[Stage]:
    """``await stage()``: a scene with a booted station; ``site`` is the text of its site file, ``booted=False`` leaves the boot to the script."""
    made: list[TestCsms] = []

    async def build(site: str = "", *, booted: bool = True) -> Scene:
        csms = await make_csms(tmp_path, site=site)
        made.append(csms)
        return Scene(csms, await csms.station("CS1", booted=booted))

    yield build
    for csms in made:
        pytest_twisted.blockon(defer.Deferred.fromCoroutine(csms.close()))
