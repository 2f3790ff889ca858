"""``NodeLink``: a station made of ``ocpp-rpc`` from npm, in a Node.js process of its own, strict about the schemas of what the server answers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import shutil
import subprocess
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

from station_links import CALL_S, CallRefused, Ear, Payload

SOURCES = Path(__file__).parent / "node"
INSTALL_S = 120.0


class NoNode(Exception):
    """Node.js or npm is missing, or npm could not install; the text says which."""


def install(folder: Path) -> Path:
    """Put the station and ``ocpp-rpc`` into ``folder`` (a second call is quick); raises NoNode."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise NoNode("Node.js with npm is not installed")
    wanted = (SOURCES / "package.json").read_text()
    shutil.copy(SOURCES / "station.js", folder / "station.js")
    mark = folder / "installed.json"
    if mark.exists() and mark.read_text() == wanted:
        return folder / "station.js"
    (folder / "package.json").write_text(wanted)
    command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired:
        raise NoNode(f"npm could not install ocpp-rpc within {INSTALL_S:g} s") from None
    if done.returncode != 0:
        raise NoNode(f"npm could not install ocpp-rpc: {done.stderr.strip()[-300:]}")
    mark.write_text(wanted)
    return folder / "station.js"


class NodeLink:
    """A ``Link`` through a Node.js process; ``connect`` starts it the first time, ``end`` stops it."""

    def __init__(self, script: Path, url: str, station: str, protocol: str) -> None:
        self._arguments = (str(script), url, station, protocol)
        self._protocol = protocol
        self._ear = Ear()
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._orders = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._invalid: list[Any] = []

    async def connect(self) -> None:
        """Open the socket."""
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec("node", *self._arguments, stdin=PIPE, stdout=PIPE)
            self._reading = asyncio.create_task(self._read(self._process))
        assert await self._order({"do": "connect"}) == self._protocol

    async def call(self, action: str, payload: Payload) -> Payload:
        """Send one call; an answer against the schema of ocpp-rpc fails the test."""
        try:
            return dict(await self._order({"do": "call", "action": action, "payload": payload}))
        finally:
            assert not self._invalid, f"ocpp-rpc found the server's messages invalid: {self._invalid}"

    async def answer(self, action: str, payload: Payload) -> None:
        """What the station answers to such a call from now on."""
        await self._order({"do": "answer", "action": action, "payload": payload})

    async def heard(self, action: str) -> Payload:
        """The payload of the server's next call of this action."""
        return await self._ear.get(action)

    async def close(self) -> None:
        """Close the socket."""
        await self._order({"do": "close"})

    async def end(self) -> None:
        """Stop the process."""
        if self._process is None or self._reading is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), 5.0)
        if self._process.returncode is None:
            self._process.kill()
        await self._reading

    async def _order(self, order: Payload) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        number = next(self._orders)
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        self._process.stdin.write(json.dumps({"order": number, **order}).encode() + b"\n")
        return await asyncio.wait_for(waiting, CALL_S)

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self._take(json.loads(line))

    def _take(self, message: Payload) -> None:
        if "heard" in message:
            self._ear.put(message["heard"], message["payload"])
            return
        if "invalid" in message:
            self._invalid.append(message)
            return
        waiting = self._waiting.pop(message["order"])
        if waiting.done():
            return
        if "error" in message:
            waiting.set_exception(CallRefused(message["error"]["code"], message["error"]["description"]))
        else:
            waiting.set_result(message["ok"])
