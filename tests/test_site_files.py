"""Sites in files of their own: which station is whose, settings and channels laid over the server's, and mistakes in their own files."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from csms.config import SiteFileError, load_site
from csms.model.sites import Window
from csms.tap import check_site
from csms.testing import TestCsms, running_csms

pytestmark = pytest.mark.usefixtures("installed_plugins")

SITE = """[site]
id = "main"
timezone = "Europe/Amsterdam"
tags = ["big"]
[window.night]
from = "22:00"
to = "06:00"
[plugins]
enabled = ["./door.py", "billing"]
[plugins.billing]
currency = "EUR"
per_kwh = "0.45"
per_start = "1.00"
[notify.ops]
kind = "log"
[stations]
unknown = "accept"
"""
DEPOT = """[site]
stations = ["DEPOT-*"]
name = "Depot"
timezone = "Europe/Lisbon"
tags = ["free"]
[window.night]
from = "23:00"
to = "05:00"
days = ["sat"]
[plugins.billing]
per_kwh = "0.30"
[notify.ops]
level = "warn"
"""
DOOR = """
from dataclasses import dataclass
from csms.api import Authorization, AuthorizationStatus, StationBooted, hookimpl

class Door:
    listens_to = (StationBooted,)

    @dataclass(frozen=True)
    class Settings:
        status: str = "Accepted"

    def __init__(self, settings, csms):
        self.settings, self.csms, self.booted = settings, csms, []

    @hookimpl
    def authorize(self, request):
        return Authorization(AuthorizationStatus(self.settings.status), reason=self.csms.site)

    @hookimpl
    def on_event(self, event):
        self.booted.append(event.station.id)
"""
TOKEN = {"idToken": {"idToken": "A1", "type": "ISO14443"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A server's file, one site, and a plugin."""
    (tmp_path / "sites").mkdir()
    (tmp_path / "csms.toml").write_text(SITE)
    (tmp_path / "sites" / "depot.toml").write_text(DEPOT)
    (tmp_path / "door.py").write_text(DOOR)
    return tmp_path


def doors(csms: TestCsms) -> dict[str, Any]:
    return {one.site: one.instance for one in csms.house.plugins.loaded if one.found.name == "door"}


async def status(station: Any) -> str:
    answer = await station.say("Authorize", TOKEN)
    return str(answer["idTokenInfo"]["status"])


def said(folder: Path, **sites: str) -> str:
    for name, text in sites.items():
        (folder / "sites" / f"{name}.toml").write_text(text)
    with pytest.raises(SiteFileError) as wrong:
        check_site(folder / "csms.toml")
    return str(wrong.value)


@pytest_twisted.ensureDeferred
async def test_a_station_belongs_to_the_first_site_whose_patterns_fit(folder: Path) -> None:
    (folder / "sites" / "alpha.toml").write_text('[site]\nid = "a-site"\nstations = ["DEPOT-1", "A?"]\n')
    async with running_csms(folder, site=SITE) as csms:
        of = csms.house.facade("x").site_of
        ids = {id: of(id).id for id in ("DEPOT-1", "DEPOT-2", "A1", "A12", "CS1")}
        assert ids == {"DEPOT-1": "a-site", "DEPOT-2": "depot", "A1": "a-site", "A12": "main", "CS1": "main"}
        own, alpha, depot = csms.house.facade("x").sites()
        assert (own.id, own.timezone, own.tags) == ("main", "Europe/Amsterdam", ("big",))
        assert (alpha.id, alpha.timezone, alpha.tags) == ("a-site", "Europe/Amsterdam", ())
        assert (depot.id, depot.name, depot.timezone, depot.tags) == ("depot", "Depot", "Europe/Lisbon", ("free",))
        assert own.windows == {"night": Window("22:00", "06:00")}
        assert depot.windows == {"night": Window("23:00", "05:00", ("sat",))}


@pytest_twisted.ensureDeferred
async def test_a_plugin_with_a_table_has_an_instance_for_the_site(folder: Path) -> None:
    (folder / "sites" / "depot.toml").write_text(DEPOT + '[plugins.door]\nstatus = "Blocked"\n')
    async with running_csms(folder, site=SITE) as csms:
        here, there = await csms.station("CS1"), await csms.station("DEPOT-1")
        assert (await status(here), await status(there)) == ("Accepted", "Blocked")
        found = doors(csms)
        assert {site: (one.csms.site, one.csms.timezone, one.booted) for site, one in found.items()} == {
            "": ("main", "Europe/Amsterdam", ["CS1"]),
            "depot": ("depot", "Europe/Lisbon", ["DEPOT-1"]),
        }
        names = [one["name"] for one in csms.house.plugins.report()]
        assert names == ["door", "door (depot)", "billing", "billing (depot)"]


@pytest_twisted.ensureDeferred
async def test_settings_are_laid_over_the_servers_key_by_key(folder: Path) -> None:
    async with running_csms(folder, site=SITE) as csms:
        billing = {one.site: one.settings for one in csms.house.plugins.loaded if one.found.name == "billing"}
        prices = {site: (one.per_kwh, one.per_start) for site, one in billing.items()}
        assert prices == {"": (Decimal("0.45"), Decimal("1.00")), "depot": (Decimal("0.30"), Decimal("1.00"))}


@pytest_twisted.ensureDeferred
async def test_a_site_says_which_plugins_are_asked(folder: Path) -> None:
    site = SITE.replace('["./door.py", "billing"]', '["billing"]')
    (folder / "sites" / "depot.toml").write_text('[site]\nstations = ["DEPOT-*"]\n[plugins]\nenabled = ["./door.py"]\n')
    async with running_csms(folder, site=site) as csms:
        here, there = await csms.station("CS1"), await csms.station("DEPOT-1")
        assert (await status(here), await status(there)) == ("Unknown", "Accepted")
        assert list(doors(csms)) == ["depot"]
        (folder / "sites" / "depot.toml").write_text('[site]\nstations = ["DEPOT-*"]\n[plugins]\nenabled = []\n')
        (folder / "csms.toml").write_text(SITE)
        await csms.house.reload()
        assert (await status(here), await status(there)) == ("Accepted", "Unknown")


@pytest_twisted.ensureDeferred
async def test_a_channel_of_a_site_is_what_its_stations_notifications_go_to(folder: Path) -> None:
    async with running_csms(folder, site=SITE) as csms:
        facade = csms.house.facade("rules")
        assert facade.channels() == {"log": "log", "ops": "log"}
        assert await facade.notify("ops", "mild", station="CS1")
        assert not await facade.notify("ops", "mild", station="DEPOT-1")
        assert await facade.notify("ops", "grave", level="error", station="DEPOT-1")
        rows = await csms.house.store.notifications.list()
        told = [(row.notification.channel, row.notification.site) for row in rows]
        assert told == [("depot/ops", "depot"), ("ops", "main")]


@pytest_twisted.ensureDeferred
async def test_sites_come_change_and_go_with_a_reload(folder: Path) -> None:
    async with running_csms(folder, site=SITE) as csms:
        there = await csms.station("DEPOT-1")
        door = doors(csms)[""]
        file = folder / "sites" / "depot.toml"
        file.write_text(DEPOT.replace("0.30", "0.31").replace("free", "paid") + '[plugins.door]\nstatus = "Blocked"\n')
        done = await csms.house.reload()
        assert done.changed == (
            'depot.plugins.billing.per_kwh: "0.30" -> "0.31"',
            "depot.plugins.door: a table, new",
            'depot.site.tags: ["free"] -> ["paid"]',
            "plugin door (depot) begins",
            "plugin billing (depot) begins",
            "plugin billing (depot) ends",
        )
        assert await status(there) == "Blocked"
        assert doors(csms)[""] is door
        file.write_text(DEPOT.replace("[site]", "[side]"))
        with pytest.raises(SiteFileError):
            await csms.house.reload()
        assert await status(there) == "Blocked"
        file.unlink()
        assert "site depot: taken out" in (await csms.house.reload()).changed
        assert csms.house.site_of("DEPOT-1").id == "main"
        assert await status(there) == "Accepted"


def test_mistakes_are_told_in_their_own_files_all_at_once(folder: Path) -> None:
    text = said(
        folder,
        a='[site]\nstations = []\n[serve]\nx = 1\n[server]\nlisten = "tcp:1"\n',
        b='[site]\nstations = ["B"]\nzone = "x"\n[plugins.billing]\nper_kw = 1\n[plugins.dor]\nx = 1\n[plugins.door]\nstatus = 3\n',
        c='[site]\nstations = ["C"]\n[window.night]\nfrom = "25:00"\ndays = ["monday"]\nt = 1\n[notify.ops]\nkind = "lgo"\n',
        d='[site]\nstations = ["D"]\ntimezone = "Lisbon"\n',
        g='[site]\nid = "main"\nstations = ["G"]\n',
        e="[site\n",
        f="[plugins.flow_rules]\nenabled = false\n",
    )
    for words in (
        "a.toml:2:1\n  site.stations",
        "a.toml:3:1\n  serve: this table is not one of a single site",
        "a.toml:5:1\n  server: this table is not one of a single site",
        "b.toml:3:1\n  site.zone: this key is not known",
        "b.toml:5:1\n  plugins.billing.per_kw",
        "b.toml:6:1\n  plugins.dor: no enabled plugin is called dor\n    did you mean door?",
        "b.toml:9:1\n  plugins.door.status",
        "c.toml:4:1\n  window.night.from: a time of day is wanted",
        "c.toml:3:1\n  window.night: a window has to",
        "c.toml:5:1\n  window.night.days",
        "c.toml:6:1\n  window.night.t: this key is not known",
        'd.toml:3:1\n  site.timezone: the name of a time zone is wanted, not "Lisbon"\n    did you mean "Europe/Lisbon"?',
        "g.toml:2:1\n  site.id: there is a site main already",
        "e.toml:1:",
        "f.toml:1:1\n  site.stations: this key is needed",
    ):
        assert words in text, words


def test_flow_rules_have_no_settings_for_a_single_site(folder: Path) -> None:
    site = SITE.replace('"billing"]', '"billing", "flow_rules"]')
    (folder / "csms.toml").write_text(site)
    text = said(folder, f='[site]\nstations = ["F"]\n[plugins.flow_rules]\nenabled = false\n')
    assert "f.toml:3:1\n  plugins.flow_rules: plugin flow_rules is one for all sites" in text


@pytest.mark.parametrize("pattern", ["/etc/*.toml", "**a/*.toml"])
def test_a_pattern_that_is_none_is_told(folder: Path, pattern: str) -> None:
    (folder / "csms.toml").write_text(f'[site]\nfiles = "{pattern}"\n')
    assert "csms.toml:2:1\n  site.files: this is no pattern of files" in said(folder)


def test_no_files_means_no_other_sites(folder: Path) -> None:
    (folder / "csms.toml").write_text('[site]\nfiles = ""\n')
    assert load_site(folder / "csms.toml").site_files == ()
