"""Connections of one identity, in every order: exactly one owner, no command to a loser, and a late close changes nothing."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest_twisted
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from socket_kit import Socket
from tls_kit import deferred, in_reactor
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from csms.gate import StationGate
from csms.model.availability import TriggerMessage
from csms.store.inline import InlineStore
from csms.testing import TestCsms, make_csms

SITE = "[server]\nprofiles = [1]\nfailed_tries = 1000\n[stations]\nunknown = 'refuse'\n"
KEY = "k" * 20
EXAMPLES = int(os.environ.get("CSMS_EXAMPLES", "30"))
PING, PONG = b"\x89\x04csms", b"\x8a\x84\0\0\0\0csms"
CALL = b'[2,"'


@dataclass
class Link:
    """One socket: what the client did, and how much of what it was sent has been looked at."""

    socket: Socket
    alive: bool = True
    closed: bool = False
    right: bool = True
    seen: int = 0

    @property
    def sent(self) -> bytes:
        """All that the CSMS wrote to it."""
        return bytes(self.socket.transport.value())

    @property
    def open(self) -> bool:
        """Whether its handshake succeeded."""
        return self.sent.startswith(b"HTTP/1.1 101")


class OneIdentity(RuleBasedStateMachine):
    """Clients that open, show the right key or a wrong one, answer pings or not, and close when they like."""

    csms: TestCsms
    gate: StationGate
    numbers = count(1)

    @initialize()
    def start(self) -> None:
        self.links: list[Link] = []
        self.id = f"CS{next(self.numbers)}"
        in_reactor(lambda: self.csms.house.provisioning.provision(self.id, password=KEY))

    @rule(right=st.booleans())
    def opens(self, right: bool) -> None:
        in_reactor(lambda: self._opens(right))

    async def _opens(self, right: bool) -> None:
        socket = Socket(self.csms, frozenset({1}), gate=self.gate)
        link = Link(socket, right=right)
        self.links.append(link)
        socket.ask_for(f"/ocpp/{self.id}", password=KEY if right else "wrong")
        await self._pass_time(3)

    @rule()
    def two_open_at_once(self) -> None:
        in_reactor(self._two)

    async def _two(self) -> None:
        for _ in range(2):
            link = Link(Socket(self.csms, frozenset({1}), gate=self.gate))
            self.links.append(link)
            link.socket.ask_for(f"/ocpp/{self.id}", password=KEY)
        await self._pass_time(6)

    @rule(which=st.integers(0, 5))
    def dies(self, which: int) -> None:
        """It answers no ping any more; its close comes late, or never."""
        if self.links:
            self.links[which % len(self.links)].alive = False

    @rule(which=st.integers(0, 5))
    def closes(self, which: int) -> None:
        if self.links:
            in_reactor(lambda: self._closes(self.links[which % len(self.links)]))

    async def _closes(self, link: Link) -> None:
        if not link.closed:
            link.closed, link.alive = True, False
            link.socket.close()
        await self._pass_time(1)

    @rule()
    def a_command_is_sent(self) -> None:
        in_reactor(self._command)

    async def _command(self) -> None:
        owner = self.csms.house.switchboard.station(self.id)
        before = {id(link): link.sent.count(CALL) for link in self.links}
        sending = deferred(self.csms.house.commands.send(self.id, TriggerMessage("Heartbeat"), origin="test"))
        await self.csms.settle(
            lambda: sending.called or any(link.sent.count(CALL) > before[id(link)] for link in self.links)
        )
        got = [link for link in self.links if link.sent.count(CALL) > before[id(link)]]
        assert all(link.socket.protocol.station is owner for link in got), "a loser was sent a command"
        assert len(got) <= 1
        for link in got:
            id_ = json.loads(link.sent[link.sent.rindex(CALL) :].decode("latin-1").split("}]")[0] + "}]")[1]
            link.socket.send(json.dumps([3, id_, {"status": "Accepted"}]))
        await self.csms.settle(lambda: sending.called)

    async def _pass_time(self, seconds: int) -> None:
        """Living clients answer pings while the time goes by."""
        for _ in range(seconds):
            for _ in range(4):
                self.csms.clock.advance(0)
                self._answer_pings()
            self.csms.clock.advance(1)
        self.csms.clock.advance(0)

    def _answer_pings(self) -> None:
        for link in self.links:
            new = link.sent[link.seen :]
            link.seen = len(link.sent)
            if PING in new and link.alive and not link.closed:
                link.socket.protocol.dataReceived(PONG)

    @invariant()
    def exactly_one_owner(self) -> None:
        if hasattr(self, "id"):
            in_reactor(self._look)

    async def _look(self) -> None:
        house = self.csms.house
        owner = house.switchboard.station(self.id)
        owners = [
            link
            for link in self.links
            if link.socket.protocol.station is not None and not link.socket.protocol.station.lost
        ]
        assert len(owners) <= 1, "two sockets hold the station"
        if owner is not None:
            assert [link.socket.protocol.station for link in owners] == [owner]
            assert owners[0].right
        assert not any(link.open for link in self.links if not link.right), "a wrong key opened a socket"

    def teardown(self) -> None:
        for link in getattr(self, "links", ()):
            in_reactor(lambda link=link: self._closes(link))


@pytest_twisted.ensureDeferred
async def test_exactly_one_owner_in_every_order(tmp_path: Path, installed_plugins: None) -> None:
    """One house for all stories, a station of its own for each."""
    clock = Clock()
    OneIdentity.csms = await make_csms(tmp_path, site=SITE, clock=clock, store=InlineStore(clock))
    OneIdentity.gate = OneIdentity.csms.house.gate()
    stories = settings(max_examples=EXAMPLES, stateful_step_count=12, deadline=None)
    try:
        await deferToThread(lambda: run_state_machine_as_test(OneIdentity, settings=stories))
    finally:
        await OneIdentity.csms.close()
