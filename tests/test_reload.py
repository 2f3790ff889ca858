"""The site file is read again while stations are connected: all of it or nothing, unchanged plugins untouched, calls under way not cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import defer
from twisted.internet.task import Clock

from csms.config import Site, SiteFileError, without_rules
from csms.house import House
from csms.model.reloading import SiteNotReloaded, SiteReloaded
from csms.store.inline import InlineStore
from csms.testing import TestCsms, running_csms

pytestmark = pytest.mark.usefixtures("installed_plugins")

DOOR = """
from dataclasses import dataclass
from csms.api import Authorization, AuthorizationStatus, hookimpl

LIFE = []

class Door:
    @dataclass(frozen=True)
    class Settings:
        status: str = "Accepted"
        fails: bool = False

    def __init__(self, settings, csms):
        self.settings, self.asked, self.hold = settings, 0, None

    async def start(self):
        LIFE.append("start " + self.settings.status)
        if self.settings.fails:
            raise RuntimeError("no door")

    def stop(self):
        LIFE.append("stop " + self.settings.status)

    @hookimpl
    async def authorize(self, request):
        self.asked += 1
        if self.hold is not None:
            await self.hold
        return Authorization(AuthorizationStatus(self.settings.status))
"""
KEEPER = """
from dataclasses import dataclass
from csms.api import hookimpl

class Keeper:
    @dataclass(frozen=True)
    class Settings:
        word: str = "a"

    def __init__(self, settings, csms):
        self.csms, self.word, self.seen = csms, settings.word, None

    @hookimpl
    def on_event(self, event):
        pass

    def prepare_reload(self, settings):
        if settings.word == "bad":
            raise ValueError("no such word")
        self.seen = sorted(self.csms.channels())
        def commit():
            self.word = settings.word
        return commit
"""
SITE = """[plugins]
enabled = ["./door.py", "./keeper.py", "billing"]
[plugins.billing]
per_kwh = "0.45"
[transactions]
read_points = false
[stations]
unknown = "accept"
"""
TOKEN = {"idToken": {"idToken": "A1", "type": "ISO14443"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two plugins of our own beside the site file."""
    (tmp_path / "door.py").write_text(DOOR)
    (tmp_path / "keeper.py").write_text(KEEPER)
    return tmp_path


def instance(csms: TestCsms, name: str) -> Any:
    return next(one.instance for one in csms.house.plugins.loaded if one.found.name == name)


def write(folder: Path, text: str) -> None:
    (folder / "csms.toml").write_text(text, "utf-8")


def life() -> list[str]:
    import sys

    found: list[str] = sys.modules["csms_local_door"].LIFE
    return found


async def refused(csms: TestCsms) -> str:
    with pytest.raises(SiteFileError) as wrong:
        await csms.house.reload()
    return str(wrong.value)


@pytest_twisted.ensureDeferred
async def test_changed_settings_make_a_new_instance_and_all_others_stay(folder: Path) -> None:
    async with running_csms(folder, site=SITE) as csms:
        station = await csms.station("CS1")
        billing, keeper = instance(csms, "billing"), instance(csms, "keeper")
        assert (await station.say("Authorize", TOKEN))["idTokenInfo"]["status"] == "Accepted"
        write(folder, SITE + '[plugins.door]\nstatus = "Blocked"\n[plugins.keeper]\nword = "b"\n')
        done = await csms.house.reload()
        assert done.changed == (
            "plugins.door: a table, new",
            "plugins.keeper: a table, new",
            "plugin door begins",
            "plugin door ends",
        )
        assert (await station.say("Authorize", TOKEN))["idTokenInfo"]["status"] == "Blocked"
        assert instance(csms, "billing") is billing
        assert instance(csms, "keeper") is keeper
        assert keeper.word == "b"
        assert not station.dropped
        assert csms.told(SiteReloaded) == [done]
        assert life() == ["start Accepted", "start Blocked"]
        await csms.advance(6)
        assert life() == ["start Accepted", "start Blocked", "stop Accepted"]
        assert b'csms_reloads_total{outcome="done"} 1.0' in csms.house.metrics.text(connected=0, healthy=True)


@pytest_twisted.ensureDeferred
async def test_a_call_under_way_ends_with_the_old_instance(folder: Path) -> None:
    async with running_csms(folder, site=SITE) as csms:
        station = await csms.station("CS1")
        old = instance(csms, "door")
        old.hold = defer.Deferred()
        answer = station.say("Authorize", TOKEN)
        await csms.settle(lambda: old.asked)
        write(folder, SITE + '[plugins.door]\nstatus = "Blocked"\n')
        await csms.house.reload()
        old.hold.callback(None)
        assert (await answer)["idTokenInfo"]["status"] == "Accepted"


@pytest_twisted.ensureDeferred
async def test_order_and_enabled_set_change_at_once(folder: Path) -> None:
    async with running_csms(folder, site=SITE) as csms:
        door = instance(csms, "door")
        write(folder, SITE.replace('["./door.py", "./keeper.py", "billing"]', '["billing", "./door.py"]'))
        done = await csms.house.reload()
        assert [one["name"] for one in csms.house.plugins.report()] == ["billing", "door"]
        assert instance(csms, "door") is door
        assert done.changed == (
            'plugins.enabled: ["./door.py", "./keeper.py", "billing"] -> ["billing", "./door.py"]',
            "plugin keeper ends",
        )


@pytest_twisted.ensureDeferred
async def test_every_mistake_is_told_at_once_and_nothing_changes(folder: Path) -> None:
    async with running_csms(folder, site=SITE) as csms:
        station = await csms.station("CS1")
        before = [one.instance for one in csms.house.plugins.loaded]
        write(
            folder,
            SITE.replace('per_kwh = "0.45"', 'per_kw = "0.45"')
            + '[plugins.keeper]\nword = "bad"\n[plugins.door]\nstatus = 3\n[notify.ops]\nkind = "mqtt"\n',
        )
        said = await refused(csms)
        for words in (
            "csms.toml:4:1\n  plugins.billing.per_kw",
            "csms.toml:9:1\n  plugins.keeper: plugin keeper cannot start: no such word",
            "csms.toml:12:1\n  plugins.door.status",
            "csms.toml:13:1\n  notify.ops.host: this key is needed",
            "4 mistakes",
        ):
            assert words in said
        assert [one.instance for one in csms.house.plugins.loaded] == before
        assert instance(csms, "keeper").word == "a"
        assert (await station.say("Authorize", TOKEN))["idTokenInfo"]["status"] == "Accepted"
        (event,) = csms.told(SiteNotReloaded)
        assert len(event.mistakes) == 4


@pytest.mark.parametrize("text", ["[stations\n", "x = 1\n", '[stations]\nunknown = "maybe"\n'])
@pytest_twisted.ensureDeferred
async def test_a_file_that_cannot_be_read_changes_nothing(folder: Path, text: str) -> None:
    async with running_csms(folder, site=SITE) as csms:
        write(folder, text)
        assert "csms.toml:" in await refused(csms)
        (folder / "csms.toml").unlink()
        assert "there is no such file" in await refused(csms)
        write(folder, SITE)
        assert (await csms.house.reload()).changed == ()


@pytest_twisted.ensureDeferred
async def test_a_plugin_that_does_not_start_keeps_the_old_set(folder: Path) -> None:
    async with running_csms(folder, site=SITE) as csms:
        door = instance(csms, "door")
        write(folder, SITE + '[plugins.door]\nfails = true\n[plugins.keeper]\nword = "b"\n')
        assert "plugin door cannot start: no door" in await refused(csms)
        assert instance(csms, "door") is door
        assert instance(csms, "keeper").word == "a"


@pytest_twisted.ensureDeferred
async def test_channels_come_and_go_and_rules_are_checked_against_the_new_ones(folder: Path) -> None:
    async with running_csms(folder, site=SITE) as csms:
        ops = '[notify.ops]\nkind = "log"\n'
        write(folder, SITE + ops)
        done = await csms.house.reload()
        assert done.changed == ("notify.ops: a table, new",)
        assert instance(csms, "keeper").seen == ["log", "ops"]
        assert await csms.house.notifications.notify("ops", "hello")
        kept = csms.house.plugins.channels["ops"]
        write(folder, SITE + ops + '[notify.more]\nkind = "log"\n')
        await csms.house.reload()
        assert csms.house.plugins.channels["ops"] is kept
        write(folder, SITE)
        await csms.house.reload()
        assert sorted(csms.house.notifications.channels()) == ["log"]


@pytest_twisted.ensureDeferred
async def test_what_needs_a_restart_is_told_and_the_rest_is_taken_over(folder: Path) -> None:
    async with running_csms(folder, site=SITE) as csms:
        write(
            folder,
            SITE.replace('unknown = "accept"', 'unknown = "refuse"\nheartbeat_interval = "7s"\nprotocols = ["ocpp1.6"]')
            + '[server]\nlisten = "tcp:9999"\n[api]\ntoken = "0123456789abcdefXYZ"\n',
        )
        for _ in range(2):
            done = await csms.house.reload()
            assert done.needs_restart == (
                'server.listen: "tcp:9000" -> "tcp:9999"',
                "api.token: a text of 0 characters -> a text of 19 characters",
                'stations.protocols: ["ocpp2.0.1", "ocpp1.6"] -> ["ocpp1.6"]',
            )
        assert csms.house.site.server.listen == "tcp:9000"
        assert 'stations.unknown: "accept" -> "refuse"' in csms.told(SiteReloaded)[0].changed
        with pytest.raises(Exception, match="not known"):
            await csms.station("CS2")


@pytest_twisted.ensureDeferred
async def test_a_local_plugin_is_read_again_when_its_file_changed(folder: Path) -> None:
    async with running_csms(folder, site=SITE) as csms:
        station = await csms.station("CS1")
        (folder / "door.py").write_text(DOOR.replace('"Accepted"', '"Invalid"'))
        assert (await csms.house.reload()).changed == ("plugin door begins", "plugin door ends")
        assert (await station.say("Authorize", TOKEN))["idTokenInfo"]["status"] == "Invalid"
        (folder / "door.py").write_text("def broken(:")
        assert "door.py" in await refused(csms)
        assert (await station.say("Authorize", TOKEN))["idTokenInfo"]["status"] == "Invalid"


@pytest_twisted.ensureDeferred
async def test_secrets_are_never_shown(folder: Path) -> None:
    async with running_csms(folder, site=SITE + '[plugins.app_tokens]\nsecret = "0123456789abcdef"\n') as csms:
        write(folder, SITE + '[plugins.app_tokens]\nsecret = "fedcba9876543210"\n')
        (line,) = (await csms.house.reload()).changed
        assert line == "plugins.app_tokens.secret: changed"


async def test_a_window_and_the_rule_that_needs_it_come_in_one_reload(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    rule = '[[rule]]\nname = "a"\non = "reset.choose"\nduring = "night"\ndecide.reset = "Immediate"\n'
    async with running_csms(tmp_path, site='[plugins]\nenabled = ["flow_rules"]\n') as csms:
        text = (tmp_path / "csms.toml").read_text("utf-8")
        (tmp_path / "rules" / "a.toml").write_text(rule, "utf-8")
        with pytest.raises(SiteFileError, match="no window is called night"):
            await csms.house.reload()
        assert csms.house.facade("flow_rules").sites()[0].windows == {}
        (tmp_path / "csms.toml").write_text(text + '[window.night]\nfrom = "22:00"\nto = "06:00"\n', "utf-8")
        await csms.house.reload()
        plugin = csms.house.plugins.loaded[0].instance
        assert list(plugin.engine.rules) == ["a"]


async def test_the_safe_mode_outlives_a_reload(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.toml").write_text("this is no TOML", "utf-8")
    site = without_rules(Site(folder=tmp_path))
    house = House(site, Clock(), store=InlineStore(Clock()))
    await house.reload()
    assert house.site.plugin_tables["flow_rules"] == {"enabled": False}
    assert house.plugins.loaded[0].instance.engine.rules == {}
