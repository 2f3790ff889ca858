"""Connections of one identity, in every order: exactly one owner, no command to a loser, and a late close changes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest_twisted
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from socket_kit import Socket
from tls_kit import deferred, in_reactor
from twisted.internet.threads import deferToThread

from csms.model.availability import TriggerMessage
from csms.testing import TestCsms, make_csms

SITE = "[server]\nprofiles = [1]\nfailed_tries = 1000\n[stations]\nunknown = 'refuse'\n"
KEY = "k" * 20
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

    folder: Path

    @initialize()
    def start(self) -> None:
        self.links: list[Link] = []
        self.number = 0
        in_reactor(self._start)

    async def _start(self) -> None:
        OneIdentity.number_of_runs = getattr(OneIdentity, "number_of_runs", 0) + 1
        folder = self.folder / str(OneIdentity.number_of_runs)
        folder.mkdir()
        self.csms: TestCsms = await make_csms(folder, site=SITE)
        await self.csms.house.provisioning.provision("CS1", password=KEY)
        self.gate = self.csms.house.gate()

    @rule(right=st.booleans())
    def opens(self, right: bool) -> None:
        in_reactor(lambda: self._opens(right))

    async def _opens(self, right: bool) -> None:
        socket = Socket(self.csms, frozenset({1}), gate=self.gate)
        link = Link(socket, right=right)
        self.links.append(link)
        socket.ask_for("/ocpp/CS1", password=KEY if right else "wrong")
        await self._pass_time(3)

    @rule()
    def two_open_at_once(self) -> None:
        in_reactor(self._two)

    async def _two(self) -> None:
        for _ in range(2):
            link = Link(Socket(self.csms, frozenset({1}), gate=self.gate))
            self.links.append(link)
            link.socket.ask_for("/ocpp/CS1", password=KEY)
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
        owner = self.csms.house.switchboard.station("CS1")
        before = {id(link): link.sent.count(CALL) for link in self.links}
        sending = deferred(self.csms.house.commands.send("CS1", TriggerMessage("Heartbeat"), origin="test"))
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
                await self._turns()
                self._answer_pings()
            self.csms.clock.advance(1)
        await self._turns()

    async def _turns(self) -> None:
        from twisted.internet import reactor, task

        for _ in range(6):
            self.csms.clock.advance(0)
            await task.deferLater(reactor, 0.001)  # type: ignore[arg-type]

    def _answer_pings(self) -> None:
        for link in self.links:
            new = link.sent[link.seen :]
            link.seen = len(link.sent)
            if PING in new and link.alive and not link.closed:
                link.socket.protocol.dataReceived(PONG)

    @invariant()
    def exactly_one_owner(self) -> None:
        if not hasattr(self, "csms"):
            return
        in_reactor(self._look)

    async def _look(self) -> None:
        house = self.csms.house
        owner = house.switchboard.station("CS1")
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
        if hasattr(self, "csms"):
            in_reactor(self.csms.close)


@pytest_twisted.ensureDeferred
async def test_exactly_one_owner_in_every_order(tmp_path: Path, installed_plugins: None) -> None:
    OneIdentity.folder = tmp_path

    def machine() -> None:
        run_state_machine_as_test(
            OneIdentity, settings=settings(max_examples=12, stateful_step_count=12, deadline=None)
        )

    await deferToThread(machine)
