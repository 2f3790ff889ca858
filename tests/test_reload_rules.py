"""The four changes of one line that an operator makes most, taken over under a connected station, without a dropped socket."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import defer

from csms.config import SiteFileError
from csms.model.authorization import AuthorizationStatus, IdToken, TokenRecord
from csms.model.availability import StatusSilence
from csms.model.billing import TariffQuestion
from csms.model.provisioning import Reset
from csms.model.station import StationRef
from csms.model.transactions import Completeness, Transaction
from csms.testing import TestCsms, running_csms

pytestmark = pytest.mark.usefixtures("installed_plugins")

SITE = """[plugins.flow_rules]
reload_every = "0s"
[plugins.billing]
per_kwh = "0.45"
[stations]
unknown = "accept"
"""
USE = """[[use]]
preset = "auth-chain"
with = { chain = ["rfid_list"] }
[[use]]
preset = "reset-policy"
with = { idle = "Immediate", night = "Immediate" }
[[use]]
preset = "status-retry"
with = { tries = 3 }
[[use]]
preset = "tariff-and-bill"
with = { tariff = "night", begin = "11:00", end = "13:00" }
"""
STATION = StationRef("CS1", "ocpp2.0.1", connected=True)
TOKEN = {"idToken": {"idToken": "A1", "type": "ISO14443"}}


def write(folder: Path, text: str) -> None:
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules" / "use.toml").write_text(text, "utf-8")


async def asked(csms: TestCsms, hook: str, **question: Any) -> Any:
    answer = await csms.house.hooks.ask(hook, **question)
    return answer.value if answer else None


async def policies(csms: TestCsms, station: Any) -> tuple[str, str, bool, str]:
    """How a card is judged, when a reset happens, whether a fourth question follows three, and which tariff holds."""
    judged = await station.say("Authorize", TOKEN)
    reset = await asked(csms, "plan_reset", station=STATION, reset=Reset(), active_transactions=0)
    silence = StatusSilence(STATION, 1, 1, 9999.0, 3, known=False)
    retry = await asked(csms, "plan_status_check", silence=silence)
    transaction = Transaction(1, "CS1", "T1", Completeness.ONGOING)
    tariff = await asked(csms, "choose_tariff", question=TariffQuestion(STATION, transaction, csms.house.now()))
    return str(judged["idTokenInfo"]["status"]), str(reset.when), bool(retry.ask), tariff.tariff


@pytest_twisted.ensureDeferred
async def test_four_policies_change_by_a_line_each(tmp_path: Path) -> None:
    write(tmp_path, USE)
    async with running_csms(tmp_path, site=SITE) as csms:
        await csms.house.store.tokens.put(TokenRecord(IdToken("A1"), AuthorizationStatus.ACCEPTED))
        station = await csms.station("CS1")
        assert await policies(csms, station) == ("Accepted", "Immediate", False, "night")
        lines = {
            '["rfid_list"]': '["app_tokens"]',
            'idle = "Immediate"': 'idle = "OnIdle"',
            "tries = 3": "tries = 7",
            'tariff = "night"': 'tariff = "moon"',
        }
        text = USE
        for old, new in lines.items():
            text = text.replace(old, new)
            write(tmp_path, text)
            done = await csms.house.reload()
            assert len(done.changed) >= 1
            assert all(re.fullmatch(r"rule [a-z-]+: changed", line) for line in done.changed)
        assert await policies(csms, station) == ("Invalid", "OnIdle", True, "moon")
        assert not station.dropped


@pytest_twisted.ensureDeferred
async def test_a_mistake_in_a_rule_and_one_in_the_site_file_are_told_together_and_change_nothing(
    tmp_path: Path,
) -> None:
    write(tmp_path, USE)
    async with running_csms(tmp_path, site=SITE) as csms:
        await csms.house.store.tokens.put(TokenRecord(IdToken("A1"), AuthorizationStatus.ACCEPTED))
        station = await csms.station("CS1")
        before = await policies(csms, station)
        write(tmp_path, USE.replace('["rfid_list"]', '["rfid_lst"]').replace("tries = 3", "trys = 7"))
        (tmp_path / "csms.toml").write_text(SITE.replace("per_kwh", "per_kw") + 'pending_limit = "x"\n')
        with pytest.raises(SiteFileError) as wrong:
            await csms.house.reload()
        for words in ("rfid_lst", "use.toml:9:", "csms.toml:4:1", "csms.toml:7:1", "4 mistakes"):
            assert words in str(wrong.value)
        assert await policies(csms, station) == before


@pytest_twisted.ensureDeferred
async def test_rules_of_a_site_hold_for_its_stations_alone(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "depot.toml").write_text(
        '[site]\nstations = ["DEPOT-*"]\n[[use]]\npreset = "auth-chain"\nwith = { chain = ["app_tokens"], otherwise = "Blocked" }\n'
    )
    async with running_csms(tmp_path, site=SITE) as csms:
        here, there = await csms.station("CS1"), await csms.station("DEPOT-1")
        found = [(await one.say("Authorize", TOKEN))["idTokenInfo"]["status"] for one in (here, there)]
        assert found == ["Unknown", "Blocked"]


@pytest_twisted.ensureDeferred
async def test_a_site_that_comes_brings_its_rules_its_windows_and_instances_of_its_own_at_once(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    depot = tmp_path / "sites" / "depot.toml"
    async with running_csms(tmp_path, site=SITE) as csms:
        await csms.house.store.tokens.put(TokenRecord(IdToken("A1"), AuthorizationStatus.ACCEPTED))
        station = await csms.station("DEPOT-1")
        depot.write_text(
            '[site]\nstations = ["DEPOT-*"]\ntimezone = "Asia/Tokyo"\n[window.night]\nfrom = "20:00"\nto = "22:00"\n'
            '[plugins.billing]\nper_kwh = "0.10"\n'
            '[[rule]]\nname = "closed"\non = "authorize"\nduring = "night"\ndecide.auth = "Blocked"\n'
        )
        await csms.house.reload()
        assert (await station.say("Authorize", TOKEN))["idTokenInfo"]["status"] == "Blocked"
        (billing,) = [one for one in csms.house.plugins.loaded if one.name == "billing (depot)"]
        assert (billing.instance._csms.site, billing.instance._csms.timezone) == ("depot", "Asia/Tokyo")
        depot.write_text(depot.read_text().replace("20:00", "21:30"))
        await csms.house.reload()
        assert (await station.say("Authorize", TOKEN))["idTokenInfo"]["status"] == "Accepted"
        depot.write_text(depot.read_text().replace("21:30", "25:30"))
        with pytest.raises(SiteFileError):
            await csms.house.reload()
        assert csms.house.facade("x").site_of("DEPOT-1").windows["night"].from_ == "21:30"


@pytest_twisted.ensureDeferred
async def test_two_reloads_at_once_come_one_after_the_other(tmp_path: Path) -> None:
    write(tmp_path, USE)
    async with running_csms(tmp_path, site=SITE) as csms:
        (tmp_path / "csms.toml").write_text(SITE + "offline_after = 7\n")
        first, second = defer.ensureDeferred(csms.house.reload()), defer.ensureDeferred(csms.house.reload())
        done = [await first, await second]
        assert [len(one.changed) for one in done] == [1, 0]
        assert csms.house.presence.offline_after == 7
