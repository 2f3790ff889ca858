"""The tools that are asked for begin with the first test of the run, whatever it is, and end with the last."""

from __future__ import annotations

import pytest
from alongside import Alongside

KEY = pytest.StashKey[Alongside]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[KEY] = Alongside()


def pytest_collection_finish(session: pytest.Session) -> None:
    asked = [item for item in session.items if "alongside" in getattr(item, "fixturenames", ())]
    tools = [item.callspec.params["tool"] for item in asked if not item.get_closest_marker("skip")]  # type: ignore[attr-defined]
    if not session.config.option.collectonly:
        session.config.stash[KEY].start(tools)


def pytest_sessionfinish(session: pytest.Session) -> None:
    session.config.stash[KEY].stop()


@pytest.fixture
def alongside(pytestconfig: pytest.Config) -> Alongside:
    """The tools of this run."""
    return pytestconfig.stash[KEY]
