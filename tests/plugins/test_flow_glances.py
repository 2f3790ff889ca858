"""What a glance turns down is what the whole picture would have turned down, in the same words; everything else is seen whole."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from csms_plugins.flow.events import Kind
from csms_plugins.flow.glances import Glances, glance
from fake_csms import NOON, STATION
from flow_kit import House, rule

from csms.api import AlertGap, ConnectorStatus, StationConnected, StationRef, StatusChanged

WORDS = list(ConnectorStatus)
OTHER = replace(STATION, id="CS2", model="M2")
WHERE = (
    'where = { status = "Faulted" }',
    'where = { status = ["Faulted", "Unavailable"], evse = 1 }',
    'where = { "status.evse" = { gt = 1 } }',
    "where = { error_code = { exists = true } }",
    'where = { "event.connector" = 2, "station.id" = "CS2" }',
    'where = { "station.id" = "CS2", status = "Faulted" }',
    'where = { info = { glob = "x*" } }',
    'where = { status = "Faulted" }\nfor = "30s"',
    'where = { status = "Faulted" }\nfor = "5s"\nwhen = "status.evse == 1"',
    'where = { status = "Occupied" }\nwhen = "status.previous == \'Available\'"',
    'where = { status = "Occupied" }\nduring = { from = "13:00", to = "14:00" }',
    'where = { status = "Available" }\ndry = true',
)


def status(dice: random.Random, station: StationRef) -> StatusChanged:
    return StatusChanged(
        station,
        NOON,
        dice.choice((1, 2)),
        dice.choice((1, 2)),
        dice.choice(WORDS),
        dice.choice((None, *WORDS)),
        error_code=dice.choice(("", "E7")),
        info=dice.choice(("", "xyz")),
    )


def life(folder: Path, seed: int) -> str:
    """Everything that can be told of a life of some rules."""
    folder.mkdir()
    dice = random.Random(seed)
    chosen = dice.sample(WHERE, dice.choice((1, 1, 2, 4)))
    waits = 'wait = { event = "status", max = "20s" }'
    rules = [rule(f"r{number}", more=more, do=dice.choice(('log = "x"', waits))) for number, more in enumerate(chosen)]
    house = House(folder, "\n".join(rules))
    house.start()
    station = STATION
    for _ in range(40):
        event: Any = StationConnected(station, NOON, "test") if dice.random() < 0.05 else status(dice, station)
        house.plugin.on_event(event)
        if dice.random() < 0.7:
            station = dice.choice((STATION, OTHER))
            house.fake.settle()
            house.fake.settle(dice.choice((0.0, 1.0, 10.0)))
    house.fake.settle()
    house.fake.settle(40.0)
    reports = [house.rule(f"r{number}") for number in range(len(chosen))]
    return str([reports, house.fake.told, house.fake.sent]).replace(f"/{folder.name}/", "/")


@pytest.mark.parametrize("seed", range(40))
def test_rules_live_the_same_life_with_glances_and_without(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_glances = life(tmp_path / "with", seed)
    monkeypatch.setattr(Glances, "pass_over", lambda self, event, names: False)
    assert with_glances == life(tmp_path / "without", seed)


def test_no_picture_is_made_of_what_means_nothing(tmp_path: Path) -> None:
    house = House(tmp_path, rule(more=WHERE[0]) + rule("b", more=WHERE[7]))
    house.start()

    async def unwanted(name: str, event: Any) -> dict[str, Any]:
        raise AssertionError("a picture was made")

    house.plugin.engine.picture = unwanted  # type: ignore[method-assign]
    house.news(StatusChanged(STATION, NOON, 1, 2, ConnectorStatus.OCCUPIED, ConnectorStatus.AVAILABLE))
    assert house.last("a") == house.last("b") == ("skipped", "where status: it is Occupied")


@pytest.mark.parametrize(
    ("on", "more", "event"),
    [
        (
            "status",
            'where = { "station.id" = "CS9" }',
            StatusChanged(STATION, NOON, 1, 2, ConnectorStatus.OCCUPIED, None),
        ),
        (
            "status",
            "when = \"status.status == 'Faulted'\"",
            StatusChanged(STATION, NOON, 1, 2, ConnectorStatus.OCCUPIED, None),
        ),
        ("alert.gap", "", AlertGap(STATION, NOON, NOON, 3, 5, 2)),
    ],
    ids=["the station", "an expression", "no condition"],
)
def test_what_is_asked_of_more_than_the_event_is_seen_whole(tmp_path: Path, on: str, more: str, event: Any) -> None:
    house = House(tmp_path, rule(on=on, more=more, do='log = "{station.id}"'))
    house.start()
    names = {"status": ("status",), "alert.gap": ("alert.gap",)}[on]
    assert not house.plugin.engine._glances.pass_over(event, names)


def test_news_of_a_plugin_need_not_be_a_dataclass(tmp_path: Path) -> None:
    class Loose:
        station = STATION
        at = NOON

    (parsed,) = House(tmp_path, rule(more=WHERE[0])).plugin.engine.rules.values()
    assert glance("p.loose", Kind(Loose), (parsed,)) is None


def test_something_that_has_begun_is_ended_by_its_contrary(tmp_path: Path) -> None:
    house = House(tmp_path, rule(more=WHERE[7]))
    house.start()
    house.news(StatusChanged(STATION, NOON, 1, 2, ConnectorStatus.FAULTED, None))
    house.news(StatusChanged(STATION, NOON, 1, 2, ConnectorStatus.AVAILABLE, None), 5)
    assert house.last("a") == ("skipped", "for: ended by where status: it is Available")
    house.news(StatusChanged(STATION, NOON, 1, 2, ConnectorStatus.AVAILABLE, None), 60)
    assert house.last("a") == ("skipped", "where status: it is Available")
    assert house.fake.told == []
