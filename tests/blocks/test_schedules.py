"""Whatever happens to the messages on their way, the CSMS comes to the conclusions of the clean run, or says exactly what is missing.

500 schedules run here. The long run is ``nox -s schedules``, or CSMS_SCHEDULES=100000 with CSMS_SEED for another set of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schedule_kit import LONGEST, SHORTEST, SITE, TRANSACTIONS, V16, V201, Mishap, Plan, Result, World, run, troubles

from csms.config import Site, load_site

SCHEDULES = int(os.environ.get("CSMS_SCHEDULES", "500"))
SEED = int(os.environ.get("CSMS_SEED", "1"))
IN_ONE_HOUSE = 25
PLANS = st.builds(
    Plan,
    st.tuples(*(st.integers(SHORTEST, LONGEST[protocol]) for protocol, *_ in TRANSACTIONS.values())),
    st.lists(st.tuples(st.integers(0, 23), st.sampled_from(Mishap), st.integers(1, 20)), max_size=12).map(tuple),
)


class Worlds:
    """A house for each so many schedules."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._world: World | None = None

    def next(self) -> World:
        """The house for one more schedule."""
        if self._world is None or self._world.schedules >= IN_ONE_HOUSE:
            self.close()
            self._world = World(self._site)
        return self._world

    def close(self) -> None:
        """Look at the books, and leave."""
        if self._world is not None:
            found, world = troubles(self._world), self._world
            self._world = None
            world.close()
            assert found == []


@pytest.fixture
def worlds(tmp_path: Path, installed_plugins: None) -> Iterator[Worlds]:
    file = tmp_path / "csms.toml"
    file.write_text(SITE, "utf-8")
    made = Worlds(load_site(file))
    yield made
    made.close()


@seed(SEED)
@settings(
    max_examples=SCHEDULES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(PLANS)
def test_every_schedule_ends_as_its_clean_run(worlds: Worlds, plan: Plan) -> None:
    result = run(worlds.next(), plan)
    for label, (protocol, *_) in TRANSACTIONS.items():
        assert result.told[label] == result.clean[label], f"{label} differs (CSMS_SEED={SEED})"
        lost = {number for name, number in result.lost if name == label}
        _is_honest(result, label, lost, plan.lengths[list(TRANSACTIONS).index(label)], protocol)


def _is_honest(result: Result, label: str, lost: set[int], length: int, protocol: str) -> None:
    """What is lost is named, and what nothing was lost of is billed, once."""
    told = result.told[label]
    transaction = told["transaction"]
    if transaction is None:
        assert len(lost) == length or protocol == V16
        return
    seen = set(range(length)) - lost
    assert len(result.pair.given.get(label, {""})) <= 1, "a start of 1.6 that is repeated has one number"
    if protocol == V201:
        assert transaction.missing == tuple(sorted(set(range(min(seen), max(seen))) - seen))
    assert (transaction.started_at is None) == (0 in lost)
    if not lost:
        assert (transaction.completeness, transaction.review) == ("complete", "")
        assert (told["bill"][0], told["counting"], told["issued"]) == ("final", 1, told["bill"][1].total)
    ends = {0, length - 1}
    if lost & ends or (lost and protocol == V201):
        certain = protocol == V201 and max(lost) > max(seen)
        assert transaction.completeness == "gave_up" or (certain and not transaction.missing)
        assert (told["counting"], told["issued"]) == (0, 0)
