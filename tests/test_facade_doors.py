"""What a plugin may do beyond reading and sending: keep many texts at once, ask one plugin by name, prepare, and listen anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.task import Clock

from csms.api import PluginFailed, SiteFileError, StationConnected, StationLost, StationRef
from csms.config import load_site
from csms.facades import Words
from csms.house import House
from csms.testing import NOON, running_csms

pytestmark = pytest.mark.usefixtures("installed_plugins")

HEAD = "from __future__ import annotations\nfrom csms.api import *\n"
PLUGIN = f"""{HEAD}
class Night:
    listens_to = (StationLost,)

    def __init__(self, settings, csms):
        self.csms = csms
        self.heard = []
        self.prepared = None

    def prepare(self):
        self.prepared = dict(self.csms.events()), list(self.csms.presets()), dict(self.csms.questions())

    @hookimpl
    def register_events(self, register):
        register("lost", StationLost)

    @hookimpl
    def register_questions(self, register):
        register("lane", StationRef, StationRef)

    @hookimpl
    def register_presets(self, register):
        register(self.csms.folder)

    @hookimpl
    def on_event(self, event):
        self.heard.append(type(event))

    @hookimpl
    def authorize(self, request):
        if request is None:
            raise ValueError("nobody")
        return Authorization(AuthorizationStatus.BLOCKED)

    @hookimpl
    def answer_question(self, name, question):
        return {{"lane": question}}
"""


def site(folder: Path, plugin: str = PLUGIN) -> str:
    (folder / "night.py").write_text(plugin, "utf-8")
    return '[plugins]\nenabled = ["./night.py", "rfid_list"]\n'


async def test_many_texts_are_kept_and_forgotten_in_one_go(tmp_path: Path) -> None:
    async with running_csms(tmp_path, site=site(tmp_path)) as csms:
        one, other = csms.house.facade("one"), csms.house.facade("other")
        await one.keep_all({"run/1": "a", "run/2": "b", "runs": "c"})
        await other.keep_all({"run/3": "x"})
        await one.keep_all({"run/1": None, "run/4": "d"})
        assert await one.kept_under("run/") == {"run/2": "b", "run/4": "d"}
        assert await one.kept("run/1") is None


async def test_one_plugin_is_asked_by_name_and_its_faults_are_told(tmp_path: Path) -> None:
    async with running_csms(tmp_path, site=site(tmp_path)) as csms:
        facade = csms.house.facade("one")
        assert facade.answerers("authorize") == ("night", "rfid_list")
        assert (await facade.consult("night", "authorize", 1.0, request=1)).status == "Blocked"
        with pytest.raises(PluginFailed, match="night: ValueError: nobody"):
            await facade.consult("night", "authorize", 1.0, request=None)
        with pytest.raises(PluginFailed, match="day is not there"):
            await facade.consult("day", "authorize", 1.0, request=1)
        assert await facade.ask("night.lane", 3) == {"lane": 3}
        assert await facade.read.command_of("nobody") is None


def test_a_plugin_prepares_when_all_have_said_what_they_offer_and_may_listen_anew(tmp_path: Path) -> None:
    (tmp_path / "csms.toml").write_text(site(tmp_path), "utf-8")
    house = House(load_site(tmp_path / "csms.toml"), Clock())
    night = house.plugins.loaded[0].instance
    events, presets, questions = night.prepared
    assert (list(events), presets, list(questions)) == (["night.lost"], [tmp_path], ["night.lane"])
    lost, connected = StationLost(StationRef("CS1"), NOON, "x"), StationConnected(StationRef("CS1"), NOON, "x")
    house.hooks.tell(connected)
    house.hooks.tell(lost)
    night.csms.listen((StationConnected,))
    house.hooks.tell(connected)
    house.hooks.tell(lost)
    assert night.heard == [StationLost, StationConnected]


def test_mistakes_of_a_plugins_own_files_keep_the_server_from_starting(tmp_path: Path) -> None:
    body = 'raise SiteFileError([Problem("x.toml", 3, 4, "a.b", "is wrong", "mend it")])'
    text = site(tmp_path, PLUGIN.replace("self.prepared = dict", f"{body}\n        self.prepared = dict"))
    (tmp_path / "csms.toml").write_text(text, "utf-8")
    with pytest.raises(SiteFileError, match=r"x\.toml:3:4"):
        House(load_site(tmp_path / "csms.toml"), Clock())


def test_the_words_of_ocpp_are_told_apart_by_who_sends_them() -> None:
    words = Words(("ocpp2.0.1", "ocpp1.6"))
    assert "BootNotification" not in words.calls("ocpp2.0.1")
    assert {"Reset", "DataTransfer"} <= words.calls("ocpp1.6")
    assert {"DataTransfer", "StatusNotification"} <= words.heard("ocpp1.6")
    schema = words.schema("ocpp2.0.1", "Reset")
    assert schema is not None
    assert "type" in schema["properties"]
    assert words.schema("ocpp1.6", "GetReport") is None
    for protocol in words.protocols:
        assert "Reset" in words.calls(protocol)
        assert len(words.calls(protocol)) > 15
