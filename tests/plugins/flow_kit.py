"""Rules in a fake house: their files, the events they hear, what they did, and the same house started again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from csms_plugins.flow.reporting import rule_report
from csms_plugins.flow_rules import FlowRules
from fake_csms import NOON, STATION, FakeCsms, result

from csms.api import Action, ConnectorStatus, StatusChanged

FAULTED = StatusChanged(STATION, NOON, 1, 2, ConnectorStatus.FAULTED, ConnectorStatus.AVAILABLE, error_code="E7")


class House:
    """One plugin in a fake house, with its rules in one file."""

    def __init__(self, folder: Path, text: str, fake: FakeCsms | None = None, **settings: Any) -> None:
        self.path = folder / "rules" / "a.toml"
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(text, "utf-8")
        self.fake = fake or FakeCsms(folder, "flow_rules")
        self.plugin = FlowRules(FlowRules.Settings(**settings), self.fake.csms)
        self.plugin.prepare()
        self.kinds = self.plugin.listens_to
        self.fake.on_tell = self.hear

    def hear(self, event: object) -> None:
        self.fake.told.append(event)
        if isinstance(event, self.fake.listened or self.kinds):
            self.plugin.on_event(event)

    def news(self, event: object, seconds: float = 0.0) -> None:
        self.plugin.on_event(event)
        self.fake.settle()
        self.fake.settle(seconds)

    def start(self) -> None:
        result(self.plugin.start())
        self.fake.settle()

    def again(self, text: str | None = None, *, stopped: bool = True, away_s: float = 0.0) -> House:
        """The same house after a restart; without ``stopped`` the process was killed, and nothing but the database is left."""
        if stopped:
            result(self.plugin.stop())
        fake = self.fake.restarted(away_s)
        house = House(self.path.parent.parent, self.path.read_text("utf-8") if text is None else text, fake)
        house.start()
        return house

    def rewrite(self, text: str, second: int) -> None:
        self.path.write_text(text, "utf-8")
        os.utime(self.path, (second, second))
        self.fake.settle(5)

    def rule(self, name: str) -> Mapping[str, Any]:
        return rule_report(self.plugin.engine, name)

    def traces(self, name: str) -> list[tuple[str, str]]:
        return [(one["outcome"], one["reason"]) for one in self.rule(name)["traces"]]

    def last(self, name: str) -> tuple[str, str]:
        return self.traces(name)[-1]

    @property
    def sent(self) -> list[tuple[str, object, str]]:
        """What was sent, by which rule."""
        return [(station, command, origin.rpartition(" ")[0]) for station, command, origin in self.fake.sent]


def offering(folder: Path, actions: Mapping[str, Action] = {}, functions: Mapping[str, Any] = {}) -> FakeCsms:
    """A fake house whose other plugins offer something."""
    fake = FakeCsms(folder, "flow_rules")
    fake.actions, fake.conditions = dict(actions), dict(functions)
    return fake


def rule(name: str = "a", on: str = "status", more: str = "", do: str = 'log = "{station.id} {status.status}"') -> str:
    return f'[[rule]]\nname = "{name}"\non = "{on}"\n{more}\n[[rule.do]]\n{do}\n'
