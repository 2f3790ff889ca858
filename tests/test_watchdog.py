"""The watchdog names the line that holds the reactor's thread: a plugin's before one of the core, and none that only waits its turn."""

from __future__ import annotations

import threading
import time
from typing import Any

from twisted.internet.task import Clock

from csms.watchdog import ELSEWHERE, Watchdog, place_of

CODE = """
import sys
def calls(inner):
    inner()
def looks():
    found.append(place_of(sys._getframe()))
"""


def module(name: str, found: list[str]) -> dict[str, Any]:
    """A module of that name whose ``looks`` writes down what is named while it runs."""
    space: dict[str, Any] = {"__name__": name, "found": found, "place_of": place_of}
    exec(compile(CODE, f"/site/{name}.py", "exec"), space)
    return space


def test_a_local_plugins_line_is_named() -> None:
    found: list[str] = []
    module("night", found)["looks"]()
    assert found == ["/site/night.py:6 in looks"]


def test_of_a_plugin_and_the_core_below_it_the_plugin_is_named() -> None:
    found: list[str] = []
    module("night", found)["calls"](module("csms.store.x", found)["looks"])
    assert found == ["/site/night.py:4 in calls"]


def test_of_core_alone_the_innermost_line_is_named() -> None:
    found: list[str] = []
    outer, inner = module("csms.blocks.x", found)["calls"], module("csms.store.x", found)["looks"]
    thread = threading.Thread(target=outer, args=(inner,))
    thread.start()
    thread.join()
    assert found == ["/site/csms.store.x.py:6 in looks"]


def test_no_python_code_is_no_place() -> None:
    assert place_of(None) == ELSEWHERE


def test_a_late_beat_is_told_with_its_place_and_length() -> None:
    clock, told = Clock(), list[tuple[str, float]]()
    watchdog = Watchdog(clock, 0.02, lambda place, seconds: told.append((place, seconds)))
    watchdog.start()
    try:
        clock.advance(0.005)
        assert told == []
        held = threading.Event()
        began = time.monotonic()
        while not watchdog._seen and time.monotonic() - began < 5:
            held.wait(0.005)
        clock.advance(0.005)
    finally:
        watchdog.stop()
    assert len(told) == 1
    place, seconds = told[0]
    assert "test_watchdog.py" in place
    assert seconds > 0.02
