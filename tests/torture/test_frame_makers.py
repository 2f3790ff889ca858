"""What the frames expect, where two rules meet."""

from __future__ import annotations

import random

import pytest
from frame_judge import closed, unreadable
from frame_makers import Maker
from frame_payloads import TYPE, V16, V201


@pytest.mark.parametrize("protocol", [V16, V201])
@pytest.mark.parametrize("many", [500, 50_000])
def test_a_mistake_in_a_crowd_of_lists_is_not_expected_to_be_read(
    protocol: str, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = Maker(protocol, random.Random(1), deflate=False)
    crowd = {"chargingSchedulePeriod": [[[[[]]]]] * many}
    monkeypatch.setattr(maker.payloads, "wrong", lambda action, **_: (crowd, frozenset((TYPE,))))
    assert maker._wrong_call().expected == (closed(1009) if many > 500 else unreadable(protocol))
