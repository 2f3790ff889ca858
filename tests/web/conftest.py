"""A fake house and a client for each test."""

from __future__ import annotations

import pytest
from api_wire import Wire
from fake_rooms import FakeHouse


@pytest.fixture
def house() -> FakeHouse:
    """The fakes."""
    return FakeHouse()


@pytest.fixture
def api(house: FakeHouse) -> Wire:
    """A client with the right token."""
    return Wire(house)
