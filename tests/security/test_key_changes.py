"""Threat: a station is locked out, or an old key lives on, because a change of its password was cut off between two steps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import pytest_twisted
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tls_kit import deferred, in_reactor
from twisted.internet import defer
from twisted.internet.threads import deferToThread

from csms.blocks.door import Proof
from csms.model.security_commands import SetPassword
from csms.model.station import Handshake
from csms.testing import FakeStation, TestCsms, make_csms

SITE = '[stations]\nunknown = "refuse"\n'
FIRST = "0" * 40


async def gets_in(csms: TestCsms, password: str) -> bool:
    handshake = Handshake("CS1", "tcp4:192.0.2.1:1", ("ocpp2.0.1",), True)
    return (await csms.house.security.admit(handshake, Proof(frozenset({1}), password.encode()))).admit


async def run(folder: Path, story: list[tuple[str, bool]]) -> None:
    """Changes one after another; after each the CSMS may be stopped, and the station, which remembers what it took, has to get in."""
    csms = await make_csms(folder, site=SITE)
    try:
        await csms.house.provisioning.provision("CS1", password=FIRST)
        at_station, shown, ever = FIRST, FIRST, {FIRST}
        retired: set[str] = set()
        for number, (what, stops) in enumerate(story, 1):
            new = f"{number:040d}"
            ever.add(new)
            station = await csms.station("CS1", password=at_station)
            sending = deferred(csms.house.commands.send("CS1", SetPassword(new), origin="test"))
            await station.heard()
            at_station = await answered(station, what, new, at_station)
            if not stops:
                await ended(csms, sending)
            await lost(station)
            await ended(csms, sending)
            if stops:
                await csms.close()
                csms = await make_csms(folder, site=SITE)
            assert await gets_in(csms, at_station), (what, stops)
            if at_station != shown:
                shown, retired = at_station, ever - {at_station}
            for old in retired:
                assert not await gets_in(csms, old), "what was shown is the only one"
    finally:
        await csms.close()


async def answered(station: FakeStation, what: str, new: str, old: str) -> str:
    """What the station does with its new password; gives the one it has then."""
    data = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
    match what:
        case "accepts":
            station.answer({"setVariableResult": [{**data, "attributeStatus": "Accepted"}]})
            return new
        case "rejects":
            station.answer({"setVariableResult": [{**data, "attributeStatus": "Rejected"}]})
        case "refuses":
            station.refuse("InternalError")
        case "takes it, and the answer is lost":
            return new
    return old


async def ended(csms: TestCsms, sending: defer.Deferred[object]) -> None:
    await csms.settle(lambda: sending.called)


async def lost(station: FakeStation) -> None:
    if not station.station.lost:
        await station.close()


ANSWERS = ["accepts", "rejects", "refuses", "takes it, and the answer is lost", "never heard of it"]
EXAMPLES = int(os.environ.get("CSMS_EXAMPLES", "2"))
"""Stories beside those that have each answer once; the environment may ask for more."""
STORIES = st.lists(st.tuples(st.sampled_from(ANSWERS), st.booleans()), min_size=1, max_size=6)


@pytest_twisted.ensureDeferred
async def test_no_change_that_is_cut_off_locks_a_station_out(
    tmp_path_factory: pytest.TempPathFactory, installed_plugins: None
) -> None:
    @settings(max_examples=EXAMPLES, deadline=None)
    @example(story=[(what, True) for what in ANSWERS])
    @example(story=[(what, False) for what in ANSWERS])
    @given(story=STORIES)
    def every(story: list[tuple[str, bool]]) -> None:
        in_reactor(lambda: run(tmp_path_factory.mktemp("keys"), story))

    await deferToThread(every)
